# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight's rules look at: the inventory, parsed once, with everything malformed left out.

Malformed values are reported while they are parsed (by the schema or by the rule of that value), so the rules about the
meaning of the inventory need no defences: a None here is 'not given' or 'wrong and already reported'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from typing import Any, TypeAlias

from ansible_collections.codalvs.ha.plugins.module_utils.schema import UNUSABLE, Options, Unevaluated, conform, show

Address: TypeAlias = "IPv4Address | IPv6Address"
Network = Any  # IPv4Network | IPv6Network, which typeshed does not let one compare

# The groups of each kind of shared storage.
STORAGE = {"coda": ("coda_scm", "coda_servers", "coda_clients"), "nfs": ("nfs_server", "nfs_clients")}


@dataclass(frozen=True)
class Complaint:
    """What a rule yields: one thing wrong at one place."""

    variable: str
    value: str
    problem: str
    remedy: str
    host: str | None = None  # None: every host that sees the same value


@dataclass(frozen=True)
class HostAddress:
    """One well-formed address of ha_interfaces."""

    host: str
    interface: str
    variable: str
    address: IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class RealServer:
    """One real server of one service."""

    variable: str
    host: str
    port: int | None
    weight: int
    forwarding: str | None


@dataclass(frozen=True)
class Service:
    """One virtual service; `options` is what the schema made of it, defaults filled in."""

    variable: str
    options: Mapping[str, Any]
    real_servers: Sequence[RealServer]

    def get(self, name: str) -> Any:
        """Return an option, None if it is not given or not usable."""
        return known(self.options[name])

    def given(self, name: str) -> bool:
        """Tell whether the option is in the inventory, be it right or wrong."""
        return self.options[name] is not None

    @cached_property
    def vip(self) -> Address | None:
        """The virtual address."""
        return to_address(self.get("vip"))

    @property
    def family(self) -> int | None:
        """4 or 6; fwmark services are IPv4, None means that the VIP is malformed."""
        if self.vip:
            return self.vip.version
        return None if self.given("vip") else 4

    @property
    def check(self) -> Mapping[str, Any]:
        """The check's options; empty when the check as a whole is malformed."""
        return self.get("check") or {}


@dataclass(frozen=True)
class Cluster:
    """The inventory as one director sees it."""

    view: str  # the host whose variables `settings` are
    settings: Mapping[str, Any]  # conformed, with defaults
    services: Sequence[Service]
    addresses: Mapping[str, Sequence[HostAddress]]  # by host, every host
    hosts: Mapping[str, Mapping[str, object]]
    groups: Mapping[str, Sequence[str]]
    options: Options

    @property
    def directors(self) -> Sequence[str]:
        """The hosts of the group `directors`, in order of preference."""
        return self.groups.get("directors", ())

    @property
    def is_storage_alone(self) -> bool:
        """Tell whether the inventory is shared storage and nothing else."""
        balanced = self.directors or self.groups.get("real_servers")
        return any(self.groups.get(name) for names in STORAGE.values() for name in names) and not balanced

    def get(self, name: str) -> Any:
        """Return a setting, None if it is not given or not usable."""
        return known(self.settings.get(name))

    def given(self, name: str) -> bool:
        """Tell whether a setting has a value, be it right or wrong."""
        return self.settings.get(name) is not None

    def own(self, host: str, name: str) -> Any:
        """Return a host's own value of a variable that hosts may have different ones of, None as `get` does."""
        return known(conform(self.options[name], self.hosts[host].get(name), name, []))

    def directors_differ(self, name: str) -> bool:
        """Tell whether the directors have different effective values of a variable, written as they may be."""
        given = (self.hosts[host].get(name) for host in self.directors)
        first, *others = (conform(self.options[name], value, name, []) for value in given)
        return any(value != first for value in others)

    @cached_property
    def all_addresses(self) -> dict[Address, HostAddress]:
        """Every host's addresses; of duplicates, the first."""
        found: dict[Address, HostAddress] = {}
        for own in self.addresses.values():
            for entry in own:
                found.setdefault(entry.address.ip, entry)
        return found

    @cached_property
    def node_names(self) -> dict[str, str]:
        """Heartbeat's names of the directors, in lower case as Heartbeat folds them."""
        given = {host: self.hosts[host].get("heartbeat_node_name") for host in self.directors}
        return {host: (name if isinstance(name, str) and name else host).lower() for host, name in given.items()}

    @cached_property
    def _networks(self) -> dict[tuple[str, int], set[Network]]:
        networks: dict[tuple[str, int], set[Network]] = {}
        for host, own in self.addresses.items():
            for entry in own:
                networks.setdefault((host, entry.address.version), set()).add(entry.address.network)
        return networks

    def networks(self, host: str, family: int) -> set[Network]:
        """Return the networks that a host is on."""
        return self._networks.get((host, family), set())

    def interfaces_towards(self, host: str, address: Address) -> list[HostAddress]:
        """Return a host's own addresses whose network holds the given one."""
        return [own for own in self.addresses.get(host, ()) if address in own.address.network]


@dataclass(frozen=True)
class Rule:
    """A named rule: `find` yields what breaks it."""

    name: str
    severity: str
    find: Callable[[Cluster], Iterator[Complaint]]


RULES: list[Rule] = []


def rule(name: str, severity: str = "error") -> Callable[[Callable[[Cluster], Iterator[Complaint]]], Any]:
    """Register a rule; several functions may share one name."""

    def register(find: Callable[[Cluster], Iterator[Complaint]]) -> Callable[[Cluster], Iterator[Complaint]]:
        RULES.append(Rule(name, severity, find))
        return find

    return register


def known(value: Any) -> Any:
    """Return a conformed value, None in place of an unusable one."""
    return None if value is UNUSABLE else value


def to_address(text: object) -> IPv4Address | IPv6Address | None:
    """Parse an address without prefix or zone; None when it is none."""
    try:
        return ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        return None


def unusable(address: Address) -> str | None:
    """Tell why no client can open a connection to an address, whatever network it is in; None where one can."""
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return (
            "a multicast address"
            if address.is_multicast
            else "a loopback address"
            if address.is_loopback
            else "no address"
        )
    if address.is_link_local:
        return "a link-local address, which no router forwards"
    if isinstance(address, IPv4Address):
        # RFC 1122, 3.2.1.3, and RFC 1112, 4: Linux takes neither.
        return "of a reserved range" if address.is_reserved or int(address) >> 24 == 0 else None
    return "an IPv4 address in IPv6's clothes" if address.ipv4_mapped else None


def to_services(cluster_services: Any, real_servers: Sequence[str]) -> list[Service]:
    """Make Services of the conformed ha_virtual_services, leaving out what is no service at all."""
    services = []
    for index, options in enumerate(known(cluster_services) or ()):
        if options is not UNUSABLE:
            variable = f"ha_virtual_services[{index}]"
            services.append(Service(variable, options, _real_servers(variable, options, real_servers)))
    return services


def _real_servers(variable: str, service: Mapping[str, Any], group: Sequence[str]) -> list[RealServer]:
    port, forwarding = known(service["port"]), known(service["forwarding"])
    if not service["real_servers"]:
        return [RealServer(f"{variable}.real_servers", host, port, 1, forwarding) for host in group]
    entries = enumerate(known(service["real_servers"]) or ())
    usable = [(index, entry) for index, entry in entries if entry is not UNUSABLE and known(entry["host"]) is not None]
    return [
        RealServer(
            f"{variable}.real_servers[{index}]",
            entry["host"],
            port if entry["port"] is None else known(entry["port"]),
            1 if known(entry["weight"]) is None else entry["weight"],
            forwarding if entry["forwarding"] is None else known(entry["forwarding"]),
        )
        for index, entry in usable
    ]


def to_host_addresses(host: str, declared: object) -> tuple[list[HostAddress], list[Complaint]]:
    """Parse ha_interfaces of one host into addresses and complaints about the rest."""
    addresses: list[HostAddress] = []
    complaints: list[Complaint] = []
    if not isinstance(declared, Mapping):
        return addresses, complaints
    for key, value in declared.items():
        name, variable = str(key), f"ha_interfaces.{show(key)}"
        if not is_interface_name(name):
            problem = "is no interface name: 1 to 15 characters without blanks, '/' and ':'"
            complaints.append(Complaint(variable, "", problem, "write the name that `ip link` shows", host))
        for index, text in enumerate(value if isinstance(value, list | tuple) else [value]):
            if isinstance(text, Unevaluated):
                continue  # reported by the schema
            place = f"{variable}[{index}]" if isinstance(value, list | tuple) else variable
            problem = "must be an address with its prefix length, or a list of them"
            try:
                addresses.append(HostAddress(host, name, place, _to_interface(text)))
            except ValueError:
                try:  # what it surely means counts, so that this one mistake is one finding
                    addresses.append(HostAddress(host, name, place, _to_interface("".join(str(text).split()))))
                    problem = "contains a blank"
                except ValueError:
                    pass
                complaints.append(Complaint(place, show(text), problem, "write it like 192.0.2.11/24", host))
    return addresses, complaints


def _to_interface(text: object) -> IPv4Interface | IPv6Interface:
    # ip_interface() alone would also take a number, an address without prefix, and a netmask.
    if not isinstance(text, str) or "%" in text or not text.partition("/")[2].isdigit():
        raise ValueError(text)
    return ip_interface(text)


def is_interface_name(name: str) -> bool:
    """Tell whether the kernel takes it as a network device's name."""
    # The kernel's dev_valid_name(); IFNAMSIZ is 16 with the closing zero. ':' is for the aliases of old.
    return 0 < len(name) <= 15 and name not in (".", "..") and name.isascii() and not set(name) & set("/: \t\n\r\v\f")
