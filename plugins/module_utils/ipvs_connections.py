# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's list of connections (/proc/net/ip_vs_conn, ip_vs_conn_seq_show() in ip_vs_conn.c), without I/O.

It is the only place where the kernel lists them; there is no netlink command.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any


def parse_connections(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield each connection as a dict.

    Its keys are protocol, client, client_port, vip, vport, real_server, real_port, state and expires (s); persistence
    by an engine adds engine and engine_data. A client port of 0 with the
    state NONE or ASSURED is a template of persistence.
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


def _address(text: str) -> str:
    """Return an address; IPv4 is one hexadecimal number, IPv6 has all its digits."""
    if ":" in text:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))
    return socket.inet_ntoa(int(text, 16).to_bytes(4, "big"))
