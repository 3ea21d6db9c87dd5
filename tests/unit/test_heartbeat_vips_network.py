# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heartbeat-vips does on interfaces that change under it: devices of a kernel, in a network namespace."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest
from programs import load

vips = load("roles/heartbeat/files/heartbeat-vips")

ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
OWN, PEER = "192.0.2.11", "192.0.2.12"
PAIR = "link add eth0 address 02:00:00:00:00:01 type veth peer name eth1 address 02:00:00:00:00:02"
FIRST, OTHER, THEIRS = (bytes.fromhex(f"02000000000{number}") for number in (1, 3, 2))


def ip(command: str) -> str:
    return subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=True).stdout


def has_pairs() -> bool:
    """Tell whether there can be a pair of devices in a namespace here."""
    try:
        return subprocess.run([*ALONE, "ip", *PAIR.split()], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def connect() -> socket.socket:
    """Make the pair, and return a socket at the other end of its cable."""
    ip(PAIR)
    for device in ("eth0", "eth1"):
        ip(f"link set {device} up")
    end = time.monotonic() + 60
    while any(" state UP " not in ip(f"-oneline link show {device}") for device in ("eth0", "eth1")):
        assert time.monotonic() < end
        time.sleep(0.05)
    there = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    there.settimeout(30)
    there.bind(("eth1", vips.ARP))
    return there


def converse(service: object, there: socket.socket, mac: bytes) -> None:
    """Ask who has an address, see from which MAC, and hear the answer to it."""
    service.open_ears()
    service.ears["eth0"].ask(PEER, OWN, b"")
    question = there.recv(128)
    assert (question[6:12], question[22:28]) == (mac, mac)
    there.send(vips.arp(2, THEIRS, PEER, OWN, to=mac, about=mac))
    assert [*service.ears["eth0"].hear(0.0)] == [vips.Heard(PEER, THEIRS, True)]


def inside() -> None:
    """Go through the changes."""
    service = vips.Service(vips.Settings(vips=(vips.Vip(PEER, 24, "eth0"),)))
    refresh = service.judge.next_refresh
    with connect() as there:
        converse(service, there, FIRST)
        ears = service.ears["eth0"]
        converse(service, there, FIRST)
        assert service.ears["eth0"] is ears
        assert service.judge.next_refresh == refresh
        # As a bond or a bridge does: it stays up.
        ip("link set eth0 address 02:00:00:00:00:03")
        converse(service, there, OTHER)
        assert service.judge.next_refresh == 0.0  # the virtual addresses are announced with it
    # Another interface of the same name and MAC.
    with reconnect() as there:
        converse(service, there, FIRST)
    ip("link delete eth0")
    service.open_ears()
    assert service.ears == {}


def reconnect() -> socket.socket:
    """Keep the old interface under another name, and make a new one."""
    ip("link set eth0 down")
    ip("link set eth1 down")
    ip("link set eth0 name old0")
    ip("link set eth1 name old1")
    ip("link set old0 up")
    return connect()


@pytest.mark.skipif(not has_pairs(), reason="no network namespaces here, or no veth")
def test_sockets_follow_the_interface() -> None:
    """The program asked with the MAC that the interface had when it began, and overwrote the neighbours' entries."""
    done = subprocess.run([*ALONE, sys.executable, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    inside()
