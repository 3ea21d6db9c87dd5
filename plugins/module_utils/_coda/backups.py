# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of volumes: their names, which of them go, what a dump is, and whether an archive is whole. Pure.

A full archive is the tar file that codadump2tar makes of a dump. Its format, USTAR without extensions, has room for
names of 99 bytes in folders of 154, and for links of 99; codadump2tar cuts what is longer and says nothing.
An incremental archive is a dump of what has changed since a full one. The full one's own dump, the base, stays as long
as an incremental archive goes on from it, or the next one will.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from tarfile import TarInfo
from typing import NamedTuple

TOP = "files"  # the folder that all of an archive is in
LISTS = f"{TOP}/..CodaACLs.yaml"  # the access lists of all folders
NAME, FOLDER, LINK = 99, 154, 98  # bytes: a name, folder or link this long or longer may have been cut
# How a dump ends: a tag, and DUMPENDMAGIC (codadumpfile(5)). codadump2tar does not notice when it is missing.
END = bytes([8]) + (0x3A214B6E).to_bytes(4, "big")
STAMP = r"[0-9]{8}T[0-9]{6}Z"
FULL, BASE = ".tar", ".dump"
_NAME = re.compile(rf"(.+)\.({STAMP})(?:(\.tar)|(\.dump)|\.since-({STAMP})\.dump)", re.DOTALL)
# How a dump begins: D_DUMPHEADER, DUMPBEGINMAGIC, a version, then fields of a letter and a value (DumpDumpHeader in
# coda-src/volutil/vol-dump.cc). Numbers have four bytes, the highest first.
BEGIN = bytes([1]) + (0xB3A11322).to_bytes(4, "big")
HEADER = 4096  # bytes; no header is longer


class Header(NamedTuple):
    """What a dump says of itself."""

    replica: int  # number of the replica
    incremental: bool
    since: int  # mark of the dump that this one goes on from, if it is incremental
    mark: int  # its own mark, to which the next incremental one refers


class Name(NamedTuple):
    """What the name of an archive's file says."""

    volume: str  # with % in place of /
    stamp: str
    kind: str  # full, base or incremental
    since: str  # of an incremental one, the stamp of the full one that it goes on from; else empty


def file_name(volume: str, stamp: str, kind: str = FULL) -> str:
    """Return the name of a volume's archive; stamp: YYYYMMDDTHHMMSSZ, so that names sort by age."""
    return f"{volume.replace('/', '%')}.{stamp}{kind}"


def since(stamp: str) -> str:
    """Return the kind of an incremental archive: how its name ends."""
    return f".since-{stamp}{BASE}"


def parse_name(name: str) -> Name | None:
    """Read the name of an archive's file, as file_name() makes it; None for any other name."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    volume, stamp, full, dump, begin = match.groups()
    return Name(volume, stamp, "full" if full else "base" if dump else "incremental", begin or "")


def later(names: Iterable[str], stamp: str) -> list[str]:
    """Return the archives that are later than a stamp, if it is of now: made while the clock was wrong, if it is right.

    By their names, they are newer than what is made now, which outdated() would remove.
    """
    return sorted(name for name in names if (found := parse_name(name)) and found.stamp > stamp)


def to_restore(path: str) -> dict[str, str]:
    """Return {kind, base}: full or incremental, and the path of the dump that an incremental archive goes on from.

    Both are empty if no archive can have that name. You may rename a full archive, because all of it is in one file.
    """
    folder, _slash, name = path.rpartition("/")
    found = parse_name(name)
    if not path.startswith("/") or not name.removesuffix(FULL):
        return {"kind": "", "base": ""}
    if found and found.kind == "incremental":
        return {"kind": found.kind, "base": f"{folder}/{file_name(found.volume, found.since, BASE)}"}
    return {"kind": "full" if name.endswith(FULL) else "", "base": ""}


def header(data: bytes) -> Header | None:
    """Read the beginning of a dump; None if the data is no dump."""
    if not data.startswith(BEGIN):
        return None
    place, found = len(BEGIN) + 4, {}
    while data[place : place + 1] in (b"v", b"p", b"n", b"b", b"i", b"I"):
        name, numbers = chr(data[place]), [data[place + 1 : place + 5], data[place + 5 : place + 9]]
        values = [int.from_bytes(number, "big") for number in numbers]
        found[name] = values
        place += 9 if name == "I" else 5 + (values[0] if name == "n" else 0)
    if not {"p", "i", "I"} <= set(found) or place >= len(data):
        return None
    return Header(found["p"][0], found["i"][0] != 0, *found["I"])


class Chain(NamedTuple):
    """What goes on from a full archive."""

    base: bool  # its dump is there
    later: list[str]  # stamps of the incremental ones


def chains(names: Iterable[str], volume: str) -> dict[str, Chain]:
    """Return a volume's full archives by stamp, oldest first, each with what goes on from it."""
    own = volume.replace("/", "%")
    found = [each for each in map(parse_name, names) if each and each.volume == own]
    bases = {each.stamp for each in found if each.kind == "base"}
    return {
        stamp: Chain(stamp in bases, sorted(each.stamp for each in found if each.since == stamp))
        for stamp in sorted(each.stamp for each in found if each.kind == "full")
    }


def base(names: Iterable[str], volume: str, increments: int) -> str | None:
    """Return the stamp of the full archive that the next archive goes on from; None if the next one must be full."""
    found = chains(names, volume)
    if not found:
        return None
    stamp, chain = list(found.items())[-1]
    return stamp if chain.base and len(chain.later) < increments else None


def outdated(names: Iterable[str], volume: str, keep: int) -> list[str]:
    """Return which files of a volume to remove, so that the newest full archives stay, with what goes on from them.

    The order is that of removal: a killed run leaves no file that needs a removed one.
    """
    found = chains(names, volume)
    kept = list(found)[-keep:] if keep else []
    gone: list[str] = []
    for stamp, chain in found.items():
        if stamp not in kept:
            gone += [file_name(volume, end, since(stamp)) for end in chain.later]
        # A base without incremental archives, which none will go on from either.
        if chain.base and (stamp not in kept or (not chain.later and stamp != kept[-1])):
            gone.append(file_name(volume, stamp, BASE))
        if stamp not in kept:
            gone.append(file_name(volume, stamp))
    return gone


def faults(members: Iterable[TarInfo]) -> list[str]:
    """Return what is wrong with an archive: what may have been cut, and whether the access lists are missing."""
    problems, lists = [], False
    for member in members:
        folder, _slash, name = member.name.rpartition("/")
        lists = lists or member.name == LISTS
        if _length(name) >= NAME or _length(folder) >= FOLDER:
            problems.append(f"{member.name}: the name is too long for the archive, and may have been cut")
        if (member.issym() or member.islnk()) and _length(member.linkname) >= LINK:
            problems.append(f"{member.name}: where the link leads is too long for the archive, and may have been cut")
    return problems if lists else [*problems, f"there is no {LISTS} in it"]


def _length(name: str) -> int:
    """Return how many bytes a name has; tarfile escapes those that are not UTF-8."""
    return len(name.encode("utf-8", "surrogateescape"))
