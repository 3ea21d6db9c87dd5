# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule of preflight is: a name, a severity, and a function from the model to complaints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Address, Cluster, Service, to_address


@dataclass(frozen=True)
class Complaint:
    """What a rule yields: one thing wrong at one place."""

    variable: str
    value: str
    problem: str
    remedy: str
    host: str | None = None  # None: every host that sees the same value


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


def usable(variable: str, values: Sequence[Any] | None) -> Iterator[tuple[str, Any]]:
    """Yield the usable ones of a list, with their places."""
    return ((f"{variable}[{index}]", value) for index, value in enumerate(values or ()) if value is not UNUSABLE)


FALLBACK = re.compile(r"(?:\[(?P<six>[^]]*)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?")


def fallback_address(service: Service) -> Address | None:
    """Return the address of a service's fallback, None if there is none or if it is none of the service's family."""
    match = FALLBACK.fullmatch(service.get("fallback") or "")
    address = to_address(match["six"] or match["four"]) if match else None
    written = 6 if match and match["six"] else 4
    return address if address and address.version == service.family == written else None


def is_watched(cluster: Cluster) -> bool:
    """Tell whether ldirectord runs, so that checks mean something; in cold standby Heartbeat starts it."""
    return bool(cluster.get("ha_standby") == "cold" or cluster.get("ha_checker") != "none")
