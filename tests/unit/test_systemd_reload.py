# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When roles have systemd read its units: where one has changed, or a killed run has left one unread."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import ChainableUndefined
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("ha_hook", "heartbeat", "ldirectord", "lvs_director", "real_server")
# Additions by which each role changes somebody else's unit.
ADDITIONS = {
    "heartbeat": ["heartbeat.service.d/reload.conf"],
    "ldirectord": ["ldirectord.service.d/restart.conf"],
    "lvs_director": ["nftables.service.d/lvs-packet-marks.conf", "nftables.service.d/lvs-masquerade.conf"],
}


def tasks(role: str) -> list[dict[str, Any]]:
    """Return the tasks of all files of a role."""
    files = sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))
    return [task for file in files for task in yaml.safe_load(file.read_text(encoding="utf-8"))]


def variables(role: str) -> dict[str, Any]:
    """Return the role's own variables."""
    return dict(yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text(encoding="utf-8")))


def unread(role: str, said: str | None, **given: Any) -> object:
    """Return what a role makes of the answer of systemd, or of none. Ansible's undefined variables chain, too."""
    asked = {} if said is None else {f"__{role}_asked": {"stdout": said, "stdout_lines": said.splitlines()}}
    environment = NativeEnvironment(undefined=ChainableUndefined)
    return environment.from_string(variables(role)[f"__{role}_unread"]).render({**asked, **given})


@pytest.mark.parametrize("role", ROLES)
def test_systemd_reads_its_units_only_for_a_reason(role: str) -> None:
    """Each time costs more than half a second, and an unchanged run has many such tasks."""
    reloads = [task for task in tasks(role) if "daemon_reload" in task.get("ansible.builtin.systemd_service", {})]
    assert reloads
    for task in reloads:
        own = task["ansible.builtin.systemd_service"]
        if "name" in own:
            assert re.fullmatch(rf"{{{{ (__\w+ is changed or )+__{role}_unread \| bool }}}}", f"{own['daemon_reload']}")
        else:  # it does nothing else
            assert "when" in task


@pytest.mark.parametrize("role", ROLES)
def test_systemd_is_asked_about_all_that_the_role_writes(role: str) -> None:
    (task,) = [task for task in tasks(role) if task["name"].startswith("Ask systemd whether it has read")]
    own = variables(role)
    command = f"{task['ansible.builtin.command']} {own.get(f'__{role}_units', '')}"
    written = re.findall(r"/etc/systemd/system/([\w@-]+)\.service(\.d/[\w-]+\.conf)?", f"{tasks(role)} {own}")
    assert written
    for unit, addition in written:
        assert unit in command
        assert not addition or f"{unit}.service{addition}" in ADDITIONS[role]
    assert (role in ADDITIONS) == ("DropInPaths" in command)


@pytest.mark.parametrize("role", ROLES)
def test_what_a_killed_run_has_left_is_read(role: str) -> None:
    wanted = {"__lvs_director_packet_marks": ["one"], "__lvs_director_masquerade": ["one"]}
    additions = [f"/etc/systemd/system/{addition}" for addition in ADDITIONS.get(role, [])]
    read = f"no\n{' '.join(additions)} /etc/more.conf\n"
    assert unread(role, f"no\n\n{read}", **wanted) is False
    assert unread(role, f"yes\n\n{read}", **wanted) is True
    # The first addition to a unit, of which systemd 252 says nothing.
    for addition in additions:
        assert unread(role, f"no\n\n{read}".replace(addition, ""), **wanted) is True


@pytest.mark.parametrize("role", ROLES)
def test_who_includes_a_part_that_does_not_ask_has_all_read(role: str) -> None:
    assert unread(role, None) is True


def test_a_director_without_rules_needs_no_addition() -> None:
    nothing: dict[str, list[str]] = {"__lvs_director_packet_marks": [], "__lvs_director_masquerade": []}
    assert unread("lvs_director", "no\n\nno\n\nno\n", **nothing) is False
