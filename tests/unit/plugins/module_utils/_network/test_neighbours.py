# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked by ARP or neighbour solicitation, and what counts as an answer."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._network.neighbours import answer, checksum, question

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
REPLY = MAC + OTHER + bytes.fromhex("0806 0001 0800 0604 0002") + OTHER + bytes([192, 0, 2, 30]) + MAC + bytes(4)


def test_a_question_tells_nobody_an_address_of_its_sender() -> None:
    frame = question(MAC, "192.0.2.30")
    assert frame[:14] == b"\xff" * 6 + MAC + b"\x08\x06"
    assert struct.unpack("!HHBBH", frame[14:22]) == (1, 0x800, 6, 4, 1)
    assert (frame[22:28], frame[28:32], frame[38:42]) == (MAC, bytes(4), bytes([192, 0, 2, 30]))


def test_an_answer_names_its_address() -> None:
    assert answer(REPLY) == "192.0.2.30"
    assert answer(REPLY + bytes(18)) == "192.0.2.30"  # padded to the shortest frame of Ethernet
    assert answer(question(MAC, "192.0.2.30")) == ""
    assert answer(REPLY[:41]) == ""


ADVERTISEMENT = (
    b"\x33\x33\0\0\0\x01"
    + OTHER
    + bytes.fromhex("86dd 60000000 0020 3a ff")
    + ip_address("2001:db8::12").packed
    + ip_address("ff02::1").packed
    + bytes.fromhex("8800 0000 20000000")
    + ip_address("2001:db8::30").packed
    + bytes.fromhex("0201")
    + OTHER
)


def test_a_solicitation_goes_to_the_group_of_its_address_alone() -> None:
    frame = question(MAC, "2001:db8::12:3456")
    assert frame[:14] == bytes.fromhex("3333ff123456") + MAC + b"\x86\xdd"
    assert frame[14:22] == bytes.fromhex("60000000 0018 3a ff")
    assert frame[22:38] == bytes(16)  # nobody learns an address of its sender
    assert ip_address(frame[38:54]) == ip_address("ff02::1:ff12:3456")
    assert (frame[54:56], ip_address(frame[62:78]), frame[78:]) == (b"\x87\0", ip_address("2001:db8::12:3456"), b"")
    # RFC 4443, 2.3: over a header of its own, too.
    assert checksum(frame[22:54] + struct.pack("!II", 24, 58) + frame[54:]) == 0


def test_an_advertisement_names_its_address() -> None:
    assert answer(ADVERTISEMENT) == "2001:db8::30"
    assert answer(question(MAC, "2001:db8::30")) == ""
    assert answer(ADVERTISEMENT[:77]) == ""
    # One that a router has passed on is forged.
    assert answer(ADVERTISEMENT[:21] + b"\xfe" + ADVERTISEMENT[22:]) == ""


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: ADVERTISEMENT[:54] + rest))
def test_any_frame_is_read(frame: bytes) -> None:
    assert isinstance(answer(frame), str)
