# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heartbeat-vips says to the kernel and to the network, byte by byte, and when."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import load

vips = load("heartbeat", "heartbeat-vips")

MAC = bytes.fromhex("0242c6121e0b")


def attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


@given(st.ip_addresses(), st.integers(0, 128), st.integers(1, 2**31 - 1), st.integers(0, 2**32 - 1))
def test_an_address_is_added_as_ip_address_add_does(address, prefix, index, sequence):
    """rtnetlink(7): struct nlmsghdr, struct ifaddrmsg, attributes."""
    prefix = min(prefix, address.max_prefixlen)
    message = vips.add_address(vips.Vip(str(address), prefix, "eth0"), index, sequence)
    length, kind, _flags, number, _port = struct.unpack_from("=IHHII", message)
    family, bits, flags, _scope, link = struct.unpack_from("=BBBBi", message, 16)
    assert (length, kind, number, bits, link) == (len(message), 20, sequence, prefix, index)
    assert family == (socket.AF_INET if address.version == 4 else socket.AF_INET6)
    assert flags == (0 if address.version == 4 else 2)  # IFA_F_NODAD
    found = attributes(message[24:])
    assert found[1] == found[2] == address.packed
    assert (4 in found) == (address.version == 4 and prefix < 31)


@given(st.ip_addresses(), st.integers(0, 32), st.sampled_from(["", ":web", ":web/192.0.2.255"]))
def test_an_address_is_read_as_haresources_has_it(address, prefix, rest):
    """IPaddr2::address/prefix/interface[:label][/broadcast]; IPv6 without '::', which separates arguments there."""
    assert vips.Vip.parse(f"{address.exploded}/{prefix}/eth0{rest}") == (str(address), prefix, "eth0")


@given(st.ip_addresses(v=4), st.binary(min_size=6, max_size=6))
def test_gratuitous_arp_comes_in_both_forms(address, mac):
    """RFC 5227: sender and target address are the announced one; some hosts heed requests only, some answers only."""
    frames = vips.frames(str(address), mac)
    assert [struct.unpack_from("!H", frame, 20)[0] for frame in frames] == [1, 2]
    for frame in frames:
        assert len(frame) == 42
        assert (frame[:6], frame[6:12], frame[22:28]) == (b"\xff" * 6, mac, mac)
        assert frame[28:32] == frame[38:42] == address.packed


@given(st.ip_addresses(v=6), st.binary(min_size=6, max_size=6))
def test_neighbours_are_told_with_a_right_checksum(address, mac):
    """RFC 4861, 4.4 and 7.2.6: hop limit 255, to all nodes, override; RFC 4443, 2.3 for the checksum."""
    (frame,) = vips.frames(str(address), mac)
    header, body = frame[14:54], frame[54:]
    assert frame[:6] == bytes.fromhex("333300000001")
    assert header[7] == 255
    assert ip_address(header[24:40]) == ip_address("ff02::1")
    assert (body[0], body[4], body[8:24], body[26:32]) == (136, 0x20, address.packed, mac)
    assert vips.checksum(header[8:40] + struct.pack("!II", len(body), 58) + body) == 0


@pytest.fixture
def watcher(monkeypatch):
    done = []
    monkeypatch.setattr(vips, "take", lambda wanted: done.append(("take", list(wanted))) or [])
    monkeypatch.setattr(vips, "announce", lambda wanted: done.append(("announce", list(wanted))))
    monkeypatch.setattr(vips, "held", list)
    monkeypatch.setattr(vips.subprocess, "Popen", lambda command, **_: done.append(("start", command)))
    found = vips.Watcher("dir1", [vips.Vip("192.0.2.30", 24, "eth0")], ["true"])
    found.done = done
    return found


def test_only_the_peers_death_counts(watcher):
    """Ping nodes and this director itself have a status as well."""
    for node, status in (("192.0.2.1", "dead"), ("dir2", "dead"), ("dir1", "up"), ("dir1", "init")):
        watcher.changed(node, status)
    assert watcher.done == []


def test_addresses_are_taken_then_announced_again_and_again(watcher, monkeypatch):
    """At once, and until ten seconds later, for a switch or a client may not listen yet."""
    now = [100.0]
    monkeypatch.setattr(vips.time, "monotonic", lambda: now[0])
    watcher.changed("dir1", "dead")
    assert [what for what, _vips in watcher.done] == ["take", "announce"]
    for _tenth in range(120):
        now[0] += 0.1
        watcher.again()
    assert [what for what, _vips in watcher.done[2:]] == ["announce"] * len(vips.AGAIN)


def test_a_director_that_is_back_is_told_what_it_missed(watcher):
    """Its sync daemon has heard nothing while it was away."""
    watcher.changed("dir1", "active")
    assert watcher.done == [("start", ["true"])]
