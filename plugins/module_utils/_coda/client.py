# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Coda client sees, as data: mount points, access lists, the states of volumes. Parse, compare, plan. Pure.

The formats are those of cfs(1), which exits with 0 whatever happened, so only its output counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

RIGHTS = "rlidwka"  # read lookup insert delete write lock administer, in the order in which cfs shows them
WORDS = {"none": "", "read": "rl", "write": "rlidwk", "all": RIGHTS}
_ENTRY = re.compile(r"^ *(\S.*?) ( |-)([rlidwka]+) *$", re.MULTILINE)
_MOUNT = re.compile(
    r'^(?:Mount point for|Dangling sym link; looks like a mount point for) volume "(.*)"$', re.MULTILINE
)


class Volume(NamedTuple):
    """The state of a volume on this client."""

    name: str
    reachable: bool
    age: int  # s before a change is sent
    time: float  # s that sending may take; 0: a program waits until its change is sent
    conflicts: bool
    pending: int  # changes that the servers don't have yet


class Acl(NamedTuple):
    """An access list: rights by name of user or group, and those that are denied."""

    rights: Mapping[str, str]
    denied: Mapping[str, str]


def parse_volume(text: str) -> Volume | None:
    """Parse the output of `cfs listvol` for one path; None if it names no volume."""
    name = re.search(r'^  Status of volume .* named "(.*)"$', text, re.MULTILINE)
    state = re.search(r"^  Connection State is (\w+)$", text, re.MULTILINE)
    sent = re.search(r"^  Reintegration age: (\d+) sec, time ([\d.]+) sec$", text, re.MULTILINE)
    if not (name and state and sent):
        return None
    pending = re.search(r"^  There are (\d+) CML entries pending", text, re.MULTILINE)
    return Volume(
        name[1],
        state[1] != "Unreachable",
        int(sent[1]),
        float(sent[2]),
        "*** There are pending conflicts in this volume ***" in text,
        int(pending[1]) if pending else 0,
    )


def parse_mount(text: str) -> str | None:
    """Return the volume's name in the output of `cfs lsmount` for one path; None if that is no mount point."""
    match = _MOUNT.search(text)
    # cfs also prints the dot that ends the name inside Coda.
    return match[1].rstrip(".") if match else None


def parse_acl(text: str) -> Acl:
    """Parse the output of `cfs listacl` for one path."""
    found = Acl({}, {})
    for name, sign, rights in _ENTRY.findall(text):
        (found.denied if sign == "-" else found.rights)[name] = rights  # type: ignore[index]
    return found


def to_rights(text: str) -> str:
    """Return rights in their order, from letters in any order or one of cfs' words; ValueError if they are none."""
    letters = WORDS.get(text, text)
    if set(letters) - set(RIGHTS) or len(set(letters)) < len(letters):
        raise ValueError(f"{text!r} is none of {', '.join(WORDS)}, nor letters out of {RIGHTS!r}, each once")
    return "".join(letter for letter in RIGHTS if letter in letters)


def wanted_acl(rights: Mapping[str, str], denied: Mapping[str, str]) -> Acl:
    """Return an access list as cfs would show it: without those who have no rights."""
    both = ({name: to_rights(text) for name, text in part.items()} for part in (rights, denied))
    return Acl(*({name: text for name, text in part.items() if text} for part in both))


def same_acl(one: Acl, other: Acl) -> bool:
    """Tell whether two lists say the same; Coda takes no notice of the case of names."""
    return _folded(one) == _folded(other)


def acl_commands(path: str, wanted: Acl) -> list[list[str]]:
    """Return the arguments of cfs that give a folder this list, whatever its list was."""
    commands = [["setacl", "-clear", path, *_pairs(wanted.rights)]]
    if wanted.denied:
        commands.append(["setacl", "-negative", path, *_pairs(wanted.denied)])
    return commands


def acl_lines(acl: Acl) -> str:
    """Return a list as lines, for people."""
    lines = [f"{name} {text}\n" for name, text in sorted(acl.rights.items())]
    return "".join([*lines, *(f"{name} -{text}\n" for name, text in sorted(acl.denied.items()))])


def archived_acls(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the lists of an archive's ..CodaACLs.yaml as coda_acl takes them; ValueError for an unusable name."""
    found = []
    for entry in data["acls"]:
        pairs = [(_name(each["name"]), each["rights"]) for each in entry["acl"] or ()]
        rights = {name: text for name, text in pairs if not text.startswith("-")}
        denied = {name: text[1:] for name, text in pairs if text.startswith("-")}
        found.append({"path": _name(entry["path"]), "rights": rights, "denied": denied})
    return found


def by_depth(paths: Iterable[str]) -> list[str]:
    """Sort paths so that each folder comes before what is in it."""
    return sorted(paths, key=lambda path: (path.count("/"), path))


def _name(text: str) -> str:
    """Put a name together again: codadump2tar escapes each byte by itself, where YAML means characters."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError as error:
        raise ValueError(f"the name {text!r} is not in UTF-8") from error


def _folded(acl: Acl) -> tuple[dict[str, str], dict[str, str]]:
    rights, denied = ({name.lower(): text for name, text in part.items()} for part in acl)
    return rights, denied


def _pairs(part: Mapping[str, str]) -> list[str]:
    return [word for pair in sorted(part.items()) for word in pair]
