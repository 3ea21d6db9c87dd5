# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's list of connections (/proc/net/ip_vs_conn, ip_vs_conn_seq_show() in ip_vs_conn.c), without I/O.

It is the only place where the kernel lists them; there is no netlink command. To compare the tables of two directors,
each tells only the smallest fingerprints of its connections. These are the same ones on both, however many connections
there are, so a few suffice to estimate what share of one table is in the other.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from heapq import nsmallest
from itertools import islice
from typing import Any

SAMPLE = 2000  # fingerprints that a director tells: then a share of 95 % has an error of 0.5 %


def parse_connections(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield each connection as a dict.

    Its keys are protocol, client, client_port, vip, vport, real_server, real_port, state and expires (s); persistence
    by an engine adds engine and engine_data. A client port of 0 with the state NONE or ASSURED means a template of
    persistence.
    """
    for line in lines:
        words = line.split()
        if len(words) < 9 or words[0] == "Pro":
            continue
        connection: dict[str, Any] = {
            "protocol": words[0].lower(),
            "client": _address(words[1]),
            "client_port": int(words[2], 16),
            "vip": _address(words[3]),
            "vport": int(words[4], 16),
            "real_server": _address(words[5]),
            "real_port": int(words[6], 16),
            "state": words[7],
            "expires": int(words[8]),
        }
        if len(words) > 9:
            connection |= {"engine": words[9], "engine_data": " ".join(words[10:])}
        yield connection


def select(
    connections: Iterable[Mapping[str, Any]], conditions: Mapping[str, Any], limit: int
) -> tuple[list[Mapping[str, Any]], bool]:
    """Return at most so many connections for which every condition holds, and whether there were more."""
    matching = (
        connection for connection in connections if all(connection[name] == value for name, value in conditions.items())
    )
    found = list(islice(matching, max(0, limit) + 1))
    return found[: max(0, limit)], len(found) > limit


def fingerprints(lines: Iterable[str]) -> set[str]:
    """Return a number for each connection that a failover must not end: established ones, and templates of persistence.

    Equal ones mean the same client, service and real server.
    """
    found = set()
    for line in lines:
        words = line.split(maxsplit=8)
        if len(words) > 7 and (words[7] == "ESTABLISHED" or words[2] == "0000"):
            found.add(sha256(" ".join(words[:7]).encode()).hexdigest()[:12])
    return found


def sample(first: Collection[str], second: Collection[str], most: int = SAMPLE) -> dict[str, Any]:
    """Return what one director tells of two looks: how many fingerprints lasted, which did, and all that it saw."""
    lasting, seen = set(first) & set(second), set(first) | set(second)
    shown = {"lasting": nsmallest(most, lasting), "seen": nsmallest(most, seen)}
    return {"count": len(lasting), "whole": len(seen) <= most, **shown}


def compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many of the connections that lasted on one director the other one knows; both are from sample().

    The result has count (how many lasted), unknown (how many of these the other one does not know) and share (known, 0
    to 1). If there are more than a sample, the last two are estimates. Lasting connections are compared with all that
    the other director saw. So if the looks overlap, a connection that began or ended between them does not count.
    """
    seen = set(other["seen"])
    # The other director may know more than it tells, but only beyond the last one that it tells.
    asked = [each for each in one["lasting"] if other["whole"] or each <= other["seen"][-1]]
    share = sum(each in seen for each in asked) / len(asked) if asked else 1.0
    return {"count": one["count"], "unknown": round(one["count"] * (1 - share)), "share": round(share, 4)}


def _address(text: str) -> str:
    """Return an address; IPv4 is one hexadecimal number, IPv6 has all its digits."""
    if ":" in text:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))
    return socket.inet_ntoa(int(text, 16).to_bytes(4, "big"))
