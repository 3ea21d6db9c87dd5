# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tcp_probe makes of what it has seen."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.modules.tcp_probe import Attempt, check, longest_outage, probe


def attempts(text: str) -> list[Attempt]:
    """Return attempts a second apart; x is a failed one."""
    return [Attempt(float(at), "refused" if letter == "x" else "") for at, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("seen", "outage"),
    [("", 0), (".....", 0), ("..x..", 2), (".x..xxx.", 4), ("xx..", 2), ("..xx", 3), ("xxx", 3), (".x", 2)],
)
def test_outage_is_from_answer_to_answer(seen, outage):
    """It is too long rather than too short. An outage at the beginning or end of the probe lasts to that point."""
    assert longest_outage(attempts(seen), 1.0) == outage


@given(st.text(alphabet=".x", min_size=1))
def test_outage_is_zero_exactly_when_nothing_failed(seen):
    """And never longer than the whole probe."""
    assert (longest_outage(attempts(seen), 1.0) == 0) == ("x" not in seen)
    assert longest_outage(attempts(seen), 1.0) <= len(seen)


def test_bounds_are_named():
    """Each option that is out of its bounds gets a line."""
    given_options = {"port": 0, "seconds": 10, "interval": 0, "limit": 0.4}
    assert len(check(given_options)) == 2


def test_a_listening_socket_answers_and_a_closed_one_does_not():
    """On loopback, with real connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [one.error for one in asyncio.run(probe("127.0.0.1", port, 0.1, 0.02, 0.4))] == [""] * 5
    assert all(one.error for one in asyncio.run(probe("127.0.0.1", port, 0.1, 0.02, 0.4)))
