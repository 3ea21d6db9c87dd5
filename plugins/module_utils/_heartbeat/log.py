# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find in Heartbeat's log how late heartbeats came."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import HaCf, deadtime_of


@dataclass(frozen=True)
class LateHeartbeat:
    """A heartbeat that came later than warntime, from the log of its receiver."""

    at: datetime
    node: str
    milliseconds: int


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LATE = re.compile(
    rf"({'|'.join(_MONTHS)}) +([0-9]{{1,2}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) \S+ heartbeat: \[[0-9]+\]: [A-Z]+: "
    r"Late heartbeat: Node (\S+): interval ([0-9]{1,12}) ms"
)


def late_heartbeats(lines: Iterable[str], now: datetime) -> Iterator[LateHeartbeat]:
    """Yield the late heartbeats in the lines of a log, which gives local times without the year."""
    for match in filter(None, map(_LATE.match, lines)):
        month, *numbers = match.groups()[:5]
        at = _latest((_MONTHS.index(month) + 1, *map(int, numbers)), now)
        if at:
            yield LateHeartbeat(at, match[6].lower(), int(match[7]))


def _latest(parts: tuple[int, ...], now: datetime) -> datetime | None:
    """Return the last time with this month, day and so on that has passed, allowing a day for a clock set back."""
    for year in (now.year, now.year - 1):
        try:
            at = datetime(year, *parts)  # type: ignore[arg-type]
        except ValueError:  # 29 February, or no time at all
            continue
        if at <= now + timedelta(days=1):
            return at
    return None


def worst_late(found: Iterable[LateHeartbeat], config: HaCf, since: datetime) -> dict[str, Any]:
    """Return how late heartbeats of the cluster's nodes have come since a time, and how many were late.

    One later than the deadtime does not count, because it ended a death. Ping nodes have a deadtime of their own.
    """
    deadtime = deadtime_of(config)
    counted = [
        each for each in found if each.at >= since and each.node in config.nodes and each.milliseconds <= deadtime
    ]
    worst = max(counted, key=lambda each: each.milliseconds, default=None)
    return {
        "count": len(counted),
        "since": since.isoformat(" ", "seconds"),
        "worst_ms": worst.milliseconds if worst else 0,
        "worst_node": worst.node if worst else "",
        "worst_at": worst.at.isoformat(" ", "seconds") if worst else "",
    }
