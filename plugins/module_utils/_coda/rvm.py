# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Coda server's RVM and partitions may be initialised. Pure.

RVM holds the metadata of every file in the server's partitions. If it is initialised again, it is empty, its tools
report success, and the server deletes the files at its next start. So this decides by what is on the disk, and by two
marks: `begun` is written before the first change, `done` after the last one. The server can't start without `done`. If
there is only `begun`, no file was ever stored in the places that it names, and the work may begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MIB = 1 << 20
RESERVE = 128 * MIB  # memory for everything but RVM's data, which a server keeps in memory as a whole
TREE = "FTREEDB"  # the file that makes a folder a partition
HARMLESS = {TREE, "lost+found"}


class Layout(NamedTuple):
    """What a server is initialised with."""

    log: str
    log_size: int  # bytes
    data: str
    data_size: int  # bytes
    partitions: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Return the layout as a mark has it."""
        return {**self._asdict(), "partitions": list(self.partitions)}


class Found(NamedTuple):
    """What is on the disk."""

    done: Mapping[str, Any] | None  # the layout in the mark
    begun: Mapping[str, Any] | None  # the layout in the mark
    sizes: Mapping[str, int]  # of log and data, in bytes; a file that isn't there is left out
    content: Mapping[str, Sequence[str]]  # names in each partition; a folder that isn't there is left out
    memory: int  # bytes
    devices: Mapping[str, int]  # the file system that each partition is on


class Plan(NamedTuple):
    """What to do; nothing if there is a refusal."""

    initialise: bool = False
    trees: tuple[str, ...] = ()  # partitions that get their file
    mark: bool = False  # write `done`
    refusal: str = ""


def plan(found: Found, wanted: Layout, adopt: bool) -> Plan:
    """Return the steps from what is on the disk to the layout, or why there are none."""
    shared = [path for path in wanted.partitions if list(found.devices.values()).count(found.devices[path]) > 1]
    if shared:
        return _refuse(
            f"{', '.join(shared)}: are on one file system, and Coda's server does not start unless each partition has "
            "one of its own. Mount a disk there, or name one of them"
        )
    if found.done is not None:
        return _keep(found, found.done, wanted)
    if adopt:
        return _adopt(found, wanted)
    occupied = [path for path in wanted.partitions if set(found.content.get(path, ())) - HARMLESS]
    begun = found.begun or {}
    own = {begun.get("log"), begun.get("data"), *begun.get("partitions", ())}
    strange = [path for path in (wanted.log, wanted.data) if path in found.sizes and path not in own]
    strange += [path for path in wanted.partitions if TREE in found.content.get(path, ()) and path not in own]
    strange += [path for path in occupied if path not in own and path not in strange]
    if strange:
        return _refuse(
            f"{', '.join(strange)}: is there already, and not made by this collection. If it is a Coda server's, "
            "initialising would destroy all of its files: set adopt, which takes it over as it is. Else remove it"
        )
    if occupied:
        return _refuse(
            f"{', '.join(occupied)}: holds files although initialising was not finished. Find out whose they are, "
            "and remove them"
        )
    if wanted.data_size + RESERVE > found.memory:
        return _refuse(
            f"RVM's data of {wanted.data_size // MIB} MiB and {RESERVE // MIB} MiB for the rest don't fit into the "
            f"{found.memory // MIB} MiB of memory that this host has. Give it more, or plan for less file space"
        )
    return Plan(True, wanted.partitions, True)


def _keep(found: Found, done: Mapping[str, Any], wanted: Layout) -> Plan:
    for name in ("log", "log_size", "data", "data_size"):
        if done.get(name) != getattr(wanted, name):
            return _refuse(
                f"{name} is {done.get(name)}, and can't become {getattr(wanted, name)}: RVM would have to be "
                "initialised again, and all files of this server were lost. Give it the old value. For another one, "
                "add a new server with it, make volumes there and copy the files"
            )
    lost = [path for path in (wanted.log, wanted.data) if path not in found.sizes]
    if lost:
        return _refuse(
            f"{', '.join(lost)}: is gone, though it was initialised. Mount what it is on, or restore it from a backup"
        )
    if found.sizes[wanted.data] != wanted.data_size:
        return _refuse(
            f"{wanted.data}: has {found.sizes[wanted.data]} bytes, not {wanted.data_size}. Restore it from a backup"
        )
    known = tuple(done.get("partitions", ()))
    dropped = [path for path in known if path not in wanted.partitions]
    if dropped:
        return _refuse(
            f"{', '.join(dropped)}: is no longer a partition, but the volumes in it still need it. Name it again"
        )
    trees = []
    for path in wanted.partitions:
        content = set(found.content.get(path, ()))
        if path not in known and content - HARMLESS:
            return _refuse(
                f"{path}: is to be a new partition, but isn't empty; the server would delete what is in it. Empty it, "
                "or name another folder"
            )
        if TREE in content:
            continue
        if path in known:
            return _refuse(
                f"{path}/{TREE}: is gone, though it was made. Mount the partition, or restore it from a backup"
            )
        trees.append(path)
    return Plan(False, tuple(trees), known != wanted.partitions)


def _adopt(found: Found, wanted: Layout) -> Plan:
    if found.begun is not None:
        return _refuse("there is nothing to take over, for initialising was cut short: leave adopt out, to begin anew")
    if found.sizes.get(wanted.data) != wanted.data_size or wanted.log not in found.sizes:
        return _refuse(
            f"{wanted.log}, {wanted.data}: no RVM of {wanted.data_size} bytes to take over; there is "
            f"{dict(found.sizes) or 'none'}. Name the paths and the size as they are in server.conf"
        )
    lost = [path for path in wanted.partitions if TREE not in found.content.get(path, ())]
    if lost:
        return _refuse(
            f"{', '.join(lost)}: has no {TREE}, so it is no partition to take over. Name them as they are in vicetab"
        )
    return Plan(False, (), True)


def _refuse(reason: str) -> Plan:
    return Plan(refusal=reason + ".")
