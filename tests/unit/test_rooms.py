# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may import what, as docs/architecture.md says, and how long a function may be."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = "ansible_collections.codalvs.ha.plugins."
PLUGINS = ROOT / "plugins"
UTILS = sorted((PLUGINS / "module_utils").rglob("*.py"))
PURE = sorted((PLUGINS / "plugin_utils").rglob("*.py"))  # but for these, which read files
READERS = {"plugin_utils._inventory.files", "plugin_utils._inventory.specs"}
EDGES = {
    "module_utils._coda.programs",
    "module_utils._ipvs.kernel",
    "module_utils._ipvs.netlink",
    "module_utils._network.neighbours",
}
# Modules by which a program reads the clock, files, the network or other programs. Of socket, pure files use only what
# turns an address into bytes, so it is not among these.
OUTSIDE = {"asyncio", "fcntl", "glob", "io", "os", "pathlib", "select", "shutil", "subprocess", "tempfile", "time"}


def is_python(path: Path) -> bool:
    """Tell whether a file is Python, by its name or its first line."""
    return path.suffix == ".py" or path.read_bytes().splitlines()[:1][0].endswith(b"python3")


PROGRAMS = [path for path in sorted(ROOT.glob("roles/*/files/*")) if is_python(path)]
LAB = sorted((ROOT / "lab/codalab").glob("*.py"))
TOOLS = [ROOT / "tests/run"] + [
    path for path in sorted([*ROOT.glob("lab/*"), *ROOT.glob("benchmarks/*")]) if path.is_file() and is_python(path)
]  # what runs tests, the lab and benchmarks


def imports(source: str) -> set[str]:
    """Return the names of all modules that a file imports, and of what it imports of a package of this collection."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"{node.module}"
            package = PLUGINS.joinpath(*module.removeprefix(OWN).split(".")) if module.startswith(OWN) else None
            found |= {f"{module}.{alias.name}" for alias in node.names} if package and package.is_dir() else {module}
    return found


def calls(source: str, name: str) -> bool:
    """Tell whether a file calls a function by its bare name."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in ast.walk(ast.parse(source))
    )


def own(path: Path) -> set[str]:
    """Return the files of this collection that a file imports, as module_utils._ipvs.table."""
    return {name.removeprefix(OWN) for name in imports(path.read_text()) if name.startswith(OWN)}


def name_of(path: Path) -> str:
    """Return a file's name as others import it, as module_utils._ipvs.table."""
    return ".".join(path.relative_to(PLUGINS).with_suffix("").parts)


def reached(names: set[str]) -> set[str]:
    """Return these files of the collection and all that they import."""
    found: set[str] = set()
    while names:
        found |= names
        names = {
            other for name in names for other in own(PLUGINS.joinpath(*name.split(".")).with_suffix(".py"))
        } - found
    return found


def test_imports_are_found() -> None:
    lines = ("import os.path", "from time import sleep", f"from {OWN}module_utils._ipvs import table")
    assert imports("\n".join((*lines, f"from {OWN}plugin_utils._inventory.nfs import nfs"))) == {
        "os.path",
        "time",
        f"{OWN}module_utils._ipvs.table",
        f"{OWN}plugin_utils._inventory.nfs",
    }
    assert calls("def f():\n    return open('x')", "open")
    assert not calls("x.open()", "open")


def test_everything_is_found() -> None:
    assert {name_of(path) for path in UTILS} >= EDGES
    assert {name_of(path) for path in PURE} >= READERS
    assert "module_utils._ipvs.table" in reached({"modules.ipvs_drain"})


@pytest.mark.parametrize("path", [*UTILS, *PURE], ids=name_of)
def test_all_is_private(path: Path) -> None:
    assert path.relative_to(PLUGINS).parts[1].startswith("_")


@pytest.mark.parametrize("path", UTILS, ids=name_of)
def test_module_utils_import_the_standard_library_and_each_other(path: Path) -> None:
    names = {name for name in imports(path.read_text()) if not name.startswith(f"{OWN}module_utils.")}
    assert {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize(
    "path", [path for path in (*UTILS, *PURE) if name_of(path) not in EDGES | READERS], ids=name_of
)
def test_all_but_the_edges_are_pure(path: Path) -> None:
    source = path.read_text()
    assert {name for name in imports(source) if name.partition(".")[0] in OUTSIDE} == set()
    assert not calls(source, "open")
    assert own(path) & (EDGES | READERS) == set()


def test_there_are_no_circles() -> None:
    TopologicalSorter({name_of(path): own(path) for path in (*UTILS, *PURE)}).prepare()


def test_module_utils_hold_what_modules_need() -> None:
    needed = reached({name_of(path) for path in (PLUGINS / "modules").glob("*.py")})
    assert {name_of(path) for path in UTILS} - needed == set()


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
    assert {path.name for path in PROGRAMS} >= {"ha-hooks", "heartbeat-vips", "ipvs-guard", "ipvs-resync"}


@pytest.mark.parametrize("path", [ROOT / "lab/lab", *LAB], ids=lambda path: path.stem)
def test_the_lab_imports_the_standard_library_and_itself(path: Path) -> None:
    names = {name.partition(".")[0] for name in imports(path.read_text())}
    assert names - {"codalab"} - set(sys.stdlib_module_names) == set()


def test_the_lab_has_no_circles() -> None:
    found = {f"codalab.{path.stem}": imports(path.read_text()) for path in LAB}
    TopologicalSorter(found).prepare()
    assert "codalab.record" in found["codalab.disk"]


def lengths(source: str) -> list[tuple[str, int]]:
    """Return each function of a file with its number of lines, without its docstring."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) is not None else 0
            found.append((node.name, (node.end_lineno or 0) - node.lineno + 1 - docstring))
    return found


@pytest.mark.parametrize(
    "path", [*sorted(PLUGINS.rglob("*.py")), *PROGRAMS, *LAB, *TOOLS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_function_can_be_read_at_one_look(path: Path) -> None:
    """Judge's __init__ only names what a Judge knows, a line each."""
    assert [
        (name, lines) for name, lines in lengths(path.read_text()) if lines > (48 if name == "__init__" else 40)
    ] == []


def test_lengths_are_found() -> None:
    method = '    def f(self):\n        """One.\n\n        Two.\n        """\n        return 1\n'
    assert lengths(f"def f(): pass\n\n\nclass A:\n{method}") == [("f", 1), ("f", 2)]
