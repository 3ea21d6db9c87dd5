# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover benchmark counts takeovers, compares the right rows, prints all of them, and finds its clusters."""

from __future__ import annotations

from typing import Any

import pytest
from failover_report import figures, table, takeovers
from programs import load

ROWS = load("benchmarks/failover").ROWS

ORDER = ["thesis", "balanced", "keepalived-0.2", "keepalived-0.1", "keepalived-0.02", "pacemaker"]
OURS = ["thesis", "balanced"]


def row(name: str, outage: float, moves: int = 0) -> dict[str, Any]:
    still = {"moves": 0, "lost": 0, "requests": 100, "without_service_s": 0.0, "whole_again": True}
    return {
        "name": name,
        "outage_median_s": outage,
        "outage_worst_s": 2 * outage,
        "survived": 0.995,
        "switchover_s": 0.0,
        "switchover_lost": 0,
        "false_failovers": 0,
        "load_minutes": 10,
        "disturbed": {
            "load": still,
            "loss": {**still, "without_service_s": 1.25, "whole_again": False},
            "stalls": {**still, "moves": moves},
        },
    }


def test_only_the_vip_that_comes_is_a_takeover() -> None:
    lines = [
        "2: eth0    inet 192.0.2.30/24 brd 192.0.2.255 scope global secondary eth0\\       valid_lft forever",
        "Deleted 2: eth0    inet 192.0.2.30/24 brd 192.0.2.255 scope global secondary eth0\\       valid_lft forever",
        "2: eth0    inet 192.0.2.3/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever",
        "2: eth0    inet 192.0.2.30/24 brd 192.0.2.255 scope global secondary eth0\\       valid_lft forever",
    ]
    assert takeovers(lines, "192.0.2.30") == 2


def test_a_row_measured_again_replaces_the_earlier_one() -> None:
    found = figures([row("keepalived-0.2", 0.8), row("balanced", 9.0), row("balanced", 0.4)], ORDER, OURS)
    assert [(entry["name"], entry["outage_median_s"]) for entry in found["rows"]] == [
        ("balanced", 0.4),
        ("keepalived-0.2", 0.8),
    ]
    assert found["ratios"] == {
        "outage_vs_keepalived_tuned": 0.5,
        "outage_vs_best_quiet_peer": 0.5,
        "established_surviving": 0.995,
    }


def test_a_peer_that_moves_unasked_is_no_measure() -> None:
    rows = [
        row("thesis", 0.1),
        row("balanced", 0.3),
        row("keepalived-0.2", 0.8),
        row("keepalived-0.1", 0.5),
        row("keepalived-0.02", 0.1, moves=1),
        {"name": "pacemaker", "skipped": "no such thing"},
    ]
    assert figures(rows, ORDER, OURS)["ratios"]["outage_vs_best_quiet_peer"] == 0.3 / 0.5


def test_without_the_peer_there_is_no_ratio() -> None:
    ratios = figures([row("balanced", 0.4)], ORDER, OURS)["ratios"]
    assert (ratios["outage_vs_keepalived_tuned"], ratios["outage_vs_best_quiet_peer"]) == (None, None)


def test_a_skipped_row_says_why() -> None:
    found = figures([row("balanced", 0.4), {"name": "pacemaker", "skipped": "no such thing:\nits output"}], ORDER, OURS)
    lines = table(found).splitlines()
    assert lines[2].split() == [
        "balanced",
        "0.40",
        "0.80",
        "99.5%",
        "0.00",
        "0",
        "0",
        "0.00",
        "0!",
        "1.25",
        "0",
        "0.00",
        "10",
    ]
    assert lines[3] == "pacemaker       SKIPPED: no such thing:"
    assert lines[4] == "!: not whole again by itself, and started anew"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_directors_a_client_and_a_vip(name: str) -> None:
    cluster = ROWS[name].pair.cluster
    assert len(cluster.group("directors")) == 2
    assert cluster.group("clients")
    assert (":" in cluster.vip) == name.endswith("ipv6")
