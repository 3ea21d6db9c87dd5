# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks/failover makes of what it has seen: counts, ratios, the table. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DEFAULT, TUNED = "balanced", "keepalived-0.2"  # the rows that the ratios compare
Row = dict[str, Any]


def takeovers(lines: Iterable[str], vip: str) -> int:
    """Count how often a director has taken the VIP, by what `ip -oneline monitor address` printed there."""
    return sum(f" {vip}/" in line and not line.startswith("Deleted") for line in lines)


def figures(rows: Iterable[Row], order: list[str]) -> dict[str, Any]:
    """Return what is kept: the newest row of each name, and the default profile's figures beside the tuned peer's."""
    by_name = {row["name"]: row for row in rows}
    default, tuned = (by_name.get(name, {}) for name in (DEFAULT, TUNED))
    ours, theirs = default.get("outage_median_s"), tuned.get("outage_median_s")
    return {
        "rows": [by_name[name] for name in order if name in by_name],
        "ratios": {
            "outage_vs_keepalived_tuned": ours / theirs if ours and theirs else None,
            "established_surviving": default.get("survived"),
        },
    }


def table(found: dict[str, Any]) -> str:
    """Return all rows as they are printed."""
    lines = [
        f"{'':16}{'outage, s':^16}{'connections':>13}{'switchover':^18}{'false failovers':>17}",
        f"{'':16}{'median':>8}{'worst':>8}{'survived':>13}{'s':>8}{'lost':>6}{'':4}{'(in minutes)':>17}",
    ]
    for row in found["rows"]:
        if "skipped" in row:
            lines.append(f"{row['name']:16}SKIPPED: {row['skipped'].splitlines()[0]}")
            continue
        under_load = f"{row['false_failovers']} ({row['load_minutes']:g})"
        lines.append(
            f"{row['name']:16}{row['outage_median_s']:8.2f}{row['outage_worst_s']:8.2f}{row['survived']:13.1%}"
            f"{row['switchover_s']:8.2f}{row['switchover_lost']:6}{'':4}{under_load:>17}"
        )
    ratio = found["ratios"]["outage_vs_keepalived_tuned"]
    return "\n".join([*lines, *([] if ratio is None else [f"{DEFAULT} / {TUNED}, median outage: {ratio:.2f}"])])
