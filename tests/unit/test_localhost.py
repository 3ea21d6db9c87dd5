# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory may say for all hosts how to compute `ansible_host`. That holds for localhost, too, which can't."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPUTED = "ansible_host: \"{{ ha_interfaces.eth0 | ansible.builtin.regex_replace('/.*', '') }}\""
FILES = [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/**/*.yml")]


def mappings(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings of a YAML file: plays, blocks and tasks among them."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from mappings(inner)


def on_localhost(item: dict[str, Any]) -> bool:
    """Return whether a play, block or task is for localhost."""
    return "localhost" in str(item.get("hosts", "")).split(":") or item.get("delegate_to") == "localhost"


def test_what_is_for_localhost_says_where_that_is() -> None:
    found = [
        (path.name, item)
        for path in FILES
        for item in mappings(yaml.safe_load(path.read_text(encoding="utf-8")))
        if on_localhost(item)
    ]
    assert {name for name, _item in found} >= {"preflight.yml", "drain.yml", "undrain.yml", "restore.yml"}
    assert [(name, item["name"]) for name, item in found if item.get("vars") != {"ansible_host": "localhost"}] == []


@pytest.mark.parametrize("words", [(), ("--limit", "dir1")])
def test_preflight_accepts_an_inventory_that_computes_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    shutil.copytree(ROOT / "inventories/quickstart", tmp_path, dirs_exist_ok=True)
    with (tmp_path / "group_vars/all.yml").open("a", encoding="utf-8") as shared:
        shared.write(f"\n{COMPUTED}\n")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path), "playbooks/preflight.yml", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_task_that_is_delegated_to_localhost_reaches_it(tmp_path: Path) -> None:
    """As the restore of an archive makes a folder on the controller."""
    task = {
        "ansible.builtin.tempfile": {"path": str(tmp_path)},
        "delegate_to": "localhost",
        "vars": {"ansible_host": "localhost"},
    }
    play = {"hosts": "one", "gather_facts": False, "tasks": [task]}
    hosts = {"all": {"hosts": {"one": {"ip": "192.0.2.1"}}, "vars": {"ansible_host": "{{ ip }}"}}}
    for name, content in (("hosts.yml", hosts), ("play.yml", [play])):
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    command = ["playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")]
    done = subprocess.run([sys.executable, "-m", "ansible", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert [*tmp_path.glob("ansible.*")]
