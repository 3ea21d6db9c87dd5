# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cell's users, groups and passwords as data: parse, compare with what is wanted, plan. Pure.

Users and groups are in Coda's protection database, which `pdbtool` edits; its exit code is 0 whatever happens.
Passwords are lines of auth2.pw, XORed with a key that everybody knows: that hides them from a glance, no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

KEY = b"drseuss "
LONGEST = 8  # bytes of a password; Coda silently forgets the rest
# pdbtool splits its arguments at blanks, and takes a name that begins with a digit for a number.
# Ansible writes a module's arguments to the system's log, and hides a password in them only if Python's repr() of it
# has the same characters.
SPELLING = re.compile(r"[ !#-&(-\[\]-~]+")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}")
GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,62}")
_LINE = re.compile(r"^(\d+)\t([0-9a-f]{16})\t.*$", re.MULTILINE)


class User(NamedTuple):
    """A user; without a password, the present one stays."""

    name: str
    uid: int
    password: str | None = None


class Group(NamedTuple):
    """A group; its owner is a member as well."""

    name: str
    owner: str
    members: frozenset[str]  # users and groups, without the owner


class Fault(NamedTuple):
    """What is wrong with one entry of a list of users or groups."""

    kind: str  # user or group
    place: int  # in its list
    name: str
    problem: str
    other: int | None = None  # place of the user that has the same name or number


class Database(NamedTuple):
    """What is in the protection database."""

    users: Mapping[str, int]
    groups: Mapping[str, Group]


class Plan(NamedTuple):
    """Arguments of pdbtool, one line a call, and the new text of auth2.pw."""

    commands: Sequence[Sequence[str]]
    passwords: str
    new_passwords: Sequence[str]  # names of the users
    problems: Sequence[str]


def parse(users: str, groups: str) -> Database:
    """Parse the two files of `pdbtool export`, in which the ':' of a group's name is a '%'."""
    found = {}
    for line in users.splitlines():
        name, _star, uid, *_rest = line.split(":")
        found[name] = int(uid)
    known = {}
    for line in groups.splitlines():
        name, _star, _number, members = line.split(":", 3)
        owner, *others = members.replace("%", ":").split(",")
        name = name.replace("%", ":")
        known[name] = Group(name, owner, frozenset(others))
    return Database(found, known)


def password_fault(password: str) -> str | None:
    """Tell why a text can't be a password."""
    raw = password.encode()
    if not raw:
        return "is empty"
    if len(raw) > LONGEST:
        return f"has {len(raw)} bytes, and Coda forgets all after the first {LONGEST}"
    if not SPELLING.fullmatch(password):
        return "must be of printable ASCII characters, without quotes and backslashes"
    return None


def conceal(password: str) -> str:
    """Return a password as auth2.pw has it."""
    return bytes(a ^ b for a, b in zip(password.encode().ljust(LONGEST, b"\0"), KEY, strict=True)).hex()


def check(users: Iterable[User], groups: Iterable[Group]) -> list[str]:
    """Return what is wrong with a list of users and groups in itself. The answer holds no password."""
    return [f"{fault.kind} {fault.name}: {fault.problem}" for fault in faults(users, groups)]


def faults(users: Iterable[User], groups: Iterable[Group]) -> Iterator[Fault]:
    """Yield the same, entry by entry. cfs(1) takes no notice of the case of names in an access list."""
    names: dict[str, tuple[int, str]] = {}
    uids: dict[int, tuple[int, str]] = {}
    for index, user in enumerate(users):
        if not USER.fullmatch(user.name):
            problem = "a name has 1 to 31 letters, digits, '_', '.' or '-', the first a letter or '_'"
            yield Fault("user", index, repr(user.name), problem)
        place, other = names.setdefault(user.name.lower(), (index, user.name))
        if place != index:
            case = f"differs from {other} in case alone, and access lists take them for one"
            yield Fault("user", index, user.name, "is listed twice" if other == user.name else case, place)
        holder, owner = uids.setdefault(user.uid, (index, user.name))
        if not 0 < user.uid < 1 << 31 or (user.uid == 1) != (user.name == "System"):
            problem = f"uid {user.uid} must be 2 to 2147483647; 1 is the user System"
            yield Fault("user", index, user.name, problem)
        elif holder != index and place == index:  # of one that is listed twice, that is enough
            yield Fault("user", index, user.name, f"uid {user.uid} is that of {owner}", holder)
        fault = None if user.password is None else password_fault(user.password)
        if fault:
            yield Fault("user", index, user.name, f"the password {fault}")
    known = set(names)
    for index, group in enumerate(groups):
        if not GROUP.fullmatch(group.name):
            problem = "a name has 1 to 63 letters, digits, '_', '.', ':' or '-', the first a letter"
            yield Fault("group", index, repr(group.name), problem)
        if group.name.lower() in known:
            yield Fault("group", index, group.name, "is listed twice, or is a user; access lists ignore case")
        known.add(group.name.lower())


def plan(database: Database, passwords: str, users: Sequence[User], groups: Sequence[Group]) -> Plan:
    """Return what creates, changes and removes the listed users and groups; all others stay."""
    commands: list[list[str]] = []
    problems: list[str] = []
    names = dict(database.users)
    taken = {uid: name for name, uid in names.items()}
    for user in users:
        if names.get(user.name, user.uid) != user.uid:
            uid = names[user.name]
            problems.append(f"user {user.name}: has uid {uid}, not {user.uid}; access lists know it by that number")
        elif user.name not in names and user.uid in taken:
            problems.append(f"user {user.name}: uid {user.uid} is that of {taken[user.uid]}")
        elif user.name not in names:
            commands.append(["nui", user.name, str(user.uid)])
        names.setdefault(user.name, user.uid)
    known = set(names) | set(database.groups) | {group.name for group in groups}
    for group in groups:
        there = database.groups.get(group.name)
        lacking = sorted({group.owner, *group.members} - known)
        if lacking:
            problems.append(f"group {group.name}: there is no {', '.join(lacking)}")
        elif there and there.owner != group.owner:
            problems.append(f"group {group.name}: belongs to {there.owner}, which can't become {group.owner}")
        elif not there:
            commands.append(["ng", group.name, group.owner])
    for group in groups:
        there = database.groups.get(group.name)
        has = there.members if there else frozenset()
        wants = group.members - {group.owner}
        commands += [["ag", group.name, name] for name in sorted(wants - has)]
        commands += [["rg", group.name, name] for name in sorted(has - wants)]
    text, whose = _passwords(passwords, users)
    return Plan([] if problems else commands, text, whose, problems)


def _passwords(text: str, users: Iterable[User]) -> tuple[str, list[str]]:
    """Return auth2.pw with the wanted passwords, and whose are new. If a uid has several lines, the last one counts."""
    have = {int(uid): concealed for uid, concealed in _LINE.findall(text)}
    new = {
        user.uid: f"{user.uid}\t{conceal(user.password)}\t{user.name}"
        for user in users
        if user.password is not None and have.get(user.uid) != conceal(user.password)
    }
    lines = [
        line for line in text.splitlines() if not (line.split("\t")[0].isdigit() and int(line.split("\t")[0]) in new)
    ]
    return "".join(f"{line}\n" for line in [*lines, *new.values()]), [user.name for user in users if user.uid in new]
