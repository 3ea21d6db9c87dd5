# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cell's volumes as data: parse what Coda's servers say, compare with what is wanted, plan the way there. Pure.

A replicated volume NAME is an entry of the replication database (VRDB; as text, VRList), and a replica NAME.N on each
of its servers. After a program was cut short, either can be there without the other, so this looks at both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MOST_REPLICAS = 8  # VSG_MEMBERS
FIRST_GROUP = 0x7F000000  # number of the first replicated volume
LEAP = 0x10000  # numbers that are left out when nobody knows any more which ones had been used
# A replica is called NAME.N, and all of it has to fit into 31 characters.
NAME = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._-]{0,28}")
_PARTITION = re.compile(r"^P(\S+) H\S+ T([0-9a-f]+) F([0-9a-f]+)$", re.MULTILINE)
_VOLUME = re.compile(
    r"^([WRBN])(\S+) I([0-9a-f]+) H[0-9a-f]+ P(\S+) m[0-9a-f]+ M([0-9a-f]+) U([0-9a-f]+) W([0-9a-f]+) ", re.MULTILINE
)
_GROUP = re.compile(r"^(\S+) ([0-9a-f]+) ([1-8])((?: [0-9a-f]+){8})", re.MULTILINE | re.IGNORECASE)


class Listed(NamedTuple):
    """A volume on one server."""

    name: str
    id: int
    partition: str
    kind: str  # W read-write, R read-only, B backup, N without replication
    parent: int
    quota: int  # KiB, 0: none
    used: int  # KiB


class Listing(NamedTuple):
    """What one server holds."""

    partitions: Mapping[str, tuple[int, int]]  # KiB in all, KiB free
    volumes: Sequence[Listed]

    def find(self, name: str) -> Listed | None:
        """Return the volume of a name."""
        return next((volume for volume in self.volumes if volume.name == name), None)


class Group(NamedTuple):
    """An entry of the replication database."""

    name: str
    id: int
    replicas: tuple[int, ...]

    def line(self) -> str:
        """Return the entry as a line of VRList."""
        ids = [*self.replicas, *[0] * (MOST_REPLICAS - len(self.replicas))]
        return f"{self.name} {self.id:x} {len(self.replicas)} {' '.join(f'{number:x}' for number in ids)}"


class Place(NamedTuple):
    """Where a replica is wanted; without a partition, on the only one."""

    server: str
    partition: str | None = None


class Wanted(NamedTuple):
    """A volume as it should be; without replicas, it is to be destroyed."""

    name: str
    replicas: tuple[Place, ...]


class Cell(NamedTuple):
    """The cell as it is."""

    groups: Mapping[str, Group]
    listings: Mapping[str, Listing | None]  # by server; None where it does not answer
    ids: Mapping[int, str]  # names of servers by number
    parents: Mapping[int, int]  # group's id by replica's id, for replicas that no group lists


class Replica(NamedTuple):
    """One replica of a step."""

    name: str
    server: str
    partition: str
    id: int | None  # None: it has to be made


class Step(NamedTuple):
    """One volume to be made, or to be destroyed."""

    name: str
    group: int | None  # None: a new number
    replicas: tuple[Replica, ...]
    destroy: bool = False


def parse_listing(text: str) -> Listing:
    """Parse the output of `volutil getvolumelist`."""
    partitions = {path: (int(total, 16), int(free, 16)) for path, total, free in _PARTITION.findall(text)}
    volumes = [
        Listed(name, int(number, 16), partition, kind, int(parent, 16), int(quota, 16), int(used, 16))
        for kind, name, number, partition, quota, used, parent in _VOLUME.findall(text)
    ]
    return Listing(partitions, volumes)


def parse_vrlist(text: str) -> dict[str, Group]:
    """Parse a VRList."""
    found = {}
    for name, number, count, ids in _GROUP.findall(text):
        found[name] = Group(name, int(number, 16), tuple(int(each, 16) for each in ids.split()[: int(count)]))
    return found


def parse_servers(text: str) -> dict[int, str]:
    """Parse /vice/db/servers."""
    lines = (line.split() for line in text.splitlines())
    return {int(words[1]): words[0] for words in lines if len(words) >= 2 and words[1].isdigit()}


def check(wanted: Iterable[Wanted]) -> list[str]:
    """Return what is wrong with a list of volumes in itself."""
    problems, seen = [], set()
    for volume in wanted:
        if not NAME.fullmatch(volume.name):
            problems.append(f"volume {volume.name!r}: a name has 1 to 29 letters, digits, '/', '.', '_' or '-'")
        if volume.name in seen:
            problems.append(f"volume {volume.name}: is listed twice")
        seen.add(volume.name)
        servers = [place.server for place in volume.replicas]
        if len(servers) > MOST_REPLICAS:
            problems.append(f"volume {volume.name}: {len(servers)} replicas, but at most {MOST_REPLICAS} are possible")
        if len(set(servers)) < len(servers):
            problems.append(f"volume {volume.name}: two replicas on one server")
    return problems


def plan(cell: Cell, wanted: Iterable[Wanted]) -> tuple[list[Step], list[str]]:
    """Return the steps that make the wanted volumes, and what forbids them. If anything does, take no step."""
    steps: list[Step] = []
    problems: list[str] = []
    for volume in wanted:
        group = cell.groups.get(volume.name)
        if not volume.replicas:
            steps.extend(_destroy(cell, volume.name, group, problems))
        elif group:
            problems.extend(f"volume {volume.name}: {problem}" for problem in _differs(cell, group, volume))
        else:
            steps.extend(_create(cell, volume, problems))
    return steps, problems


def next_group(counter: str, taken: Iterable[int]) -> int:
    """Return the number of a new replicated volume. A power cut may have emptied the counter.

    Numbers of destroyed volumes are known to the counter alone, and clients may still have changes for those.
    """
    least = max([FIRST_GROUP, *(number + 1 for number in taken)])
    return max(int(counter), least) if re.fullmatch(r"\s*[0-9]+\s*", counter) else least + LEAP


def vrlist(groups: Mapping[str, Group], made: Iterable[Group], destroyed: Iterable[str]) -> str:
    """Return the text of a VRList with some entries added and some removed."""
    gone = set(destroyed)
    kept = [group for group in groups.values() if group.name not in gone]
    return "".join(f"{group.line()}\n" for group in [*kept, *made])


def unlocated(cell: Cell, wanted: Iterable[Wanted], vldb: bytes) -> list[str]:
    """Return the wanted volumes with a replica that its server has, and that the location database does not know.

    That is a file of keys that end with a zero byte: the name of each replica, and its number in decimal digits.
    """
    groups = [cell.groups[volume.name] for volume in wanted if volume.replicas and volume.name in cell.groups]
    return [
        group.name
        for group in groups
        if any(
            _by_id(cell.listings.get(cell.ids.get(number >> 24, "")), number) and b"%d\0" % number not in vldb
            for number in group.replicas
        )
    ]


def describe(cell: Cell) -> list[dict[str, Any]]:
    """Return the cell's replicated volumes, in the vocabulary of the module."""
    found = []
    for group in sorted(cell.groups.values()):
        replicas: list[dict[str, Any]] = []
        for number in group.replicas:
            server = cell.ids.get(number >> 24, "")
            listed = _by_id(cell.listings.get(server), number)
            place = {"server": server, "partition": listed.partition if listed else None, "id": f"{number:08x}"}
            use = {"used": listed.used if listed else None, "quota": listed.quota if listed else None}
            replicas.append({**place, **use})
        found.append({"name": group.name, "id": f"{group.id:08x}", "replicas": replicas})
    return found


def lost(wanted: Iterable[Mapping[str, Any]], found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the replicas that no server holds, as 'VOLUME on SERVER'.

    wanted: volumes of the inventory, [{name, state, replicas: [{server}]}]; found: as describe() returns them.
    """
    held = {
        (volume["name"], replica["server"])
        for volume in found
        for replica in volume["replicas"]
        if replica["partition"]
    }
    return [
        f"{volume['name']} on {replica['server']}"
        for volume in wanted
        if volume.get("state", "present") == "present"
        for replica in volume["replicas"]
        if (volume["name"], replica["server"]) not in held
    ]


def strays(cell: Cell) -> Iterator[tuple[str, Listed]]:
    """Yield the read-write replicas that no group knows, with their servers."""
    known = {number for group in cell.groups.values() for number in group.replicas}
    for server, listing in cell.listings.items():
        for volume in listing.volumes if listing else ():
            if volume.kind == "W" and volume.id not in known:
                yield server, volume


def _by_id(listing: Listing | None, number: int) -> Listed | None:
    return next((volume for volume in listing.volumes if volume.id == number), None) if listing else None


def _differs(cell: Cell, group: Group, volume: Wanted) -> Iterator[str]:
    has = {cell.ids.get(number >> 24, f"server {number >> 24}"): number for number in group.replicas}
    wants = {place.server: place.partition for place in volume.replicas}
    if set(has) != set(wants):
        yield (
            f"has its replicas on {', '.join(has)}, not on {', '.join(wants)}; Coda can't change that. "
            "Make a volume of another name there and copy them, or list the servers that it has"
        )
        return
    for server, number in has.items():
        listing = cell.listings.get(server)
        listed = _by_id(listing, number)
        if listing and not listed:
            yield f"its replica {number:08x} is missing on {server}, which is up. Restore that server from a backup"
        elif listed and wants[server] not in (None, listed.partition):
            place = f"{listed.partition} on {server}"
            yield f"is in {place}, not in {wants[server]}; Coda can't move it. List the partition that it is in"


def _create(cell: Cell, volume: Wanted, problems: list[str]) -> Iterator[Step]:
    replicas: list[Replica] = []
    wrong: list[str] = []
    for index, place in enumerate(volume.replicas):
        name = f"{volume.name}.{index}"
        if place.server not in cell.listings:
            wrong.append(f"{place.server} is no file server of this cell; these are {', '.join(cell.listings)}")
            continue
        listing = cell.listings[place.server]
        if listing is None:
            wrong.append(f"{place.server} does not answer")
            continue
        if listing.find(volume.name):
            wrong.append(f"{place.server} has a volume of this name without replication")
        have = list(listing.partitions)
        if place.partition is None and len(have) != 1:
            wrong.append(f"name a partition of {place.server}; it has {', '.join(have) or 'none'}")
            continue
        partition = place.partition or have[0]
        if partition not in have:
            wrong.append(f"{place.server} has no partition {partition}; it has {', '.join(have) or 'none'}")
            continue
        there = listing.find(name)
        if there and there.partition != partition:
            wrong.append(
                f"{name} is left of an earlier attempt in {there.partition} of {place.server}; name that partition"
            )
        replicas.append(Replica(name, place.server, partition, there.id if there else None))
    groups = {cell.parents.get(replica.id) for replica in replicas if replica.id is not None}
    taken = {group.id: group.name for group in cell.groups.values()}
    if len(groups) > 1 or None in groups or groups & set(taken):
        wrong.append("replicas of it are left on servers, and don't belong together. Purge them with volutil")
    problems.extend(f"volume {volume.name}: {problem}" for problem in wrong)
    if not wrong:
        yield Step(volume.name, next(iter(groups), None), tuple(replicas))


def _destroy(cell: Cell, name: str, group: Group | None, problems: list[str]) -> Iterator[Step]:
    known = set(group.replicas) if group else set()
    silent = [server for server, listing in cell.listings.items() if listing is None]
    if group and (away := sorted({cell.ids.get(number >> 24, "?") for number in known} & set(silent))):
        problems.append(f"volume {name}: {', '.join(away)} does not answer, and has a replica")
        return
    replicas = []
    own = re.compile(rf"{re.escape(name)}\.[0-7]")
    for server, listing in cell.listings.items():
        volumes = listing.volumes if listing else ()
        mine = {volume.id for volume in volumes if volume.id in known}
        mine |= {volume.id for volume in volumes if volume.id in cell.parents and own.fullmatch(volume.name)}
        # What was made from a replica, such as a backup, is destroyed before it.
        found = sorted(
            (volume for volume in volumes if {volume.id, volume.parent} & mine), key=lambda volume: volume.id in mine
        )
        replicas += [Replica(volume.name, server, volume.partition, volume.id) for volume in found]
    if group or replicas:
        yield Step(name, group.id if group else None, tuple(replicas), destroy=True)
