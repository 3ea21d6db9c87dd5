# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else has an address in a network of this host: ask as a host does before it takes one (RFC 5227, RFC 4862)."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable

ARP, IPV6, EVERYBODY = 0x806, 0x86DD, b"\xff" * 6
SOLICITATION, ADVERTISEMENT = 135, 136  # RFC 4861, 4.3 and 4.4
SOLICITED_NODE = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13]  # RFC 4291, 2.7.1
HOPS = 255  # of a message that no router has passed on


def question(mac: bytes, address: str) -> bytes:
    """Return the frame that asks. It names no sender's address, so that nobody learns one from it."""
    if ":" in address:
        return _solicitation(mac, socket.inet_pton(socket.AF_INET6, address))
    head = EVERYBODY + mac + struct.pack("!HHHBBH", ARP, 1, 0x800, 6, 4, 1)
    return head + mac + bytes(4) + bytes(6) + socket.inet_aton(address)


def _solicitation(mac: bytes, address: bytes) -> bytes:
    """Ask the group of those whose addresses end alike; they answer to all nodes."""
    group = SOLICITED_NODE + address[13:]
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + address
    pseudo = bytes(16) + group + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, HOPS) + bytes(16) + group
    return b"\x33\x33" + group[12:] + mac + struct.pack("!H", IPV6) + header + body


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer(frame: bytes) -> str:
    """Return the address that a frame answers for; empty for any other frame."""
    if len(frame) >= 42 and struct.unpack_from("!HHHBBH", frame, 12) == (ARP, 1, 0x800, 6, 4, 2):
        return socket.inet_ntoa(frame[28:32])
    if (
        len(frame) >= 78
        and struct.unpack_from("!HB", frame, 12) == (IPV6, 0x60)
        and struct.unpack_from("!BB", frame, 20) == (socket.IPPROTO_ICMPV6, HOPS)
        and frame[54:56] == bytes([ADVERTISEMENT, 0])
    ):
        return socket.inet_ntop(socket.AF_INET6, frame[62:78])
    return ""


def answered(interface: str, addresses: Iterable[str], seconds: float = 0.3) -> set[str]:
    """Ask on an interface, and return the addresses for which another host answers in time.

    IPv4 addresses come first, and each family has the whole time. The result is in the kernel's spelling.
    """
    wanted = set(addresses)
    six = {address for address in wanted if ":" in address}
    return _answered(interface, ARP, wanted - six, seconds) | _answered(interface, IPV6, six, seconds)


def _answered(interface: str, protocol: int, wanted: set[str], seconds: float) -> set[str]:
    found: set[str] = set()
    if not wanted:
        return found
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)) as link:
        link.bind((interface, protocol))
        mac = link.getsockname()[4]
        for address in sorted(wanted):
            link.send(question(mac, address))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and found != wanted:
            link.settimeout(left)
            try:
                frame = link.recv(128)
            except socket.timeout:  # noqa: UP041 - Python 3.9 knows it by this name only
                break
            # A packet socket hears what its own host says, too.
            found |= {answer(frame)} & wanted if frame[6:12] != mac else set()
    return found
