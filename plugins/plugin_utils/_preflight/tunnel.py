# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about tunnels: from whom real servers take packets, and how large these may be."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Address,
    Cluster,
    known,
    to_address,
    unusable,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule

# What every IPv4 path carries (RFC 791: 576 bytes, less 20 for the tunnel's header and 40 for IP and TCP), and what
# fits into a packet of 65535 bytes.
LEAST_MSS, MOST_MSS = 516, 65475


@rule("bad_tunnel_source")
def bad_tunnel_source(cluster: Cluster) -> Iterator[Complaint]:
    """A device takes packets from one address, and its name follows from how that is written."""
    for host in cluster.groups.get("real_servers", ()):
        seen: set[Address] = set()
        for index, text in enumerate(cluster.value(host, "real_server_tunnel_sources") or ()):
            address, fault = to_address(known(text)), None
            if text is UNUSABLE:
                continue
            owner = cluster.all_addresses.get(address) if address else None
            if address is None:
                fault = "must be an IPv4 or IPv6 address without prefix length"
            elif str(address) != known(text):
                fault = f"must be written as the kernel does: {address}"
            elif unusable(address):
                fault = f"is {unusable(address)}"
            elif address in {service.vip for service in cluster.services}:
                fault = "is a VIP, and directors send from addresses of their own"
            elif owner and owner.host not in cluster.directors:
                fault = f"is the address of {owner.host}, which is no director"
            elif address in seen:
                fault = "is named twice"
            if address:
                seen.add(address)
            if fault:
                remedy = "name addresses of directors, or leave the list out"
                yield Complaint(f"real_server_tunnel_sources[{index}]", show(text), fault, remedy, host)


@rule("tunnel_source_missing", "warning")
def tunnel_source_missing(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord's checks take no tunnel, so that nobody notices that a real server drops what one director sends."""
    for host, families in _tunnelled(cluster).items():
        given = cluster.value(host, "real_server_tunnel_sources")
        sources = {to_address(known(text)) for text in given or ()}
        if given is None or None in sources:
            continue
        for family in sorted(families):
            own = {name: _addresses(cluster, name, family) for name in cluster.directors}
            restricted = any(source.version == family for source in sources if source)
            lacking = [name for name, addresses in own.items() if addresses and not addresses & sources]
            if restricted and lacking:
                problem = f"names no IPv{family} address of {' and '.join(lacking)}, whose packets are dropped"
                remedy = "add the address that it sends from, or leave the list out"
                yield Complaint("real_server_tunnel_sources", "", problem, remedy, host)


@rule("open_tunnel", "warning")
def open_tunnel(cluster: Cluster) -> Iterator[Complaint]:
    """What a tunnel device unwraps has any source that its sender likes, past filters that look at the outer packet."""
    for host, families in _tunnelled(cluster).items():
        given = cluster.value(host, "real_server_tunnel_sources")
        sources = [to_address(known(text)) for text in given or ()]
        if given is None or None in sources:
            continue
        for family in sorted(families - {source.version for source in sources if source}):
            problem = f"names no IPv{family} address: packets in tunnels are taken from everybody"
            remedy = "leave the list out for the directors' addresses, or filter"
            yield Complaint("real_server_tunnel_sources", "", problem, remedy, host)


@rule("bad_mss")
def bad_mss(cluster: Cluster) -> Iterator[Complaint]:
    """The kernel takes any number for advmss, and uses at least net.ipv4.route.min_adv_mss."""
    for host in cluster.groups.get("real_servers", ()):
        size = cluster.value(host, "real_server_mss")
        if size and not LEAST_MSS <= size <= MOST_MSS:
            problem = f"must be 0, or {LEAST_MSS} to {MOST_MSS} bytes"
            yield Complaint("real_server_mss", show(size), problem, "leave it out, or see docs/inventory.md", host)


@rule("not_read", "warning")
def mss_not_read(cluster: Cluster) -> Iterator[Complaint]:
    """The role adds no default route, and changes none of others."""
    for host in cluster.groups.get("real_servers", ()):
        size = cluster.value(host, "real_server_mss")
        if size and not cluster.value(host, "real_server_default_route"):
            problem = "is part of the default route that this role adds where real_server_default_route is true"
            remedy = f"set advmss {size} on the host's own route and remove this, or set real_server_default_route"
            yield Complaint("real_server_mss", show(size), problem, remedy, host)


def _tunnelled(cluster: Cluster) -> dict[str, set[int]]:
    """Return the real servers that get packets in tunnels, and of which families."""
    found: dict[str, set[int]] = {}
    for service in cluster.services:
        for server in service.real_servers:
            # Of a host that the inventory lacks, unknown_real_server says so; others have no variables here.
            if server.forwarding == "tunnel" and service.vip and server.host in cluster.hosts:
                found.setdefault(server.host, set()).add(service.vip.version)
    return found


def _addresses(cluster: Cluster, host: str, family: int) -> set[Address]:
    return {own.address.ip for own in cluster.addresses.get(host, ()) if own.address.version == family}
