# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find mistakes in an inventory's files that Ansible only warns of: it would use a part as if it were the whole.

If a key is written twice in YAML, Ansible takes the second value. If a group is its own descendant, Ansible takes what
comes before it in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ansible_collections.codalvs.ha.plugins.module_utils._schema import show
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint

YAML = (".yml", ".yaml", ".json")
VARIABLES = ("group_vars", "host_vars")
MERGE = "tag:yaml.org,2002:merge"  # '<<', which may be there several times
VAULT = "$ANSIBLE_VAULT"
LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first one is written in C, and not built everywhere


def files_of(sources: Iterable[Path], playbooks: Path) -> list[Path]:
    """Return the files of an inventory: its sources, and the variables beside them and beside the playbook."""
    found: dict[Path, None] = {}
    beside: dict[Path, None] = {}
    for source in sources:
        if source.is_dir():
            found.update(dict.fromkeys(sorted(path for path in source.rglob("*") if path.is_file())))
        elif source.is_file():
            found[source] = None
            beside[source.parent] = None
    for folder in (*beside, playbooks):
        for name in VARIABLES:
            found.update(dict.fromkeys(sorted(path for path in (folder / name).rglob("*") if path.is_file())))
    return list(found)


def all_problems(texts: Iterable[tuple[Path, str]]) -> Iterator[tuple[str, Complaint]]:
    """Yield (rule, complaint) for the files of an inventory: what is in each, and cycles that lead through several."""
    together: dict[str, list[str]] = {}
    cycles = False
    for path, text in texts:
        edges: dict[str, list[str]] = {}
        for rule, complaint in problems(path, text, edges):
            cycles = cycles or rule == "group_cycle"
            yield rule, complaint
        together = _merged([together, edges])
    cycle = [] if cycles else find_cycle(together)
    if cycle:
        yield "group_cycle", _cycle(cycle, "the file that it reads later")


def _cycle(groups: Sequence[str], where: str) -> Complaint:
    problem = f"is its own descendant ({' > '.join(groups)}): Ansible leaves out what follows in {where}"
    return Complaint(f"groups.{show(groups[0])}", "", problem, "take one out of the other's children")


def problems(path: Path, text: str, found: dict[str, list[str]] | None = None) -> Iterator[tuple[str, Complaint]]:
    """Yield (rule, complaint) for a file; nothing for one that is no YAML or INI, which is Ansible's to say.

    found: is filled with the children of its groups.
    """
    variables = any(name in path.parts for name in VARIABLES)
    if text.startswith(VAULT) or (path.suffix not in YAML and path.suffix not in ("", ".ini", ".cfg")):
        return
    # Without a suffix it may be either; YAML inventories begin with a mapping, and INI never reads as one.
    try:
        documents = (
            [node for node in yaml.compose_all(text, Loader=LOADER) if node] if path.suffix in ("", *YAML) else []
        )
    except (yaml.YAMLError, RecursionError):
        documents = []
    if path.suffix in YAML or variables or any(isinstance(node, yaml.MappingNode) for node in documents):
        for node in documents:
            yield from _duplicates(node, path, "", set())
        edges = {} if variables else _merged(_children(node) for node in documents)
    else:
        edges = _ini_children(text)
    cycle = find_cycle(edges)
    if found is not None:
        found.update(edges)
    if cycle:
        yield "group_cycle", _cycle(cycle, path.name)


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return groups of which each is a child of the one before, the last the first again; [] when there are none."""
    done: set[str] = set()
    for start in sorted(edges):
        stack: list[tuple[str, Iterator[str]]] = [] if start in done else [(start, iter(edges[start]))]
        trail = [start]
        while stack:
            name, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                done.add(name)
                stack.pop()
                trail.pop()
            elif child in trail:
                return [*trail[trail.index(child) :], child]
            elif child not in done:
                stack.append((child, iter(edges.get(child, ()))))
                trail.append(child)
    return []


def _duplicates(node: yaml.Node, path: Path, place: str, seen: set[int]) -> Iterator[tuple[str, Complaint]]:
    """Walk through nodes, not values: what they construct, and the secrets in it, is not looked at.

    seen: nodes that were visited; an alias (*name) is the node of its anchor once more, or even the one around it.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            mark = (key.tag, name)  # 1 and '1' are two keys
            inner = f"{place}.{show(name)}" if place else show(name)
            if name and mark in first and key.tag != MERGE:
                where = f"lines {first[mark].start_mark.line + 1} and {key.start_mark.line + 1} of {path.name}"
                problem = f"is written twice, in {where}: the first one is ignored"
                yield "duplicate_key", Complaint(inner, "", problem, "keep one, or make one of both")
            first.setdefault(mark, key)
            yield from _duplicates(value, path, inner, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _duplicates(value, path, f"{place}[{index}]", seen)


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return [(str(key.value), value) for key, value in pairs if isinstance(key, yaml.ScalarNode)]


def _children(node: yaml.Node) -> dict[str, list[str]]:
    """Return a YAML inventory's groups with their children."""
    edges: dict[str, list[str]] = {}
    stack, seen = _pairs(node), set[tuple[str, int]]()
    while stack:
        name, group = stack.pop()
        if (name, id(group)) in seen:  # by an alias, which may lead to what is around it
            continue
        seen.add((name, id(group)))
        for key, value in _pairs(group):
            if key == "children":
                edges.setdefault(name, []).extend(child for child, _group in _pairs(value))
                stack += _pairs(value)
    return edges


def _ini_children(text: str) -> dict[str, list[str]]:
    edges: dict[str, list[str]] = {}
    parent = ""
    for line in map(str.strip, text.splitlines()):
        section = re.match(r"\[([^\]]+)\]", line)
        if section:
            name, _colon, kind = section[1].partition(":")
            parent = name if kind == "children" else ""
        elif parent and line and line[0] not in "#;":
            edges.setdefault(parent, []).append(line.split()[0])
    return edges


def _merged(maps: Iterable[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    edges: dict[str, list[str]] = {}
    for each in maps:
        for name, children in each.items():
            edges.setdefault(name, []).extend(children)
    return edges
