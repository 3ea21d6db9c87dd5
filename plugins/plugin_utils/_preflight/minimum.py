# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about how many real servers of a service stay in, whatever their checks find.

ipvs-guard sees to it. What a minimum means is in docs/checks.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.module_utils._schema import show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Cluster, Service, is_minimum
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, is_watched, rule


@rule("bad_minimum")
def bad_minimum(cluster: Cluster) -> Iterator[Complaint]:
    """The guard reads a number or a share, and can't keep more real servers in than there are."""
    given = {f"{service.variable}.minimum_alive": service.get("minimum_alive") for service in cluster.services}
    for variable, text in (given | {"ha_minimum_alive": cluster.get("ha_minimum_alive")}).items():
        if text is not None and not is_minimum(text):
            problem = "must be a number of real servers, or a share from 1% to 100%"
            yield Complaint(variable, show(text), problem, "write it like 2 or 50%; 0 is none")
    told = set()
    for service in cluster.services:
        text, count = cluster.minimum(service), sum(server.weight > 0 for server in service.real_servers)
        known_as = _place(service), service.variable  # one with several addresses is told of once
        if text.isdigit() and is_minimum(text) and int(text) > count and known_as not in told:
            told.add(known_as)
            problem = f"{service.get('name') or service.variable} has fewer real servers with a weight: {count}"
            remedy = "write a smaller number, a share such as 50%, or a minimum_alive of its own for that service"
            yield Complaint(_place(service), show(text), problem, remedy)


@rule("minimum_conflict")
def minimum_conflict(cluster: Cluster) -> Iterator[Complaint]:
    """A minimum leaves nothing to do for a fallback, contradicts `off`, and nobody but the guard keeps it."""
    kept = [service for service in cluster.services if cluster.minimum(service)] if is_watched(cluster) else []
    for service in kept:
        if service.given("fallback"):
            problem = "would never serve: minimum_alive leaves a real server in even if all checks fail"
            yield Complaint(f"{service.variable}.fallback", show(service.get("fallback")), problem, _remedy("fallback"))
        if service.check.get("type") == "off":
            problem = "takes all real servers out, and minimum_alive puts some in"
            yield Complaint(f"{service.variable}.check.type", "off", problem, _remedy("check.type"))
    for host in cluster.directors if kept else ():
        if cluster.value(host, "lvs_director_guard") is False:
            problem = "ipvs-guard is what leaves real servers in (minimum_alive)"
            yield Complaint("lvs_director_guard", "false", problem, "remove it, or every minimum_alive", host)


def _place(service: Service) -> str:
    """Return where a service's minimum is written."""
    return f"{service.variable}.minimum_alive" if service.given("minimum_alive") else "ha_minimum_alive"


def _remedy(other: str) -> str:
    return f"remove {other}, or set minimum_alive: 0 for this service"
