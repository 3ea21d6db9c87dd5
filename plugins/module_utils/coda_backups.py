# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of volumes: their names, which of them go, and whether one is whole. Pure.

An archive is the tar file that codadump2tar makes of a dump. Its format, USTAR without extensions, has room for names
of 99 bytes in folders of 154, and for links of 99; codadump2tar cuts what is longer and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from tarfile import TarInfo

TOP = "files"  # the folder that all of an archive is in
LISTS = f"{TOP}/..CodaACLs.yaml"  # the access lists of all folders
NAME, FOLDER, LINK = 99, 154, 98  # bytes of what has certainly not been cut, and one more
# How a dump ends: a tag, and DUMPENDMAGIC (codadumpfile(5)). codadump2tar does not miss it.
END = bytes([8]) + (0x3A214B6E).to_bytes(4, "big")
SUFFIX = ".tar"


def file_name(volume: str, stamp: str) -> str:
    """Return the name of a volume's archive; stamp: YYYYMMDDTHHMMSSZ, so that names sort by age."""
    return f"{volume.replace('/', '%')}.{stamp}{SUFFIX}"


def outdated(names: Iterable[str], volume: str, keep: int) -> list[str]:
    """Return which archives of a volume go when so many of the newest stay."""
    own = re.compile(rf"{re.escape(volume.replace('/', '%'))}\.\d{{8}}T\d{{6}}Z{re.escape(SUFFIX)}")
    found = sorted(name for name in names if own.fullmatch(name))
    return found[: max(0, len(found) - keep)]


def faults(members: Iterable[TarInfo]) -> list[str]:
    """Return what is wrong with an archive: what may have been cut, and whether the access lists are missing."""
    problems, lists = [], False
    for member in members:
        folder, _slash, name = member.name.rpartition("/")
        lists = lists or member.name == LISTS
        if len(name.encode()) >= NAME or len(folder.encode()) >= FOLDER:
            problems.append(f"{member.name}: the name is too long for the archive, and may have been cut")
        if (member.issym() or member.islnk()) and len(member.linkname.encode()) >= LINK:
            problems.append(f"{member.name}: where the link leads is too long for the archive, and may have been cut")
    return problems if lists else [*problems, f"there is no {LISTS} in it"]
