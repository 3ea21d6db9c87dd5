# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a VIP, and who should."""

from __future__ import annotations

import json

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.state import expected_addresses, held_addresses

VIPS = [{"address": "192.0.2.30", "node": "dir1"}, {"address": "2001:DB8:0::30", "node": "DIR2"}]


def shown(device: str, address: str, prefix: int) -> str:
    return json.dumps([{"ifname": device, "addr_info": [{"local": address, "prefixlen": prefix}]}])


@pytest.mark.parametrize(
    ("device", "interface", "held"),
    [
        ("eth0", None, True),
        ("eth0", "eth0", True),
        ("lo", None, False),  # there a director carries it as a real server
        ("dummy0", "eth0", False),
    ],
)
def test_a_vip_is_held_on_its_interface(device: str, interface: str | None, held: bool) -> None:
    vips = [{**vip, "interface": interface} for vip in VIPS]
    assert held_addresses(vips, shown(device, "192.0.2.30", 24)) == (["192.0.2.30"] if held else [])
    assert held_addresses(vips, shown(device, "2001:db8::30", 64)) == (["2001:db8::30"] if held else [])


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ("all", ["192.0.2.30", "2001:db8::30"]),
        ("local", ["192.0.2.30"]),
        ("foreign", ["2001:db8::30"]),
        ("none", []),
        ("transition", []),
        ("", []),
    ],
)
def test_what_heartbeats_word_means_for_the_first_director(resources: str, expected: list[str]) -> None:
    assert expected_addresses(VIPS, "dir1", resources) == expected
