# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is drained, when directors have noted different things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.filter.drained_names import ACTIVE, drained_names

NAMES = st.sampled_from(["192.0.2.21", "192.0.2.21:80", "192.0.2.22", "2001:db8::21", "[2001:db8::21]:80"])
NOTED = st.dictionaries(st.sampled_from(["dir1", "dir2"]), st.sets(NAMES | NAMES.map(ACTIVE.__add__)))


@pytest.mark.parametrize(
    ("dir1", "dir2", "expected"),
    [
        pytest.param(["192.0.2.21"], [], ["192.0.2.21"], id="drained while dir2 was away, or dir2 is new"),
        pytest.param([], ["192.0.2.21"], ["192.0.2.21"], id="dir1 is new"),
        pytest.param([".active.192.0.2.21"], ["192.0.2.21"], [], id="taken in again while dir2 was away"),
        pytest.param([".active.192.0.2.21"], ["192.0.2.21:80"], [], id="all its ports"),
        pytest.param([".active.2001:db8::21"], ["[2001:db8::21]:80"], [], id="all its ports, IPv6"),
        pytest.param([".active.192.0.2.21:80"], ["192.0.2.21:80", "192.0.2.21:443"], ["192.0.2.21:443"], id="one port"),
        pytest.param([".active.192.0.2.21"], ["192.0.2.22"], ["192.0.2.22"], id="another one"),
        pytest.param([".hidden"], [], [], id="somebody else's file"),
    ],
)
def test_what_one_director_knows_all_do(dir1, dir2, expected):
    assert drained_names({"dir1": dir1, "dir2": dir2}) == expected


@given(NOTED)
def test_once_all_have_followed_nothing_changes(noted):
    """Each director then has these names, and what was taken in again is forgotten."""
    names = drained_names(noted)
    assert drained_names(dict.fromkeys(noted, names)) == names
    assert set(names) <= {name for each in noted.values() for name in each}
