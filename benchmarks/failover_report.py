# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what benchmarks/failover has seen to counts, ratios and the table. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DEFAULT, TUNED = "balanced", "keepalived-0.2"  # the rows that the ratios compare
Row = dict[str, Any]


def takeovers(lines: Iterable[str], vip: str) -> int:
    """Count how often a director has taken the VIP, by what `ip -oneline monitor address` printed there."""
    return sum(f" {vip}/" in line and not line.startswith("Deleted") for line in lines)


def quiet(row: Row) -> bool:
    """Return whether the VIP has stayed where it was under every disturbance."""
    return "disturbed" in row and not any(seen["moves"] for seen in row["disturbed"].values())


def figures(rows: Iterable[Row], order: list[str], ours: Iterable[str]) -> dict[str, Any]:
    """Return the figures to keep: the newest row of each name, and the default profile's outage beside its peers'.

    `order` has the names of all rows, `ours` those that are not peers. The best quiet peer is the one with the shortest
    median outage among those that moved nothing unasked.
    """
    by_name = {row["name"]: row for row in rows}
    peers = [row["outage_median_s"] for name, row in by_name.items() if name not in set(ours) and quiet(row)]
    default, tuned = (by_name.get(name, {}) for name in (DEFAULT, TUNED))
    ours_s, theirs_s = default.get("outage_median_s"), tuned.get("outage_median_s")
    return {
        "rows": [by_name[name] for name in order if name in by_name],
        "ratios": {
            "outage_vs_keepalived_tuned": ours_s / theirs_s if ours_s and theirs_s else None,
            "outage_vs_best_quiet_peer": ours_s / min(peers) if ours_s and peers else None,
            "established_surviving": default.get("survived"),
        },
    }


def table(found: dict[str, Any]) -> str:
    """Return all rows as they are printed."""
    lines = [
        f"{'':16}{'outage, s':^16}{'connections':>13}{'switchover':^18}{'unasked moves, s without service':>36}",
        f"{'':16}{'median':>8}{'worst':>8}{'survived':>13}{'s':>8}{'lost':>6}{'':4}"
        f"{'load':>12}{'loss':>12}{'stalls':>12}{'minutes':>9}",
    ]
    for row in found["rows"]:
        if "skipped" in row:
            lines.append(f"{row['name']:16}SKIPPED: {row['skipped'].splitlines()[0]}")
            continue
        disturbed = row.get("disturbed", {})
        cells = [
            f"{seen['moves']}{' ' if seen['whole_again'] else '!'}{seen['without_service_s']:7.2f}"
            if (seen := disturbed.get(name))
            else "-"
            for name in ("load", "loss", "stalls")
        ]
        lines.append(
            f"{row['name']:16}{row['outage_median_s']:8.2f}{row['outage_worst_s']:8.2f}{row['survived']:13.1%}"
            f"{row['switchover_s']:8.2f}{row['switchover_lost']:6}{'':4}{''.join(f'{cell:>12}' for cell in cells)}"
            f"{row['load_minutes']:9g}"
        )
    if any("!" in line for line in lines[2:]):
        lines.append("!: not whole again by itself, and started anew")
    beside = {
        f"{DEFAULT} / {TUNED}": "outage_vs_keepalived_tuned",
        f"{DEFAULT} / best quiet peer": "outage_vs_best_quiet_peer",
    }
    ratios = {text: found["ratios"].get(name) for text, name in beside.items()}
    return "\n".join([*lines, *(f"{text}, median outage: {ratio:.2f}" for text, ratio in ratios.items() if ratio)])
