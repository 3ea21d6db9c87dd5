# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the role ldirectord leaves ldirectord to Heartbeat, in cold standby."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment
from refusals import read_task

ROOT = Path(__file__).resolve().parents[2]
TASKS = yaml.safe_load((ROOT / "roles/ldirectord/tasks/run.yml").read_text(encoding="utf-8"))
KNOWN = "/run/heartbeat.haresources"


def task(name: str) -> dict[str, Any]:
    """Return one task of the file."""
    (found,) = [each for each in TASKS if each["name"] == name]
    return dict(found)


def knows(folder: Path, copy: str | None) -> int:
    """Return what the role's command answers about a copy of haresources; there is none without a text."""
    file = folder / "haresources"
    if copy is not None:
        file.write_text(copy, encoding="utf-8")
    command = task("Look for ldirectord among what the running Heartbeat starts")["ansible.builtin.command"]
    assert command.endswith(f" {KNOWN}")
    return subprocess.run(command.replace(KNOWN, str(file)).split(), check=False).returncode


@pytest.mark.parametrize(
    ("standby", "running", "copy", "left"),
    [
        ("cold", True, "dir1 IPaddr2::198.18.20.30/24/eth0 ldirectord\n", True),
        ("cold", True, "dir1 IPaddr2::198.18.20.30/24/eth0 ldirectord::ldirectord.cf\n", True),
        ("cold", True, "dir1 IPaddr2::198.18.20.30/24/eth0\n", False),  # it was hot standby before
        ("cold", True, None, False),  # somebody else's Heartbeat
        ("cold", False, None, True),  # a bare director, on which the package has enabled ldirectord
        ("cold", False, "dir1 IPaddr2::198.18.20.30/24/eth0\n", True),
        ("hot", False, None, False),
    ],
)
def test_a_standby_keeps_its_table_until_heartbeat_starts_ldirectord(
    standby: str, running: bool, copy: str | None, left: bool, tmp_path: Path
) -> None:
    """If the active director died before, the other one would take its VIPs without a table."""
    given = {
        "ha_standby": standby,
        "__ldirectord_known": {"rc": knows(tmp_path, copy)},
        "__ldirectord_heartbeat": {"running": running},
        "ansible_check_mode": False,
        "ha_packages_missing": [],
    }
    conditions = task("Leave ldirectord to Heartbeat")["when"]
    found = [NativeEnvironment().from_string(f"{{{{ {each} }}}}").render(given) for each in conditions]
    assert all(found) == left


def test_the_playbook_leaves_it_when_heartbeat_has_read_its_file() -> None:
    plays = yaml.safe_load((ROOT / "playbooks/directors.yml").read_text(encoding="utf-8"))
    (play,) = [each for each in plays if "roles" in each]
    after = [each.get("ansible.builtin.include_role", {}) for each in play["post_tasks"]]
    assert {"name": "codalvs.ha.ldirectord", "tasks_from": "leave.yml"}.items() <= after[-2].items()


def test_a_diff_shows_no_password_when_another_checker_comes() -> None:
    """lineinfile shows the lines beside the one that it changes, or those at the end of the file."""
    assert read_task("lvs_director", "table", "Let ldirectord leave the IPVS table when it stops")["diff"] is False
