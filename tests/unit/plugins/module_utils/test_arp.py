# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked by ARP, and what counts as an answer."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils.arp import answer, question

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


@given(st.binary(max_size=60))
def test_any_frame_is_read(frame: bytes) -> None:
    assert isinstance(answer(frame), str)
