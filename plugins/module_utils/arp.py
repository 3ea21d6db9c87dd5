# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else has an IPv4 address in a network of this host: ask by ARP, as before taking an address (RFC 5227)."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable

ARP, EVERYBODY = 0x806, b"\xff" * 6


def question(mac: bytes, address: str) -> bytes:
    """Return the frame that asks everybody; its sender names no address of its own, so that nobody learns one."""
    head = EVERYBODY + mac + struct.pack("!HHHBBH", ARP, 1, 0x800, 6, 4, 1)
    return head + mac + bytes(4) + bytes(6) + socket.inet_aton(address)


def answer(frame: bytes) -> str:
    """Return the address that a frame answers for; empty if it is no answer."""
    if len(frame) < 42 or struct.unpack_from("!HHHBBH", frame, 12) != (ARP, 1, 0x800, 6, 4, 2):
        return ""
    return socket.inet_ntoa(frame[28:32])


def answered(interface: str, addresses: Iterable[str], seconds: float = 0.3) -> set[str]:
    """Ask on an interface, and return the addresses for which another host has answered within that time."""
    found: set[str] = set()
    wanted = set(addresses)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as link:
        link.bind((interface, ARP))
        mac = link.getsockname()[4]
        for address in sorted(wanted):
            link.send(question(mac, address))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and found != wanted:
            link.settimeout(left)
            try:
                frame = link.recv(64)
            except socket.timeout:  # noqa: UP041 - Python 3.9 knows it by this name only
                break
            # A packet socket hears what its own host says, too.
            found |= {answer(frame)} & wanted if frame[6:12] != mac else set()
    return found
