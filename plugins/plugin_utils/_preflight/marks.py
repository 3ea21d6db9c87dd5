# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about services that a packet mark selects: several addresses and ports as one service."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.module_utils._schema import show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Address,
    Cluster,
    Ports,
    Service,
    known,
    to_ports,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule


@rule("bad_mark")
def bad_mark(cluster: Cluster) -> Iterator[Complaint]:
    """What a mark's addresses and ports need, to be of any use."""
    places: dict[tuple[str, Address | None], Service] = {}
    for service in cluster.services:
        for name in ("vips", "ports"):
            if service.get(name) and not service.given("fwmark"):
                problem = "is for a service that a mark selects, and this one has no fwmark"
                remedy = "add fwmark, a number that nobody else marks packets with, or write vip and port"
                yield Complaint(f"{service.variable}.{name}", "", problem, remedy)
        if service.get("ports") and service.given("fwmark") and service.at is None:
            problem = "without vips, nobody knows whose packets to mark"
            yield Complaint(f"{service.variable}.vips", "", problem, "add the addresses of the service")
        first = places.setdefault((service.variable, service.vip), service)
        if service.vip and first is not service:
            variable = f"{service.variable}.{service.vip_option}"
            yield Complaint(variable, show(service.written_vip), f"is {first.vip_option} as well", "keep one")


@rule("bad_ports")
def bad_ports(cluster: Cluster) -> Iterator[Complaint]:
    """nft knows a port, and a range from a smaller one to a greater one."""
    for service in cluster.services:
        for index, text in enumerate(service.get("ports") or ()):
            if known(text) is not None and to_ports(text, "") is None:
                problem = "must be a port from 1 to 65535, or two as a range, and may name its protocol"
                remedy = "write it like 80, 10000-10100 or 53/udp"
                yield Complaint(f"{service.variable}.ports[{index}]", show(text), problem, remedy)


@rule("marked_twice")
def marked_twice(cluster: Cluster) -> Iterator[Complaint]:
    """A packet has one mark, and ip_vs looks for a service of that mark first (ip_vs_service_find())."""
    by_vip: dict[Address, list[Service]] = {}
    for service in cluster.services:
        if service.vip:
            by_vip.setdefault(service.vip, []).append(service)
    for services in by_vip.values():
        for later in services if any(service.given("fwmark") for service in services) else ():
            for earlier in services[: services.index(later)]:
                taken = _shared(earlier, later) if later.variable != earlier.variable else None
                if taken:
                    problem = f"port {taken.first} of {later.written_vip} is in {earlier.variable} as well"
                    name = "ports" if later.given("fwmark") else "port"
                    value = show(later.get("name") or "")
                    yield Complaint(f"{later.variable}.{name}", value, problem, "take it out of one of them")


def _shared(one: Service, two: Service) -> Ports | None:
    """Return the first ports that two services share, of which a mark selects one at least; None if there are none."""
    if not one.given("fwmark") and not two.given("fwmark"):
        return None  # what they share is another rule's
    for protocol, first, last in _ports(one):
        for other in _ports(two):
            low, high = max(first, other.first), min(last, other.last)
            if protocol == other.protocol and low <= high:
                return Ports(protocol, low, high)
    return None


def _ports(service: Service) -> list[Ports]:
    if service.given("fwmark"):
        return service.ports
    port = service.get("port")
    return [] if port is None else [Ports(service.get("protocol"), port or 1, port or 65535)]


@rule("mark_in_tunnels")
def mark_in_tunnels(cluster: Cluster) -> Iterator[Complaint]:
    """/proc/net/ip_vs names no family beside a mark, and only real servers without a tunnel tell it to ipvs-guard."""
    families: dict[int, set[int]] = {}
    for service in cluster.services:
        if service.get("fwmark") and service.family:
            families.setdefault(service.get("fwmark"), set()).add(service.family)
    for service in cluster.services:
        tunnels = any(server.forwarding == "tunnel" for server in service.real_servers)
        if tunnels and len(families.get(service.get("fwmark"), ())) > 1:
            problem = "with tunnels, one mark of both families can't be told apart in the kernel's table"
            remedy = "make it two services, one for each family, with marks of their own"
            yield Complaint(f"{service.variable}.fwmark", show(service.get("fwmark")), problem, remedy)
