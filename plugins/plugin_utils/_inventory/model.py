# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory as typed objects with every default filled in: what preflight's rules and the plan (cluster) look at.

The only place that reads the cluster's variables. Types and defaults are those of argument_specs. Preflight reports
what is malformed (by the schema or by the rule of that value) and goes on, so its rules need no defences: a None here
is 'not given' or 'wrong and already reported'. `parse`, for the plan, raises at the first such value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from typing import Any, NamedTuple, TypeAlias

from ansible_collections.codalvs.ha.plugins.module_utils._network.addresses import kernel_addresses
from ansible_collections.codalvs.ha.plugins.module_utils._schema import (
    UNUSABLE,
    Option,
    Options,
    Problem,
    Unevaluated,
    conform,
    show,
)

Address: TypeAlias = "IPv4Address | IPv6Address"
Network = Any  # IPv4Network | IPv6Network, which typeshed does not let one compare
Hosts = Mapping[str, Mapping[str, object]]  # variables by host
Groups = Mapping[str, Sequence[str]]  # host names by group

# Of one host by nature; all else is read from the host whose view it is.
OWN = ("ha_interfaces", "heartbeat_node_name")

# The groups of each kind of shared storage.
STORAGE = {"coda": ("coda_scm", "coda_servers", "coda_clients"), "nfs": ("nfs_server", "nfs_clients")}


class ClusterError(ValueError):
    """The inventory doesn't say enough; the text names host, variable and what is wrong or missing."""


@dataclass(frozen=True)
class HostAddress:
    """One well-formed address of ha_interfaces."""

    host: str
    interface: str
    variable: str
    address: IPv4Interface | IPv6Interface

    @property
    def is_of_a_link(self) -> bool:
        """Tell whether it is an IPv6 address of one link, as each interface has one by itself."""
        return self.address.version == 6 and self.address.is_link_local


class RealServer(NamedTuple):
    """One real server of one service. There may be hundreds of thousands, so it is light.

    host: of one that nobody here manages (is_elsewhere), its address.
    """

    variable: str
    host: str
    port: int | None
    weight: int
    forwarding: str | None
    request: str | None = None
    receive: str | None = None
    is_elsewhere: bool = False


class Ports(NamedTuple):
    """Ports of one protocol, from the first to the last."""

    protocol: str
    first: int
    last: int


class Place(NamedTuple):
    """Where the directors hold one address, as ha_vip_places says."""

    variable: str
    interface: str | None  # as the first director calls it
    prefix: int | None


class Home(NamedTuple):
    """The interface on which a director holds an address, and the prefix length that the address has there."""

    interface: str
    prefix: int


@dataclass(frozen=True)
class Service:
    """One virtual service; `options` is what the schema made of it, defaults filled in.

    One that a mark selects may have several addresses. It is a Service for each of them, all with one variable.
    """

    variable: str
    options: Mapping[str, Any]
    real_servers: Sequence[RealServer]
    written: Mapping[str, object]  # as the inventory has it
    at: int | None = None  # which of its vips this is; None: it has none

    def get(self, name: str) -> Any:
        """Return an option, None if it is not given or not usable."""
        return known(self.options[name])

    def given(self, name: str) -> bool:
        """Tell whether the option is in the inventory, be it right or wrong."""
        return self.options[name] is not None

    @property
    def vip_option(self) -> str:
        """The option that has the virtual address."""
        return "vip" if self.at is None else f"vips[{self.at}]"

    @property
    def written_vip(self) -> Any:
        """What the inventory has as the virtual address, None if it is not given or no text."""
        return self.get("vip") if self.at is None else known(self.options["vips"][self.at])

    @cached_property
    def vip(self) -> Address | None:
        """The virtual address."""
        return to_address(self.written_vip)

    @property
    def family(self) -> int | None:
        """4 or 6; a mark without vips selects IPv4, None means that the VIP is malformed."""
        if self.vip:
            return self.vip.version
        return None if self.given("vip") or self.at is not None else 4

    @cached_property
    def ports(self) -> list[Ports]:
        """The well-formed ports of one that a mark selects."""
        found = (to_ports(known(text), self.get("protocol")) for text in self.get("ports") or ())
        return [ports for ports in found if ports]

    @property
    def check(self) -> Mapping[str, Any]:
        """The check's options; empty when the check as a whole is malformed."""
        return self.get("check") or {}

    def texts_for(self, server: RealServer) -> tuple[str | None, str | None]:
        """What the check asks this real server, and what its answer must match: the server's own, else the check's."""
        request = known(self.check.get("request")) if server.request is None else server.request
        return request, known(self.check.get("receive")) if server.receive is None else server.receive

    @property
    def given_check(self) -> dict[str, Any]:
        """The check's options without those that the inventory leaves to ldirectord."""
        written = self.written.get("check")
        given = written if isinstance(written, Mapping) else {}
        return {name: value for name, value in self.check.items() if given.get(name) is not None}


class Values:
    """Each host's variables as the schema makes them. A value that several hosts share is looked at once."""

    def __init__(self, hosts: Hosts, options: Options) -> None:
        self.hosts = hosts
        self.options = options
        # With the value itself: while it is kept here, nothing else has its id.
        self._found: dict[tuple[str, int], tuple[object, Any, list[Problem]]] = {}

    def __call__(self, host: str, name: str) -> tuple[Any, list[Problem]]:
        """Return what `conform` returns, and what it finds wrong."""
        value = self.hosts[host].get(name)
        found = self._found.get((name, id(value)))
        if found is None:
            problems: list[Problem] = []
            found = value, conform(self.options[name], value, name, problems), problems
            self._found[name, id(value)] = found
        return found[1:]

    def usable(self, host: str, name: str) -> Any:
        """Return what `conform` returns; raise ClusterError, naming host, variable and value, at what is malformed."""
        value, problems = self(host, name)
        _refuse(host, problems)
        return value


@dataclass(frozen=True)
class Cluster:
    """The inventory as one director sees it."""

    view: str  # the host whose variables `settings` are
    settings: Mapping[str, Any]  # conformed, with defaults
    services: Sequence[Service]
    addresses: Mapping[str, Sequence[HostAddress]]  # by host, every host; none of one that has malformed ones
    groups: Groups
    values: Values
    readable: Mapping[str, Sequence[HostAddress]] | None = None  # what could be read, by host; None: the same

    @property
    def hosts(self) -> Hosts:
        """The variables of each host as they are written."""
        return self.values.hosts

    @property
    def options(self) -> Options:
        """The options of argument_specs by variable."""
        return self.values.options

    @cached_property
    def written(self) -> set[str]:
        """The variables of ours that any host has."""
        return {name for variables in self.hosts.values() for name in variables if name in self.options}

    @property
    def directors(self) -> Sequence[str]:
        """The hosts of the group `directors`, in order of preference."""
        return self.groups.get("directors", ())

    @property
    def dns_servers(self) -> list[str]:
        """Return the hosts that serve a zone of ours. Others may have a group of this name, without our variables."""
        hosts = self.groups.get("dns_servers", ())
        return [host for host in hosts if any(name.startswith("dns_zone_") for name in self.hosts[host])]

    @property
    def is_without_balancing(self) -> bool:
        """Tell whether the inventory is shared storage, DNS, or both, and has no cluster of its own."""
        balanced = self.directors or self.groups.get("real_servers")
        others = ("dns_servers", *(name for names in STORAGE.values() for name in names))
        return any(self.groups.get(name) for name in others) and not balanced

    def get(self, name: str) -> Any:
        """Return a setting, None if it is not given or not usable."""
        return known(self.settings.get(name))

    def given(self, name: str) -> bool:
        """Tell whether a setting has a value, be it right or wrong."""
        return self.settings.get(name) is not None

    @property
    def may_fork(self) -> bool:
        """Tell whether a process for each service does no harm.

        Where Heartbeat starts ldirectord, nobody ends the processes of one that was killed. And a process never waits
        for an external check that has taken too long, until no more processes can be started.
        """
        external = any(service.check.get("type") == "external" for service in self.services)
        return self.get("ha_standby") != "cold" and not external

    @property
    def forks(self) -> bool:
        """Tell whether ldirectord has a process for each service; if nobody says so, where there are several."""
        said = self.get("ldirectord_fork")
        return len(self.services) > 1 and self.may_fork if said is None else bool(said)

    def value(self, host: str, name: str) -> Any:
        """Return one host's value of a variable, None if it is not given or not usable."""
        return known(self.values(host, name)[0])

    def directors_differ(self, name: str) -> bool:
        """Tell whether the directors have different effective values of a variable, written as they may be."""
        values = [self.values(host, name)[0] for host in self.directors]
        return any(value is not values[0] and value != values[0] for value in values)

    def holder(self, service: Service) -> str | None:
        """Return the director that a service prefers, by default the first one; None without directors."""
        return service.get("preferred_director") or next(iter(self.directors), None)

    def minimum(self, service: Service) -> str:
        """Return how many of a service's real servers stay in whatever checks find: '2' or '50%', empty for none."""
        text = service.get("minimum_alive") if service.given("minimum_alive") else self.get("ha_minimum_alive")
        return "" if text is None or text == "0" else str(text)

    @cached_property
    def all_addresses(self) -> dict[Address, HostAddress]:
        """Every host's addresses; of duplicates, the first."""
        found: dict[Address, HostAddress] = {}
        for own in self.all_readable.values():
            for entry in own:
                found.setdefault(entry.address.ip, entry)
        return found

    @property
    def all_readable(self) -> Mapping[str, Sequence[HostAddress]]:
        """Every well-formed address, also those beside malformed ones. What a host lacks does not follow from them."""
        return self.addresses if self.readable is None else self.readable

    @cached_property
    def node_names(self) -> dict[str, str]:
        """Heartbeat's names of the directors, in lower case as Heartbeat folds them."""
        return {host: (self.value(host, "heartbeat_node_name") or host).lower() for host in self.directors}

    @cached_property
    def _networks(self) -> dict[tuple[str, int], set[Network]]:
        networks: dict[tuple[str, int], set[Network]] = {}
        for host in self.addresses:
            for entry in self.routed(host):
                networks.setdefault((host, entry.address.version), set()).add(entry.address.network)
        return networks

    def routed(self, host: str) -> list[HostAddress]:
        """Return a host's addresses without those of a link alone (fe80::/10), of which every network has the same.

        Nobody can use one without the interface's name, which ip_vs, Heartbeat's links and routes have no place for.
        """
        return [own for own in self.addresses.get(host, ()) if not own.is_of_a_link]

    def networks(self, host: str, family: int) -> set[Network]:
        """Return the networks that a host is on."""
        return self._networks.get((host, family), set())

    @cached_property
    def gateways(self) -> dict[Address, str]:
        """The well-formed addresses of ha_gateway_vips, and where each is written; of duplicates, the first."""
        found: dict[Address, str] = {}
        for index, text in enumerate(self.get("ha_gateway_vips") or ()):
            address = to_address(known(text))
            if address:
                found.setdefault(address, f"ha_gateway_vips[{index}]")
        return found

    def behind(self, gateway: Address) -> list[Service]:
        """Return the services that reach a real server in the gateway's network by NAT."""
        family = gateway.version
        near = {host for host in self.addresses if any(gateway in each for each in self.networks(host, family))}
        return [
            service
            for service in self.services
            if service.family == family
            and any(server.forwarding == "nat" and server.host in near for server in service.real_servers)
        ]

    def interfaces_towards(self, host: str, address: Address) -> list[HostAddress]:
        """Return a host's own addresses whose network holds the given one."""
        return [own for own in self.routed(host) if address in own.address.network]

    @cached_property
    def places(self) -> dict[Address, Place]:
        """The well-formed addresses of ha_vip_places; of duplicates, the first."""
        found: dict[Address, Place] = {}
        for index, entry in enumerate(self.get("ha_vip_places") or ()):
            address = None if entry is UNUSABLE else to_address(known(entry["address"]))
            if address:
                place = Place(f"ha_vip_places[{index}]", known(entry["interface"]), known(entry["prefix"]))
                found.setdefault(address, place)
        return found

    @cached_property
    def shared(self) -> list[Mapping[str, HostAddress]]:
        """The networks that both directors are on, each as their own addresses there, in the first one's order.

        By interfaces of one name where that can be, else by the only one by which each is in the network.
        """
        if len(self.directors) < 2:
            return []
        own = self.routed(self.directors[0])
        by_name = {each.address.network for each in own if self._together(each, by_name=True)}
        found: dict[tuple[str, Network], Mapping[str, HostAddress]] = {}
        for each in own:
            if together := self._together(each, by_name=each.address.network in by_name):
                found.setdefault((each.interface, each.address.network), together)
        return [*found.values()]

    def _together(self, first: HostAddress, by_name: bool) -> dict[str, HostAddress]:
        """Return each director's first address in the network of one of the first director's.

        Empty if one has none there, or has them on several interfaces.
        """
        near = [
            own
            for host in self.directors
            for own in self.routed(host)
            if own.address.network == first.address.network and (own.interface == first.interface or not by_name)
        ]
        found: dict[str, HostAddress] = {}
        for own in near:
            found.setdefault(own.host, own)
        ways = {(own.host, own.interface) for own in near}
        return found if len(ways) == len(found) == len(self.directors) else {}

    def called(self, host: str, interface: str) -> str | None:
        """Return what a director calls an interface of the first one: that in the same network, else of its name."""
        first = next(iter(self.directors), host)
        networks = {own.address.network for own in self.routed(first) if own.interface == interface}
        near = [own.interface for own in self.routed(host) if own.address.network in networks]
        names = [own.interface for own in self.routed(host)]
        return next((name for name in (interface, *near) if name in near), interface if interface in names else None)

    def near(self, host: str, address: Address) -> list[HostAddress]:
        """Return a director's addresses beside which it can hold a VIP: in the VIP's network, or on its own interface.

        Of several interfaces in its network, its own one counts; one that is not among them is bad_vip_place's matter.
        """
        place, near = self.places.get(address), self.interfaces_towards(host, address)
        if place is None or place.interface is None:
            return near
        name = self.called(host, place.interface)
        near.sort(key=lambda each: -each.address.network.prefixlen)
        return (
            [each for each in near if each.interface == name]
            or near
            or [each for each in self.routed(host) if each.interface == name]
        )

    def home(self, host: str, address: Address) -> Home | None:
        """Return where a director holds a VIP or gateway, None where it can't.

        Its own place, if it has one. Else both directors must be in its network by interfaces of one name: of several,
        one whose network both have, and of those the smallest network, as in a table of routes. Where no name is the
        same, it is the smallest network that both have.
        """
        place = self.places.get(address)
        if place:
            own = next(iter(self.near(host, address)), None)
            if own is None:
                return None
            within = own.address.network.prefixlen if address in own.address.network else address.max_prefixlen
            return Home(own.interface, place.prefix or within)
        found = [near for near in (self.interfaces_towards(name, address) for name in self.directors) if near]
        names = set.intersection(*({own.interface for own in near} for near in found)) if found else set()
        shared = set.intersection(*({(own.interface, own.address.network) for own in near} for near in found or [[]]))
        networks = set.intersection(*({own.address.network for own in near} for near in found or [[]]))
        nearest = min(
            (
                each
                for each in self.interfaces_towards(host, address)
                if (each.interface in names if names else each.address.network in networks)
            ),
            key=lambda each: (
                (each.interface, each.address.network) not in shared,
                -each.address.network.prefixlen,
            ),
            default=None,
        )
        return Home(nearest.interface, nearest.address.network.prefixlen) if nearest else None


def known(value: Any) -> Any:
    """Return a conformed value, None in place of an unusable one."""
    return None if value is UNUSABLE else value


def to_address(text: object) -> IPv4Address | IPv6Address | None:
    """Parse an address without prefix or zone; None when it is none."""
    try:
        return ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        return None


def to_ports(text: object, protocol: object) -> Ports | None:
    """Parse ports such as '80', '10000-10100' or '53/udp'; None when they are none. `protocol` is the default."""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", text) if isinstance(text, str) else None
    if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]) <= 65535:
        return None
    return Ports(match[3] or str(protocol), int(match[1]), int(match[2] or match[1]))


def is_minimum(text: str) -> bool:
    """Tell whether a text is a number of real servers, or a share of them in whole percent."""
    return re.fullmatch(r"0|[1-9][0-9]{0,8}|([1-9][0-9]?|100)%", text) is not None


def unusable(address: Address) -> str | None:
    """Tell why no client can open a connection to an address, whatever network it is in; None where one can."""
    if address.is_multicast:
        return "a multicast address"
    if address.is_loopback or address.is_unspecified:
        return "a loopback address" if address.is_loopback else "the unspecified address, which no host has"
    if address.is_link_local:
        return "a link-local address, which no router forwards"
    if isinstance(address, IPv4Address):
        # RFC 1122, 3.2.1.3, and RFC 1112, 4. Linux takes both by now, and many routers and clients neither.
        return "in a reserved range" if address.is_reserved or int(address) >> 24 == 0 else None
    return "an IPv4 address written as IPv6" if address.ipv4_mapped else None


def to_cluster(
    view: str,
    values: Values,
    groups: Groups,
    addresses: Mapping[str, Sequence[HostAddress]],
    readable: Mapping[str, Sequence[HostAddress]] | None = None,
) -> Cluster:
    """Return the cluster as a host sees it, leaving out what is malformed."""
    settings = {
        name: conform(option, None, name, []) if name in OWN else values(view, name)[0]
        for name, option in values.options.items()
    }
    written = values.hosts[view].get("ha_virtual_services")
    services = _services(values.options["ha_virtual_services"], settings["ha_virtual_services"], written, groups)
    cluster = Cluster(view, settings, services, addresses, groups, values, readable or addresses)
    return replace(cluster, addresses={**elsewhere(cluster), **addresses})


def viewpoint(groups: Groups) -> str | None:
    """Return the host of which all variables but OWN are read: the first director, else the first real server."""
    return next(iter(_balanced(groups)), None)


def _balanced(groups: Groups) -> dict[str, None]:
    return dict.fromkeys(host for name in ("directors", "real_servers") for host in groups.get(name, ()))


def parse(hosts: Hosts, groups: Groups, options: Options) -> Cluster:
    """Return the cluster as its first director, else its first real server, sees it.

    hosts: variables by host, read only of the directors and the real servers; options: of argument_specs, by variable,
    all that are to be read. Raises ClusterError, naming host, variable and value, at a value that is malformed.
    """
    values = Values(hosts, options)
    members = _balanced(groups)
    view = viewpoint(groups)
    if view is None:
        values = Values({"": {}}, options)
        return to_cluster("", values, groups, {})
    for name in options:
        values.usable(view, name)
    cluster = to_cluster(view, values, groups, {})
    addresses = {}
    for service in cluster.services:
        for index, entry in enumerate(service.options["real_servers"] or ()):
            if _name(entry) is None:
                place = f"{service.variable}.real_servers[{index}]"
                raise ClusterError(f"host {view}: {place} = {show(entry['address'])}: names no host and no address")
    named = (server for service in cluster.services for server in service.real_servers if not server.is_elsewhere)
    for host in members | {server.host: None for server in named}:
        if host not in hosts:
            raise ClusterError(f"host {host}: is not in the inventory")
        for name in OWN if host in cluster.directors else OWN[:1]:
            values.usable(host, name)
        addresses[host] = usable_addresses(host, hosts[host].get("ha_interfaces"))
    cluster = replace(cluster, addresses=addresses, readable=addresses)
    return replace(cluster, addresses={**elsewhere(cluster), **addresses})


def _refuse(host: str, problems: Sequence[Problem]) -> None:
    for each in problems:
        value = f" = {each.value}" if each.value else ""
        raise ClusterError(f"host {host}: {each.path}{value}: {each.problem}; {each.remedy}")


def _services(option: Option, conformed: Any, written: Any, groups: Groups) -> list[Service]:
    """Make Services of the conformed ha_virtual_services, leaving out what is no service at all."""
    weight = option["options"]["real_servers"]["options"]["weight"]["default"]
    group = groups.get("real_servers", ())
    services = []
    for index, options in enumerate(known(conformed) or ()):
        if options is not UNUSABLE:
            variable = f"ha_virtual_services[{index}]"
            servers = _real_servers(variable, options, group, weight)
            places = range(len(known(options["vips"]) or ())) or (None,)
            services += [Service(variable, options, servers, written[index], at) for at in places]
    return services


def _real_servers(variable: str, service: Mapping[str, Any], group: Sequence[str], weight: int) -> list[RealServer]:
    """Return a service's real servers; `weight` is that of those which have none, or none that is usable."""
    port, forwarding = known(service["port"]), known(service["forwarding"])
    variable = f"{variable}.real_servers"
    if service["real_servers"] is None:
        return [RealServer(variable, host, port, weight, forwarding) for host in group]
    entries = enumerate(known(service["real_servers"]) or ())
    named = [(index, entry, _name(entry)) for index, entry in entries if entry is not UNUSABLE]
    return [
        RealServer(
            f"{variable}[{index}]",
            name,
            port if entry["port"] is None else known(entry["port"]),
            weight if known(entry["weight"]) is None else entry["weight"],
            forwarding if entry["forwarding"] is None else known(entry["forwarding"]),
            known(entry["request"]),
            known(entry["receive"]),
            known(entry["host"]) is None,
        )
        for index, entry, name in named
        if name is not None
    ]


def _name(entry: Mapping[str, Any]) -> str | None:
    """Return a real server's name: of one that nobody here manages, its address in the kernel's spelling."""
    address = to_address(known(entry["address"]))
    return known(entry["host"]) or (str(address) if address else None)


def elsewhere(cluster: Cluster) -> dict[str, list[HostAddress]]:
    """Return the addresses of real servers that nobody here manages, each in the network that a director has there."""
    found: dict[str, list[HostAddress]] = {}
    for service in cluster.services:
        for server in service.real_servers if service.options["real_servers"] is not None else ():
            address = ip_address(server.host) if server.is_elsewhere and server.host not in found else None
            if address and not unusable(address):  # which is bad_real_server's matter
                near = [own for host in cluster.directors for own in cluster.interfaces_towards(host, address)]
                prefix = max((own.address.network.prefixlen for own in near), default=address.max_prefixlen)
                found[server.host] = [
                    HostAddress(server.host, "", f"{server.variable}.address", ip_interface(f"{address}/{prefix}"))
                ]
    return found


def addresses(source: str | Mapping[str, object]) -> list[str]:
    """Return addresses as 'eth0: 192.0.2.11/24', from the output of `ip -json address show` or from ha_interfaces.

    They are in the kernel's spelling, so that both can be compared.
    """
    if isinstance(source, Mapping):
        return [f"{own.interface}: {own.address}" for own in usable_addresses("", source)]
    return kernel_addresses(source)


def usable_addresses(host: str, declared: object) -> list[HostAddress]:
    """Parse ha_interfaces of one host; raise ClusterError at what is no address or no name of an interface."""
    found, problems = to_host_addresses(host, declared)
    _refuse(host, problems)
    return found


def to_host_addresses(host: str, declared: object) -> tuple[list[HostAddress], list[Problem]]:
    """Parse ha_interfaces of one host into addresses and what is wrong with the rest."""
    addresses: list[HostAddress] = []
    problems: list[Problem] = []
    if not isinstance(declared, Mapping):
        return addresses, problems
    for key, value in declared.items():
        name, variable = str(key), f"ha_interfaces.{show(key)}"
        if not is_interface_name(name):
            problem = "is no interface name: 1 to 15 characters without blanks, '/' and ':'"
            problems.append(Problem("bad_interface", variable, "", problem, "write the name that `ip link` shows"))
        elif "@" in name:
            problem = "is how `ip link` shows an interface that lies on another one"
            problems.append(Problem("bad_interface", variable, "", problem, f"write {show(name.partition('@')[0])}"))
        for index, text in enumerate(value if isinstance(value, list | tuple) else [value]):
            if isinstance(text, Unevaluated):
                continue  # reported by the schema
            place = f"{variable}[{index}]" if isinstance(value, list | tuple) else variable
            try:
                addresses.append(HostAddress(host, name, place, _to_interface(text)))
            except ValueError:
                problem = "must be an address with its prefix length, or a list of them"
                try:  # what it surely means counts, so that this one mistake is one finding
                    addresses.append(HostAddress(host, name, place, _to_interface("".join(str(text).split()))))
                    problem = "contains a blank"
                except ValueError:
                    pass
                problems.append(Problem("bad_interface", place, show(text), problem, "write it like 192.0.2.11/24"))
    return addresses, problems


def is_complete(declared: object, found: Sequence[HostAddress]) -> bool:
    """Tell whether each address of ha_interfaces has been found, by to_host_addresses."""
    given = declared.values() if isinstance(declared, Mapping) else ()
    return len(found) == sum(len(each) if isinstance(each, list | tuple) else 1 for each in given)


def _to_interface(text: object) -> IPv4Interface | IPv6Interface:
    # ip_interface() alone would also take a number, an address without prefix, and a netmask.
    if not isinstance(text, str) or "%" in text or not text.partition("/")[2].isdigit():
        raise ValueError(text)
    return ip_interface(text)


def is_interface_name(name: str) -> bool:
    """Tell whether the kernel takes it as a network device's name."""
    # The kernel's dev_valid_name(); IFNAMSIZ is 16 with the closing zero. ':' is for the aliases of old.
    return 0 < len(name) <= 15 and name not in (".", "..") and name.isascii() and not set(name) & set("/: \t\n\r\v\f")
