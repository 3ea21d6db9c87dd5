# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the plan reads Ansible's variables, and how often."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.executor.process import worker
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import Hostvars, is_constant, once_a_task

ROOT = Path(__file__).resolve().parents[5]

INVENTORY = """
all:
  vars:
    plain: [{port: 80, note: 'a } and a %', open: true}]
    mixed: {all: [1, "{{ number + 1 }}"]}
    unsafe: !unsafe "{{ nowhere }}"
    unrelated: "{{ nowhere }}"
  hosts:
    one: {number: 1}
    two: {number: 2}
"""


@pytest.fixture
def hostvars(tmp_path: Path) -> HostVars:
    """Ansible's own."""
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "hosts.yml")])
    return HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)


def test_templates_are_evaluated_for_each_host(hostvars: HostVars) -> None:
    read = Hostvars(hostvars, lambda _host: ("plain", "mixed", "unsafe", "missing"))
    known = {"plain": [{"port": 80, "note": "a } and a %", "open": True}], "unsafe": "{{ nowhere }}"}
    assert read["one"] == {**known, "mixed": {"all": [1, 2]}}
    assert read["two"] == {**known, "mixed": {"all": [1, 3]}}
    with pytest.raises(KeyError):
        read["three"]


def test_constants_are_not_evaluated(hostvars: HostVars, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(_self: HostVars, host: str) -> None:
        raise AssertionError(f"{host} was evaluated")

    monkeypatch.setattr(HostVars, "__getitem__", evaluate)
    read = Hostvars(hostvars, lambda host: ["plain"] if host == "one" else ["mixed"])
    assert read["one"]["plain"] == [{"port": 80, "note": "a } and a %", "open": True}]
    with pytest.raises(AssertionError, match="two was evaluated"):
        read["two"]


@pytest.mark.parametrize("value", ["{{ x }}", ["{% if x %}"], {"a": [{"b": "{# x #}"}]}, object()])
def test_what_may_be_another_on_each_host(value: object) -> None:
    assert not is_constant(value)


class Inventory(dict[str, Any]):
    """Counts how often it is planned."""

    planned = 0


def plan(hostvars: Inventory, groups: dict[str, list[str]]) -> dict[str, Any]:
    """Plan it."""
    hostvars.planned += 1
    return {"hosts": dict(hostvars), "groups": groups}


def test_in_a_worker_a_plan_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "current_worker", object())
    ask, one, two = once_a_task(plan), Inventory(a=1), Inventory(a=1)
    assert ask(one, {"g": ["a"]}) is ask(one, {"g": ["a"]})
    assert one.planned == 1
    assert ask(one, {"g": ("b",)})["groups"] == {"g": ["b"]}
    assert one.planned == 2
    ask(two, {"g": ["b"]})
    assert two.planned == 1


def test_in_the_main_process_nothing_is_kept() -> None:
    ask, one = once_a_task(plan), Inventory(a=1)
    ask(one, {})
    one["a"] = 2
    assert ask(one, {})["hosts"] == {"a": 2}


PLAYBOOK = """
- hosts: directors
  gather_facts: false
  vars:
    plan: "{{ hostvars | codalvs.ha.cluster(groups) }}"
  tasks:
    - assert:
        that: ["plan.checker == 'ldirectord'", "plan.standby == 'hot'", "plan.nodes == ['one']", "plan.vips == []"]
    - set_fact:
        ha_checker: none
    - assert:
        that: ["plan.checker == 'none'", "plan.checker != 'ldirectord'"]
    - include_vars: more.yml
    - assert:
        that: ["plan.checker == 'none'", "plan.nodes == ['two']"]
    - group_by:
        key: real_servers
    - assert:
        that: ["'one' in groups.real_servers", "plan.sync_interface is none", "plan.links == []"]
    - set_fact:
        plan_of_loop: "{{ plan_of_loop | default([]) + [plan.checker ~ item] }}"
      loop: [1, 2, 3]
    - assert:
        that: plan_of_loop == ['none1', 'none2', 'none3']
"""


def test_a_plan_is_made_once_a_task_and_follows_the_variables(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "hosts.yml").write_text(
        f"""
directors:
  hosts:
    one:
      ha_interfaces: {{eth0: 192.0.2.1/24}}
      heartbeat_profile: "{{{{ lookup('ansible.builtin.pipe', 'echo >>{made}; echo fast') }}}}"
"""
    )
    (tmp_path / "more.yml").write_text("heartbeat_node_name: two\n")
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build")}
    command = ["ansible-playbook", "-i", "hosts.yml", "play.yml"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # Each assert that asks for the plan, and the loop.
    assert len(made.read_text().splitlines()) == 5
