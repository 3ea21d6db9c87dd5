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

LISTS = "..CodaACLs.yaml"  # the access lists of all folders, in the archive's first folder
NAME, FOLDER = 99, 154  # bytes that fit in
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
        lists = lists or name == LISTS
        if len(name.encode()) >= NAME or len(folder.encode()) >= FOLDER:
            problems.append(f"{member.name}: the name is too long for the archive, and may have been cut")
        if member.issym() and len(member.linkname.encode()) >= NAME:
            problems.append(f"{member.name}: where the link leads is too long for the archive, and may have been cut")
    return problems if lists else [*problems, f"there is no {LISTS} in it"]
