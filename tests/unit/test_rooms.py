# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may import what, as docs/architecture.md says."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = "ansible_collections.codalvs.ha.plugins."
UTILS = sorted((ROOT / "plugins/module_utils").glob("*.py"))
EDGES = {"coda_edge", "ipvs_edge", "ipvs_netlink", "neighbours"}
# Modules by which a program reads the clock, files, the network or other programs. Of socket, pure files use only what
# turns an address into bytes, so it is not among these.
OUTSIDE = {"asyncio", "fcntl", "glob", "io", "os", "pathlib", "select", "shutil", "subprocess", "tempfile", "time"}
PROGRAMS = [
    path for path in sorted(ROOT.glob("roles/*/files/*")) if path.read_bytes().splitlines()[:1][0].endswith(b"python3")
]
LAB = sorted((ROOT / "lab/codalab").glob("*.py"))


def imports(source: str) -> set[str]:
    """Return the names of all modules that a file imports, and of what it imports of a package of this collection."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"{node.module}"
            packages = (f"{OWN}module_utils", f"{OWN}plugin_utils")
            found |= {f"{module}.{alias.name}" for alias in node.names} if module in packages else {module}
    return found


def calls(source: str, name: str) -> bool:
    """Tell whether a file calls a function by its bare name."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in ast.walk(ast.parse(source))
    )


def utils(path: Path) -> set[str]:
    """Return the files of module_utils that a file imports."""
    prefix = f"{OWN}module_utils."
    return {name.removeprefix(prefix) for name in imports(path.read_text()) if name.startswith(prefix)}


def test_imports_are_found() -> None:
    lines = ("import os.path", "from time import sleep", f"from {OWN}module_utils import ipvs")
    assert imports("\n".join((*lines, f"from {OWN}module_utils.nfs import nfs"))) == {
        "os.path",
        "time",
        f"{OWN}module_utils.ipvs",
        f"{OWN}module_utils.nfs",
    }
    assert calls("def f():\n    return open('x')", "open")
    assert not calls("x.open()", "open")


@pytest.mark.parametrize("path", UTILS, ids=lambda path: path.stem)
def test_module_utils_import_the_standard_library_and_each_other(path: Path) -> None:
    names = {name for name in imports(path.read_text()) if not name.startswith(f"{OWN}module_utils.")}
    assert {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("path", [path for path in UTILS if path.stem not in EDGES], ids=lambda path: path.stem)
def test_all_but_the_edges_are_pure(path: Path) -> None:
    source = path.read_text()
    assert {name for name in imports(source) if name.partition(".")[0] in OUTSIDE} == set()
    assert not calls(source, "open")
    assert utils(path) & EDGES == set()


def test_the_edges_exist() -> None:
    assert {path.stem for path in UTILS} >= EDGES


def test_module_utils_have_no_circles() -> None:
    TopologicalSorter({path.stem: utils(path) for path in UTILS}).prepare()


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_modules_leave_the_controllers_files_alone(path: Path) -> None:
    ansible = "ansible.module_utils."
    names = {name for name in imports(path.read_text()) if not name.startswith((f"{OWN}module_utils.", ansible))}
    assert {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_programs_on_hosts_import_the_standard_library_only(path: Path) -> None:
    assert {
        name for name in imports(path.read_text()) if name.partition(".")[0] not in sys.stdlib_module_names
    } == set()


def test_programs_on_hosts_are_found() -> None:
    assert {path.name for path in PROGRAMS} >= {"heartbeat-vips", "ipvs-guard", "ipvs-resync"}


@pytest.mark.parametrize("path", [ROOT / "lab/lab", *LAB], ids=lambda path: path.stem)
def test_the_lab_imports_the_standard_library_and_itself(path: Path) -> None:
    names = {name.partition(".")[0] for name in imports(path.read_text())}
    assert names - {"codalab"} - set(sys.stdlib_module_names) == set()


def test_the_lab_has_no_circles() -> None:
    found = {f"codalab.{path.stem}": imports(path.read_text()) for path in LAB}
    TopologicalSorter(found).prepare()
    assert "codalab.record" in found["codalab.disk"]
