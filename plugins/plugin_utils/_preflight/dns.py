# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about DNS in front: names, what they stand for, and for how long.

What is refused of a single value is written in plugin_utils/_inventory/dns.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, Unevaluated, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory import dns
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Cluster, known
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import INVENTORY
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule

GROUP = "dns_servers"
NEEDED = {
    "dns_zone_origin": "write the zone's name, such as lb.example.org",
    "dns_zone_nameservers": "list the zone's name servers, such as [ns1.example.org]",
    "dns_zone_names": "list names and their services, such as [{name: www, services: [web]}]",
}


def fault_of(ask: Callable[..., object], *arguments: object) -> dns.FaultError | None:
    """Return what a function refuses, None if it takes what it is given."""
    try:
        ask(*arguments)
    except dns.FaultError as fault:
        return fault
    return None


def complaint(host: str, variable: str, value: object, fault: dns.FaultError) -> Complaint:
    """Return what the run says of a refused value."""
    return Complaint(variable, show(value), fault.problem, fault.remedy, host)


def entries(cluster: Cluster, host: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each usable entry of dns_zone_names, with its place."""
    for index, entry in enumerate(cluster.value(host, dns.VARIABLE) or ()):
        if entry is not UNUSABLE:
            yield f"{dns.VARIABLE}[{index}]", entry


def origin_of(cluster: Cluster, host: str) -> str | None:
    """Return the zone's name, None if it is not given or not usable."""
    given = cluster.value(host, "dns_zone_origin")
    return None if given is None or fault_of(dns.full_name, given) else dns.full_name(given)


@rule("dns_hosts")
def dns_hosts(cluster: Cluster) -> Iterator[Complaint]:
    """Each would count serial numbers of its own, and secondaries would take what one of them says."""
    hosts = cluster.dns_servers
    if len(hosts) > 1:
        problem = f"a zone has one primary server, not {len(hosts)}"
        remedy = "list one host, and let the others be its secondaries (dns_zone_secondaries)"
        yield Complaint(f"groups.{GROUP}", show(", ".join(hosts)), problem, remedy, INVENTORY)


@rule("dns_missing")
def dns_missing(cluster: Cluster) -> Iterator[Complaint]:
    """The role would stop, but only once packages are installed."""
    for host in cluster.dns_servers:
        for name, remedy in NEEDED.items():
            if not cluster.value(host, name) and cluster.values(host, name)[0] is not UNUSABLE:
                yield Complaint(name, "", "is required on a DNS server, and not given", remedy, host)


@rule("bad_dns_name")
def bad_dns_name(cluster: Cluster) -> Iterator[Complaint]:
    """What named-checkzone would refuse, and a relative name that means another one than it seems to."""
    for host in cluster.dns_servers:
        for name, ask in (("dns_zone_origin", dns.full_name), ("dns_zone_contact", dns.mailbox)):
            given = cluster.value(host, name)
            fault = None if given is None else fault_of(ask, given)
            if fault:
                yield complaint(host, name, given, fault)
        origin = origin_of(cluster, host)
        if origin is None:
            continue
        first: dict[str, str] = {}
        for place, entry in entries(cluster, host):
            given = known(entry["name"])
            fault = None if given is None else fault_of(dns.owner, given, origin)
            if fault:
                yield complaint(host, f"{place}.name", given, fault)
            elif given is not None and (earlier := first.setdefault(dns.owner(given, origin), place)) != place:
                remedy = "make one entry of both"
                yield Complaint(f"{place}.name", show(given), f"is the name of {earlier} as well", remedy, host)
        yield from _bad_nameservers(cluster, host, origin, first)


def _bad_nameservers(cluster: Cluster, host: str, origin: str, names: Mapping[str, str]) -> Iterator[Complaint]:
    included = cluster.value(host, "dns_zone_includes")  # whose names nobody knows here
    for index, given in enumerate(cluster.value(host, "dns_zone_nameservers") or ()):
        variable = f"dns_zone_nameservers[{index}]"
        fault = None if given is UNUSABLE else fault_of(dns.full_name, given)
        if fault:
            yield complaint(host, variable, given, fault)
        elif given is not UNUSABLE and not included and f".{dns.full_name(given)}".endswith(f".{origin}"):
            name = dns.owner(f"{dns.full_name(given)}.", origin)
            if name not in names:
                problem = "is in the zone, and has no address there"
                remedy = f"add {{name: {name}, addresses: [ITS ADDRESS]}} to {dns.VARIABLE}"
                yield Complaint(variable, show(given), problem, remedy, host)


@rule("bad_dns_address")
def bad_dns_address(cluster: Cluster) -> Iterator[Complaint]:
    """A name has at least one address, of services that are there, and clients can reach each."""
    for host in cluster.dns_servers:
        vips, unclear = _own_vips(cluster)
        for other, services in (cluster.value(host, "dns_zone_clusters") or {}).items():
            fault = None if isinstance(services, Unevaluated) else fault_of(dns.vips_of, services, other)
            if fault:
                yield complaint(host, f"dns_zone_clusters.{show(other)}", services, fault)
            if fault or isinstance(services, Unevaluated):
                unclear |= {each for each in _asked(cluster, host) if each.startswith(f"{other}/")}
            else:
                vips |= dns.vips_of(services, str(other))
        for place, entry in entries(cluster, host):
            yield from _bad_addresses(host, place, entry, vips, unclear)


def _own_vips(cluster: Cluster) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Return the VIPs of this inventory's services, and the names of services whose VIP other rules complain of."""
    vips: dict[str, tuple[str, ...]] = {}
    unclear: set[str] = set()
    for service in cluster.services:
        name = known(service.get("name"))
        if name is None:
            continue
        vips[name] = (*vips.get(name, ()), *([str(service.vip)] if service.vip else ()))
        if not service.vip and (service.given("vip") or service.at is not None):
            unclear.add(name)
    return vips, unclear


def _asked(cluster: Cluster, host: str) -> Iterator[str]:
    for _place, entry in entries(cluster, host):
        yield from (each for each in known(entry["services"]) or () if each is not UNUSABLE)


def _bad_addresses(
    host: str, place: str, entry: Mapping[str, Any], vips: Mapping[str, tuple[str, ...]], unclear: set[str]
) -> Iterator[Complaint]:
    if not entry["services"] and not entry["addresses"]:
        yield Complaint(place, "", "has no address", "name services, or addresses of other clusters", host)
    for index, given in enumerate(known(entry["services"]) or ()):
        fault = None if given is UNUSABLE or given in unclear else fault_of(dns.service_addresses, given, vips)
        if fault:
            yield complaint(host, f"{place}.services[{index}]", given, fault)
    for index, given in enumerate(known(entry["addresses"]) or ()):
        fault = None if given is UNUSABLE else fault_of(dns.usable_address, given)
        if fault:
            yield complaint(host, f"{place}.addresses[{index}]", given, fault)


@rule("bad_dns_ttl")
def bad_dns_ttl(cluster: Cluster) -> Iterator[Complaint]:
    """0 means that every request is asked for anew, which some resolvers do not obey either."""
    for host in cluster.dns_servers:
        given = {"dns_zone_ttl": cluster.value(host, "dns_zone_ttl")}
        given |= {f"{place}.ttl": known(entry["ttl"]) for place, entry in entries(cluster, host)}
        for variable, seconds in given.items():
            fault = None if seconds is None else fault_of(dns.checked_ttl, seconds)
            if fault:
                yield complaint(host, variable, seconds, fault)


@rule("bad_dns_address")
def bad_secondary(cluster: Cluster) -> Iterator[Complaint]:
    """BIND's configuration takes addresses here, and would refuse the whole file."""
    for host in cluster.dns_servers:
        for index, given in enumerate(cluster.value(host, "dns_zone_secondaries") or ()):
            fault = None if given is UNUSABLE else fault_of(dns.usable_address, given)
            if fault:
                yield complaint(host, f"dns_zone_secondaries[{index}]", given, fault)
