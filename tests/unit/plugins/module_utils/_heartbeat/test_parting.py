# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which changes of ha.cf two directors may load one after the other."""

from __future__ import annotations

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.parting import parting
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.cluster import PROFILES

LINKS = ("ucast eth0 192.0.2.11", "ucast eth0 192.0.2.12", "ucast eth1 198.51.100.11", "ucast eth1 198.51.100.12")


def ha_cf(profile: str = "balanced", links: tuple[str, ...] = LINKS, port: int = 694, rest: str = "") -> str:
    times = [f"{name} {PROFILES[profile][name]}" for name in ("keepalive", "warntime", "deadtime", "initdead")]
    return "\n".join([*times, f"udpport {port}", *links, "auto_failback off", "node dir1 dir2", rest])


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(ha_cf(), ha_cf(rest="ping 192.0.2.254"), id="a ping node"),
        pytest.param(ha_cf(links=LINKS[:2]), ha_cf(), id="one link goes"),
        pytest.param(ha_cf(links=(*LINKS[:2], "bcast eth2")), ha_cf(), id="one link for another"),
        pytest.param(ha_cf(links=LINKS[::-1]), ha_cf(), id="in another order"),
        pytest.param(ha_cf(rest="udp eth1"), ha_cf(rest="bcast eth1"), id="an old name"),
        pytest.param(ha_cf("thesis"), ha_cf("thesis", rest="ping 192.0.2.254"), id="slow"),
        pytest.param(ha_cf("fast"), ha_cf("fast"), id="nothing"),
        pytest.param(ha_cf("fast"), None, id="no Heartbeat runs"),
    ],
)
def test_most_changes_may_come_one_after_the_other(new: str, old: str | None) -> None:
    assert parting(new, old) == []
    assert old is None or parting(old, new) == []


NO_LINK = ["no link is in both files with the same port and addresses"]


@pytest.mark.parametrize(
    ("new", "old", "why"),
    [
        (ha_cf("fast"), ha_cf("thesis"), ["a deadtime of 500 ms is over"]),
        (ha_cf("fast"), ha_cf(), ["a deadtime of 500 ms is over"]),
        (ha_cf(), ha_cf("thesis"), ["a deadtime of 3000 ms is over"]),
        (ha_cf("fast"), ha_cf("fast", rest="ping 192.0.2.254"), ["a deadtime of 500 ms is over"]),
        (ha_cf(port=695), ha_cf(), NO_LINK),
        (ha_cf(links=("bcast eth0",)), ha_cf(), NO_LINK),
        (ha_cf(links=("ucast eth0 192.0.2.11", "ucast eth0 192.0.2.13")), ha_cf(links=LINKS[:2]), NO_LINK),
        (ha_cf(links=("mcast eth0 225.0.0.1 694 1 0",)), ha_cf(links=("mcast eth0 225.0.0.1 695 1 0",)), NO_LINK),
        (ha_cf(links=("baud 9600", "serial /dev/ttyS0")), ha_cf(links=("serial /dev/ttyS0",)), NO_LINK),
        (ha_cf().replace("dir2", "dir3"), ha_cf(), ["the nodes were dir1 and dir"]),
        (ha_cf("fast", port=695), ha_cf(), ["a deadtime of 500 ms is over", *NO_LINK]),
        (ha_cf().replace("deadtime 3", "deadtime soon"), ha_cf(), ["a deadtime of 0 ms is over"]),
    ],
)
def test_what_parts_the_directors_is_said(new: str, old: str, why: list[str]) -> None:
    for found in (parting(new, old), parting(old, new)):
        assert [reason[: len(start)] for reason, start in zip(found, why, strict=True)] == why
