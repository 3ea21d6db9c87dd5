# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ldirectord takes to notice a dead real server, as the inventory has it, and preflight's rule about that.

A process of ldirectord looks at one real server after the other, sleeps for the interval, and begins again. Whatever
dies right after it was looked at waits for the rest of that round, the sleep, and the next round up to itself: one
round with a dead host in it, and one interval. docs/checks.md has the formula in words, and beside what was measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ansible_collections.codalvs.ha.plugins.module_utils._schema import show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Cluster, RealServer, Service, known
from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import CHECKS, KERNEL, SHORTER
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.checks import (
    asked_protocol,
    check_told_apart_by,
    is_ping,
    told_apart_by,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, is_watched, rule

# s, until the kernel gives a connection up whose SYN nobody answers: net.ipv4.tcp_syn_retries is 6, and 1 + 2 + … + 64.
KERNELS_LIMIT = 127
LONGEST = 3600  # s, or rounds, of what preflight allows


class Limits(NamedTuple):
    """A service's own times, as ld_setup() has them: the two limits are the defaults of each other."""

    check: int
    negotiate: int
    database: int  # that of the role, in the data source
    interval: int
    failures: int


class Wait(NamedTuple):
    """Seconds that one check takes of a real server that is dead. It may not notice: `connect` by UDP pings."""

    silent: int
    refused: int
    notices_silent: bool = True
    notices_refused: bool = True


@dataclass(frozen=True)
class Detection:
    """The longest time in seconds until one service's dead real server is noticed, beside the director's own work.

    checks: of that host, one after the other; None: that is never noticed.
    """

    service: Service
    host: str
    checks: int
    silent: int | None
    refused: int | None

    def shown(self) -> dict[str, object]:
        """Return it as plain data."""
        times = {"silent": self.silent, "refused": self.refused}
        return {"service": _name(self), "host": self.host, "checks": self.checks, **times}


def detections(cluster: Cluster, fork: bool | None = None) -> list[Detection]:
    """Return each service's longest times with its worst host dead and all others alive.

    Services without real servers, or of which a time is wrong and reported, are left out. fork: in place of the
    inventory's.
    """
    forks = cluster.forks if fork is None else fork
    watched = list(cluster.services) if is_watched(cluster) else []
    processes = [[service] for service in watched] if forks else [watched]
    return [found for services in processes for found in _of_process(cluster, services, forks)]


def slowest(found: Sequence[Detection]) -> tuple[int, int] | None:
    """Return the longest times of the whole table, silent and refused; None where nothing is ever noticed."""
    silent = [each.silent for each in found if each.silent is not None]
    refused = [each.refused for each in found if each.refused is not None]
    return (max(silent), max(refused, default=0)) if silent else None


@rule("slow_detection", "warning")
def slow_detection(cluster: Cluster) -> Iterator[Complaint]:
    """_ld_main_check_all() looks at one real server after the other, and so at each dead one for as long as it may."""
    budget = cluster.get("ha_detection_budget")
    late = [each for each in detections(cluster) if budget and each.silent is not None and each.silent > budget]
    if not late or budget < 0:
        return
    worst = max(late, key=lambda each: each.silent or 0)
    checks = f"{worst.checks} checks one after the other" if worst.checks > 1 else "one check"
    problem = f"ldirectord may need {worst.silent} s to notice in {_name(worst)} that {worst.host} is silent ({checks})"
    services = {each.service.variable for each in late}
    if len(services) > 1:
        problem += f"; so it is for {len(services)} services"
    yield Complaint("ha_detection_budget", show(budget), problem, _remedy(cluster, budget, worst.silent or 0))


def _remedy(cluster: Cluster, budget: int, now: int) -> str:
    forked = slowest(detections(cluster, fork=True))
    shorter = "shorten the time limits of its check"
    if cluster.forks or not cluster.may_fork or not forked or forked[0] >= now:
        return f"{shorter}, use another check (docs/checks.md), or raise the bound"
    and_more = "" if forked[0] <= budget else f", and {shorter}"
    return f"set ldirectord_fork: true ({forked[0]} s){and_more}, or raise the bound"


def _name(found: Detection) -> str:
    return str(found.service.get("name") or found.service.variable)


def _of_process(cluster: Cluster, services: Sequence[Service], forks: bool) -> Iterator[Detection]:
    """Yield the times of services that one process looks at."""
    timed = [(service, limits) for service in services if (limits := _limits(cluster, service, forks))]
    silent: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    for service, limits, servers in _looked_at(timed):
        wait = wait_of(service, limits)
        for server in servers:
            checks[server.host] += 1
            silent[server.host] += wait.silent
            refused[server.host] += wait.refused
    for service, limits in timed:
        hosts = sorted({server.host for server in service.real_servers})
        if hosts:
            wait, rounds = wait_of(service, limits), _rounds(service, limits)
            worst = max(hosts, key=silent.__getitem__)
            slow = max(refused[host] for host in hosts)
            yield Detection(
                service,
                worst,
                checks[worst],
                rounds * (limits.interval + silent[worst]) if wait.notices_silent else None,
                rounds * (limits.interval + slow) if wait.notices_refused else None,
            )


def _looked_at(timed: Sequence[tuple[Service, Limits]]) -> Iterator[tuple[Service, Limits, Iterable[RealServer]]]:
    """Yield services with the real servers that are looked at for them, not for one before that has the same check."""
    keys = [check_told_apart_by(service) for service, _times in timed]
    alike = Counter(keys)
    seen: set[object] = set()
    for key, (service, limits) in zip(keys, timed, strict=True):
        if alike[key] == 1:
            yield service, limits, service.real_servers
        else:
            new = {(key, told_apart_by(service, server)): server for server in service.real_servers}
            yield service, limits, [server for one, server in new.items() if one not in seen]
            seen.update(new)


def _limits(cluster: Cluster, service: Service, forks: bool) -> Limits | None:
    """Return the times of a service, None where one is wrong, which other rules report."""
    names = ("timeout", "negotiate_timeout", "interval", "failures")
    own = {name: service.check[name] for name in names if service.check.get(name) is not None}
    general = ("check_timeout", "negotiate_timeout", "check_interval", "failure_count")
    defaults = [cluster.get(f"ldirectord_{name}") for name in general]
    if any(not isinstance(value, int) or not 1 <= value <= LONGEST for value in (*own.values(), *defaults)):
        return None
    check, negotiate, interval, failures = defaults
    return Limits(
        own.get("timeout", own.get("negotiate_timeout", check)),
        own.get("negotiate_timeout", own.get("timeout", negotiate)),
        own.get("negotiate_timeout", negotiate),
        own.get("interval", interval) if forks else interval,
        own.get("failures", failures),
    )


def wait_of(service: Service, limits: Limits) -> Wait:
    """Return how long one check of a service takes where the real server is dead."""
    kind, asked = known(service.check.get("type")), asked_protocol(service)
    if is_ping(service):  # a host that answers ping may have lost its service
        return Wait((known(service.check.get("pings")) or 1) * limits.check, 0, notices_refused=False)
    if kind == "connect":
        return Wait(limits.check, 0)
    if str(kind).startswith("external"):  # what the program does is not known
        return Wait(limits.check, limits.check)
    if asked is None or asked not in CHECKS:  # on, off, none: no check at all
        return Wait(0, 0, notices_silent=False, notices_refused=False)
    wait = _answer(service, asked, limits)
    # One who hangs answers the first of the two checks, and one who is gone does not get the second.
    if known(service.check.get("connects")) is not None or known(service.check.get("path")) == "vip":
        return Wait(max(wait.silent, limits.check), wait.refused)
    return wait


def _answer(service: Service, asked: str, limits: Limits) -> Wait:
    """Return how long a check takes that asks the service."""
    grammar = CHECKS[asked]
    limit = limits.database if asked in ("mysql", "pgsql") else limits.negotiate
    if grammar.limit == SHORTER:
        limit = min(limits.check, limits.negotiate)
    elif grammar.limit == KERNEL:
        limit = KERNELS_LIMIT
    if grammar.again:
        return Wait(2 * limit + grammar.again, grammar.again)
    # Net::DNS does not hear that nobody listens at a port of UDP.
    return Wait(limit, limit if asked == "dns" and service.get("protocol") == "udp" else 0)


def _rounds(service: Service, limits: Limits) -> int:
    """Return how many rounds it takes: those that find a server dead, and by UDP, where all connects succeed, these."""
    connects = known(service.check.get("connects")) if service.get("protocol") == "udp" else None
    return limits.failures + (connects or 0)
