# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about Heartbeat.

Heartbeat 3.0.6 has no test mode, and one bad line in any of its files stops it for good ('Configuration error,
heartbeat not started'). 'Heartbeat' below means its parser and the tests against the packaged program.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import MOST_MEDIA
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import (
    Group,
    Resource,
    check_addresses,
    check_keys,
    check_names,
    check_resources,
    moved_address,
    parse_resource,
)
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import LONGEST_LINE, milliseconds
from ansible_collections.codalvs.ha.plugins.module_utils._schema import (
    HIDDEN,
    UNUSABLE,
    Unevaluated,
    did_you_mean,
    show,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.cluster import PROFILES
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Address,
    Cluster,
    HostAddress,
    Service,
    known,
    to_address,
    unusable,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import fault_in
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule, usable

# Types of libstonith that fence nobody, or not when it matters: a director without power answers nobody.
_NEEDS_ITS_VICTIM = "asks the other director itself: without power it can't answer, and nobody takes its addresses"
UNSAFE_STONITH = {
    "external/ssh": _NEEDS_ITS_VICTIM,
    "meatware": "waits for a person to confirm, and until then nobody takes the other director's addresses",
    "null": "fences nobody, and says that it did",
    "ssh": _NEEDS_ITS_VICTIM,
    "suicide": "can only reset its own machine, never the other director",
}
DEVICE = re.compile(r"/dev/[^\s,#]*[^\s,#/]")  # ha.cf separates words by blanks and commas
TIMES = ("heartbeat_keepalive", "heartbeat_warntime", "heartbeat_deadtime", "heartbeat_initdead")
LONGEST_TIME = 3_600_000  # ms; whoever waits longer for a dead director waits for a person
LINK_FIELDS = {  # required, possible
    "ucast": (("interface",), ("peers",)),
    "bcast": (("interface",), ()),
    "mcast": (("interface", "group"), ("port", "ttl")),
    "serial": (("device",), ()),
}
# Of eight characters and more; what is shorter is weak anyway.
WEAK_SECRETS = frozenset(
    (
        *(
            "12345678",
            "123456789",
            "1234567890",
            "authkeys",
            "changeit",
            "changeme",
            "codalvs",
            "heartbeat",
            "helloworld",
        ),
        *("linux-ha", "mysecret", "passw0rd", "password", "password1", "password123", "qwertyuiop", "test1234"),
        *("testtest", "topsecret"),
    )
)


@rule("bad_time")
def bad_time(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat's get_msec(): seconds, or a number with ms or us; it keeps whole milliseconds."""
    for name in TIMES:
        if cluster.get(name) is not None and not _milliseconds(cluster, name):
            problem = "must be a time from 1 ms to an hour: seconds such as 2 or 1.5, or 500ms, 500000us"
            yield Complaint(name, show(cluster.get(name)), problem, "write such a value")


@rule("bad_silence")
def bad_silence(cluster: Cluster) -> Iterator[Complaint]:
    """A silence longer than Heartbeat's deadtime never matters; below 50 ms, every hiccup of a switch does."""
    if cluster.get("heartbeat_silence") in (None, "0"):
        return
    silence, deadtime = (_milliseconds(cluster, name) for name in ("heartbeat_silence", "heartbeat_deadtime"))
    if not silence or silence < 50 or (deadtime and silence >= deadtime):
        problem = (
            f"must be a time from 50ms to below heartbeat_deadtime ({show(_time(cluster, 'heartbeat_deadtime'))}), or 0"
        )
        yield Complaint(
            "heartbeat_silence", show(cluster.get("heartbeat_silence")), problem, "write such a value, or remove it"
        )


@rule("time_order")
def time_order(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat refuses deadtime <= 2 x keepalive and initdead < deadtime; else a warning would come too late."""
    keepalive, warntime, deadtime, initdead = (_milliseconds(cluster, name) for name in TIMES)
    orders = (
        ("heartbeat_warntime", warntime, 1, "heartbeat_keepalive", keepalive, ">"),
        ("heartbeat_deadtime", deadtime, 1, "heartbeat_warntime", warntime, ">"),
        ("heartbeat_deadtime", deadtime, 2, "heartbeat_keepalive", keepalive, ">"),
        ("heartbeat_initdead", initdead, 1, "heartbeat_deadtime", deadtime, ">="),
    )
    twice = 2 * (keepalive or 0)
    for name, longer, factor, than, shorter, relation in orders:
        if not longer or not shorter:
            continue
        # One mistake: of two limits of deadtime the stricter one counts, and for a long keepalive that of warntime.
        elsewhere = warntime and keepalive and (warntime <= keepalive or factor * shorter < max(twice, warntime))
        if elsewhere and name == "heartbeat_deadtime":
            continue
        if longer < factor * shorter or (relation == ">" and longer == factor * shorter):
            wanted = "longer than" if relation == ">" else "at least"
            problem = f"must be {wanted} {'twice ' if factor == 2 else ''}{than} ({_with_unit(cluster, than)})"
            yield Complaint(name, _with_unit(cluster, name), problem, f"raise it, or lower {than}")


@rule("short_initdead", "warning")
def short_initdead(cluster: Cluster) -> Iterator[Complaint]:
    """A network that comes up later than initdead at boot makes both directors active.

    Heartbeat warns below 10 s, and its documentation asks for twice the deadtime.
    """
    initdead, deadtime = _milliseconds(cluster, "heartbeat_initdead"), _milliseconds(cluster, "heartbeat_deadtime")
    least = max(10_000, 2 * (deadtime or 0))
    if initdead and (deadtime or 0) <= initdead < least:  # below deadtime it is an error already
        seconds = f"{float(least) / 1000:g}"
        problem = f"below {seconds} s (twice heartbeat_deadtime, and 10 s) a slow boot makes both directors active"
        remedy = f"raise it to at least {seconds}"
        yield Complaint("heartbeat_initdead", show(_time(cluster, "heartbeat_initdead")), problem, remedy)


@rule("bad_authkeys")
def bad_authkeys(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat: numbers 1 to 15, each once; the active one exists; sha1 and md5 have a secret, crc has none."""
    authkeys = cluster.get("heartbeat_authkeys")
    if not cluster.hosts[cluster.view].get("heartbeat_authkeys") or not authkeys:
        return  # a key is generated
    keys = _keys(cluster)
    ids = [key["id"] for _variable, key in keys]
    active = authkeys["active"]
    complete = UNUSABLE not in ids and authkeys["keys"] is not UNUSABLE and len(ids) == len(authkeys["keys"] or ())
    written = cluster.hosts[cluster.view]["heartbeat_authkeys"]
    misspelt = isinstance(written, Mapping) and not written.keys() <= {"active", "keys"}
    if complete and known(active) is not None and active not in ids and not (misspelt and not ids):
        numbers = ", ".join(map(show, ids)) or "none"
        problem = f"there is no key of this id; given are: {numbers}"
        yield Complaint("heartbeat_authkeys.active", show(active), problem, "name the id of a key, or add the key")
    for position, (variable, key) in enumerate(keys):
        if known(key["id"]) is not None and not 1 <= key["id"] <= 15:
            yield Complaint(f"{variable}.id", show(key["id"]), "must be a number from 1 to 15", "write such a number")
        if known(key["id"]) is not None and key["id"] in ids[:position]:
            yield Complaint(
                f"{variable}.id", show(key["id"]), "is already the id of another key", "give each its own id"
            )
        yield from _bad_secret(variable, key)


@rule("heartbeat_weak_secret", "warning")
def heartbeat_weak_secret(cluster: Cluster) -> Iterator[Complaint]:
    """Whoever guesses the secret can take the VIPs away, and can try guesses offline with any packet from the link."""
    for variable, key in _keys(cluster):
        secret = known(key["secret"])
        if key["method"] in ("sha1", "md5") and secret and (len(secret) < 8 or secret.lower() in WEAK_SECRETS):
            problem = "can be guessed: it is shorter than 8 characters or a well-known word"
            yield Complaint(
                f"{variable}.secret", HIDDEN, problem, "take a long random one from a vault, or none at all"
            )


@rule("heartbeat_crc", "warning")
def heartbeat_crc(cluster: Cluster) -> Iterator[Complaint]:
    """crc is a checksum, no signature: it finds broken packets only."""
    active = (cluster.get("heartbeat_authkeys") or {}).get("active")
    for variable, key in _keys(cluster):
        if key["method"] == "crc" and key["id"] == active:
            problem = "the active key signs nothing: anybody on the link can forge heartbeats"
            yield Complaint(f"{variable}.method", "crc", problem, "use sha1 with a secret from a vault")


@rule("authkeys_differ")
def authkeys_differ(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat drops every packet that no key of its own signs: both directors become active."""
    if cluster.directors and cluster.directors_differ("heartbeat_authkeys"):
        problem = f"{' and '.join(cluster.directors)} have different keys: each would take the other for dead"
        yield Complaint("heartbeat_authkeys", HIDDEN, problem, "set it once, in the variables of the group directors")


@rule("ping_own_vip", "warning")
def ping_own_vip(cluster: Cluster) -> Iterator[Complaint]:
    """The VIP answers wherever it is, so the answer tells nothing about the network."""
    vips = {service.vip: service.variable for service in reversed(cluster.services) if service.vip}
    for variable, text in _pings(cluster):
        address = to_address(text)
        own = {**cluster.gateways, **vips}.get(address) if address else None
        if own:
            what = "VIP" if address in vips else "gateway"
            problem = f"is the cluster's own {what} ({own}): it says nothing about the network"
            yield Complaint(variable, show(text), problem, "name a router or another third party")


@rule("ping_own_address", "warning")
def ping_own_address(cluster: Cluster) -> Iterator[Complaint]:
    """A director always reaches itself."""
    for variable, text in _pings(cluster):
        address = to_address(text)
        owner = cluster.all_addresses.get(address) if address else None
        if owner and owner.host in cluster.directors:
            problem = f"is an address of director {owner.host}, which always reaches itself"
            yield Complaint(variable, show(text), problem, "name a router or another third party")
        elif address and address.is_loopback:
            problem = "is each director itself, which always answers"
            yield Complaint(variable, show(text), problem, "name a router or another third party")


@rule("bad_ping")
def bad_ping(cluster: Cluster) -> Iterator[Complaint]:
    """ha.cf's ping nodes are addresses; each, or each group of them, counts as one node, so none twice."""
    seen: set[Address] = set()
    for variable, text in _pings(cluster):
        address = to_address(text)
        # Heartbeat has ping6 for IPv6, and no groups of it.
        if address is None or (address.version != 4 and "group" in variable):
            kind = "IPv4 address" if "group" in variable else "address"
            yield Complaint(variable, show(text), f"must be an {kind}", "write the address of a router")
            continue
        near = [own.address for host in cluster.directors for own in cluster.interfaces_towards(host, address)]
        # Of loopback another rule says more; 169.254.0.0/16 needs no interface's name.
        reachable = address.is_loopback or (address.version == 4 and address.is_link_local)
        fault = None if address.is_loopback else fault_in(address, near) or (None if reachable else unusable(address))
        if fault:
            yield Complaint(variable, show(text), f"is {fault}", "write the address of a router")
        elif address in seen:
            yield Complaint(variable, show(text), "is named already", "keep one")
        seen.add(address)


@rule("bad_ping_group")
def bad_ping_group(cluster: Cluster) -> Iterator[Complaint]:
    """A group is one node of the cluster, with the group's name. Heartbeat ignores a line that has only a name."""
    taken = [*cluster.node_names.values(), *(text for _variable, text in _pings(cluster))]
    for variable, group in _entries(cluster, "heartbeat_ping_group"):
        name = known(group["name"])
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            problem = "must be one word of letters, digits, '.', '_' and '-'"
            yield Complaint(f"{variable}.name", show(name), problem, "write a name such as routers")
        elif name is not None and name.lower() in taken:
            problem = "is the name of a director, of another group or of a ping node as well"
            yield Complaint(f"{variable}.name", show(name), problem, "give each its own name")
        if group["addresses"] == []:
            problem = "a group needs at least one address"
            yield Complaint(f"{variable}.addresses", "", problem, "add routers, or remove the group")
        if name is not None:
            taken.append(name.lower())


@rule("ipfail_without_ping")
def ipfail_without_ping(cluster: Cluster) -> Iterator[Complaint]:
    """ipfail compares how many ping nodes each director reaches; without any it does nothing."""
    given = cluster.settings.get("heartbeat_ping") or cluster.settings.get("heartbeat_ping_group")
    if cluster.get("heartbeat_ipfail") and not given:
        problem = "ipfail needs third parties to compare the directors by"
        remedy = "add routers to heartbeat_ping or heartbeat_ping_group, or set it to false"
        yield Complaint("heartbeat_ipfail", "true", problem, remedy)


@rule("bad_stonith")
def bad_stonith(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat keeps one device for each director that uses one, and '#' ends its line."""
    first: dict[str, str] = {}
    for variable, device in _entries(cluster, "heartbeat_stonith"):
        host, kind, parameters = (known(device[name]) for name in ("host", "type", "parameters"))
        if kind is not None and not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_.-]+)?", kind):
            problem = "is not a type of fencing device"
            yield Complaint(f"{variable}.type", show(kind), problem, "write one that `stonith -L` lists there")
        if parameters and ("#" in parameters or not parameters.isprintable()):
            problem = "contains '#', which begins a comment in ha.cf, or a control character"
            yield Complaint(f"{variable}.parameters", HIDDEN, problem, "write one line without them")
        if host is None:
            continue
        for name in cluster.node_names.values() if host == "*" else [host.lower()]:
            other = first.setdefault(name, variable)
            if other != variable:
                problem = f"{show(name)} has a device already ({other}), and Heartbeat keeps one for each director"
                yield Complaint(f"{variable}.host", show(host), problem, "remove one")
                break


@rule("unsafe_stonith", "warning")
def unsafe_stonith(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat's scripts take nothing before the device says that it is done, and try for ever."""
    for variable, device in _entries(cluster, "heartbeat_stonith"):
        fault = UNSAFE_STONITH.get(known(device["type"]) or "")
        if fault:
            yield Complaint(f"{variable}.type", show(device["type"]), fault, "name a device that cuts the power")


@rule("bad_witness")
def bad_witness(cluster: Cluster) -> Iterator[Complaint]:
    """heartbeat-vips asks them by ARP or neighbour solicitation, which reach a network alone, and no director."""
    given = known(cluster.get("heartbeat_witnesses")) or {}
    common = _common_interfaces(cluster)
    for name, values in given.items():
        variable = f"heartbeat_witnesses.{show(name)}"
        if common is not None and name not in common:
            remedy = did_you_mean(name, sorted(common), f"use one of {', '.join(sorted(common)) or 'their interfaces'}")
            yield Complaint(variable, "", "is not an interface of both directors in ha_interfaces", remedy)
            continue
        if not isinstance(values, list | tuple):
            yield Complaint(variable, show(values), "must be a list of addresses", "write it like [192.0.2.21]")
            continue
        everywhere = [own for host in cluster.directors for own in cluster.addresses.get(host, ())]
        near = [own.address for own in everywhere if own.interface == name]
        for index, text in enumerate(values):
            address = to_address(text)
            owner = cluster.all_addresses.get(address) if address else None
            fault = None
            if address is None:
                fault = None if isinstance(text, Unevaluated) else "must be an IPv4 or IPv6 address"
            elif owner and owner.host in cluster.directors:
                fault = f"is an address of director {owner.host}, which can't be its own witness"
            elif address in _floating(cluster):
                fault = "is a VIP or gateway, which answers wherever it is"
            elif near and not any(address in own.network for own in near):
                fault = f"is in no network of {name}, and can't be asked there"
            elif wrong := fault_in(address, near):
                fault = f"is {wrong}"
            if fault:
                remedy = "name a host or gateway of that network that is no director"
                yield Complaint(f"{variable}[{index}]", show(text), fault, remedy)


@rule("many_media")
def many_media(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat keeps a medium for each peer of a link, each ping node and each group, and has room for 64."""
    links = [link for link in cluster.get("heartbeat_links") or () if link is not UNUSABLE]
    count = sum(len(known(link["peers"]) or ()) or len(cluster.directors) for link in links)
    count = count or 2 * len(_shared_interfaces(cluster) if len(cluster.directors) == 2 else ())
    pings = len(cluster.get("heartbeat_ping") or ()) + len(cluster.get("heartbeat_ping_group") or ())
    if count + pings > MOST_MEDIA:
        problem = (
            f"with {count} for the links there would be {count + pings} media, and Heartbeat has room for {MOST_MEDIA}"
        )
        yield Complaint(
            "heartbeat_ping", f"{pings} ping nodes", problem, "name a few routers; groups of them count as one each"
        )


@rule("bad_watchdog")
def bad_watchdog(cluster: Cluster) -> Iterator[Complaint]:
    """The driver's device; softdog is a driver like the others, and makes /dev/watchdog."""
    device = cluster.get("heartbeat_watchdog")
    if device and not DEVICE.fullmatch(device):
        yield Complaint("heartbeat_watchdog", show(device), "must be a device file", "write it like /dev/watchdog")
    if device == "" and cluster.get("heartbeat_watchdog_softdog"):
        problem = "heartbeat_watchdog names no device, so nobody would use it"
        remedy = "add heartbeat_watchdog: /dev/watchdog, or set it to false"
        yield Complaint("heartbeat_watchdog_softdog", "true", problem, remedy)


@rule("bad_link")
def bad_link(cluster: Cluster) -> Iterator[Complaint]:
    """One ha.cf for both directors: the interface has one name, and must exist when Heartbeat starts."""
    for index, link in enumerate(cluster.get("heartbeat_links") or ()):
        fields = LINK_FIELDS.get(link["type"]) if link is not UNUSABLE and known(link["type"]) else None
        if fields:
            yield from _bad_link(cluster, f"heartbeat_links[{index}]", link, *fields)


@rule("no_link")
def no_link(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat: 'No heartbeat media defined'. Links by default are unicast over every shared network."""
    if len(cluster.directors) != 2 or cluster.settings.get("heartbeat_links"):
        return
    if all(cluster.addresses.get(host) for host in cluster.directors) and not _shared_interfaces(cluster):
        names = " and ".join(cluster.directors)
        problem = f"{names} share no network: no link for heartbeats"
        yield Complaint("heartbeat_links", "", problem, "correct ha_interfaces, or describe the links")


@rule("single_link", "warning")
def single_link(cluster: Cluster) -> Iterator[Complaint]:
    """If all heartbeats go one way, its failure makes both directors active. One interface is one way."""
    if len(cluster.directors) != 2:
        return
    links = cluster.get("heartbeat_links") or ()
    if any(link is UNUSABLE or link["type"] is UNUSABLE for link in links):
        return  # what the others are is unknown as well
    lost = {host for host in cluster.directors for service in cluster.services if _is_lost(cluster, host, service)}
    if len(lost) == 1 and not links:
        return  # its addresses are wrong: vip_in_no_network
    names = {"serial": "device"}
    ways = {known(link[names.get(link["type"], "interface")]) for link in links} or _shared_interfaces(cluster)
    if len(ways) == 1 and None not in ways:
        problem = f"all heartbeats go over {show(ways.pop())}: if it fails, both directors hold the addresses"
        remedy = "give both directors a second network that shares no switch with it, or a serial link"
        yield Complaint("heartbeat_links", "", problem, remedy)


def _is_lost(cluster: Cluster, host: str, service: Service) -> bool:
    """Tell whether a director that has addresses has none in the network of a service's VIP."""
    return bool(service.vip and cluster.addresses.get(host) and not cluster.near(host, service.vip))


@rule("bad_node_name")
def bad_node_name(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat wants what `uname -n` says, so a host name; upper case is folded."""
    for host, name in cluster.node_names.items():
        if cluster.value(host, "heartbeat_node_name") is None and to_address(name):
            problem = "is an address, and Heartbeat knows a director by its host name"
            yield Complaint("heartbeat_node_name", show(name), problem, "set it to what uname -n says there", host)
        elif not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?", name):
            problem = "is not a host name: letters, digits, '-' and '.', at most 64"
            yield Complaint("heartbeat_node_name", show(name), problem, "set it to what uname -n says there", host)


@rule("duplicate_node_name")
def duplicate_node_name(cluster: Cluster) -> Iterator[Complaint]:
    """Two nodes of one name take each other's packets for their own."""
    counts = Counter(cluster.node_names.values())
    for host, name in cluster.node_names.items():
        if counts[name] > 1:
            problem = "both directors have this node name (Heartbeat folds upper case)"
            remedy = "give each director a host name of its own, and set this to what uname -n says there"
            yield Complaint("heartbeat_node_name", show(name), problem, remedy, host)


@rule("unknown_node")
def unknown_node(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat: 'Current node not in configuration!', for haresources 'Bad nodename in …', for stonith_host none."""
    names = list(cluster.node_names.values())
    nodes = known(cluster.get("heartbeat_nodes")) or []
    for index, node in enumerate(nodes):
        if node is not UNUSABLE and node.lower() not in names:
            yield _unknown_node(f"heartbeat_nodes[{index}]", node, names)
    if nodes and UNUSABLE not in nodes:
        given = {node.lower() for node in nodes}
        # Each unknown one stands for one that seems to be missing.
        for name in [name for name in names if name not in given][len(given - {*names}) :]:
            problem, remedy = f"director {show(name)} is missing", f"add {show(name)}, or leave the list out"
            yield Complaint("heartbeat_nodes", "", problem, remedy)
    for index, group in enumerate(_groups(cluster)):
        if group and known(group["node"]) is not None and group["node"].lower() not in names:
            yield _unknown_node(f"heartbeat_resource_groups[{index}].node", group["node"], names)
    for variable, device in _entries(cluster, "heartbeat_stonith"):
        if known(device["host"]) is not None and device["host"].lower() not in ("*", *names):
            yield _unknown_node(f"{variable}.host", device["host"], names)


@rule("duplicate_resource_group")
def duplicate_resource_group(cluster: Cluster) -> Iterator[Complaint]:
    """The first resource is the name of its group, so no other group may have it. For VIPs: vip_without_holder."""
    vips = _floating(cluster)
    for problem in {problem.value: problem for problem in check_keys(_parsed_groups(cluster))}.values():
        if _address(problem.value) in vips:
            continue
        variable = f"heartbeat_resource_groups[{problem.line}].resources[0]"
        text = re.sub(r"; line (\d+) does", r"; heartbeat_resource_groups[\1] has", problem.problem)
        yield Complaint(variable, show(problem.value), text, "start each group with a resource of its own")


@rule("bad_resource")
def bad_resource(cluster: Cluster) -> Iterator[Complaint]:
    """All that heartbeat_check would refuse on the director, and an ldirectord that our unit would not see."""
    remedy = "write it so, or leave heartbeat_resource_groups out: it follows from the services"
    for index, group in enumerate(_groups(cluster)):
        variable = f"heartbeat_resource_groups[{index}].resources"
        resources = known(group["resources"]) if group else None
        if resources == []:
            yield Complaint(variable, "", "a group needs at least one resource", "add one, or remove the group")
        words = [each for each in resources or () if each is not UNUSABLE]
        length = len(" ".join([(known(group["node"]) if group else None) or "", *words]).encode("utf-8", "replace"))
        if length >= LONGEST_LINE:
            problem = f"makes a line of {length} bytes, and Heartbeat reads {LONGEST_LINE - 1}"
            yield Complaint(variable, "", problem, "divide the group: a director may have several")
        for position, resource in enumerate(resources or ()):
            if resource is not UNUSABLE and parse_resource(resource).script == "ldirectord" and "::" in resource:
                problem = "has another pid file than the unit ldirectord.service: a second one could run beside it"
                yield Complaint(f"{variable}[{position}]", show(resource), problem, "write ldirectord alone")
    groups, vips = _parsed_groups(cluster), _floating(cluster)
    twice = [problem for problem in check_addresses(groups) if _address(problem.value) not in vips]
    for line in groups:
        for resource in line.resources:
            problem, remedy_there = _wrong_place(cluster, resource, vips)
            if problem:
                position = list(cluster.get("heartbeat_resource_groups")[line.line]["resources"]).index(resource.text)
                variable = f"heartbeat_resource_groups[{line.line}].resources[{position}]"
                yield Complaint(variable, show(resource.text), problem, remedy_there)
    declared = {cluster.node_names[host]: names for host, names in _declared(cluster).items() if names}
    by_node = check_names(groups, cluster.node_names.values(), declared)
    for fault in [*check_resources(groups, interfaces=_common_interfaces(cluster)), *by_node, *twice]:
        resources = cluster.get("heartbeat_resource_groups")[fault.line]["resources"]
        variable = f"heartbeat_resource_groups[{fault.line}].resources[{list(resources).index(fault.value)}]"
        text = re.sub(r"by line (\d+)", r"by heartbeat_resource_groups[\1]", fault.problem)
        text = text.replace("on this host, which has", "on both directors: in ha_interfaces, both have")
        yield Complaint(variable, show(fault.value), text, remedy)


def _wrong_place(cluster: Cluster, resource: Resource, vips: Collection[Address | None]) -> tuple[str, str]:
    """Return problem and remedy of an address that would move away from its host, or to another network; or ''."""
    address = moved_address(resource)
    owner = cluster.all_addresses.get(address) if address else None
    if owner and address not in vips:
        return f"would move the address of {owner.host} ({owner.variable})", "name an address that no host has"
    device = "::".join(resource.arguments).split("/")[2:3]
    name = device[0].partition(":")[0] if device else ""
    if address in vips and address:
        near = [{own.interface for own in cluster.near(host, address)} for host in cluster.directors]
        if near and all(near) and name in (_common_interfaces(cluster) or ()) and not any(name in own for own in near):
            home = " or ".join(sorted(set.union(*near)))
            return f"is on {name}, and the network of this VIP is on {home}", f"write {home} there"
    return "", ""


@rule("vip_without_holder")
def vip_without_holder(cluster: Cluster) -> Iterator[Complaint]:
    """Nobody holds an address that no group of haresources names; two may hold one that two groups name."""
    groups = [group for group in _groups(cluster) if group and known(group["resources"]) is not None]
    if not groups or any(group is None for group in _groups(cluster)):
        return
    held = [_address(resource) for group in groups for resource in group["resources"] if resource is not UNUSABLE]
    vips = {service.vip: None for service in cluster.services if service.vip}
    for vip in vips | dict.fromkeys(cluster.gateways):
        if (count := held.count(vip)) != 1:
            what = f"the {'VIP' if vip in vips else 'gateway'} {vip}"
            problem = f"{'none' if count == 0 else 'more than one'} of its resources is {what}"
            yield Complaint("heartbeat_resource_groups", "", problem, "name it in one group, or leave the list out")


@rule("ldirectord_unstarted")
def ldirectord_unstarted(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat starts what haresources names; systemd starts ldirectord only where Heartbeat does not."""
    standby = cluster.get("ha_standby")
    if standby is None:
        return
    groups = _parsed_groups(cluster)
    starters = [
        (group.line, group.node.lower()) for group in groups if "ldirectord" in (r.script for r in group.resources)
    ]
    for index, node in (
        (group.line, group.node.lower()) for group in groups if any(map(moved_address, group.resources))
    ):
        # A director has several lines where one would be too long; one of them is enough.
        is_cold = standby == "cold"
        starts = any(name == node for _line, name in starters) if is_cold else (index, node) in starters
        if starts != is_cold:
            does = "starts ldirectord" if starts else "does not start ldirectord"
            problem = f"ha_standby is {standby}, and the group {does}"
            change, other = ("add ldirectord to it", "hot") if is_cold else ("take ldirectord out of it", "cold")
            remedy = f"{change}, or set ha_standby: {other}"
            yield Complaint(f"heartbeat_resource_groups[{index}].resources", "", problem, remedy)


def held_addresses(cluster: Cluster) -> dict[Address, set[str]]:
    """Return the addresses that heartbeat_resource_groups names, where the inventory gives it, and their nodes."""
    found: dict[Address, set[str]] = {}
    for group in _parsed_groups(cluster):
        for resource in group.resources:
            address = moved_address(resource)
            if address:
                found.setdefault(address, set()).add(group.node.lower())
    return found


def _floating(cluster: Cluster) -> set[Address | None]:
    """Return all that the directors hold together: VIPs and gateways; None stands for a service without a VIP."""
    return {*(service.vip for service in cluster.services), *cluster.gateways}


def _address(resource: str) -> Address | None:
    """Return the address that a resource stands for, None if it is no address."""
    return moved_address(parse_resource(resource))


def _time(cluster: Cluster, name: str) -> str | None:
    """Return a time setting as it is written, or else as the profile has it."""
    given = cluster.get(name)
    profile = PROFILES.get(str(known(cluster.get("heartbeat_profile"))))
    return profile[name.removeprefix("heartbeat_")] if given is None and profile else given


def _milliseconds(cluster: Cluster, name: str) -> int | None:
    """Return a time setting; None (or nothing at all) when it is no valid time."""
    try:
        found = milliseconds(_time(cluster, name) or "")
    except ValueError:
        return None
    return found if 1 <= found <= LONGEST_TIME else None


def _with_unit(cluster: Cluster, name: str) -> str:
    """Return a time as it is written, and the unit where none is."""
    text = show(_time(cluster, name))
    return f"{text} s" if re.fullmatch(r"[0-9.]+", text) else text


def _keys(cluster: Cluster) -> list[tuple[str, Mapping[str, Any]]]:
    keys = known((cluster.get("heartbeat_authkeys") or {}).get("keys"))
    return list(usable("heartbeat_authkeys.keys", keys))


def _bad_secret(variable: str, key: Mapping[str, Any]) -> Iterator[Complaint]:
    method, secret, variable = known(key["method"]), key["secret"], f"{variable}.secret"
    if method == "crc" and secret:
        yield Complaint(variable, HIDDEN, "crc takes no secret", "remove it, or use sha1")
    elif method in ("sha1", "md5") and not secret:
        yield Complaint(variable, "", f"{method} needs a secret", "take a long random one from a vault")
    elif known(secret) and (re.search(r"\s", secret) or not secret.isprintable()):
        problem = "contains a blank or control character, which ends it in authkeys"
        yield Complaint(variable, HIDDEN, problem, "use letters, digits and punctuation")


def _pings(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield the addresses to ping, alone or in a group."""
    yield from usable("heartbeat_ping", cluster.get("heartbeat_ping"))
    for variable, group in _entries(cluster, "heartbeat_ping_group"):
        yield from usable(f"{variable}.addresses", known(group["addresses"]))


def _entries(cluster: Cluster, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return usable(name, cluster.get(name))


def _parsed_groups(cluster: Cluster) -> list[Group]:
    """Return what is usable of heartbeat_resource_groups, as lines whose numbers are those of the list."""
    found = []
    for index, group in enumerate(_groups(cluster)):
        resources = known(group["resources"]) if group else None
        words = [parse_resource(each) for each in resources or () if each is not UNUSABLE]
        found += [Group(index, (group and known(group["node"])) or "", tuple(words))]
    return found


def _common_interfaces(cluster: Cluster) -> set[str] | None:
    """Return the names of the interfaces that both directors declare, None where one declares none."""
    names = [*_declared(cluster).values()]
    return set.intersection(*names) if names and all(names) else None


def _declared(cluster: Cluster) -> dict[str, set[str]]:
    """Return the names of the interfaces that each director declares."""
    return {host: {own.interface for own in cluster.addresses.get(host, ())} for host in cluster.directors}


def _shared_interfaces(cluster: Cluster) -> set[str]:
    """Return the interfaces by which both directors are in one network: the default links, by the first one's names."""
    return {shared[cluster.directors[0]].interface for shared in cluster.shared}


def _groups(cluster: Cluster) -> Iterator[Mapping[str, Any] | None]:
    for group in cluster.get("heartbeat_resource_groups") or ():
        yield known(group)


def _bad_link(
    cluster: Cluster, variable: str, link: Mapping[str, Any], required: Sequence[str], possible: Sequence[str]
) -> Iterator[Complaint]:
    kind = link["type"]
    for name, value in link.items():
        if name in required and value is None:
            yield Complaint(f"{variable}.{name}", "", f"a link of type {kind} needs it", "add it")
        elif name not in ("type", *required, *possible) and value is not None:
            yield Complaint(
                f"{variable}.{name}", "", f"a link of type {kind} has no such field", "remove it, or correct the type"
            )
    interface = known(link["interface"])
    if interface is not None and "interface" in required:
        yield from _bad_link_interface(cluster, variable, link, interface)
    if kind == "ucast":
        yield from _bad_peers(cluster, f"{variable}.peers", known(link["peers"]) or (), interface)
        yield from _lone_peers(cluster, variable, known(link["peers"]) or ())
    if kind == "mcast":
        group = to_address(known(link["group"]))
        if known(link["group"]) is not None and not (group and group.is_multicast):
            problem = "must be a multicast address"
            yield Complaint(
                f"{variable}.group", show(link["group"]), problem, "choose one of 239.0.0.0/8, such as 239.0.0.1"
            )
        for name, high in (("port", 65535), ("ttl", 255)):
            if known(link[name]) is not None and not 1 <= link[name] <= high:
                problem = f"must be a whole number from 1 to {high}"
                yield Complaint(f"{variable}.{name}", show(link[name]), problem, "write such a value")
    device = known(link["device"])
    if kind == "serial" and device is not None and not DEVICE.fullmatch(device):
        yield Complaint(f"{variable}.device", show(device), "must be a device file", "write it like /dev/ttyS0")


def _bad_peers(cluster: Cluster, variable: str, peers: Sequence[Any], interface: str | None) -> Iterator[Complaint]:
    """Heartbeat binds both of a link's sockets to its interface, and hears nothing that comes in by another one."""
    if not all(cluster.addresses.get(host) for host in cluster.directors):
        return
    directors = {own.address.ip: own for host in cluster.directors for own in cluster.addresses[host]}
    here = [own for own in directors.values() if own.interface == interface]
    for place, text in usable(variable, peers):
        address, problem, remedy = to_address(text), "", "name both directors' addresses there"
        own = directors.get(address) if address else None
        if own is None:
            problem = "is not a director's address in ha_interfaces" if address else "must be an address"
        elif here and _is_elsewhere(own, here):
            problem = f"is on {own.interface} of {own.host}, in no network of {interface}: nothing would arrive"
            remedy = f"name {' and '.join(str(each.address.ip) for each in here)}, or leave peers out"
        if problem:
            yield Complaint(place, show(text), problem, remedy)


def _is_elsewhere(peer: HostAddress, here: Sequence[HostAddress]) -> bool:
    """Tell whether a peer is in none of these networks. One that is alone in its own may be routed by any interface."""
    network = peer.address.network
    is_alone = network.prefixlen == network.max_prefixlen
    return not is_alone and not any(peer.address.ip in each.address.network for each in here)


def _lone_peers(cluster: Cluster, variable: str, peers: Sequence[Any]) -> Iterator[Complaint]:
    """Heartbeat ignores its own address in ha.cf: a director whose address alone is named would send to nobody."""
    named = {str(to_address(text)) for text in peers if text is not UNUSABLE}
    of = {host: {str(own.address.ip) for own in cluster.addresses.get(host, ())} for host in cluster.directors}
    lacking = [host for host, own in of.items() if own and not own & named]
    if 0 < len(lacking) < len(of) and named <= set().union(*of.values()):
        problem = f"lacks an address of {' and '.join(lacking)}: the other director would send to nobody"
        yield Complaint(f"{variable}.peers", "", problem, "name both directors' addresses there")


def _bad_link_interface(
    cluster: Cluster, variable: str, link: Mapping[str, Any], interface: str
) -> Iterator[Complaint]:
    names = {host: [own.interface for own in own_all] for host, own_all in cluster.addresses.items() if own_all}
    lacking = [host for host in cluster.directors if host in names and interface not in names[host]]
    if lacking:
        problem = f"there is no such interface in ha_interfaces of {' and '.join(lacking)}"
        common = set.intersection(*(set(names.get(host, ())) for host in cluster.directors))
        remedy = did_you_mean(interface, sorted(common), f"use one of {', '.join(sorted(common)) or 'its interfaces'}")
        yield Complaint(f"{variable}.interface", show(interface), problem, remedy)
    elif link["type"] == "ucast" and not link["peers"]:
        networks = [
            {own.address.network for own in cluster.routed(host) if own.interface == interface}
            for host in cluster.directors
            if cluster.addresses.get(host)
        ]
        if len(networks) == 2 and not networks[0] & networks[1]:
            problem = "the directors share no network on this interface"
            yield Complaint(f"{variable}.interface", show(interface), problem, "use another one, or give peers")


def _unknown_node(variable: str, node: str, names: Sequence[str]) -> Complaint:
    remedy = did_you_mean(node.lower(), names, f"the directors are {', '.join(map(show, names))}")
    return Complaint(variable, show(node), "is not a director's node name", remedy)
