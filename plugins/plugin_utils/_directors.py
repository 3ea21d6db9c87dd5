# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks at several directors say together: who holds what, who balances, who knows the connections. Pure.

A look is what the modules say of one director, {heartbeat: of heartbeat_info, ipvs: of ipvs_info}; looks are by host.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.switchover import live
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.connections import compare
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.drains import parse
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import read
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import endpoint

Looks = Mapping[str, Mapping[str, Any]]

# What each condition needs of a look, with the options of the module besides vips.
MODULES: dict[str, dict[str, dict[str, Any]]] = {
    "one_holder": {"heartbeat": {}},
    "balanced": {"heartbeat": {}, "ipvs": {}},
    "synced": {"heartbeat": {}, "ipvs": {"gather": ["fingerprints"]}},
}
ENOUGH = 0.95  # share of its connections that the other director should know
FEW = 5  # so many may be unknown, whatever their share: they may just have begun


def lacking(until: str, looks: Looks, cluster: Mapping[str, Any], absent: Collection[str]) -> list[str]:
    """Return what keeps the directors from fulfilling a condition of MODULES, each with its host.

    cluster: as cluster() returns it; in cold standby, the table of a director without addresses is empty, and where
    ldirectord is the checker, its log says more. absent: Heartbeat's names of directors that are known to be down.
    """
    if until == "synced":
        return list(unsynced(looks))
    found = list(unsettled(looks, [vip["address"] for vip in cluster["vips"]], absent))
    if until == "balanced":
        found += unbalanced(looks, cluster["table"], cluster["standby"], cluster["checker"])
        found += misdirected(looks, cluster["services"])
    return found


def unsettled(looks: Looks, vips: Collection[str], absent: Collection[str]) -> Iterator[str]:
    """Yield what is missing for Heartbeat to be active everywhere, and for one holder of each address.

    Heartbeat's word counts for nodes, the kernel's for addresses. 'transition' doesn't matter here: a director that has
    given its addresses back may say that for ever, until the playbook verify names it.
    """
    for host, look in looks.items():
        states = {node: state for node, state in look["heartbeat"]["nodes"].items() if node not in absent}
        if not states:
            yield f"Heartbeat does not run on {host}"
        wrong = ", ".join(f"{node} is {state or 'unknown'}" for node, state in states.items() if state != "active")
        if wrong:
            yield f"Heartbeat on {host} says that {wrong}"
    for address in sorted({str(ip_address(vip)) for vip in vips}):
        holders = [host for host, look in looks.items() if address in look["heartbeat"]["held"]]
        if len(holders) > 1:
            yield f"{address} is on {' and '.join(holders)}: restart Heartbeat on the one that should not have it"
        elif not holders:
            believed = [host for host, look in looks.items() if address in look["heartbeat"]["expected"]]
            told = f"; Heartbeat believes it to be on {' and '.join(believed)}" if believed else ""
            left = f"; {', '.join(absent)} may not be as absent as ha_absent says" if absent else ""
            where = f"{'not on' if len(looks) == 1 else 'on none of'} {' and '.join(looks)}"
            yield f"{address} is {where}{told}{left}"


def unbalanced(looks: Looks, table: list[Any], standby: str, checker: str) -> Iterator[str]:
    """Yield the services without a real server of their own that takes connections; fallbacks don't count.

    In cold standby, also those that a director without addresses has: it would balance what is forwarded to it as a
    real server, in circles.
    """
    wanted = read(table)[0]
    log = "; see /var/log/ldirectord.log there" if checker == "ldirectord" else ""
    for host, look in looks.items():
        found = read(look["ipvs"]["services"])[0]
        if standby == "cold" and not look["heartbeat"]["held"]:
            if left := ", ".join(str(key) for key in wanted if key in found):
                yield f"{host} holds no address, but its IPVS table still has {left}: run site, which empties it"
            continue
        lost = [
            str(key)
            for key, service in wanted.items()
            if key not in found or not live(found[key]) & service.servers.keys()
        ]
        if lost:
            yield (
                f"in the IPVS table of {host} these services have no real server that takes connections: "
                f"{', '.join(lost)}{log}"
            )


def misdirected(looks: Looks, services: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the rows of real servers that get packets in another way than the services ask for.

    A director that was down at a change comes back with its old configuration, whose services and real servers may be
    the right ones.
    """
    wanted = _ways(services)
    for host, look in looks.items():
        rows: list[str] = []
        for service in look["ipvs"]["services"]:
            there = wanted.get(_identity(service), {})
            known_ones = [server for server in service["real_servers"] if server["address"] in there]
            rows += _old_rows(service, known_ones, there)
        if rows:
            yield f"{host} forwards in another way than the inventory asks for: {', '.join(rows)}; run site"


def unsynced(looks: Looks) -> Iterator[str]:
    """Yield which sync daemons don't run, and whose connections the other director does not know."""
    for host, look in looks.items():
        running = sorted(daemon["role"] for daemon in look["ipvs"]["daemons"])
        if running != ["backup", "master"]:
            yield (
                f"{host} must run both sync daemons, master and backup, and runs {', '.join(running) or 'neither'}: "
                "run site, or restart ipvs-sync.service there"
            )
    if len(looks) < 2:
        yield from (f"{host} has no other director in this run to compare with" for host in looks)
    for host, each in known(looks).items():
        if each["share"] < ENOUGH and each["unknown"] > FEW:
            yield (
                f"{told(host, each)} A takeover would end the others; run /usr/local/sbin/ipvs-resync there to tell it "
                "of all"
            )


def known(looks: Looks) -> dict[str, dict[str, Any]]:
    """Return what the other director knows of the connections of each that holds addresses, as compare() does."""
    found = {}
    for host, look in looks.items():
        other = next((name for name in looks if name != host), None)
        if other and look["heartbeat"]["held"]:
            found[host] = compare(look["ipvs"]["fingerprints"], looks[other]["ipvs"]["fingerprints"])
    return found


def told(host: str, each: Mapping[str, Any]) -> str:
    """Return in a sentence what known() says of a director."""
    return (
        f"{host} has {each['count']} connections and persistence templates, of which the other director knows "
        f"{each['share'] * 100:.1f} %."
    )


def move(held: Mapping[str, Collection[str]], cluster: Mapping[str, Any], to: str = "") -> dict[str, Any]:
    """Return which director a switchover is to, and what each has afterwards.

    held: the addresses that each has, in the order of the group. to: a director, `preferred` for each address on its
    preferred one, or nothing for the director that has none. One command moves addresses in one direction only.
    """
    apart = to == "preferred" and to not in held
    nodes = dict(zip(held, cluster["nodes"], strict=False))
    addresses = {host: sorted(v["address"] for v in cluster["vips"] if v["node"] == nodes.get(host)) for host in held}
    able = [host for host in held if not apart or set(addresses[host]) - {*held[host]}]
    if apart and not able:
        able = list(held)[:1]  # all is in place
    elif not apart:
        able = [host for host in able if host == to or (not to and not held[host])]
    if len(able) != 1:
        has = "; ".join(f"{host} has {', '.join(held[host]) or 'none'}" for host in held)
        names = ", ".join(held)
        must = "one director at a time takes its VIPs back" if apart else f"must be one of {names} or preferred"
        return {"refused": f"switchover_to = {to or '(not given)'}: {must}; {has}"}
    target = able[0]
    whole = sorted(vip["address"] for vip in cluster["vips"])
    wanted = addresses if apart else {host: whole if host == target else [] for host in held}
    moving = {*wanted[target]} - {*held[target]}
    doors = [door for door in cluster["doors"] if not moving or door["address"] in moving]
    return {
        "refused": "",
        "target": target,
        "source": next((host for host in held if host != target), target),
        "only_own": apart,
        "wanted": wanted,
        "door": doors[0] if doors else {},
    }


def unheard(links: Iterable[Mapping[str, Any]], status: str) -> list[str]:
    """Return the interfaces of the links on which heartbeat-vips does not hear the other director.

    status: what `heartbeat-vips status` prints, a JSON object whose links are {interface: whether it hears it}; none
    where it is no such text.
    """
    try:
        said = json.loads(status)
    except ValueError:
        said = None
    found = said.get("links") if isinstance(said, dict) else None
    heard = {name for name, hears in found.items() if hears} if isinstance(found, dict) else set()
    return [name for name in dict.fromkeys(link["interface"] for link in links) if name not in heard]


def intruders(listening: Iterable[str], ports: Collection[int]) -> list[str]:
    """Return the programs that listen on all addresses of a director at one of some ports.

    listening: lines of `ss --no-header --listening --tcp --numeric --processes`, whose fourth word is address:port.
    """
    places = {f"{address}:{port}" for address in ("0.0.0.0", "*", "[::]") for port in ports}
    return [" ".join(words) for line in listening if (words := line.split())[3:4] and words[3] in places]


def unwanted(shown: Iterable[Mapping[str, Any]], services: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what an IPVS table has and ldirectord's services don't: ldirectord has not yet taken out what is old.

    shown: as ipvs_info returns the services; services: as cluster() does. Ports of real servers don't count, since the
    kernel has its own for some. One on the director itself is `local` there, whatever was asked for.
    """
    wanted = _ways(services)
    found = []
    for service in shown:
        there = wanted.get(_identity(service))
        found += [_name(service)] if there is None else _old_rows(service, service["real_servers"], there)
    return found


def _ways(services: Iterable[Mapping[str, Any]]) -> dict[object, dict[str, set[str]]]:
    """Return in which ways each real server of each service may get packets; a fallback in any."""
    wanted: dict[object, dict[str, set[str]]] = {}
    for service in services:
        servers = wanted.setdefault(_identity(service), {})
        for server in service["real_servers"]:
            servers.setdefault(_address(server["endpoint"]), set()).add(server["forwarding"])
        if service.get("fallback"):
            servers.setdefault(_address(service["fallback"].split()[0]), set()).update(("direct", "nat", "tunnel"))
    return wanted


def _old_rows(
    service: Mapping[str, Any], servers: Iterable[Mapping[str, Any]], there: Mapping[str, Collection[str]]
) -> list[str]:
    """Return those of a service's real servers that are not there, or get packets in another way."""
    return [
        f"{server['address']} ({server['forwarding']}) of {_name(service)}"
        for server in servers
        if server["forwarding"] not in there.get(server["address"], ())
        and not (server["forwarding"] == "local" and server["address"] in there)
    ]


def _name(service: Mapping[str, Any]) -> str:
    if service.get("fwmark"):
        return f"fwmark {service['fwmark']}"
    return f"{service['protocol']} {endpoint(service['vip'], service['port'])}"


def _identity(service: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells two services apart, of those that ipvs_info or cluster() return."""
    if service.get("fwmark"):
        return int(service["fwmark"]), service.get("family", 4)
    place = parse(service["endpoint"]) if "endpoint" in service else (service["vip"], service["port"])
    return service["protocol"], place


def _address(place: str) -> str:
    return (parse(place) or (place,))[0]
