# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about groups, addresses, and where VIPs can live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, did_you_mean, edits, letters, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.cluster import sync_interface
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    STORAGE,
    Address,
    Cluster,
    HostAddress,
    Network,
    Service,
    is_interface_name,
    known,
    to_address,
    to_host_addresses,
    unusable,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import (
    Complaint,
    fallback_address,
    rule,
    usable,
)

GROUPS = ("directors", "real_servers", *STORAGE["coda"], *STORAGE["nfs"], "dns_servers", "clients")
SHORT_WORD = 4  # letters
INVENTORY = "inventory"  # stands for the host of a finding that is about none


@rule("missing_group")
def missing_group(cluster: Cluster) -> Iterator[Complaint]:
    """Without directors and real servers there is no cluster, unless it is shared storage or DNS alone.

    A cluster whose real servers are all named by their addresses manages none of them.
    """
    if cluster.is_without_balancing:
        return
    are_elsewhere = bool(cluster.services) and all(
        service.real_servers and all(server.is_elsewhere for server in service.real_servers)
        for service in cluster.services
    )
    misspelt = {_meant(cluster, name) for name in cluster.groups}
    for name, what in (("directors", "the two directors"), ("real_servers", "the real servers")):
        if name == "real_servers" and are_elsewhere:
            continue
        if not cluster.groups.get(name) and name not in misspelt:
            state = "has no hosts" if name in cluster.groups else "does not exist"
            yield Complaint(f"groups.{name}", "", f"the group {state}", f"add {what} to the group {name}", INVENTORY)


@rule("unknown_group")
def unknown_group(cluster: Cluster) -> Iterator[Complaint]:
    """A misspelt group leaves its hosts out without a word; any other group is the operator's own."""
    for name in cluster.groups:
        meant = _meant(cluster, name)
        if meant:
            problem = f"is not a group of this collection, but close to {meant}"
            yield Complaint(
                f"groups.{name}", "", problem, f"did you mean {meant!r}? Else choose another name", INVENTORY
            )


def _meant(cluster: Cluster, name: str) -> str | None:
    """Return the group that a misspelt name stands for, None for a group of ours or of the operator's own.

    Words such as servers and clients are common: one word alone may be misspelt, and only if the group that was meant
    has no hosts yet. Another case, hyphen or plural is a mistake beside hosts as well.
    """
    if name in GROUPS:
        return None
    for group in GROUPS[:-1]:  # nothing depends on clients, and many have groups of such names
        there = cluster.groups.get(group, ())
        if set(cluster.groups[name]) <= set(there) or not _is_used(cluster, group):
            continue
        if letters(name) == letters(group) or (not there and _is_misspelt(name, group)):
            return group
    return None


def _is_used(cluster: Cluster, group: str) -> bool:
    """Tell whether the inventory needs a group, or something else of its kind is there."""
    if group in ("directors", "real_servers"):
        return not cluster.is_without_balancing or "ha_virtual_services" in cluster.written
    kind = group.partition("_")[0]
    prefix = "dns_zone_" if kind == "dns" else f"{kind}_"
    return any(cluster.groups.get(other) for other in STORAGE.get(kind, ())) or any(
        each.startswith(prefix) for each in cluster.written
    )


def _is_misspelt(name: str, group: str) -> bool:
    """Tell whether one word of a group's name is written wrongly: of a short one, other letters are another word."""
    pairs = list(zip(re.split(r"[\W_]+", name.lower()), group.split("_"), strict=False))
    wrong = [(one, other) for one, other in pairs if one != other]
    if len(re.split(r"[\W_]+", name)) != len(group.split("_")):
        return edits(letters(name), letters(group)) <= 1
    one, other = wrong[0]
    short = len(other) <= SHORT_WORD
    same_length = len(one) == len(other)
    return (
        len(wrong) == 1
        and edits(one, other) <= 2 - short
        and not (short and same_length and sorted(one) != sorted(other))
    )


@rule("director_count")
def director_count(cluster: Cluster) -> Iterator[Complaint]:
    """haresources, hb_standby and ipfail are designs for exactly two nodes."""
    if cluster.directors and len(cluster.directors) != 2:
        value = show(", ".join(cluster.directors))
        problem = f"a cluster has exactly two directors, not {len(cluster.directors)}"
        yield Complaint("groups.directors", value, problem, "list two hosts in the group directors", INVENTORY)


@rule("unknown_absent")
def unknown_absent(cluster: Cluster) -> Iterator[Complaint]:
    """A misspelt name would leave out nobody."""
    for index, host in enumerate(cluster.get("ha_absent") or ()):
        if known(host) is not None and host not in cluster.hosts:
            remedy = did_you_mean(host, cluster.hosts, "write the name that the inventory has")
            yield Complaint(f"ha_absent[{index}]", show(host), "is not a host in the inventory", remedy)


@rule("all_absent")
def all_absent(cluster: Cluster) -> Iterator[Complaint]:
    """With no director there is nobody to change, and nobody who knows what is drained."""
    absent = [host for host in cluster.get("ha_absent") or () if known(host) is not None]
    if cluster.directors and set(cluster.directors) <= set(absent):
        problem = "leaves no director"
        yield Complaint("ha_absent", show(", ".join(absent)), problem, "name one director at most")


@rule("absent_storage")
def absent_storage(cluster: Cluster) -> Iterator[Complaint]:
    """Volumes, keys and users of a cell are made by its servers together; the folder has only one."""
    servers = {host for name in (*STORAGE["coda"][:2], *STORAGE["nfs"][:1]) for host in cluster.groups.get(name, ())}
    for index, host in enumerate(cluster.get("ha_absent") or ()):
        if known(host) is not None and host in servers:
            problem = "is a server of the shared files, which can't be left out"
            remedy = "remove it, and run codalvs.ha.directors or codalvs.ha.real_servers, which don't need it"
            yield Complaint(f"ha_absent[{index}]", show(host), problem, remedy)


@rule("missing_interfaces")
def missing_interfaces(cluster: Cluster) -> Iterator[Complaint]:
    """Nothing is read from the hosts, so the addresses must be in the inventory."""
    needed = ("directors", "real_servers", *STORAGE["nfs"])
    for host in dict.fromkeys(host for name in needed for host in cluster.groups.get(name, ())):
        declared = cluster.hosts[host].get("ha_interfaces")
        if declared is None or (isinstance(declared, Mapping) and not declared):
            problem = "every director, real server, NFS server and NFS client needs its addresses"
            yield Complaint(
                "ha_interfaces", "", problem, "add, for example, ha_interfaces: {eth0: 192.0.2.11/24}", host
            )
        elif isinstance(declared, Mapping) and all(value in ([], ()) for value in declared.values()):
            problem = "is empty, and this host has no other address"
            remedy = "write it like 192.0.2.11/24"
            yield Complaint(f"ha_interfaces.{show(min(declared, key=str))}", "", problem, remedy, host)


@rule("bad_interface")
def bad_interface(cluster: Cluster) -> Iterator[Complaint]:
    """Names as in the kernel's dev_valid_name(); the prefix length says which network the address is in."""
    for host, variables in cluster.hosts.items():
        for each in to_host_addresses(host, variables.get("ha_interfaces"))[1]:
            yield Complaint(each.path, each.value, each.problem, each.remedy, host)


@rule("unusable_address")
def unusable_address(cluster: Cluster) -> Iterator[Complaint]:
    """An address that no packet from another host can reach."""
    for own in cluster.all_readable.values():
        for entry in own:
            fault = fault_in(entry.address.ip, [entry.address])
            if fault:
                remedy = "write the host's own address; leave out loopback, and interfaces that no service needs"
                yield Complaint(entry.variable, str(entry.address), f"is {fault}", remedy, entry.host)


@rule("duplicate_address")
def duplicate_address(cluster: Cluster) -> Iterator[Complaint]:
    """Two hosts with one address answer each other's packets; that of a link counts in each network for itself."""
    links: dict[object, HostAddress] = {}
    for host, own in cluster.all_readable.items():
        for entry in own:
            first = cluster.all_addresses[entry.address.ip]
            if entry.is_of_a_link:
                places = [
                    each.address.network for each in own if each.interface == entry.interface and not each.is_of_a_link
                ]
                keys = [(entry.address.ip, place) for place in (*places, (host, entry.interface))]
                first = next((links[key] for key in keys if key in links), entry)
                links |= {key: entry for key in keys if key not in links}
            if first is not entry and not entry.address.is_loopback:
                problem = f"is the address of {first.host} ({first.variable}) as well"
                remedy = "give each host an address of its own, or leave an interface out that is for the host alone"
                yield Complaint(entry.variable, str(entry.address), problem, remedy, entry.host)


@rule("bad_vip")
def bad_vip(cluster: Cluster) -> Iterator[Complaint]:
    """The prefix length comes from the director's network, so a VIP has none."""
    for service in cluster.services:
        if service.written_vip is not None and service.vip is None:
            problem = "must be an IPv4 or IPv6 address without prefix length"
            yield _vip_complaint(service, problem, "write it like 192.0.2.30")


@rule("unusable_vip")
def unusable_vip(cluster: Cluster) -> Iterator[Complaint]:
    """A VIP must be an address that clients can open a connection to."""
    for service in cluster.services:
        if service.vip:
            near = [own.address for host in cluster.directors for own in cluster.interfaces_towards(host, service.vip)]
            fault = unusable(service.vip) or fault_in(service.vip, near)
            if fault:
                yield _vip_complaint(service, f"is {fault}", "choose a free host address in a network of the directors")


# Names that kernel and udev give to network cards, and the kernel to its own tunnels.
_TAKEN_DEVICES = re.compile(
    r"(eth|em|ib|usb|wlan|ppp|bond|team|br|vlan|docker|virbr|vmbr|veth|vnet|macvlan|ipvlan|vxlan|tun|tap|wg)-?\d.*"
    r"|br-.*|p\d+p\d+.*|(en|wl|ww)[opsxb].*|(tunl|ip6tnl|sit|gre|ip6gre|gretap|erspan|ip_vti|ip6_vti)0"
)


@rule("bad_device")
def bad_device(cluster: Cluster) -> Iterator[Complaint]:
    """On a device that neighbours hear, all real servers answer ARP for the VIP. dev_valid_name() and IFNAMSIZ."""
    for host in cluster.groups.get("real_servers", ()):
        device = cluster.value(host, "real_server_device")
        if device is None or device == "lo":
            continue
        remedy = "leave it out, or choose a name for a dummy device, such as lvs0"
        if not is_interface_name(device):
            problem = "is not a device name: 1 to 15 characters without blanks, '/' and ':'"
            yield Complaint("real_server_device", show(device), problem, remedy, host)
        elif device in {entry.interface for entry in cluster.all_readable.get(host, ())}:
            problem = "is one of its interfaces, where neighbours would hear of the VIPs"
            yield Complaint("real_server_device", show(device), problem, remedy, host)
        elif _TAKEN_DEVICES.fullmatch(device):
            problem = "is what network cards, bridges or tunnels are called, where neighbours would hear of the VIPs"
            yield Complaint("real_server_device", show(device), problem, remedy, host)


@rule("bad_real_server_vips")
def bad_real_server_vips(cluster: Cluster) -> Iterator[Complaint]:
    """A real server answers for each address that it carries, whoever else has it."""
    for host in cluster.groups.get("real_servers", ()):
        for index, entry in enumerate(cluster.value(host, "real_server_vips") or ()):
            text = None if entry is UNUSABLE else known(entry["address"])
            address = to_address(text)
            fault = None
            if text is not None and address is None:
                fault = "must be an IPv4 or IPv6 address without prefix length"
            elif address in cluster.all_addresses:
                fault = f"is the address of {cluster.all_addresses[address].host}"
            elif address is not None and unusable(address):
                fault = f"is {unusable(address)}"
            elif address is not None and text != str(address):  # the role looks for it among the kernel's addresses
                fault = f"must be written as the kernel does: {address}"
            if fault:
                yield Complaint(f"real_server_vips[{index}].address", show(text), fault, "write a VIP alone", host)


@rule("vip_not_carried", "warning")
def vip_not_carried(cluster: Cluster) -> Iterator[Complaint]:
    """A real server drops the packets to a VIP that it does not carry, or not on the device that they come by."""
    needed: dict[str, dict[Address, str]] = {}
    for service in cluster.services:
        for server in service.real_servers:
            if service.vip and server.forwarding in ("direct", "tunnel"):
                needed.setdefault(server.host, {})[service.vip] = server.forwarding
    for host in cluster.groups.get("real_servers", ()):
        given = cluster.value(host, "real_server_vips")
        entries = [None if entry is UNUSABLE else entry for entry in given or ()]
        carried = {to_address(known(entry["address"])): known(entry["forwarding"]) for entry in entries if entry}
        if given is None or None in entries or None in carried:
            continue
        wanted = needed.get(host, {})
        lacking = [vip for vip in wanted if vip not in carried]
        if lacking:
            problem = f"lacks {', '.join(map(str, lacking))}, to which directors forward packets: they are dropped"
            yield Complaint("real_server_vips", "", problem, "add it, or leave the list out", host)
        for vip, forwarding in wanted.items():
            if carried.get(vip) not in (None, forwarding):
                problem = f"has {vip} for {carried[vip]} forwarding, and directors use {forwarding} forwarding"
                remedy = f"write forwarding: {forwarding} there, or leave the list out"
                yield Complaint("real_server_vips", "", problem, remedy, host)


@rule("vip_not_carried", "warning")
def fallback_without_vip(cluster: Cluster) -> Iterator[Complaint]:
    """What is sent to a fallback keeps its address, and the role gives a real server the VIPs of its services alone."""
    served: set[tuple[str, Address | None]] | None = None
    for service in cluster.services:
        address = fallback_address(service)
        owner = cluster.all_addresses.get(address) if address else None
        if owner is None or service.vip is None or owner.host not in cluster.groups.get("real_servers", ()):
            continue
        if served is None:
            served = {
                (server.host, other.vip)
                for other in cluster.services
                for server in other.real_servers
                if server.forwarding != "nat"
            }
        if (owner.host, service.vip) not in served and cluster.value(owner.host, "real_server_vips") is None:
            problem = f"{owner.host} does not carry the VIP {service.vip}, and drops the packets that it gets"
            remedy = f"set real_server_vips for {owner.host}, or name the director itself (127.0.0.1 or [::1])"
            yield Complaint(f"{service.variable}.fallback", show(service.get("fallback")), problem, remedy)


@rule("vip_is_host_address")
def vip_is_host_address(cluster: Cluster) -> Iterator[Complaint]:
    """The VIP moves between the directors: the host that owns the address would lose it, or answer in their place."""
    for service in cluster.services:
        owner = cluster.all_addresses.get(service.vip) if service.vip else None
        if owner:
            problem = f"is the address of {owner.host} ({owner.variable})"
            yield _vip_complaint(service, problem, "choose an address that no host has")


@rule("vip_in_no_network")
def vip_in_no_network(cluster: Cluster) -> Iterator[Complaint]:
    """IPaddr2 needs the interface and the prefix of the VIP's network on the director that takes it."""
    for service, vip in _vips(cluster):
        lost = [host for host in cluster.directors if not cluster.interfaces_towards(host, vip)]
        lost = [host for host in lost if cluster.addresses.get(host)]
        if lost and vip not in cluster.places and not unusable(vip):
            problem = f"is in no network of {' and '.join(lost)}"
            remedy = "choose a VIP in a network of both directors, or correct ha_interfaces"
            if lost == cluster.directors:  # else the other one's neighbours look for it in their network
                remedy = remedy.replace(", or", ",") + ", or name its interface in ha_vip_places"
            yield _vip_complaint(service, problem, remedy)


@rule("vip_interfaces_differ")
def vip_interfaces_differ(cluster: Cluster) -> Iterator[Complaint]:
    """Which interface of one director stands for which of the other one, names tell, or else the network."""
    for service, vip in _vips(cluster):
        near = {host: cluster.interfaces_towards(host, vip) for host in cluster.directors}
        if len(near) == 2 and all(near.values()) and not any(cluster.home(host, vip) for host in near):
            where = ", ".join(
                f"{'/'.join(f'{own.interface} {own.address.network}' for own in found)} on {host}"
                for host, found in near.items()
            )
            problem = f"is on interfaces of different names and networks: {where}"
            yield _vip_complaint(service, problem, "give both directors an address in one network that holds the VIP")


@rule("bad_vip_place")
def bad_vip_place(cluster: Cluster) -> Iterator[Complaint]:
    """Whoever takes the address has to have the interface, and its neighbours there have to look for it there."""
    held = {*cluster.gateways, *(service.vip for service in cluster.services if service.vip)}
    are_known = all(service.vip for service in cluster.services if service.written_vip is not None)
    for variable, entry in usable("ha_vip_places", cluster.get("ha_vip_places")):
        text = known(entry["address"])
        address = to_address(text)
        if text is not None and address is None:
            problem = "must be an IPv4 or IPv6 address without prefix length"
            yield Complaint(f"{variable}.address", show(text), problem, "write it like 203.0.113.30")
        elif address and address not in held and are_known:
            remedy = did_you_mean(str(address), sorted(map(str, held)), "name one of those, or remove this")
            problem = "is no VIP of ha_virtual_services, and not in ha_gateway_vips"
            yield Complaint(f"{variable}.address", show(text), problem, remedy)
        elif address and cluster.places[address].variable != variable:
            problem = f"is that of {cluster.places[address].variable} as well"
            yield Complaint(f"{variable}.address", show(text), problem, "keep one")
        elif address:
            yield from _bad_place(cluster, variable, address)


def _held_and_kept(cluster: Cluster, address: Address) -> list[str]:
    """Return the directors that keep a VIP as real servers, too.

    They know by the prefix length which of the two an address on an interface is for: Heartbeat's has the network's.
    """
    keep = {
        server.host
        for service in cluster.services
        if service.vip == address
        for server in service.real_servers
        if server.forwarding != "nat"
    }
    homes = {host: cluster.home(host, address) for host in cluster.directors if host in keep}
    return [host for host, home in homes.items() if home and home.prefix == address.max_prefixlen]


def _bad_place(cluster: Cluster, variable: str, address: Address) -> Iterator[Complaint]:
    _variable, interface, prefix = cluster.places[address]
    hosts = [host for host in cluster.directors if cluster.addresses.get(host)]
    lacking = [host for host in hosts if interface is not None and cluster.called(host, interface) is None]
    if interface is not None and lacking:
        have = "have" if len(lacking) > 1 else "has"
        problem = f"{' and '.join(lacking)} {have} no such interface in ha_interfaces, and none in its network"
        names = sorted({own.interface for own in cluster.routed(cluster.directors[0])})
        remedy = did_you_mean(interface, names, f"use one of the first director's: {', '.join(names)}")
        yield Complaint(f"{variable}.interface", show(interface), problem, remedy)
    elif interface is not None:
        problem, remedy = _apart(cluster, address, interface, hosts)
        if problem:
            yield Complaint(f"{variable}.interface", show(interface), problem, remedy)
    if both := _held_and_kept(cluster, address):
        problem = (
            f"{' and '.join(both)} would have it with prefix {address.max_prefixlen} as director and as real server"
        )
        remedy = "choose a VIP in a network of theirs, without prefix, or other real servers for it"
        yield Complaint(variable, str(address), problem, remedy)
    networks = {own.address.network.prefixlen for host in hosts for own in cluster.near(host, address)}
    if prefix is not None and address in cluster.gateways and prefix not in networks:
        problem = "a gateway has the prefix length of its network, which tells who is behind it"
        yield Complaint(f"{variable}.prefix", show(prefix), problem, "leave it out")
    elif prefix is not None and not 1 <= prefix <= address.max_prefixlen:
        problem = f"must be a length from 1 to {address.max_prefixlen}"
        yield Complaint(f"{variable}.prefix", show(prefix), problem, f"write {address.max_prefixlen}, or leave it out")
    elif prefix is not None and (fault := fault_in(address, [ip_interface(f"{address}/{prefix}")])):
        problem = f"with it, the address is {fault}"
        yield Complaint(f"{variable}.prefix", show(prefix), problem, f"write {address.max_prefixlen}")


def _apart(cluster: Cluster, address: Address, interface: str, hosts: Sequence[str]) -> tuple[str, str]:
    """Return problem and remedy of a VIP whose neighbours would not find it on an interface of each director; or ''."""
    inside = {host: {own.interface for own in cluster.interfaces_towards(host, address)} for host in hosts}
    there = [host for host in hosts if inside[host]]
    if any(cluster.called(host, interface) not in inside[host] for host in there):
        where = "/".join(sorted(set().union(*inside.values())))
        problem = f"the address is in the network of {where}, where neighbours look for it"
        return problem, "name that one, or choose another VIP"
    if there and there != list(hosts):
        lost = " and ".join(host for host in hosts if host not in there)
        problem = (
            f"the address is in a network of {' and '.join(there)} and in none of {lost}: neighbours look for it there"
        )
        return problem, "correct ha_interfaces, or choose another VIP"
    networks = [
        {own.address.network for own in cluster.routed(host) if own.interface == cluster.called(host, interface)}
        for host in hosts
    ]
    if networks and not set.intersection(*networks):
        return "there, the directors are in different networks", "correct ha_interfaces, or name another interface"
    return "", ""


@rule("vip_off_link", "warning")
def vip_off_link(cluster: Cluster) -> Iterator[Complaint]:
    """Under direct forwarding the real server itself answers the client, from the VIP, past the director."""

    @cache
    def outside(homes: frozenset[Network], family: int) -> set[str]:
        networks = {host: cluster.networks(host, family) for host in cluster.addresses}
        return {host for host, near in networks.items() if near and not homes & near}

    seen = set()
    for service in cluster.services:
        if not service.vip:
            continue
        homes = frozenset(_homes(cluster, service.vip))
        lost = outside(homes, service.vip.version)
        hosts = {server.host: None for server in service.real_servers if server.forwarding == "direct"}
        far = tuple(host for host in hosts if host in lost)
        if homes and far and (service.vip, far) not in seen:
            seen.add((service.vip, far))  # several services of one VIP: say it once
            home = " or ".join(sorted(map(str, homes)))
            problem = f"no address in the VIP's network {home} on real server {show(', '.join(far))}"
            if service.vip in cluster.places:
                problem = problem.replace("the VIP's network", "the network of the VIP's interface,")
            yield _vip_complaint(service, problem, "make sure that their answers find a route to the clients")


@rule("unreachable_real_server")
def unreachable_real_server(cluster: Cluster) -> Iterator[Complaint]:
    """Direct forwarding only rewrites the MAC address, so no router may be between director and real server."""

    far_from = _distance(cluster)
    for service in cluster.services:
        found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for server in service.real_servers:
            if server.forwarding == "direct" and (far := far_from(server.host, service)):
                # Those that the service does not list have one place, so one finding for the directors is enough.
                found.setdefault((server.variable, tuple(far)), []).append(server.host)
        for (variable, directors), hosts in found.items():
            names, verb = ", ".join(hosts), "share" if len(hosts) > 1 else "shares"
            problem = (
                f"real server{'s' * (len(hosts) > 1)} {show(names)} {verb} no network with {' and '.join(directors)}"
            )
            remedy = "correct ha_interfaces, put both on one network, or use forwarding: tunnel"
            yield Complaint(variable, show(names), problem, remedy)


@rule("wrong_family")
def wrong_family(cluster: Cluster) -> Iterator[Complaint]:
    """ip_vs mixes IPv4 and IPv6 only in tunnels, and ldirectord not at all."""

    @cache
    def lacking(family: int) -> set[str]:
        return {host for host, own in cluster.addresses.items() if own and not cluster.networks(host, family)}

    for service in cluster.services:
        family = service.family
        # Of a VIP that nobody can reach, that it is one says enough.
        without = lacking(family) if family and not (service.vip and unusable(service.vip)) else set()
        for server in service.real_servers:
            if server.host in without and not server.is_elsewhere:
                problem = f"real server {server.host} has no IPv{family} address, as the service needs it"
                yield Complaint(server.variable, server.host, problem, "add one to its ha_interfaces")


def _distance(cluster: Cluster) -> Callable[[str, Service], Sequence[str]]:
    """Return a function that names the directors without a network in common with a real server.

    It leaves out directors without a network for the VIP, which is another rule's mistake.

    There may be hundreds of thousands of real servers of services, and few hosts.
    """

    @cache
    def far(host: str, family: int) -> Sequence[str]:
        near = cluster.networks(host, family)
        directors = [name for name in cluster.directors if near and cluster.addresses.get(name)]
        return [name for name in directors if not near & cluster.networks(name, family)]

    def far_from(host: str, service: Service) -> Sequence[str]:
        vip, names = service.vip, far(host, service.family or 0)
        return [name for name in names if vip is None or cluster.home(name, vip)]

    return far_from


def _vips(cluster: Cluster) -> Iterator[tuple[Service, Address]]:
    """Yield each VIP once, with the first service that has it."""
    seen: set[Address] = set()
    for service in cluster.services:
        if service.vip and service.vip not in seen:
            seen.add(service.vip)
            yield service, service.vip


def _homes(cluster: Cluster, vip: Address) -> set[Network]:
    return {
        own.address.network
        for host in cluster.directors
        for own in cluster.near(host, vip)
        if own.address.version == vip.version
    }


def _vip_complaint(service: Service, problem: str, remedy: str) -> Complaint:
    return Complaint(f"{service.variable}.{service.vip_option}", show(service.written_vip), problem, remedy)


def fault_in(ip: Address, near: list[IPv4Interface | IPv6Interface]) -> str | None:
    """Tell why an address can't be a host's, seen from the networks it is in."""
    fault = None if ip.is_link_local else unusable(ip)  # which counts on its own link
    if fault:
        return fault
    for network in (own.network for own in near if own.network.prefixlen < own.network.max_prefixlen - 1):
        if ip == network.network_address:
            return f"the network address of {network}"
        if ip.version == 4 and ip == network.broadcast_address:
            return f"the broadcast address of {network}"
    return None


@rule("sync_without_link")
def sync_without_link(cluster: Cluster) -> Iterator[Complaint]:
    """The sync daemons speak over one interface, which both directors must have."""
    interface = known(cluster.get("lvs_director_sync_interface"))
    if interface is None:
        return
    lacking = [
        host
        for host in cluster.directors
        if cluster.addresses.get(host) and interface not in [own.interface for own in cluster.addresses[host]]
    ]
    if lacking:
        problem = f"there is no such interface in ha_interfaces of {' and '.join(lacking)}"
        yield Complaint("lvs_director_sync_interface", show(interface), problem, "use an interface of both directors")


@rule("open_sync", "warning")
def open_sync(cluster: Cluster) -> Iterator[Complaint]:
    """The kernel's backup daemon (ip_vs_sync.c) takes anything sent to it for a connection, real server included."""
    wanted, is_hot = cluster.get("lvs_director_sync"), cluster.get("ha_standby") == "hot"
    if len(cluster.directors) != 2 or not (is_hot if wanted is None else wanted):
        return
    # By the first director's names.
    homes = (cluster.home(cluster.directors[0], vip) for _service, vip in _vips(cluster))
    public = {home.interface for home in homes if home}
    links = [each[cluster.directors[0]] for each in cluster.shared]
    shared = [own.interface for own in links]

    def hosts_of(interface: str, *groups: str) -> list[str]:
        networks = [own.address.network for own in links if own.interface == interface]
        members = dict.fromkeys(host for group in groups for host in cluster.groups.get(group, ()))
        return [
            host
            for host in members
            if host not in cluster.directors
            and any(entry.address.network in networks for entry in cluster.addresses.get(host, ()))
        ]

    near = {name for name in shared if hosts_of(name, "real_servers")}
    interface = known(cluster.get("lvs_director_sync_interface")) or sync_interface(shared, public, near)
    clients = hosts_of(interface, "clients") if interface else []
    if interface in public or clients:
        who = ", ".join(clients) or "it carries a VIP"
        problem = (
            f"clients are in that network ({who}), and anybody there can tell the directors of made-up connections"
        )
        remedy = "give both directors a network of their own, or set lvs_director_sync to false"
        yield Complaint("lvs_director_sync_interface", show(interface), problem, remedy)


@rule("bad_sync")
def bad_sync(cluster: Cluster) -> Iterator[Complaint]:
    """ipvsadm(8): a syncid is 0 to 255. A copy lives for three minutes at first; the refresh must come well before."""
    group = known(cluster.get("lvs_director_sync_group"))
    address = to_address(group)
    if group is not None and not (address and address.is_multicast):
        remedy = "write such an address, or leave it out"
        yield Complaint("lvs_director_sync_group", show(group), "must be a multicast address", remedy)
    for name, low, high in (("lvs_director_sync_id", 0, 255), ("lvs_director_sync_refresh", 1, 60)):
        number = known(cluster.get(name))
        if number is not None and not low <= number <= high:
            yield Complaint(name, show(number), f"must be a whole number from {low} to {high}", "write such a value")
