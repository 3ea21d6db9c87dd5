# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find mistakes in an inventory's files that Ansible only warns of: it would use a part as if it were the whole.

If a key is written twice in YAML, Ansible takes the second value. If a group is its own descendant, Ansible takes what
comes before it in the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ansible_collections.codalvs.ha.plugins.module_utils._schema import closest, letters, show, spelling
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint

YAML = (".yml", ".yaml", ".json")
VARIABLES = ("group_vars", "host_vars")
INI = re.compile(r"^\s*\[[^\]\n]+\]\s*$", re.MULTILINE)  # Ansible tries it on each file that is no YAML
MERGE = "tag:yaml.org,2002:merge"  # '<<', which may be there several times
VAULT = "$ANSIBLE_VAULT"
DEFAULT = "/etc/ansible/hosts"
SECTIONS = ("vars", "children", "hosts")  # of a group
MEANT = {"variables": "vars", "group_vars": "vars", "child": "children", "groups": "children"}
LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first one is written in C, and not built everywhere


def files_of(sources: Iterable[Path], playbooks: Path) -> list[Path]:
    """Return the files of an inventory: its sources, and the variables beside them and beside the playbook."""
    found: dict[Path, None] = {}
    beside: dict[Path, None] = {}
    for source in sources:
        if source.is_dir():
            # Ansible leaves out what is hidden.
            inner = ((path, path.relative_to(source).parts) for path in source.rglob("*") if path.is_file())
            found.update(dict.fromkeys(sorted(path for path, parts in inner if not any(p[0] == "." for p in parts))))
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
    """Yield (rule, complaint) for a file. Of variables that are no YAML, Ansible itself says it.

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
    except (yaml.YAMLError, RecursionError) as error:
        documents = []
        if path.suffix in YAML and not variables and path.name[:1] != "." and text[:2] != "#!" and not INI.search(text):
            yield "unreadable_file", _unreadable(path, error)
    if path.suffix in YAML or variables or any(isinstance(node, yaml.MappingNode) for node in documents):
        for node in documents:
            yield from _duplicates(node, path, "", set())
            yield from () if variables else _sections(node, path)
        edges = {} if variables else _merged(_children(node) for node in documents)
    else:
        edges = _ini_children(text)
    cycle = find_cycle(edges)
    if found is not None:
        found.update(edges)
    if cycle:
        yield "group_cycle", _cycle(cycle, path.name)


def _unreadable(path: Path, error: Exception) -> Complaint:
    mark, what = getattr(error, "problem_mark", None), str(getattr(error, "problem", ""))
    where = f" (line {mark.line + 1}{', a tab' if repr(chr(9)) in what else ''})" if mark else ""
    problem = f"is no YAML{where}: Ansible goes on without it"
    return Complaint(show(path.name), "", problem, "correct it; `ansible-inventory --list -i` with this file says more")


def missing(sources: Iterable[str]) -> Iterator[tuple[str, Complaint]]:
    """Yield the sources of an inventory that are not there; a comma makes a list of hosts of a source.

    Ansible's own default, for who gives none, need not be there.
    """
    for source in sources:
        if "," not in source and source != DEFAULT and not Path(source).exists():
            problem = "is not there: Ansible goes on without it"
            yield (
                "unreadable_file",
                Complaint(show(Path(source).name), "", problem, "correct the name, or leave it out"),
            )


def hidden(paths: Iterable[Path]) -> Iterator[tuple[str, Complaint]]:
    """Yield files of variables that Ansible leaves out, because it takes the first of NAME, NAME.yml and so on."""
    first: dict[tuple[Path, str], str] = {}
    places = ((folder, part) for path in paths for folder, part in [_place(path)] if part)
    order = ("", ".yml", ".yaml", ".json")
    files = sorted(
        {*places}, key=lambda place: (place[0], Path(place[1]).suffix in YAML, order.index(_suffix(place[1])))
    )
    for folder, part in files:
        name = part.removesuffix(_suffix(part))
        taken = first.setdefault((folder, name), part)
        if taken != part:
            problem = f"is left out: of one name, Ansible reads {taken} alone"
            variable = f"{folder.name}/{part}"
            yield (
                "ignored_file",
                Complaint(show(variable), "", problem, f"move it to {folder.name}/{taken}/, or join both"),
            )


def unread(
    paths: Iterable[Path], folders: Collection[Path], names: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, Complaint]]:
    """Yield files of variables whose names are those of groups or hosts, but for their spelling.

    folders: what group_vars and host_vars are in that belong to this inventory alone; names: those of groups by
    'group_vars', of hosts by 'host_vars'. A file of another name may be of a host that is gone.
    """
    alike = {"group_vars": letters, "host_vars": spelling}
    spelled = {kind: {alike[kind](name): name for name in names[kind]} for kind in VARIABLES}
    for folder, part in dict.fromkeys(map(_place, paths)):
        name = part.removesuffix(_suffix(part))
        if not part or folder.parent not in folders or name in names[folder.name] or part in names[folder.name]:
            continue
        label = name.partition(".")[0] if folder.name == "host_vars" else name
        found, like = spelled[folder.name], alike[folder.name]
        meant = found.get(like(name)) or found.get(like(label))
        if meant:
            what = "group" if folder.name == "group_vars" else "host"
            problem = f"is read by nobody: there is no such {what}"
            yield "ignored_file", Complaint(show(f"{folder.name}/{part}"), "", problem, f"call it {meant}")


def _place(path: Path) -> tuple[Path, str]:
    """Return the folder of variables that a file is in, and the name there that says whose they are; or ''."""
    for folder in path.parents:
        if folder.name in VARIABLES:
            part = path.relative_to(folder).parts[0]
            is_folder = len(path.relative_to(folder).parts) > 1
            usable = is_folder or path.suffix in ("", *YAML) or "." in path.stem
            return folder, part if usable and part[0] != "." and part[-1] != "~" else ""
    return path.parent, ""


def _suffix(name: str) -> str:
    return Path(name).suffix if Path(name).suffix in YAML else ""


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


def _groups(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Yield a YAML inventory's groups, each place of a group once."""
    stack, seen = _pairs(node), set[tuple[str, int]]()
    while stack:
        name, group = stack.pop()
        if (name, id(group)) in seen:  # by an alias, which may lead to what is around it
            continue
        seen.add((name, id(group)))
        yield name, group
        stack += [pair for key, value in _pairs(group) if key == "children" for pair in _pairs(value)]


def _children(node: yaml.Node) -> dict[str, list[str]]:
    """Return a YAML inventory's groups with their children."""
    edges: dict[str, list[str]] = {}
    for name, group in _groups(node):
        for key, value in _pairs(group):
            if key == "children":
                edges.setdefault(name, []).extend(child for child, _group in _pairs(value))
    return edges


def _sections(node: yaml.Node, path: Path) -> Iterator[tuple[str, Complaint]]:
    """Yield what a group has beside vars, children and hosts, where one of these was surely meant; and lists of hosts.

    Ansible leaves the former out, and the whole file because of the latter. What else is there may hold anchors.
    """
    if any(key == "plugin" for key, _value in _pairs(node)):
        return  # it configures a plugin, and has no groups
    for name, group in _groups(node):
        for key, value in _pairs(group) if name[:1] not in ("_", ".") else ():
            place = f"{show(name)}.{show(key)}"
            if key in SECTIONS and isinstance(value, yaml.SequenceNode):
                problem = f"must be a dictionary: Ansible reads nothing of {path.name}"
                yield "unreadable_file", Complaint(place, "", problem, "write 'name:' in place of '- name'")
            meant = None if key in SECTIONS else MEANT.get(key.lower()) or closest(key.lower(), SECTIONS, 0.8)
            nested = isinstance(value, yaml.MappingNode) and {"hosts", "children"} & {
                each for each, _inner in _pairs(value)
            }
            if meant or (nested and key not in SECTIONS and not key.startswith(("x-", "_", "."))):
                problem = f"is not vars, children or hosts: Ansible leaves it out ({path.name})"
                remedy = f"write {meant} in its place" if meant else "put the group below children"
                yield "ignored_key", Complaint(place, "", problem, remedy)


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
