# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about NAT, where answers of real servers have to come back by the director that has the VIP."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Address,
    Cluster,
    Network,
    Service,
    known,
    to_address,
    unusable,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.heartbeat import held_addresses
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import fault_in
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule

FTP = 21


@rule("bad_gateway")
def bad_gateway(cluster: Cluster) -> Iterator[Complaint]:
    """What both directors can hold like a VIP, in the network of real servers that have it as their next hop."""
    for index, text in enumerate(cluster.get("ha_gateway_vips") or ()):
        variable = f"ha_gateway_vips[{index}]"
        fault = None if known(text) is None else _gateway_fault(cluster, variable, to_address(text))
        if fault:
            yield Complaint(variable, show(text), *fault)


def _gateway_fault(cluster: Cluster, variable: str, gateway: Address | None) -> tuple[str, str] | None:
    """Return problem and remedy of a gateway, None for a usable one."""
    free = "choose an address of the real servers' network that no host has"
    if gateway is None:
        return "must be an IPv4 or IPv6 address without prefix length", "write it like 192.0.2.1"
    if cluster.gateways[gateway] != variable:
        return f"is {cluster.gateways[gateway]} as well", "keep one"
    near = {host: cluster.interfaces_towards(host, gateway) for host in cluster.directors}
    fault = unusable(gateway) or fault_in(gateway, [own.address for found in near.values() for own in found])
    if fault:
        return f"is {fault}", free
    owner = cluster.all_addresses.get(gateway)
    if owner:
        return f"is the address of {owner.host} ({owner.variable})", free
    if gateway in {service.vip for service in cluster.services}:
        return "is a VIP of a service: clients and real servers need different addresses", free
    lost = [host for host, found in near.items() if not found and cluster.addresses.get(host)]
    if lost:
        return f"is in no network of {' and '.join(lost)}", "choose one in a network of both directors"
    if all(near.values()) and not any(cluster.home(host, gateway) for host in near):
        problem = "is on interfaces of different names and networks"
        return problem, "give both directors an address in one network that holds it"
    first = next(other for other in cluster.gateways if other == gateway or _share(cluster, other, gateway))
    if first != gateway:
        return f"is in the network of {first}, and a real server has one default route", "keep one"
    hosts = [server.host for service in cluster.services for server in service.real_servers]
    if all(cluster.addresses.get(host) for host in hosts) and not cluster.behind(gateway):
        problem = "no real server that is reached by NAT is in its network"
        return problem, "choose an address there, use forwarding: nat, or remove it"
    return None


def _share(cluster: Cluster, one: Address, other: Address) -> bool:
    """Tell whether a network of a director holds both addresses."""
    return any(
        one in own.address.network for host in cluster.directors for own in cluster.interfaces_towards(host, other)
    )


@rule("gateway_on_two_directors")
def gateway_on_two_directors(cluster: Cluster) -> Iterator[Complaint]:
    """A real server's answers all go one way, and the director there must have the VIPs."""
    for gateway, variable in cluster.gateways.items():
        # Of a wrong address, that it is wrong says enough.
        services = [] if _gateway_fault(cluster, variable, gateway) else cluster.behind(gateway)
        for service in services[1:]:
            if cluster.holder(service) != cluster.holder(services[0]):
                problem = f"answers come by the gateway {gateway}, which {cluster.holder(services[0])} holds: "
                problem += f"{show(services[0].get('name') or '')} prefers it"
                remedy = "name the same director in all services behind one gateway"
                value = show(service.get("preferred_director"))
                yield Complaint(f"{service.variable}.preferred_director", value, problem, remedy)
        nodes = held_addresses(cluster)
        apart = [
            str(service.vip)
            for service in services
            if service.vip in nodes and gateway in nodes and not nodes[service.vip] & nodes[gateway]
        ]
        if apart:
            problem = f"gives the gateway {gateway} to another director than {', '.join(dict.fromkeys(apart))}"
            yield Complaint("heartbeat_resource_groups", "", problem, "name both in groups of one node")


@rule("gateway_alone")
def gateway_alone(cluster: Cluster) -> Iterator[Complaint]:
    """A resource group of a gateway alone could move without the addresses whose answers it carries."""
    if cluster.settings.get("heartbeat_resource_groups"):
        return
    for gateway, variable in cluster.gateways.items():
        services = cluster.behind(gateway)
        if services and not any(service.written_vip is not None for service in services):
            problem = "goes with no VIP: the services behind it are selected by marks"
            remedy = "name it in heartbeat_resource_groups together with the addresses of these services"
            yield Complaint(variable, show(str(gateway)), problem, remedy)


@rule("missing_gateway", "warning")
def missing_gateway(cluster: Cluster) -> Iterator[Complaint]:
    """With a director's own address as next hop, answers go to a dead director after a takeover."""
    held = {*cluster.gateways, *held_addresses(cluster)} - {service.vip for service in cluster.services}
    lacking: dict[Network, dict[str, None]] = {}
    for service, hosts in _nat_services(cluster):
        near = [cluster.networks(host, service.family or 0) for host in cluster.directors]
        for host in hosts if near else ():
            shared = cluster.networks(host, service.family or 0).intersection(*near)
            if shared and not any(address in network for address in held for network in shared):
                lacking.setdefault(min(shared), {})[host] = None
    for network, names in lacking.items():
        problem = f"no gateway in {network}: after a takeover, answers of {', '.join(names)} would go astray"
        remedy = "add an address of that network which no host has"
        yield Complaint("ha_gateway_vips", "", problem, remedy)


@rule("nat_past_directors", "warning")
def nat_past_directors(cluster: Cluster) -> Iterator[Complaint]:
    """A real server answers a client of its own network directly, from an address that this client has not asked."""
    for service, hosts in _nat_services(cluster):
        family = service.family or 0
        networks = set().union(*(cluster.networks(host, family) for host in hosts))
        near = [host for host in cluster.groups.get("clients", ()) if cluster.networks(host, family) & networks]
        homes = [network for network in networks if service.vip and service.vip in network]
        if near or homes:
            who = f"clients in the real servers' network ({', '.join(near) or f'{homes[0]}, that of the VIP'})"
            problem = f"{who} get answers past the director, which they refuse"
            remedy = "put the real servers into a network of their own"
            yield Complaint(f"{service.variable}.forwarding", show(service.get("forwarding")), problem, remedy)


@rule("mixed_forwarding", "warning")
def mixed_forwarding(cluster: Cluster) -> Iterator[Complaint]:
    """An answer from the VIP that comes to the director which has the VIP is dropped there."""
    behind = {
        server.host
        for gateway in cluster.gateways
        for service in cluster.behind(gateway)
        for server in service.real_servers
        if server.forwarding == "nat" and _is_near(cluster, server.host, gateway)
    }
    for service in cluster.services if behind else ():
        both = dict.fromkeys(
            server.host
            for server in service.real_servers
            if server.host in behind and server.forwarding in ("direct", "tunnel")
        )
        if both:
            names = ", ".join(both)
            problem = "is behind a NAT gateway, which drops the answers from the VIP that it sends for this service"
            remedy = "use one way of forwarding for each real server, or give these answers another route"
            yield Complaint(f"{service.variable}.real_servers", show(names), problem, remedy)


@rule("ftp_without_helper", "warning")
def ftp_without_helper(cluster: Cluster) -> Iterator[Complaint]:
    """FTP names addresses inside of its connection, which ip_vs_ftp alone translates. The role loads it by default.

    It needs the kernel's connection tracking, which comes with a service whose own port is 21 (ip_vs_ctl.c,
    __ip_vs_update_dest). A mark has none.
    """
    modules = cluster.get("lvs_director_modules")
    for service, _hosts in _nat_services(cluster):
        if any((ports.protocol, ports.first) == ("tcp", FTP) for ports in service.ports):
            problem = "with NAT, FTP does not work by a mark: the kernel does not follow its connections"
            remedy = "write a service of port 21 without a mark"
            yield Complaint(f"{service.variable}.ports", show(FTP), problem, remedy)
        plain = service.get("port") == FTP and service.get("protocol") == "tcp"
        if plain and modules is not None and "ip_vs_ftp" not in modules:
            problem = "with NAT, clients of FTP are told the real server's own address"
            remedy = "add ip_vs_ftp to lvs_director_modules, or remove that variable"
            yield Complaint(f"{service.variable}.port", show(FTP), problem, remedy)


@rule("idle_masquerade")
def idle_masquerade(cluster: Cluster) -> Iterator[Complaint]:
    """The directors translate what comes from the networks of their gateways, which are the real servers' way out."""
    if cluster.get("lvs_director_masquerade") and not cluster.get("ha_gateway_vips"):
        problem = "translates what comes from the networks of ha_gateway_vips, and there are none"
        remedy = "name the next hop of the real servers behind NAT in ha_gateway_vips, or remove this"
        yield Complaint("lvs_director_masquerade", "true", problem, remedy)


@rule("one_armed_masquerade", "warning")
def one_armed_masquerade(cluster: Cluster) -> Iterator[Complaint]:
    """Only what leaves by an interface without a gateway is translated. Nobody has to declare one that leads out."""

    vips = [service.vip for service in cluster.services if service.vip]
    inner, outer = (
        {(host, own.interface) for host in cluster.directors for each in held if (own := cluster.home(host, each))}
        for held in (cluster.gateways, vips)
    )
    if cluster.get("lvs_director_masquerade") and outer and outer <= inner:
        names = ", ".join(sorted({name for _host, name in inner}))
        problem = f"translates only what leaves by another interface than {names}, where clients come in, too"
        remedy = "put the real servers behind an interface of their own, or remove this and translate outside"
        yield Complaint("lvs_director_masquerade", "true", problem, remedy)


@rule("bad_default_route")
def bad_default_route(cluster: Cluster) -> Iterator[Complaint]:
    """A default route leads to a gateway in the host's own network, one for each family."""
    for host in cluster.groups.get("real_servers", ()):
        if not cluster.value(host, "real_server_default_route") or not cluster.addresses.get(host):
            continue
        given = cluster.value(host, "real_server_gateways")
        if given is None:
            behind = {gateway: name for gateway, name in cluster.gateways.items() if _is_behind(cluster, host, gateway)}
            # Of a wrong address, that it is wrong says enough.
            sound = [gateway for gateway, name in behind.items() if not _gateway_fault(cluster, name, gateway)]
            if not behind or len(sound) > len({gateway.version for gateway in sound}):
                problem = "no address of ha_gateway_vips is in a network where directors reach this host by NAT"
                remedy = "correct ha_gateway_vips, or remove this"
                if behind:
                    problem = f"would lead to several gateways: {', '.join(map(str, sound))}"
                    remedy = "name one in real_server_gateways"
                yield Complaint("real_server_default_route", "true", problem, remedy, host)
            continue
        taken: set[int] = set()
        for index, text in enumerate(given):
            address, fault = to_address(known(text)), None
            if text is UNUSABLE:
                continue
            if address is None:
                fault = "must be an IPv4 or IPv6 address without prefix length"
            elif str(address) != str(known(text)):
                fault = f"must be written as the kernel does: {address}"
            elif not cluster.interfaces_towards(host, address):
                fault = "is in no network of this host"
            elif address.version in taken:
                fault = "is the second one of its family, and a host has one default route"
            if address:
                taken.add(address.version)
            if fault:
                remedy = "name an address that both directors can hold, in the host's network"
                yield Complaint(f"real_server_gateways[{index}]", show(text), fault, remedy, host)


def _is_behind(cluster: Cluster, host: str, gateway: Address) -> bool:
    return _is_near(cluster, host, gateway) and any(
        server.host == host and server.forwarding == "nat"
        for service in cluster.behind(gateway)
        for server in service.real_servers
    )


def _is_near(cluster: Cluster, host: str, gateway: Address) -> bool:
    return any(gateway in network for network in cluster.networks(host, gateway.version))


def _nat_services(cluster: Cluster) -> Iterator[tuple[Service, list[str]]]:
    """Yield each service that reaches real servers by NAT, with their names; directors are another rule's."""
    for service in cluster.services:
        hosts = dict.fromkeys(server.host for server in service.real_servers if server.forwarding == "nat")
        names = [host for host in hosts if host not in cluster.directors]
        if names:
            yield service, names
