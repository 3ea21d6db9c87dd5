# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which the roles of directors do what depends on order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"


def tasks(role: str, file: str = "main") -> list[str]:
    """Return the names of a role's tasks, those of other files in their place."""
    found: list[str] = []
    tree: list[dict[str, Any]] = yaml.safe_load((ROLES / role / f"tasks/{file}.yml").read_text(encoding="utf-8"))
    for task in tree:
        imported = task.get("ansible.builtin.import_tasks")
        included = task.get("ansible.builtin.include_role", {})
        if imported:
            found += tasks(role, imported.removesuffix(".yml"))
        elif "tasks_from" in included:
            found += tasks(included["name"].rpartition(".")[2], included["tasks_from"].removesuffix(".yml"))
        else:
            found.append(task["name"])
    return found


def assert_order(found: list[str], *names: str) -> None:
    assert [name for name in found if name in names] == [*names]


def test_the_guard_never_follows_an_old_table() -> None:
    assert_order(
        tasks("lvs_director"),
        "Write the table that is loaded at boot",
        "Load a table at boot only where ldirectord does not keep it",
        "Run or stop ipvs-guard",
        "Set the kernel's IPVS table",
    )


def test_marks_go_after_the_services_that_they_select() -> None:
    going = ("Take the rules that mark packets out of the kernel", "Load the rules that mark packets, without old ones")
    assert_order(tasks("lvs_director"), "Load the rules that mark packets now", "Set the kernel's IPVS table", *going)
    assert_order(
        tasks("ldirectord"),
        "Install ldirectord's configuration, once ldirectord has accepted it",
        "Run ldirectord on this director all the time",
        "Wait until the IPVS table has nothing old",
        *going,
    )
