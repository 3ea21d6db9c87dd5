# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles have borders: what others include or read of a role is in its argument_specs, and the rest is its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import read_results

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in ROOT.glob("roles/*"))
PRIVATE = re.compile(r"(?<!\w)__(\w+)")
OWN = re.compile(r"roles/(\w+)/")
READS = ("roles/*/*/**/*.yml", "roles/*/*/**/*.j2", "playbooks/**/*.yml", "molecule/**/*.yml", "tests/unit/render.yml")
FILES = sorted({path.relative_to(ROOT).as_posix() for pattern in READS for path in ROOT.glob(pattern)})


class Loader(yaml.SafeLoader):
    """Reads a file of tasks; what a tag such as !reset or !vault holds is of no interest here."""


Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def foreign(file: str, text: str) -> set[str]:
    """Return the private variables in a file that belong to a role that the file is not in."""
    match = OWN.match(file)
    mine = match[1] if match else None
    others = tuple(f"{role}_" for role in ROLES if role != mine)
    return {f"__{name}" for name in PRIVATE.findall(text) if name.startswith(others)}


def tasks(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings of a YAML file, tasks among them."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from tasks(inner)


def load(file: str) -> Any:
    """Return what a YAML file holds."""
    return yaml.load((ROOT / file).read_text(encoding="utf-8"), Loader)


def specs(role: str) -> dict[str, Any]:
    """Return a role's entry points."""
    entry_points: dict[str, Any] = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    return entry_points


def included(file: str) -> Iterator[tuple[str, str]]:
    """Yield role and entry point of each role of this collection that a file includes."""
    for task in tasks(load(file)):
        for action in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
            argument = task.get(action, {})
            if str(argument.get("name")).startswith("codalvs.ha."):
                yield argument["name"].rpartition(".")[2], argument.get("tasks_from", "main").removesuffix(".yml")


@pytest.mark.parametrize("file", FILES)
def test_nobody_reads_the_private_variables_of_another_role(file: str) -> None:
    assert foreign(file, (ROOT / file).read_text(encoding="utf-8")) == set()


def test_a_foreign_variable_is_found() -> None:
    text = "{{ __heartbeat_vips }} {{hostvars[x].__lvs_director_table}} heartbeat__x __mine __heartbeats_z"
    assert foreign("playbooks/x.yml", text) == {"__heartbeat_vips", "__lvs_director_table"}
    assert foreign("roles/heartbeat/tasks/x.yml", text) == {"__lvs_director_table"}


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".yml")])
def test_what_is_included_of_a_role_is_a_declared_entry_point(file: str) -> None:
    assert [pair for pair in included(file) if pair[1] not in specs(pair[0])] == []


def test_the_entry_points_of_playbooks_are_found() -> None:
    assert ("heartbeat", "settle") in included("playbooks/directors.yml")
    assert ("coda_client", "restore") in included("playbooks/coda_restore.yml")


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_has_tasks(role: str) -> None:
    missing = {name for name in specs(role) if not (ROOT / f"roles/{role}/tasks/{name}.yml").exists()}
    assert missing <= {"results"}


@pytest.mark.parametrize("role", ROLES)
def test_every_result_is_declared_and_set(role: str) -> None:
    """A public fact stays with the host, and preflight would not know it in a later play."""
    made: set[str] = set()
    for path in (ROOT / "roles" / role).glob("tasks/*.yml"):
        for task in tasks(load(path.relative_to(ROOT).as_posix())):
            made |= {task["register"]} if "register" in task else set()
            made |= set(task.get("ansible.builtin.set_fact", ()))
    declared = set(specs(role).get("results", {}).get("options", ()))
    assert {name for name in made if not name.startswith("__")} == declared


@pytest.mark.parametrize(("names", "unknown"), [(read_results(), set()), ({"heartbeat_stat"}, {"heartbeat_stat"})])
def test_preflight_says_nothing_of_what_earlier_plays_have_found(names: set[str], unknown: set[str]) -> None:
    """The test gives the facts as extra variables, which a host's variables contain as well."""
    facts = json.dumps({name: {} for name in names})
    command = ["-i", "inventories/quickstart", "playbooks/preflight.yml", "-e", facts]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"(\w+)\n +no role knows this variable", done.stdout)) == unknown, done.stdout
    assert (done.returncode == 0) == (not unknown)


UNORDERED = re.compile(r"\b(?:difference|intersect|union)\((?:[^()]|\([^()]*\))*\)\s*\|\s*(?:first|last)\b")


def test_no_first_one_is_taken_of_a_set() -> None:
    """Seen: one of two clients, chosen by the toss of a coin (Python's hash of that run), restored an archive."""
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES if not file.startswith("molecule/")}
    assert [file for file, text in texts.items() if UNORDERED.search(text)] == []
    assert UNORDERED.search("a | difference(b | default([])) | first")
    assert not UNORDERED.search("a | reject('in', b | default([])) | first")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_the_files_that_it_installs(role: str) -> None:
    """A scenario finds a missing one only where it goes that way."""
    folders = {"ansible.builtin.template": "templates", "ansible.builtin.copy": "files"}
    named = {
        f"{folder}/{source}"
        for path in (ROOT / "roles" / role / "tasks").glob("**/*.yml")
        for task in tasks(load(path.relative_to(ROOT).as_posix()))
        for action, folder in folders.items()
        if isinstance(arguments := task.get(action), dict) and "{" not in (source := str(arguments.get("src", "{")))
    }
    there = {
        path.relative_to(ROOT / "roles" / role).as_posix()
        for folder in folders.values()
        for path in (ROOT / "roles" / role / folder).glob("**/*")
    }
    assert {name for name in named if not name.startswith("files//")} <= there
