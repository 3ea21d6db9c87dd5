#!/usr/bin/env python3
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a DNS server for one type of record of a name: look_up.py SERVER NAME A|AAAA|SOA.

It prints the answer's code, whether the server has authority, and [TTL, address or serial number] of each record.
"""

from __future__ import annotations

import json
import socket
import struct
import sys

KINDS = {"A": 1, "SOA": 6, "AAAA": 28}
LIMIT = 30.0  # s


def main() -> None:
    """Ask, and print."""
    server, name, kind = sys.argv[1], sys.argv[2], KINDS[sys.argv[3]]
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    asked = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + labels + struct.pack("!B2H", 0, kind, 1)
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(LIMIT)
        line.sendto(asked, (server, 53))
        answer = line.recv(512)
    flags, place, found = int.from_bytes(answer[2:4], "big"), len(asked), []
    for _each in range(int.from_bytes(answer[6:8], "big")):
        ttl, size = struct.unpack("!IH", answer[place + 6 : place + 12])  # behind a pointer to the name, type and class
        data = answer[place + 12 : place + 12 + size]
        if kind == KINDS["SOA"]:
            found.append([ttl, int.from_bytes(data[-20:-16], "big")])
        else:
            found.append([ttl, socket.inet_ntop(socket.AF_INET6 if kind == KINDS["AAAA"] else socket.AF_INET, data)])
        place += 12 + size
    print(json.dumps([flags & 15, bool(flags & 1024), found]))


if __name__ == "__main__":
    main()
