# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume's life: half made, completed, refused elsewhere, destroyed, made anew. The tests need the file's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cell import ONE, TWO
from harness import Machine, shell

BOTH = [{"server": ONE}, {"server": TWO, "partition": "/srv/vicepb"}]
HALF: dict[str, Any] = {"name": "half", "replicas": BOTH}
OTHER: dict[str, Any] = {"name": "sub/dir.1", "replicas": BOTH[1:]}


@pytest.fixture
def scm(on: Callable[[str], Machine]) -> Machine:
    """Return the SCM's modules."""
    return on(ONE)


def changes(scm: Machine, volume: dict[str, Any], *states: str) -> list[bool]:
    """Ask for a volume in one state after the other; return which ones changed something."""
    found = []
    for state in states:
        replicas = volume["replicas"] if state == "present" else []
        found.append(scm.module("coda_volume", volumes=[{**volume, "replicas": replicas, "state": state}])["changed"])
    return found


def test_a_volume_that_is_half_made_is_told_of(scm: Machine) -> None:
    scm.run("volutil", "-h", ONE, "create_rep", "/vicepa", "half.0", "7f000100")  # what a program does that is killed
    assert [stray["name"] for stray in scm.module("coda_volume_info")["strays"]] == ["half.0"]


def test_it_is_completed_and_another_one_made_and_check_mode_says_so_before(scm: Machine) -> None:
    wanted = [HALF, OTHER]
    assert scm.module("coda_volume", volumes=wanted, _ansible_check_mode=True)["changed"] is True
    assert scm.module("coda_volume", volumes=wanted)["changed"] is True
    assert scm.module("coda_volume", volumes=wanted)["changed"] is False


@pytest.mark.parametrize(
    ("volume", "says"),
    [
        ({"name": "half", "replicas": BOTH[:1]}, "can't change"),
        ({"name": "half", "replicas": [BOTH[0], {"server": TWO, "partition": "/vicepa"}]}, "can't move"),
        # Upstream takes a part of a name for the name.
        ({"name": "new", "replicas": [{"server": "coda2"}]}, "no file server"),
        ({"name": "new", "replicas": [{"server": "coda3.coda.test"}]}, "no file server"),
        ({"name": "new", "replicas": [{"server": TWO, "partition": "/vicepa"}]}, "has no partition"),
    ],
)
def test_other_servers_or_partitions_and_servers_that_do_not_exist_are_refused(
    scm: Machine, volume: dict[str, Any], says: str
) -> None:
    told = scm.refused("coda_volume", volumes=[volume])["msg"]
    assert "Nothing was changed" in told
    assert says in told


def test_a_volume_that_was_destroyed_is_made_anew(scm: Machine) -> None:
    """Upstream's program makes that impossible."""
    assert changes(scm, HALF, "destroyed", "destroyed", "present", "destroyed") == [True, False, True, True]


def test_what_is_destroyed_leaves_nothing(scm: Machine) -> None:
    assert changes(scm, OTHER, "destroyed") == [True]
    left = scm.module("coda_volume_info")
    assert left["strays"] == []
    assert [volume["name"] for volume in left["volumes"]] == ["/", "www"]


def test_a_volume_that_the_location_database_has_lost_is_entered_again(scm: Machine) -> None:
    """A run that was killed, or upstream's script, which reports success, may have left it out."""
    shell(ONE, "cp /dev/null /vice/db/VLDB.lost && mv /vice/db/VLDB.lost /vice/db/VLDB")
    found = [scm.module("coda_volume", volumes=[{"name": "www", "replicas": BOTH}]) for _time in range(2)]
    assert [(each["changed"], each["entered"]) for each in found] == [(True, ["www"]), (False, [])]
