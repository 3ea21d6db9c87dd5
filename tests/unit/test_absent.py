# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is known to be down is left out, and nobody else; also by playbooks that don't begin with preflight."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {"directors": ["dir1", "dir2"], "real_servers": ["real1", "real10"]}
ALL = [name for names in GROUPS.values() for name in names]
LEAVE_OUT = {"ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/present.yml")}


def run_play(folder: Path, play: dict[str, Any], *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run a play that contacts no host."""
    groups = {**GROUPS, "ha_accepted": ALL}
    children = {group: {"hosts": dict.fromkeys(names)} for group, names in groups.items()}
    for name, content in (("hosts.yml", {"all": {"children": children}}), ("play.yml", [play])):
        (folder / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    command = ["-i", str(folder / "hosts.yml"), str(folder / "play.yml"), "-e", json.dumps(variables), *words]
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *command], capture_output=True, text=True, check=False
    )


def looked_at(folder: Path, absent: Any) -> tuple[int, list[str], str]:
    """Run what each play begins with; return the exit code, who is not left out, and the output."""
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            LEAVE_OUT,
            {"ansible.builtin.debug": {"msg": "LOOKED AT {{ inventory_hostname }}"}},
        ],
    }
    done = run_play(folder, play, ha_absent=absent)
    return done.returncode, sorted(re.findall(r"LOOKED AT (\w+)", done.stdout)), done.stdout


@pytest.mark.parametrize(
    ("absent", "there"),
    [
        ([], ["dir1", "dir2", "real1", "real10"]),
        (["real10"], ["dir1", "dir2", "real1"]),
        (["dir2", "real1"], ["dir1", "real10"]),
    ],
)
def test_who_is_down_is_left_out(tmp_path: Path, absent: list[str], there: list[str]) -> None:
    assert looked_at(tmp_path, absent)[:2] == (0, there)


@pytest.mark.parametrize("absent", ["real10", "dir2", ["dir1", "dir2"], 1])
def test_a_wrong_list_is_refused(tmp_path: Path, absent: Any) -> None:
    """`-e ha_absent=real10` left out real1 as well; without directors, verify passed and had looked at none."""
    code, there, output = looked_at(tmp_path, absent)
    assert code
    assert there == []
    assert "it must be a list, and leave one director" in " ".join(output.split())


@pytest.mark.parametrize(
    ("limit", "absent", "left_out"),
    [
        ("all", [], ""),
        ("real1", [], ""),
        ("directors", [], "real1, real10"),
        ("directors", ["real1", "real10"], ""),
        ("all:!real10", [], "real10"),
        ("all:!real10", ["real10"], ""),
    ],
)
def test_site_configures_no_director_without_its_real_servers(
    tmp_path: Path, limit: str, absent: list[str], left_out: str
) -> None:
    """A real server that lacks a new VIP drops its packets, and its checks ask for its own address."""
    plays = yaml.safe_load((ROOT / "playbooks/site.yml").read_text(encoding="utf-8"))
    (play,) = (each for each in plays if each["name"] == "Look for real servers that the run leaves out")
    play["tasks"][0] = LEAVE_OUT
    done = run_play(tmp_path, play, "--limit", limit, ha_absent=absent)
    assert (done.returncode != 0) == bool(left_out)
    assert (f"This run leaves out {left_out}, and dir1 may send" in " ".join(done.stdout.split())) == bool(left_out)
