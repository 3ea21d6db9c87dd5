# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a director's file would become beside weights, if it were written anew: changes that are not rolled out. Pure.

The two texts are ldirectord.cf or ipvsadm.rules as the roles write them. What is found holds no text of a check: there
are passwords among them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SETTINGS = "what is outside of services"
_PROTOCOLS = {"-t": "tcp", "-u": "udp", "--sctp-service": "sctp", "-f": "fwmark"}


class _Line(NamedTuple):
    """A line that counts, without its weight."""

    service: str
    real_server: str  # its endpoint, or ''
    text: str


def pending(wanted: str, installed: str) -> list[str]:
    """Return the services that differ, sorted, each with those of its real servers that do. Weights don't count."""
    new, old = Counter(_lines(wanted)), Counter(_lines(installed))
    found: dict[str, set[str]] = {}
    for line in (new - old) + (old - new):
        found.setdefault(line.service, set()).add(line.real_server)
    return [_shown(service, sorted(servers - {""})) for service, servers in sorted(found.items())]


def _shown(service: str, servers: list[str]) -> str:
    return f"{service} ({', '.join(servers)})" if servers else service


def _lines(text: str) -> Iterator[_Line]:
    lines = [line for line in text.splitlines() if line.strip()]
    return _of_ipvsadm(lines) if any(line.startswith("-A ") for line in lines) else _of_ldirectord(lines)


def _of_ldirectord(lines: Iterable[str]) -> Iterator[_Line]:
    """Yield the lines of a file whose services have their names in the comments above."""
    service = comment = ""
    for line in lines:
        if line.startswith("#"):
            comment = line[1:].strip()
            continue
        if line.startswith("virtual"):
            service, comment = comment or line, ""
        real = re.match(r"\s+real6?\s*=\s*(\S+)\s+\S+(\s+[0-9]+)", line)
        text = line[: real.start(2)] + line[real.end(2) :] if real else line
        yield _Line(service or SETTINGS, real[1] if real else "", text)


def _of_ipvsadm(lines: Iterable[str]) -> Iterator[_Line]:
    for line in lines:
        words = line.split()
        if words[0] in ("-A", "-a") and len(words) > 2:
            service = f"{_PROTOCOLS.get(words[1], words[1])} {words[2]}"
            real_server = words[words.index("-r") + 1] if "-r" in words[:-1] else ""
            yield _Line(service, real_server, re.sub(r" -w [0-9]+", "", line))
        elif not line.startswith("#"):
            yield _Line(SETTINGS, "", line)
