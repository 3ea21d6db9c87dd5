# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site does where a director or a real server fails in the middle: its own plays, with notes in place of roles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = {"ha_accepted": {"hosts": dict.fromkeys(("dir1", "dir2", "real1", "real2", "client1"))}}


def note(text: str, **more: Any) -> dict[str, Any]:
    """Return a task that does nothing but print a text with the host's name."""
    return {"name": text, "ansible.builtin.debug": {"msg": f"{text} on {{{{ inventory_hostname }}}}."}, **more}


def step(when: str, **actions: Any) -> dict[str, Any]:
    """Return a task of one action, for the hosts of a condition."""
    return {"name": "Do a step", "when": when, **{f"ansible.builtin.{name}": value for name, value in actions.items()}}


def tasks_without_roles(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks of a play, where what includes a role only says so."""
    made = []
    for task in tasks:
        role = task.get("ansible.builtin.include_role")
        kept = {key: value for key, value in task.items() if key in ("when", "tags")}
        made.append(note(f"{role['name']} {role['tasks_from']}", **kept) if role else task)
    return made


def plays(name: str, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plays that a playbook has itself; the steps stand for the roles of a play."""
    text = (ROOT / f"playbooks/{name}.yml").read_text(encoding="utf-8")
    for folder in ("tasks", "vars"):
        text = text.replace(f" {folder}/", f" {ROOT}/playbooks/{folder}/").replace(
            f"[{folder}/", f"[{ROOT}/playbooks/{folder}/"
        )
    found = [play for play in yaml.safe_load(text) if "hosts" in play]
    for play in found:
        if play.pop("roles", None):
            play["tasks"] = [*steps]
        for part in ("pre_tasks", "tasks", "post_tasks"):
            play[part] = tasks_without_roles(play.get(part, []))
    return found


def site(folder: Path, *options: str, before: str = "false", between: str = "false", **variables: Any) -> str:
    """Run these plays; the hosts of a condition fail before the directors' turn, or in the middle of it."""
    roles = [
        step("true", set_fact={"lvs_director_drained": []}),
        step(between, fail={"msg": "a step has failed"}),
        step("inventory_hostname == lost", raw="true"),
        step("with_ldirectord", set_fact={"ldirectord_late": "{{ late }}"}),
        note("configured"),
    ]
    early = [step(before, fail={"msg": "an early step has failed"}), step("earlier", set_fact={"directors_late": []})]
    first = {"hosts": "all", "gather_facts": False, "tasks": early}
    (folder / "site.yml").write_text(yaml.safe_dump([first, *plays("directors", *roles), *plays("site")]))
    (folder / "hosts.yml").write_text(json.dumps(INVENTORY))
    (folder / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (folder / "ssh").chmod(0o755)
    given = {"ansible_connection": "ssh", "ansible_ssh_executable": str(folder / "ssh"), "ansible_ssh_retries": 0}
    given |= {"ansible_become": False, "late": [], "lost": "", "with_ldirectord": True, "earlier": False, **variables}
    command = ["-i", "inventories/quickstart", "-i", str(folder / "hosts.yml"), "-e", json.dumps(given), *options]
    command = [sys.executable, "-m", "ansible", "playbook", *command, str(folder / "site.yml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split())


MAY_BE_ABSENT = {"directors", "real_servers", "clients", "coda_clients", "nfs_clients"}
PLAYS = [
    (path.stem, play) for path in sorted(ROOT.glob("playbooks/*.yml")) for play in yaml.safe_load(path.read_text())
]
ABOUT = [
    pytest.param(play, id=f"{name}: {play['name']}")
    for name, play in PLAYS
    if any(group in play.get("hosts", "") for group in MAY_BE_ABSENT)
    and name != "switchover"  # which needs both directors
]


@pytest.mark.parametrize("play", ABOUT)
def test_every_play_leaves_out_hosts_that_are_known_to_be_down(play: dict[str, Any]) -> None:
    first = [*play.get("pre_tasks", ()), *play.get("tasks", ())][0]
    assert first.get("ansible.builtin.import_tasks") == "tasks/present.yml"


def test_directors_trust_the_certificates_of_the_real_servers_that_are_there() -> None:
    """One that was left out has shown none, and the task would fail."""
    tasks = [task for _name, play in PLAYS for task in play.get("tasks", ())]
    (install,) = [task for task in tasks if task["name"] == "Install the demo certificates"]
    for absent, hosts in ({}, ["real1", "real2"]), ({"ha_absent": ["real1"]}, ["real2"]):
        given = {"groups": {"real_servers": ["real1", "real2"]}, **absent}
        assert [*NativeEnvironment().from_string(install["loop"]).render(given)] == hosts


REMOVED = "codalvs.ha.real_server remove.yml on real"


@pytest.mark.parametrize("absent", [[], ["dir2"]])
def test_real_servers_lose_what_is_old_once_directors_are_configured(absent: list[str], tmp_path: Path) -> None:
    said = site(tmp_path, ha_absent=absent)
    assert said.count(REMOVED) == 2, said
    assert "Nothing is removed" not in said


@pytest.mark.parametrize(
    ("options", "given", "left"),
    [
        # Then Ansible ends the run.
        ([], {"between": "inventory_hostname == 'dir1'"}, None),
        ([], {"between": "inventory_hostname == 'dir1'", "ha_absent": ["dir2"]}, None),
        # It does not when one is lost, whatever any_errors_fatal says.
        ([], {"lost": "dir1"}, "dir1, dir2"),
        ([], {"lost": "dir1", "ha_absent": ["dir2"]}, "dir1"),
        # The same process has run all of it once before.
        ([], {"lost": "dir1", "earlier": True}, "dir1, dir2"),
        ([], {"with_ldirectord": False}, "dir1, dir2"),
        (["--limit", "real_servers"], {}, "dir1, dir2"),
        (["--tags", "real_server"], {}, "dir1, dir2"),
    ],
    ids=["failed", "failed_alone", "lost", "lost_alone", "second", "unknown", "limit", "tags"],
)
def test_real_servers_keep_what_is_old_without_configured_directors(
    options: list[str], given: dict[str, Any], left: str | None, tmp_path: Path
) -> None:
    said = site(tmp_path, *options, **given)
    assert REMOVED not in said, said
    assert left is None or f"in this run. It has not configured {left} to the end." in said, said


def test_real_servers_keep_what_a_table_still_uses(tmp_path: Path) -> None:
    said = site(tmp_path, late=["198.18.20.30:80"])
    assert REMOVED not in said, said
    assert "IPVS tables still have 198.18.20.30:80, 198.18.20.30:80; see the log" in said


@pytest.mark.parametrize(
    ("options", "failing", "absent", "stopped"),
    [
        ([], "real1", [], True),
        ([], "real1", ["dir2"], True),
        ([], "real1", ["real2"], True),
        ([], "client1", [], False),
        ([], "", ["real1", "real2"], False),
        (["--limit", "directors"], "real1", [], False),
    ],
)
def test_directors_stay_where_a_real_server_has_failed(
    options: list[str], failing: str, absent: list[str], stopped: bool, tmp_path: Path
) -> None:
    said = site(tmp_path, *options, before=f"inventory_hostname == '{failing}'", ha_absent=absent)
    directors = {"dir1", "dir2"} - {*absent}
    for host in directors:
        assert (f"real1 failed earlier in this run (see above), so {host} is not configured" in said) == stopped, said
        assert (f"configured on {host}." in said) == (not stopped)
    assert not stopped or REMOVED not in said


# What check mode skips.
SKIPPED = {f"ansible.builtin.{name}" for name in ("command", "shell", "wait_for")}


def test_verify_looks_at_all_of_it_in_check_mode() -> None:
    """It changes nothing, so --check is no reason to skip a look, whose result the next task may want."""
    tasks = [task for play in plays("verify") for task in play["tasks"]]
    for path in sorted(ROOT.glob("roles/*/tasks/verify.yml")):
        tasks += yaml.safe_load(path.read_text(encoding="utf-8"))
    looks = [task for task in tasks if SKIPPED & task.keys()]
    assert len(looks) > 8
    assert [task["name"] for task in looks if task.get("check_mode") is not False] == []


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]), ids=lambda path: path.stem
)
def test_what_may_fail_leaves_its_last_attempt_to_the_next_task(path: Path) -> None:
    """When no attempt is left, Ansible fails a task with `until`, whatever its `failed_when` says."""
    parts = [yaml.safe_load(path.read_text(encoding="utf-8"))]
    for part in parts:  # which grows meanwhile
        parts += part if isinstance(part, list) else part.values() if isinstance(part, dict) else []
    tasks = [part for part in parts if isinstance(part, dict) and "until" in part]
    assert [task for task in tasks if task.get("failed_when") is False and "attempts" not in task["until"]] == []


MOVING, MISSED = (
    "Wait until Heartbeat moves nothing on a director without VIPs",
    "Check that switchover, or a planned end, may move VIPs to a director without VIPs",
)


@pytest.mark.parametrize(
    ("resources", "held", "attempts", "waits", "refused"),
    [
        ("none", [], 1, False, False),
        ("transition", [], 1, True, True),
        ("transition", [], 61, True, True),
        ("transition", [], 62, False, True),  # 60 s, and one for each of two VIPs
        ("transition", ["198.18.20.30"], 1, False, False),  # heartbeat-vips mends it there
    ],
)
def test_a_director_that_goes_on_moving_resources_is_named(
    resources: str, held: list[str], attempts: int, waits: bool, refused: bool, tmp_path: Path
) -> None:
    tasks = {task["name"]: task for play in plays("verify") for task in play["tasks"]}
    seen = {"resources": resources, "held": held, "attempts": attempts}
    plan = {"standby": "hot", "vips": [{"address": "198.18.20.30"}, {"address": "198.18.20.31"}]}
    wait = {"name": "Say", "ansible.builtin.debug": {"msg": f"Done is {{{{ {tasks[MOVING]['until']} }}}}."}}
    wait["vars"] = tasks[MOVING]["vars"]
    play = {"hosts": "dir2", "gather_facts": False, "tasks": [wait, tasks[MISSED]]}
    (tmp_path / "verify.yml").write_text(yaml.safe_dump([play]))
    given = json.dumps({"verify_moving": seen, "cluster_plan": plan})
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "inventories/quickstart", "-e", given]
    done = subprocess.run(
        [*command, str(tmp_path / "verify.yml")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = " ".join(done.stdout.split())
    assert f"Done is {not waits}." in said, said
    assert ("Run `systemctl restart heartbeat` on dir2." in said) == refused, said
    assert (done.returncode != 0) == refused
