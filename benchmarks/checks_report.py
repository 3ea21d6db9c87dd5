# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks/checks makes of what it has seen: medians, ratios, the table. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

OURS, PEER = "ldirectord", "keepalived"  # the checkers that the ratios compare: the role's default, and its peer
Row = dict[str, Any]


def middle(rounds: Iterable[Row], name: str) -> float | None:
    """Return the median of a figure over the rounds that have it."""
    values = [entry[name] for entry in rounds if entry.get(name) is not None]
    return median(values) if values else None


def row(rounds: list[Row]) -> Row:
    """Return one row of the figures from its rounds."""
    seconds = [each for entry in rounds for each in entry.get("detect_s", ())]
    return {
        **{name: rounds[0][name] for name in ("checker", "services", "dead", "kind")},
        "detect_median_s": median(seconds) if seconds else None,
        "detect_worst_s": max(seconds) if seconds else None,
        **{name: middle(rounds, name) for name in ("return_s", "start_s", "cpu_share", "memory_mib")},
    }


def rows(rounds: Iterable[Row]) -> list[Row]:
    """Return a row for each checker, number of services, and death, in the order in which they were measured first."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for entry in rounds:
        found.setdefault((entry["services"], entry["checker"], entry["dead"], entry["kind"]), []).append(entry)
    return [row(entries) for entries in found.values()]


def worst_ratio(found: Iterable[Row], name: str, dead: int, kind: str | None) -> float | None:
    """Return the largest quotient of a figure, ours by the peer's, over all numbers of services that both have."""
    asked = [entry for entry in found if (entry["dead"], entry["kind"]) == (dead, kind) and entry[name]]
    ours, peer = ({e["services"]: e[name] for e in asked if e["checker"] == who} for who in (OURS, PEER))
    return max((ours[size] / peer[size] for size in ours.keys() & peer.keys()), default=None)


def figures(found: list[Row]) -> dict[str, Any]:
    """Return what is kept."""
    return {
        "rows": found,
        "ratios": {
            "detect_silent_vs_keepalived": worst_ratio(found, "detect_worst_s", 1, "silent"),
            "cpu_vs_keepalived": worst_ratio(found, "cpu_share", 0, None),
        },
    }


def cell(value: float | None, digits: int, width: int = 9) -> str:
    """Return a figure as it is printed."""
    return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"


def table(found: dict[str, Any], limit: float) -> str:
    """Return all rows as they are printed; what has reached the limit (s) took longer, or never came."""
    lines = [
        f"{'':22}{'services':>9}{'dead':>14}{'detect, s':>18}{'return':>9}{'start':>9}{'processor':>10}{'memory':>9}",
        f"{'':45}{'median':>9}{'worst':>9}{'s':>9}{'s':>9}{'':>10}{'MiB':>9}",
    ]
    late = False
    for entry in found["rows"]:
        dead = f"{entry['dead']} {entry['kind'] or ''}".strip()
        late |= (more := (entry["detect_worst_s"] or 0) >= limit)
        share = "-" if entry["cpu_share"] is None else f"{entry['cpu_share']:.1%}"
        lines.append(
            f"{entry['checker']:22}{entry['services']:9}{dead:>14}{cell(entry['detect_median_s'], 2)}"
            f"{cell(entry['detect_worst_s'], 2)}{cell(entry['return_s'], 2)}{cell(entry['start_s'], 2)}"
            f"{share:>10}{cell(entry['memory_mib'], 1)}{' +' if more else ''}"
        )
    if late:
        lines.append(f"+: some were not out after {limit:g} s")
    for name, ratio in found["ratios"].items():
        lines.append(f"{name}: {'-' if ratio is None else f'{ratio:.2f}'}")
    return "\n".join(lines)
