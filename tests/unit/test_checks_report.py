# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of checks compares the right rows, and reads the kernel's table."""

from __future__ import annotations

from typing import Any

import checks_watch
from checks_machines import DEFAULTS, Checker
from checks_report import figures, rows, table
from programs import load

SHOWN = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C612141E:1F41 wrr
  -> C6121415:1F41      Route   1      0          0
  -> C6121416:1F41      Route   0      0          0
"""


def seen(checker: str, services: int, dead: int = 0, kind: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what a round saw."""
    return {"checker": checker, "services": services, "dead": dead, "kind": kind, "cpu_share": 0.1, **more}


def test_rounds_become_rows() -> None:
    found = rows(
        [
            seen("ldirectord", 10, 1, "silent", detect_s=[1.0, 2.0, 9.0], return_s=4.0, start_s=None),
            seen("keepalived", 10, 1, "silent", detect_s=[3.0]),
            seen("ldirectord", 10, 1, "silent", detect_s=[2.0, 3.0], return_s=6.0, start_s=None),
        ]
    )
    assert [entry["checker"] for entry in found] == ["ldirectord", "keepalived"]
    assert found[0] == {
        "checker": "ldirectord",
        "services": 10,
        "dead": 1,
        "kind": "silent",
        "detect_median_s": 2.0,
        "detect_worst_s": 9.0,
        "return_s": 5.0,
        "start_s": None,
        "cpu_share": 0.1,
        "memory_mib": None,
    }


def test_ratios_are_of_one_number_of_services_each_and_the_worst_counts() -> None:
    found = figures(
        rows(
            [
                seen("ldirectord", 10) | {"cpu_share": 0.2},
                seen("keepalived", 10),
                seen("ldirectord", 50) | {"cpu_share": 0.9},
                seen("ldirectord", 10, 1, "silent", detect_s=[8.0]),
                seen("keepalived", 10, 1, "silent", detect_s=[4.0]),
                seen("ldirectord", 50, 1, "silent", detect_s=[40.0]),
                seen("keepalived", 50, 1, "silent", detect_s=[4.0]),
                seen("ldirectord", 50, 4, "silent", detect_s=[400.0]),
                seen("keepalived", 50, 4, "silent", detect_s=[1.0]),
                seen("ldirectord", 50, 1, "refused", detect_s=[400.0]),
                seen("keepalived", 50, 1, "refused", detect_s=[1.0]),
            ]
        )
    )
    assert found["ratios"] == {"detect_silent_vs_keepalived": 10.0, "cpu_vs_keepalived": 2.0}


def test_without_a_peer_there_are_no_ratios() -> None:
    assert set(figures(rows([seen("ldirectord", 10)]))["ratios"].values()) == {None}


def test_all_rows_are_printed() -> None:
    found = figures(rows([seen("ldirectord", 10), seen("ldirectord-one", 10, 4, "silent", detect_s=[30.0, 60.0])]))
    *_head, first, second, late, _detect, _cpu = table(found, 60).splitlines()
    assert first.split() == ["ldirectord", "10", "0", "-", "-", "-", "-", "10.0%", "-"]
    assert second.split() == ["ldirectord-one", "10", "4", "silent", "45.00", "60.00", "-", "-", "10.0%", "-", "+"]
    assert late == "+: some were not out after 60 s"


def test_rows_with_a_weight_are_read_from_the_table() -> None:
    guard = load("roles/lvs_director/files/ipvs-guard")
    [row] = checks_watch.rows(guard, SHOWN)
    assert row in Checker().rows(1)["real1"]


def test_what_is_not_set_is_the_default_of_the_role() -> None:
    assert Checker().settings("x", 10)["negotiate_timeout"] == DEFAULTS["ldirectord_negotiate_timeout"]
    assert Checker(limit=1).settings("x", 10)["timeout"] == 1


def test_services_of_one_port_are_rows_of_their_own() -> None:
    many, one = (Checker(one_port=flag).rows(3)["real4"] for flag in (False, True))
    assert len(many) == len(one) == 3
    assert not many & one
