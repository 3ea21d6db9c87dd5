# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the other director is asked to give the addresses up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.state import State
from ansible_collections.codalvs.ha.plugins.modules import heartbeat_switchover

VIP = {"address": "192.0.2.30", "interface": "eth0", "node": "dir1"}
NODES = {"dir1": "active", "dir2": "active"}
RELEASE = ["hb_takeover", "all"]


@pytest.mark.parametrize(
    ("resources", "given_up_at", "asked_at"),
    [
        ("local", 5, []),  # the first request was enough
        ("local", 40, [16, 32]),
        ("transition", 40, []),  # Heartbeat here is still at work
    ],
)
def test_the_other_director_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, resources: str, given_up_at: int, asked_at: list[int]
) -> None:
    now, asked = [0.0], []

    def look(_module: object, _vips: object) -> State:
        mine = [VIP["address"]]
        return State("dir1", NODES, resources, mine, mine if now[0] >= given_up_at else [])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def run_command(command: list[str], check_rc: bool) -> None:
        assert command == RELEASE
        assert check_rc
        asked.append(now[0])

    monkeypatch.setattr(heartbeat_switchover, "look", look)
    monkeypatch.setattr(heartbeat_switchover, "network_answers", lambda _vips: set())
    monkeypatch.setattr(heartbeat_switchover, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    module = SimpleNamespace(params={"timeout": 120}, run_command=run_command)
    assert heartbeat_switchover.wait(module, [VIP], 120, RELEASE) == {VIP["address"]: ["dir1"]}
    assert asked == asked_at
