# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from the model of the inventory to what every host needs, without I/O.

The inventory names each virtual service once. This file works out the rest: which address of which real server the
directors forward to, which director holds a VIP and on which interface, which VIPs a real server must carry. The roles'
defaults are the parts of its answer; nothing in the inventory has to be typed a second time.

It takes the objects that preflight's rules see (model.py), with all defaults in them, and raises
ClusterError, naming host and variable, where it can't go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import address_resource
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import LONGEST_LINE
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    OWN,
    Address,
    Cluster,
    ClusterError,
    HostAddress,
    Network,
    RealServer,
    Service,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import NAMED, SERVICE_PORTS

# What this file reads; the filter fetches no other variable, so that an unrelated one can't fail it.
VARIABLES = (
    *OWN,
    *("ha_checker", "ha_gateway_vips", "ha_minimum_alive", "ha_standby", "ha_vip_places", "ha_virtual_services"),
    "heartbeat_profile",
)

# Heartbeat's times by heartbeat_profile, and the silence of heartbeat-vips. Realtime priority, which both take where
# they may, allows the short ones.
PROFILES = {
    "thesis": {"keepalive": "2", "warntime": "10", "deadtime": "20", "initdead": "40", "silence": "0"},
    "balanced": {"keepalive": "500ms", "warntime": "1500ms", "deadtime": "3", "initdead": "12", "silence": "150ms"},
    "fast": {"keepalive": "100ms", "warntime": "250ms", "deadtime": "500ms", "initdead": "12", "silence": "75ms"},
}

Shared = Mapping[str, HostAddress]  # a network that all directors share: their own addresses there

FTP = 21  # the port of its commands
# Where the kernel's sync daemons speak, by the family of the link: what they take by default, and its like for IPv6.
SYNC_GROUPS = {4: "224.0.0.81", 6: "ff02::81"}


def cluster(model: Cluster, here: str = "") -> dict[str, Any]:
    """Return the whole cluster as the roles need it, from a model of at least VARIABLES.

    here: the director that wants to know. Interfaces have the names that it has for them; else those of the first one.

    The result is a dict of
    checker: who keeps the IPVS table, ldirectord or none;
    standby: hot or cold, where Heartbeat starts the checker with the VIPs;
    fork: whether ldirectord has a process for each service unless the inventory says otherwise;
    services: the virtual services, with their real servers' addresses (see resolve_services);
    table: the same services in the vocabulary of the module ipvs, which knows no checks;
    marks: [{fwmark, family, addresses, protocol, ports: [text]}], which packets the directors mark, and how;
    doors: [{name, address, port}], where clients connect by TCP; of ranges of ports, none;
    times: {keepalive, warntime, deadtime, initdead, silence} of the profile, as Heartbeat takes them;
    vips: [{address, prefix, interface, node}], each VIP once, and behind them the gateways of ha_gateway_vips;
    gateways: the latter alone, each with the node of the services behind it, and with what moves together: vips,
        the addresses of these services and its own;
    nodes: Heartbeat's names of the directors, in order of preference;
    links: [{type: ucast, interface, peers}], one for every interface on which all directors share a network, with its
        IPv6 addresses where there is no IPv4 network;
    witnesses: {interface: [address]}, real servers in the networks of the links;
    sync_interface: of the link over which connections are synchronised, dedicated where there is one, or None;
    sync_group: the multicast address to which they are sent there;
    interfaces: {interface: the other director's name for it}, of the links on which the directors' names differ;
    sync_id: 1 to 255, by which the directors know each other there;
    resource_groups: [{node, resources}], the lines of haresources, as many as its longest line makes necessary;
    real_server_vips: {host: [{address, forwarding}]}, only direct and tunnel (NAT needs none);
    tunnel_sources: [address], those of all directors, from which real servers take packets in tunnels;
    real_server_gateways: {host: [address]}, the gateways in the network of a real server that is reached by NAT;
    nat_interfaces: {director: [name]}, in the networks of those real servers;
    reserved_ports: {director: [port]}, of the TCP services that no program of the director's own may answer;
    nat_families: [4, 6], the address families in which a director has to forward for NAT;
    modules: [name], of the kernel's: IPVS, the schedulers in use, and the helper of FTP where that goes through NAT.
    """
    services = resolve_services(model)
    held, held_gateways = list(_vips(model)), list(_gateways(model))
    here = here if here in model.directors else next(iter(model.directors), "")
    vips, gateways = ([_seen(each, here) for each in found] for found in (held, held_gateways))
    shared = list(_links(model))
    links = [_link(each, here) for each in shared]
    sync = _sync_link(shared, held, model)
    return {
        "checker": model.get("ha_checker"),
        "standby": model.get("ha_standby"),
        "fork": model.forks,
        "services": services,
        "table": [_in_table(service) for service in services],
        "marks": list(_marks(services)),
        "doors": list(_doors(services)),
        "times": PROFILES[model.get("heartbeat_profile")],
        "vips": [*vips, *gateways],
        "gateways": [gateway | {"vips": _together(model, gateway["address"])} for gateway in gateways],
        "nodes": list(model.node_names.values()),
        "links": links,
        "witnesses": dict(_witnesses(model, here, links)),
        "interfaces": dict(_differing(shared, here)),
        "sync_interface": sync[here].interface if sync else None,
        "sync_group": SYNC_GROUPS[_family(sync) if sync else 4],
        "sync_id": _sync_id([*(vip["address"] for vip in vips), *(_peers(sync) if sync else ())]),
        "resource_groups": list(_resource_groups([*held_gateways, *held], model.get("ha_standby") == "cold")),
        "real_server_vips": _real_server_vips(services),
        "tunnel_sources": [str(own.address.ip) for name in model.directors for own in model.routed(name)],
        "real_server_gateways": _real_server_gateways(model),
        "nat_interfaces": _nat_interfaces(model),
        "reserved_ports": {name: _reserved_ports(services, name) for name in model.directors},
        "nat_families": sorted({service["family"] for service in services if _translates(service)}),
        "modules": list(_modules(services)),
    }


def resolve_services(model: Cluster) -> list[dict[str, Any]]:
    """Return the virtual services as the roles need them.

    A service has the keys of ha_virtual_services, of which `check` and `persistence` have what the inventory gives, and
    `minimum_alive` is a text; `check.via` (address:port, where a check of the path vip asks) is there for such a check;
    `family` (4 or 6; a mark without vips counts as 4) and `endpoint` (what ldirectord calls the service: address:port,
    or the firewall mark) are added, and `real_servers` is [{host, address, port, endpoint, weight, forwarding}], with
    `request` and `receive` where one of the two is the server's own. A service that a mark selects is one for each
    family of its vips; `ports` is {protocol: [[first, last]]}, of marks alone.
    """
    near = {own.address.network for name in model.directors for own in model.routed(name)}

    @cache
    def address_of(name: str, family: int) -> str:
        """Choose the address that directors forward to: one in a director's network if there is one, else the first."""
        candidates = [own.address for own in model.routed(name) if own.address.version == family]
        if not candidates:
            problem = f"no IPv{family} address for a service with an IPv{family} VIP"
            raise ClusterError(f"host {name}: ha_interfaces: {problem}")
        return str(next((address for address in candidates if address.network in near), candidates[0]).ip)

    found: dict[tuple[str, int | None], dict[str, Any]] = {}
    for service in model.services:
        known_as = (service.variable, service.family)
        if known_as in found:
            found[known_as]["vips"].append(str(_vip(service, model)))
        else:
            found[known_as] = _resolve(service, model, address_of)
    return [each | {"check": each["check"] | _via(each)} for each in found.values()]


def _resolve(service: Service, model: Cluster, address_of: Callable[[str, int], str]) -> dict[str, Any]:
    # What has no port of its own (a firewall mark) goes to every port, as with port 0.
    vip, port, family = _vip(service, model), service.get("port") or 0, service.family or 4
    fwmark = service.get("fwmark") or None
    if not fwmark and (not vip or service.at is not None):
        raise ClusterError(f"host {model.view}: {service.variable}: has neither vip nor fwmark")
    persistence = service.get("persistence") or {}
    return {
        **service.options,
        "vip": str(vip) if vip and not fwmark else None,
        "vips": [str(vip)] if vip else [],
        "ports": _ports(service, model) if fwmark else {},
        "family": family,
        "fwmark": fwmark,
        "port": port,
        "endpoint": str(fwmark) if fwmark else _endpoint(str(vip), port),
        "persistence": {name: value for name, value in persistence.items() if value is not None},
        "check": _check(service),
        "minimum_alive": model.minimum(service),
        "preferred_director": model.holder(service),
        "real_servers": [
            _real_server(server, address_of(server.host, family)) | _texts(service, server)
            for server in service.real_servers
        ],
    }


def _check(service: Service) -> dict[str, Any]:
    """Return the check as it is given, with its protocol where the file has to name it."""
    port = service.get("port") if service.check.get("type") == "negotiate" else None
    guessed = next(({"service": name} for name in NAMED if SERVICE_PORTS[name] == port), {})
    return {**guessed, **service.given_check}


def _via(service: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return where a check on the clients' way asks: at each address, each port of TCP, or else that of the check."""
    if service["check"].get("path") != "vip":
        return {}
    doors = [(door["address"], door["port"]) for door in _doors([service])]
    port = service["check"].get("port")
    return {"via": [_endpoint(*door) for door in doors or [(vip, port) for vip in service["vips"] if port]]}


def _vip(service: Service, model: Cluster) -> Address | None:
    """Return a service's VIP, None for a firewall mark without any."""
    if service.family is None:
        place = f"{service.variable}.{service.vip_option} = {service.written_vip}"
        raise ClusterError(f"host {model.view}: {place}: is no address")
    return service.vip


def _ports(service: Service, model: Cluster) -> dict[str, list[list[int]]]:
    """Return a mark's ports by protocol, in order, those that overlap as one range."""
    if len(service.ports) != len(service.get("ports") or ()):
        raise ClusterError(f"host {model.view}: {service.variable}.ports: must be ports such as 80 or 10000-10100/udp")
    found: dict[str, list[list[int]]] = {}
    for protocol, first, last in sorted(service.ports):
        ranges = found.setdefault(protocol, [])
        if ranges and first <= ranges[-1][1]:
            ranges[-1][1] = max(last, ranges[-1][1])
        else:
            ranges.append([first, last])
    return found


def _marks(services: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for service in services:
        for protocol, ranges in service["ports"].items() if service["vips"] else ():
            yield {
                "fwmark": service["fwmark"],
                "family": service["family"],
                "addresses": service["vips"],
                "protocol": protocol,
                "ports": [str(first) if first == last else f"{first}-{last}" for first, last in ranges],
            }


def _translates(service: Mapping[str, Any]) -> bool:
    """Return whether a real server of a service is reached by NAT."""
    return any(server["forwarding"] == "nat" for server in service["real_servers"])


def _modules(services: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "ip_vs"
    yield from sorted({f"ip_vs_{service['scheduler']}" for service in services})
    # FTP names addresses and ports inside of its connection. The helper knows it by its port.
    if any(door["port"] == FTP for door in _doors([service for service in services if _translates(service)])):
        yield "ip_vs_ftp"


def _doors(services: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for service in services:
        single = [first for first, last in service["ports"].get("tcp", ()) if first == last]
        ports = single if service["fwmark"] else [service["port"]] if service["protocol"] == "tcp" else []
        for address in service["vips"]:
            for port in filter(None, ports):
                yield {"name": service["name"], "address": address, "port": port}


def _real_server(server: RealServer, address: str) -> dict[str, Any]:
    port = server.port or 0
    return {
        "host": server.host,
        "address": address,
        "port": port,
        "endpoint": _endpoint(address, port),
        "weight": server.weight,
        "forwarding": server.forwarding,
    }


def _texts(service: Service, server: RealServer) -> dict[str, str]:
    """Return what one server is asked and must answer; nothing where that is what all are.

    ldirectord takes both or none. An empty text is as none: the page `/`, and every answer. It puts a slash before the
    request by itself; at one that is there, add_real_server() forgets what it has just read, and neither text counts.
    """
    if server.request is None and server.receive is None:
        return {}
    request, receive = service.texts_for(server)
    return {"request": (request or "").removeprefix("/"), "receive": receive or ""}


def _in_table(service: Mapping[str, Any]) -> dict[str, Any]:
    identity = ("fwmark", "family") if service["fwmark"] else ("vip", "port", "protocol")
    keys = ("address", "port", "forwarding", "weight")
    servers = [{key: server[key] for key in keys} for server in service["real_servers"]]
    found = {key: service[key] for key in (*identity, "scheduler")} | {"real_servers": servers}
    return found | {key: service[key] for key in ("persistence", "scheduler_flags", "one_packet") if service[key]}


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _vips(model: Cluster) -> Iterator[dict[str, Any]]:
    seen: set[Address] = set()
    for service in model.services:
        vip, holder = service.vip, model.holder(service)
        if vip is None or vip in seen or holder is None:
            continue
        seen.add(vip)
        if holder not in model.directors:
            place = f"{service.variable}.preferred_director = {holder}"
            raise ClusterError(f"host {model.view}: {place}: is not in the group directors")
        yield _placed(model, vip, holder, f"service {service.get('name')}: vip {vip}")


def _placed(model: Cluster, address: Address, holder: str, what: str) -> dict[str, Any]:
    """Return an address with its interface on each director, by the director's name in the inventory."""
    homes = {host: home for host in model.directors if (home := model.home(host, address))}
    if holder not in homes:
        place = model.places.get(address)
        lost = not model.interfaces_towards(holder, address)
        where = f"of director {holder}" if lost else "of both directors, and on interfaces of different names"
        problem = f"has no interface of {holder}: {place.variable}" if place else f"is in no network {where}"
        raise ClusterError(f"{what} {problem}")
    return {
        "address": str(address),
        "prefix": homes[holder].prefix,
        "interfaces": {host: home.interface for host, home in homes.items()},
        "nodes": {host: model.node_names[host] for host in homes},
        "node": model.node_names[holder],
    }


def _seen(placed: Mapping[str, Any], here: str) -> dict[str, Any]:
    """Return an address as one director sees it; one that can't hold it calls the interface as another one does."""
    names = placed["interfaces"]
    interface = names.get(here) or next(iter(names.values()))
    return {"address": placed["address"], "prefix": placed["prefix"], "interface": interface, "node": placed["node"]}


def _gateways(model: Cluster) -> Iterator[dict[str, Any]]:
    for index, text in enumerate(model.get("ha_gateway_vips") or ()):
        if f"ha_gateway_vips[{index}]" not in model.gateways.values():
            raise ClusterError(f"host {model.view}: ha_gateway_vips[{index}] = {text}: is no address, or named twice")
    for gateway, variable in model.gateways.items():
        # Beside the VIPs of the services whose answers come by it: who had one of them alone would serve nobody.
        holder = next((model.holder(service) for service in model.behind(gateway)), None)
        if holder is None or holder not in model.directors:
            raise ClusterError(f"host {model.view}: {variable} = {gateway}: nobody behind NAT is in its network")
        yield _placed(model, gateway, holder, f"{variable}: {gateway}")


def _nat(model: Cluster) -> Iterator[tuple[str, Network]]:
    """Yield each real server that is reached by NAT, with its networks, of the services' families alone."""
    seen = {
        (server.host, service.family or 4)
        for service in model.services
        for server in service.real_servers
        if server.forwarding == "nat"
    }
    for host, family in sorted(seen):
        for network in model.networks(host, family):
            yield host, network


def _together(model: Cluster, gateway: str) -> list[str]:
    address = next(address for address in model.gateways if str(address) == gateway)
    return [*dict.fromkeys(str(service.vip) for service in model.behind(address) if service.vip), gateway]


def _nat_interfaces(model: Cluster) -> dict[str, list[str]]:
    networks = {network for _host, network in _nat(model)}
    return {
        director: sorted({own.interface for own in model.addresses[director] if own.address.network in networks})
        for director in model.directors
    }


def _real_server_gateways(model: Cluster) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host, network in _nat(model):
        for gateway in model.gateways:
            if gateway in network and str(gateway) not in found.get(host, ()):
                found.setdefault(host, []).append(str(gateway))
    return found


def _links(model: Cluster) -> Iterator[Shared]:
    # IPv4 where there is any: more can go wrong on the way to an IPv6 address.
    with_ipv4 = {_ways(link) for link in model.shared if _family(link) == 4}
    yield from (link for link in model.shared if _family(link) == 4 or _ways(link) not in with_ipv4)


def _ways(shared: Shared) -> tuple[str, ...]:
    """Return the interfaces of a shared network, one of each director."""
    return tuple(own.interface for own in shared.values())


def _link(shared: Shared, here: str) -> dict[str, Any]:
    return {"type": "ucast", "interface": shared[here].interface, "peers": _peers(shared)}


def _peers(shared: Shared) -> list[str]:
    return [str(own.address.ip) for own in shared.values()]


def _family(shared: Shared) -> int:
    return next(own.address.version for own in shared.values())


def _differing(links: Sequence[Shared], here: str) -> Iterator[tuple[str, str]]:
    for link in links:
        for host, own in link.items():
            if host != here and own.interface != link[here].interface:
                yield link[here].interface, own.interface


def _witnesses(model: Cluster, here: str, links: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    third = [name for name in model.groups.get("real_servers", ()) if name not in model.directors]
    for link in links:
        name, family = link["interface"], ip_address(link["peers"][0]).version
        networks = {own.address.network for own in model.routed(here) if own.interface == name}
        found = [
            str(own.address.ip)
            for host in third
            for own in model.routed(host)
            if own.address.version == family and own.address.network in networks
        ]
        if found:
            yield name, found


def _sync_link(links: Sequence[Shared], vips: Sequence[Mapping[str, Any]], model: Cluster) -> Shared | None:
    if not links:
        return None
    others, first = {*model.groups.get("real_servers", ())} - {*model.directors}, model.directors[0]
    theirs = {own.address.network for name in others for own in model.routed(name)}
    near = {own.interface for own in model.routed(first) if own.address.network in theirs}
    public = {vip["interfaces"].get(first) for vip in vips}
    name = sync_interface([link[first].interface for link in links], public, near)
    return next((link for link in links if link[first].interface == name), None)


def sync_interface(shared: Sequence[str], public: Collection[str | None], near: Collection[str]) -> str | None:
    """Choose the network with the fewest others in it: what is sent is neither signed nor encrypted.

    shared: interfaces of the networks that all directors share; public: those that carry VIPs; near: those in whose
    network real servers are.
    """
    return min(shared, key=lambda name: (name in public, name in near), default=None)


def _sync_id(addresses: Sequence[str]) -> int:
    """Return a number that follows from the first address.

    It stays when services are added behind the first one. Two clusters whose addresses differ in the last byte alone,
    as those of one network mostly do, never have the same.
    """
    return int(ip_address(addresses[0])) % 255 + 1 if addresses else 1


def _resource_groups(vips: Sequence[dict[str, Any]], managed: bool) -> Iterator[dict[str, Any]]:
    for node in dict.fromkeys(vip["node"] for vip in vips):
        own = [vip for vip in vips if vip["node"] == node]
        resources = [address_resource(vip["address"], vip["prefix"], _device(vip)) for vip in own]
        for line in _lines(node, resources, ["ldirectord"] if managed else []):
            yield {"node": node, "resources": line}


def _device(placed: Mapping[str, Any]) -> str:
    """Return the interface of an address as haresources has it: by node where the directors' names differ."""
    names = placed["interfaces"]
    if len({*names.values()}) == 1:
        return str(next(iter(names.values())))
    return ",".join(f"{name}@{placed['nodes'][host]}" for host, name in names.items())


def _lines(node: str, addresses: Sequence[str], last: Sequence[str]) -> Iterator[list[str]]:
    """Yield a node's resources in as many lines as Heartbeat needs; those that are the last ones end the last line."""
    line: list[str] = []
    for address in addresses:
        if len(" ".join([node, *line, address, *last])) >= LONGEST_LINE:
            yield line
            line = []
        line.append(address)
    yield [*line, *last]


def _real_server_vips(services: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    wanted: dict[str, dict[str, dict[str, str]]] = {}
    for service in services:
        for server in service["real_servers"]:
            for vip in service["vips"] if server["forwarding"] != "nat" else ():
                entry = {"address": vip, "forwarding": server["forwarding"]}
                own = wanted.setdefault(server["host"], {})
                # What comes both ways is on a device that unwraps packets, and the host's for the other way, too.
                if entry["forwarding"] == "tunnel" or vip not in own:
                    own[vip] = entry
    return {host: list(vips.values()) for host, vips in wanted.items()}


def _reserved_ports(services: Sequence[dict[str, Any]], director: str) -> list[int]:
    """Return the ports of TCP services that the director neither serves itself nor is the fallback of."""
    local = re.compile(r"127\.|\[::1\]|localhost")
    ports: set[int] = set()
    own: set[int] = set()
    for service in services:
        by_protocol = service["ports"] if service["fwmark"] else {service["protocol"]: [[service["port"]] * 2]}
        if director in (server["host"] for server in service["real_servers"]):
            own.update(*(_all(ranges) for ranges in by_protocol.values()))
        if not local.match(service["fallback"] or ""):
            ports.update(_all(by_protocol.get("tcp", ())))
    return sorted(ports - own - {0})


def _all(ranges: Iterable[Sequence[int]]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)
