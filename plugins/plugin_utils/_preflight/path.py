# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about checks on the clients' way: what `vip-probe` can ask, and what it can't."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Cluster, Service, known
from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import PATH_TYPES
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, is_watched, rule


@rule("check_path_unusable")
def check_path_unusable(cluster: Cluster) -> Iterator[Complaint]:
    """A SYN is of TCP and needs an address and a port; ldirectord has one type of check for a service."""
    for service in cluster.services if is_watched(cluster) else ():
        found = _no_way(service) if is_by_vip(service) else None
        if found:
            yield Complaint(f"{service.variable}.check.path", "vip", *found)


@rule("not_read", "warning")
def path_not_read(cluster: Cluster) -> Iterator[Complaint]:
    """IPVS sends clients' packets to the address and port that any check asks, where it translates them."""
    for service in cluster.services if is_watched(cluster) else ():
        ways = {server.forwarding for server in service.real_servers}
        if is_by_vip(service) and ways == {"nat"}:
            problem = "every real server is behind NAT, where the check goes the clients' way already"
            yield Complaint(f"{service.variable}.check.path", "vip", problem, "remove it")


def is_by_vip(service: Service) -> bool:
    """Tell whether real servers are asked at the service's own address."""
    return bool(known(service.check.get("path")) == "vip")


def _no_way(service: Service) -> tuple[str, str] | None:
    """Return problem and remedy of a service that can't be asked by its VIP; None where it can, or is reported."""
    check, kind, protocol = service.check, known(service.check.get("type")), service.get("protocol")
    if kind and kind not in PATH_TYPES:
        return f"a check of type {kind} can't be asked so", f"use check.type {' or '.join(PATH_TYPES)}, or remove it"
    if check.get("connects") is not None:
        return "can't be asked between the checks of check.connects", "remove one of the two"
    if not service.given("fwmark"):
        if protocol and protocol != "tcp":
            return f"opens a connection of TCP, and this is a service of {protocol}", "remove it"
        if service.get("port") == 0 and check.get("port") is None:
            return "can't know which of all ports to ask", "add check.port"
        return None
    if len(service.ports) < len(service.get("ports") or ()):
        return None
    tcp = [ports for ports in service.ports if ports.protocol == "tcp"]
    if service.given("ports") and not tcp:
        return "opens a connection of TCP, and no port of this service is of TCP", "remove it"
    if not service.given("vips"):
        return "can't know at which addresses clients ask", "add vips, or remove it"
    ranges = [ports for ports in tcp if ports.first < ports.last]
    single = [ports.first for ports in tcp if ports.first == ports.last]
    alone = [port for port in single if not any(each.first <= port <= each.last for each in ranges)]
    if not alone and check.get("port") is None:
        return "can't know which of the ports to ask", "add check.port, or a port by itself to ports"
    return None
