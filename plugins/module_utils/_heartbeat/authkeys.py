# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and check authkeys: the keys with which the directors sign their heartbeats.

Heartbeat silently ignores a second value, and a key above the line 'auth'; here both are problems. No problem holds a
secret. All checks take any text and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import WARNING, Problem, whole_number


@dataclass(frozen=True)
class AuthKey:
    """One key; printing it does not show the secret."""

    line: int = field(compare=False)
    method: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AuthKeys:
    """An authkeys file: the number of the key that signs, and all keys that are accepted."""

    active: int | None
    keys: Mapping[int, AuthKey]


_METHODS = ("sha1", "md5", "crc")


def parse_authkeys(text: str) -> tuple[AuthKeys, list[Problem]]:
    """Return the keys of an authkeys file, and what is wrong with its lines. No problem holds a secret."""
    active: int | None = None
    keys: dict[int, AuthKey] = {}
    problems = []
    for number, raw in enumerate(text.split("\n"), 1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "auth":
            wrong, found = _auth_line(words, active, keys)
            active = found if active is None else active
            problems += [Problem(number, "auth", "" if found is None else str(found), problem) for problem in wrong]
        elif not _check_key_number(words[0]):
            wrong = _key_line(words, keys)
            problems += [Problem(number, "key", str(int(words[0])), problem) for problem in wrong]
            if not wrong:
                keys[int(words[0])] = AuthKey(number, words[1], words[2] if len(words) > 2 else None)
        elif re.fullmatch(r"-?[0-9]{1,4}", words[0]):
            problems.append(Problem(number, "key", words[0], "must be a number from 1 to 15"))
        else:
            problems.append(Problem(number, "", "", "must be 'auth NUMBER' or 'NUMBER METHOD [SECRET]'"))
    return AuthKeys(active, keys), problems


_check_key_number = whole_number(1, 15)


def _auth_line(words: list[str], active: int | None, keys: Mapping[int, AuthKey]) -> tuple[list[str], int | None]:
    if len(words) != 2 or _check_key_number(words[1]):
        return ["must be 'auth NUMBER', from 1 to 15 and nothing behind it"], None
    problems = []
    if active is not None:
        problems.append("is given twice; one key signs")
    if keys:
        # Heartbeat looks for the active key only in the lines below.
        problems.append("must come before the keys")
    return problems, int(words[1])


def _key_line(words: list[str], keys: Mapping[int, AuthKey]) -> list[str]:
    if int(words[0]) in keys:
        return [f"is given already in line {keys[int(words[0])].line}"]
    if len(words) < 2 or words[1] not in _METHODS:
        # The word is not shown: it may be the secret itself.
        return ["its method must be sha1, md5 or crc, in lower case"]
    if words[1] == "crc" and len(words) > 2:
        return ["crc takes no secret, and no comment may follow it"]
    if words[1] != "crc" and len(words) < 3:
        return [f"{words[1]} needs a secret"]
    if len(words) > 3:
        return ["its secret ends at the first blank; Heartbeat ignores the rest"]
    return []


def check_authkeys(text: str, installed: Iterable[str] = (), left_out: Collection[str] = ()) -> list[Problem]:
    """Return everything wrong with an authkeys file that replaces those of the directors. No problem holds a secret.

    installed: what they have, and what their Heartbeats have read. These differ after a run that was killed. If they
    don't accept each other, the directors are parted already, and any file may end that. left_out: directors that don't
    get the file, and whose own nobody has seen.
    """
    found, problems = parse_authkeys(text)
    old = [parse_authkeys(each)[0] for each in dict.fromkeys(installed)]
    if not any(problem for one in old for two in old for problem in _check_rotation(one, two)):
        problems += dict.fromkeys(problem for each in old for problem in _check_rotation(found, each))
    problems += _check_change(found, old, left_out)
    given = [problem.directive for problem in problems]
    if found.active is None and "auth" not in given:
        problems.append(Problem(0, "auth", "", "is missing: 'auth NUMBER' says which key signs"))
    if found.active is not None and found.active not in found.keys:
        if not any(problem.directive == "key" and problem.value == str(found.active) for problem in problems):
            problems.append(Problem(0, "auth", str(found.active), "there is no key with this number"))
    elif found.active is not None and found.keys[found.active].method == "crc":
        line = found.keys[found.active].line
        problem = "crc signs nothing: anybody on the link can forge a heartbeat; use sha1 unless the link is private"
        problems.append(Problem(line, "key", str(found.active), problem, WARNING))
    return problems


def _check_change(new: AuthKeys, old: Iterable[AuthKeys], left_out: Collection[str]) -> Iterator[Problem]:
    """Yield that a change does not reach every director. Each step may do no harm, and the next ones would.

    A file that Heartbeat can't use is none, and the first one may be given to one director alone.
    """
    usable = [each for each in old if each.active in each.keys]
    if left_out and usable and new not in usable:
        names = " and ".join(left_out)
        problem = (
            f"the keys change, and {names} would not learn of that, and drop heartbeats some day; take the change back "
            f"until {names} is in the run, neither left out by --limit nor in ha_absent"
        )
        yield Problem(0, "", "", problem)


def _check_rotation(new: AuthKeys, old: AuthKeys) -> Iterator[Problem]:
    """Yield why the directors would drop each other's packets while only one of them has the new file.

    A packet carries the number of its key, and Heartbeat's isauthentic() drops it unless the receiver has that key
    under that number. So each director must know the key that the other one signs with.
    """
    if old.active is None or old.active not in old.keys or new.active is None:
        return
    if new.keys.get(old.active) != old.keys[old.active]:
        problem = "the directors sign with this key: keep it under this number until another one is active"
        yield Problem(0, "key", str(old.active), problem)
    elif new.active in new.keys and old.keys.get(new.active) != new.keys[new.active]:
        problem = "the directors don't have this key yet: give it to them in one run, and make it active in the next"
        yield Problem(0, "key", str(new.active), problem)
