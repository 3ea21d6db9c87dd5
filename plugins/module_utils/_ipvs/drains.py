# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drained real servers as names: whom a drain is about, what each director has noted, what follows from it. Pure.

A name is ADDRESS, for all ports, or ADDRESS:PORT ([ADDRESS]:PORT for IPv6), in the kernel's spelling: a file of that
name in /etc/lvs-drained marks the real server as drained. A file whose name begins with NOTE says that the rest of its
name was undrained while a director did not hear of it; an ADDRESS there means all ports.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import address_of, endpoint

NOTE = ".active."


class Marks(NamedTuple):
    """What a director should have in the folder of marks."""

    names: frozenset[str]  # drained real servers
    notes: frozenset[str]  # names that were undrained while a director did not hear of it


def parse(name: str) -> tuple[str, int | None] | None:
    """Return (address, port or None) of a name in any spelling, or None for what is no name."""
    if known := address_of(name):
        return known[1], None
    address, _colon, text = name.rpartition(":")
    known, port = address_of(address.strip("[]")), to_port(text)
    return None if known is None or port is None else (known[1], port)


def to_port(text: object) -> int | None:
    """Return a port that is written as a number or as text, None for anything else."""
    digits = str(text).lstrip("0") or str(text)[-1:]
    return int(digits) if re.fullmatch("[0-9]{1,5}", digits) and int(digits) <= 65535 else None


def spelt(name: str) -> str:
    """Return a name in the kernel's spelling; what is no name stays as it is."""
    known = parse(name)
    if known is None:
        return name
    address, port = known
    return address if port is None else endpoint(address, port)


def covers(name: str, other: str) -> bool:
    """Tell whether a name includes another one: it is the same, or its address without port, in any spelling."""
    one, two = parse(name), parse(other)
    if one is None or two is None:
        return name == other
    return one[0] == two[0] and one[1] in (None, two[1])


# --- from the inventory


def wanted(services: Iterable[Mapping[str, Any]], host: str, port: object = None) -> dict[str, Any]:
    """Return the names that draining or undraining a host is about, all ports or one.

    services: as cluster() returns them; port: a number, or the text of one. The result has `names` to be marked;
    `weighted`, each ADDRESS:PORT that has a weight in all of its services, and so gets it back when it is undrained;
    and `refused`, why there are no names, in the words of the playbooks' options.
    """
    servers = [server for service in services for server in service["real_servers"]]
    fitting = [server for server in servers if port is None or server["port"] == to_port(port)]
    own = [server for server in fitting if server["host"] == host]
    weightless = {server["endpoint"] for server in own if server["weight"] == 0}
    return {
        "names": _once(server["address" if port is None else "endpoint"] for server in own),
        "weighted": _once(server["endpoint"] for server in own if server["endpoint"] not in weightless),
        "refused": "" if own else _refusal(_once(server["host"] for server in servers), host, port),
    }


def _refusal(hosts: Iterable[str], host: str, port: object) -> str:
    if port is not None and to_port(port) is None:
        return f"drain_port = {port}: must be a port, 0 to 65535"
    place = "" if port is None else f" at port {port}"
    given = f"drain_host = {host or '(not given)'}"
    return f"{given}: must be a real server of a virtual service{place}: {', '.join(hosts)}"


def without_weight(services: Iterable[Mapping[str, Any]], names: Collection[str]) -> list[dict[str, Any]]:
    """Return the services with weight 0 for each real server that a name stands for, in any spelling.

    What is no real server at all is for others to report.
    """
    marked = {spelt(name) for name in names}
    return [
        {
            **service,
            "real_servers": [
                {**server, "weight": 0} if _names(server, service) & marked else server
                for server in service.get("real_servers") or ()
            ],
        }
        for service in services
    ]


def _names(server: Mapping[str, Any], service: Mapping[str, Any]) -> set[str]:
    port = server.get("port") or service.get("port") or 0
    known = parse(server.get("endpoint") or endpoint(str(server.get("address")), port))
    return {known[0], endpoint(known[0], known[1] or 0)} if known else set()


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


# --- on the directors


def checker(defaults: str) -> str | None:
    """Return the ha_checker that a director was configured for, None if the text does not say.

    defaults: the text of /etc/default/ipvsadm, which says whether a table is loaded at boot.
    """
    written = [
        line.partition("=")[2].strip().strip("\"'") for line in defaults.splitlines() if line.startswith("AUTO=")
    ]
    return {"true": "none", "false": "ldirectord"}.get(written[-1]) if written else None


def united(noted: Iterable[str]) -> frozenset[str]:
    """Return the names that are drained, from all that the directors have in their folders."""
    names = {*noted}
    active = {name.removeprefix(NOTE) for name in names if name.startswith(NOTE)}
    drained = {name for name in names if not name.startswith(".")}
    return frozenset(name for name in drained if not any(covers(each, name) for each in active))


def gone(noted: Iterable[str], services: Collection[Mapping[str, Any]]) -> list[str]:
    """Return the drained names that stand for no real server of the services, in the kernel's spelling.

    Whoever gets such an address later would be drained from birth. A name that a wider one includes is left to that;
    what is no name, somebody else's; and where there are no services at all, nobody can tell.
    """
    drained = {spelt(name) for name in united(noted) if parse(name)}
    used = {
        name for service in services for server in service.get("real_servers") or () for name in _names(server, service)
    }
    unused = drained - used if services else set()
    return sorted(name for name in unused if not any(covers(wider, name) for wider in drained - {name}))


def problems(noted: Collection[str], drained: Sequence[str], active: Sequence[str], whole: bool) -> list[str]:
    """Return why a change can't be made; the arguments are those of plan()."""
    found = [f"{name}: must be ADDRESS or ADDRESS:PORT" for name in (*drained, *active) if parse(name) is None]
    there = united(noted)
    undrained = sorted(each.removeprefix(NOTE) for each in noted if each.startswith(NOTE))
    for name in map(spelt, active):
        over = next((mark for mark in there if spelt(mark) != name and covers(mark, name)), None)
        if over:
            found.append(f"all ports of {over} are drained, not {name} by itself; undrain it without a port")
    for name in map(spelt, drained):
        # The note cancels every mark of the address, and another director may still need the note.
        over = next((each for each in undrained if spelt(each) != name and covers(each, name)), None)
        if over and not whole:
            found.append(
                f"all ports of {over} were undrained while a director was away; drain it without a port, or wait until "
                "that director is back and configured"
            )
    return found


def plan(
    own: Collection[str], others: Collection[str], drained: Sequence[str], active: Sequence[str], whole: bool
) -> Marks:
    """Return the marks that a director should have: what all directors know, with the change of this run.

    own: what this director has in its folder; others: what the other directors of the run have in theirs. drained,
    active: names to be drained and undrained now. whole: every director hears of this, so no note is needed any more.
    """
    names = set(united([*own, *others]))
    notes = set() if whole else {name.removeprefix(NOTE) for name in own if name.startswith(NOTE)}
    for name in map(spelt, active):
        names = {each for each in names if not covers(name, each)}
        notes |= set() if whole else {name}
    for name in map(spelt, drained):
        notes = {each for each in notes if not covers(name, each)}
        names.add(name)
    return Marks(frozenset(names), frozenset(notes))


def files(marks: Marks) -> set[str]:
    """Return the names of the files that a director has for its marks."""
    return {*marks.names, *(NOTE + name for name in marks.notes)}
