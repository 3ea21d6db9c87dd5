# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the operator wrote to what every host needs, without I/O.

The inventory names each virtual service once. This file works out the rest: which address of which real server the
directors forward to, which director holds a VIP and on which interface, which VIPs a real server must carry. The roles'
defaults are the parts of its answer; nothing in the inventory has to be typed a second time.

It expects an inventory that preflight has accepted, and raises ClusterError, naming host and variable, where it can't
go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils.heartbeat_config import LONGEST_LINE, address_resource

Hosts = Mapping[str, Mapping[str, Any]]
Groups = Mapping[str, Sequence[str]]

# What this file reads of a host; the filter fetches no other variable, so that an unrelated one can't fail it.
VARIABLES = (
    "ha_interfaces",
    "ha_virtual_services",
    "heartbeat_node_name",
    "heartbeat_manages_ldirectord",
    "heartbeat_profile",
)

# Heartbeat's times by heartbeat_profile, and the silence of heartbeat-vips. Realtime priority, which both take where
# they may, allows the short ones.
PROFILES = {
    "thesis": {"keepalive": "2", "warntime": "10", "deadtime": "20", "initdead": "40", "silence": "0"},
    "balanced": {"keepalive": "500ms", "warntime": "1500ms", "deadtime": "3", "initdead": "12", "silence": "150ms"},
    "fast": {"keepalive": "100ms", "warntime": "250ms", "deadtime": "500ms", "initdead": "12", "silence": "75ms"},
}
PROFILE = "balanced"

# Where the kernel's sync daemons speak, by the family of the link: what they take by default, and its like for IPv6.
SYNC_GROUPS = {4: "224.0.0.81", 6: "ff02::81"}


class ClusterError(ValueError):
    """The inventory doesn't say enough; the text names host, variable and what is missing."""


def cluster(hosts: Hosts, groups: Groups) -> dict[str, Any]:
    """Return the whole cluster as the roles need it.

    hosts: variables by host, of which VARIABLES are read; groups: host names by group.

    The result is a dict of
    services: the virtual services, completed and with their real servers' addresses (see resolve_services);
    table: the same services in the vocabulary of the module ipvs, which knows no checks;
    times: {keepalive, warntime, deadtime, initdead, silence} of the profile, as Heartbeat takes them;
    vips: [{address, prefix, interface, node}], each VIP once;
    nodes: Heartbeat's names of the directors, in order of preference;
    links: [{type: ucast, interface, peers}], one for every interface on which all directors share a network, with its
        IPv6 addresses where there is no IPv4 network;
    witnesses: {interface: [address]}, real servers in the networks of the links;
    sync_interface: of the link over which connections are synchronised, dedicated where there is one, or None;
    sync_group: the multicast address to which they are sent there;
    sync_id: 1 to 255, by which the directors know each other there;
    resource_groups: [{node, resources}], the lines of haresources, as many as its longest line makes necessary;
    real_server_vips: {host: [{address, forwarding}]}, only direct and tunnel (NAT needs none);
    reserved_ports: {director: [port]}, of the TCP services that no program of the director's own may answer;
    nat_families: [4, 6], the address families in which a director has to forward for NAT.
    """
    services = resolve_services(hosts, groups)
    directors = list(groups.get("directors", ()))
    nodes = {name: node_name(hosts, name) for name in directors}
    vips = list(_vips(services, hosts, directors, nodes))
    profile = hosts[directors[0]].get("heartbeat_profile") if directors else None
    links = list(_links(hosts, directors))
    managed = bool(directors) and _boolean(hosts[directors[0]].get("heartbeat_manages_ldirectord", False))
    sync = _sync_link(links, vips, hosts, groups)
    return {
        "services": services,
        "table": [_in_table(service) for service in services],
        "times": PROFILES.get(str(profile or PROFILE), PROFILES[PROFILE]),
        "vips": vips,
        "nodes": list(nodes.values()),
        "links": links,
        "witnesses": dict(_witnesses(hosts, groups, links)),
        "sync_interface": sync["interface"] if sync else None,
        "sync_group": SYNC_GROUPS[_family(sync) if sync else 4],
        "sync_id": _sync_id([*(vip["address"] for vip in vips), *(sync["peers"] if sync else ())]),
        "resource_groups": list(_resource_groups(vips, managed)),
        "real_server_vips": _real_server_vips(services),
        "reserved_ports": {name: _reserved_ports(services, name) for name in directors},
        "nat_families": sorted(
            {
                service["family"]
                for service in services
                if any(server["forwarding"] == "nat" for server in service["real_servers"])
            }
        ),
    }


def addresses(source: str | Mapping[str, Any]) -> list[str]:
    """Return addresses as 'eth0: 192.0.2.11/24', from the output of `ip -json address show` or from ha_interfaces.

    They are in the kernel's spelling, so that both can be compared.
    """
    if isinstance(source, Mapping):
        return [f"{name}: {address}" for name, address in interfaces({"": {"ha_interfaces": source}}, "")]
    return [
        f"{link['ifname']}: {ip_interface((entry['local'], entry['prefixlen']))}"
        for link in json.loads(source)
        for entry in link.get("addr_info", ())
        if "local" in entry
    ]


def interfaces(hosts: Hosts, name: str) -> list[tuple[str, IPv4Interface | IPv6Interface]]:
    """Return a host's addresses as (interface name, address with its network), in the inventory's order."""
    declared = hosts.get(name, {}).get("ha_interfaces") or {}
    pairs = []
    for interface, addresses in declared.items():
        for text in [addresses] if isinstance(addresses, str) else addresses:
            try:
                pairs.append((str(interface), ip_interface(str(text))))
            except ValueError as error:
                raise ClusterError(f"host {name}: ha_interfaces.{interface}: {text!r}: {error}") from None
    return pairs


def node_name(hosts: Hosts, name: str) -> str:
    """Return Heartbeat's name of a director, in lower case as Heartbeat folds it."""
    return str(hosts.get(name, {}).get("heartbeat_node_name") or name).lower()


def resolve_services(hosts: Hosts, groups: Groups) -> list[dict[str, Any]]:
    """Return the virtual services with every default filled in.

    A service keeps the keys of ha_virtual_services; `family` (4 or 6; fwmark services count as 4) and `endpoint` (what
    ldirectord calls the service: address:port, or the firewall mark) are added, and `real_servers` becomes
    [{host, address, port, endpoint, weight, forwarding}].
    """
    directors = list(groups.get("directors", ()))
    first = directors or list(groups.get("real_servers", ()))
    declared = (hosts[first[0]].get("ha_virtual_services") if first else None) or []
    return [_resolve(dict(service), hosts, groups) for service in declared]


def _resolve(service: dict[str, Any], hosts: Hosts, groups: Groups) -> dict[str, Any]:
    directors = list(groups.get("directors", ()))
    vip = service.get("vip")
    service["vip"] = str(ip_address(str(vip))) if vip else None
    service["family"] = ip_address(service["vip"]).version if vip else 4
    service["fwmark"] = int(service["fwmark"]) if service.get("fwmark") else None
    service["port"] = int(service.get("port") or 0)
    service["endpoint"] = str(service["fwmark"]) if service["fwmark"] else _endpoint(service["vip"], service["port"])
    service["protocol"] = service.get("protocol") or "tcp"
    service["scheduler"] = service.get("scheduler") or "wrr"
    service["forwarding"] = service.get("forwarding") or "direct"
    service["persistence"] = dict(service.get("persistence") or {})
    service["fallback"] = service.get("fallback")
    service["check"] = dict(service.get("check") or {})
    service["preferred_director"] = service.get("preferred_director") or (directors[0] if directors else None)
    entries = service.get("real_servers") or [{"host": name} for name in groups.get("real_servers", ())]
    service["real_servers"] = [_real_server(dict(entry), service, hosts, directors) for entry in entries]
    return service


def _real_server(
    entry: dict[str, Any], service: dict[str, Any], hosts: Hosts, directors: Sequence[str]
) -> dict[str, Any]:
    forwarding = entry.get("forwarding") or service["forwarding"]
    address = _real_address(entry["host"], service["family"], hosts, directors)
    port = int(entry.get("port") or service["port"])
    return {
        "host": entry["host"],
        "address": address,
        "port": port,
        "endpoint": _endpoint(address, port),
        "weight": int(entry["weight"]) if entry.get("weight") is not None else 1,
        "forwarding": forwarding,
    }


def _real_address(name: str, family: int, hosts: Hosts, directors: Sequence[str]) -> str:
    """Choose the address that directors forward to: one in a director's network if there is one, else the first."""
    candidates = [address for _name, address in interfaces(hosts, name) if address.version == family]
    if not candidates:
        raise ClusterError(f"host {name}: ha_interfaces: no IPv{family} address for a service with an IPv{family} VIP")
    near = {address.network for director in directors for _name, address in interfaces(hosts, director)}
    return str(next((address for address in candidates if address.network in near), candidates[0]).ip)


def _in_table(service: Mapping[str, Any]) -> dict[str, Any]:
    identity = ("fwmark",) if service["fwmark"] else ("vip", "port", "protocol")
    keys = ("address", "port", "forwarding", "weight")
    servers = [{key: server[key] for key in keys} for server in service["real_servers"]]
    found = {key: service[key] for key in (*identity, "scheduler")} | {"real_servers": servers}
    return found | ({"persistence": service["persistence"]} if service["persistence"] else {})


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _vips(
    services: Sequence[dict[str, Any]], hosts: Hosts, directors: Sequence[str], nodes: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for service in services:
        address = service["vip"]
        if address is None or address in seen or not directors:
            continue
        seen.add(address)
        holder = service["preferred_director"]
        # A VIP belongs to the interface whose network holds it; preflight has seen that both directors agree on it.
        for interface, own in interfaces(hosts, holder):
            if ip_address(address) in own.network:
                yield {
                    "address": address,
                    "prefix": own.network.prefixlen,
                    "interface": interface,
                    "node": nodes[holder],
                }
                break
        else:
            raise ClusterError(f"service {service['name']}: vip {address} is in no network of director {holder}")


def _links(hosts: Hosts, directors: Sequence[str]) -> Iterator[dict[str, Any]]:
    if len(directors) < 2:
        return
    found: list[dict[str, Any]] = []
    for interface, address in interfaces(hosts, directors[0]):
        peers = [
            str(own.ip)
            for name in directors
            for other, own in interfaces(hosts, name)
            if other == interface and own.network == address.network
        ]
        if len(peers) == len(directors):
            found.append({"type": "ucast", "interface": interface, "peers": peers})
    # IPv4 where there is any: more can go wrong on the way to an IPv6 address.
    with_ipv4 = {link["interface"] for link in found if _family(link) == 4}
    yield from (link for link in found if _family(link) == 4 or link["interface"] not in with_ipv4)


def _family(link: Mapping[str, Any]) -> int:
    return ip_address(link["peers"][0]).version


def _witnesses(hosts: Hosts, groups: Groups, links: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    directors = list(groups.get("directors", ()))
    third = [name for name in groups.get("real_servers", ()) if name not in directors]
    for link in links:
        name = link["interface"]
        networks = [own.network for other, own in interfaces(hosts, directors[0]) if other == name]
        found = [
            str(own.ip)
            for host in third
            for _name, own in interfaces(hosts, host)
            if own.version == _family(link) and own.network in networks
        ]
        if found:
            yield name, found


def _sync_link(
    links: Sequence[Mapping[str, Any]], vips: Sequence[Mapping[str, Any]], hosts: Hosts, groups: Groups
) -> Mapping[str, Any] | None:
    directors = list(groups.get("directors", ()))
    others = {*groups.get("real_servers", ()), *groups.get("clients", ())} - {*directors}
    theirs = {own.network for name in others if name in hosts for _name, own in interfaces(hosts, name)}
    near = {name for name, own in interfaces(hosts, directors[0]) if own.network in theirs} if directors else set()
    name = sync_interface([str(link["interface"]) for link in links], {vip["interface"] for vip in vips}, near)
    return next((link for link in links if link["interface"] == name), None)


def sync_interface(shared: Sequence[str], public: Collection[str], near: Collection[str]) -> str | None:
    """Choose the network with the fewest others in it: what is sent is neither signed nor encrypted.

    shared: interfaces of the networks that all directors share; public: those that carry VIPs; near: those in whose
    network other hosts of the inventory are.
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
        resources = [address_resource(vip["address"], vip["prefix"], vip["interface"]) for vip in own]
        for line in _lines(node, resources, ["ldirectord"] if managed else []):
            yield {"node": node, "resources": line}


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
            if service["vip"] and server["forwarding"] != "nat":
                entry = {"address": service["vip"], "forwarding": server["forwarding"]}
                wanted.setdefault(server["host"], {})[service["vip"]] = entry
    return {host: list(vips.values()) for host, vips in wanted.items()}


def _reserved_ports(services: Sequence[dict[str, Any]], director: str) -> list[int]:
    """Return the ports of TCP services that the director neither serves itself nor is the fallback of."""
    local = re.compile(r"127\.|\[::1\]|localhost")
    ports = {
        service["port"]
        for service in services
        if service["protocol"] == "tcp" and service["port"] and not local.match(service["fallback"] or "")
    }
    own = {service["port"] for service in services if director in (s["host"] for s in service["real_servers"])}
    return sorted(ports - own)


def _boolean(value: object) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1", "y", "t")
