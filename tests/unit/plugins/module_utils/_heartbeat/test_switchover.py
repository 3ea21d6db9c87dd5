# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the addresses, who may have them, and what moves them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.state import State, expected_addresses
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.switchover import holders, own, plan, unfit
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import Table

VIPS = [{"address": "192.0.2.30", "node": "dir1"}, {"address": "2001:DB8:0::30", "node": "DIR2"}]
FOUR, SIX = "192.0.2.30", "2001:db8::30"
TABLE = parse_table(["-A -t 192.0.2.30:80 -s wrr", "-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1"])
SERVER = "-a -t 192.0.2.30:80 -r 192.0.2.22:80 -g -w "


def state(node: str = "dir2", resources: str = "none", held: tuple[str, ...] = (), **nodes: str) -> State:
    """Return what a director sees; the other one is active unless told."""
    known = {"dir1": "active", "dir2": "active", **nodes}
    return State(node, known, resources, held, expected_addresses(VIPS, node, resources))


@pytest.mark.parametrize(
    ("resources", "held", "expected"),
    [
        ("none", (), {FOUR: ["dir1"], SIX: ["dir1"]}),
        ("foreign", (FOUR,), {FOUR: ["dir2"], SIX: ["dir1"]}),
        ("local", (SIX,), {FOUR: ["dir1"], SIX: ["dir2"]}),
        ("local", (FOUR, SIX), {FOUR: ["dir2", "dir1"], SIX: ["dir2"]}),  # taken, and not yet given up
        ("transition", (FOUR, SIX), {FOUR: ["dir2", "dir1"], SIX: ["dir2", "dir1"]}),
        ("all", (FOUR, SIX), {FOUR: ["dir2"], SIX: ["dir2"]}),
        ("all", (SIX,), {FOUR: [], SIX: ["dir2"]}),  # Heartbeat's word is no proof
    ],
)
def test_holders(resources: str, held: tuple[str, ...], expected: dict[str, list[str]]) -> None:
    assert holders(VIPS, state("dir2", resources, held), ()) == expected


def test_what_prefers_a_director_is_its_own() -> None:
    assert [vip["address"] for node in ("dir1", "dir2") for vip in own(VIPS, node)] == [FOUR, "2001:DB8:0::30"]


def test_who_answers_for_an_address_has_it() -> None:
    assert holders(VIPS, state("dir2", "all", (FOUR, SIX)), {FOUR}) == {FOUR: ["dir2", "dir1"], SIX: ["dir2"]}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({FOUR: ["dir1"]}, ["take", "release", "wait", "announce"]),
        ({FOUR: ["dir1", "dir2"]}, ["release", "wait", "announce"]),
        ({FOUR: []}, ["take", "wait", "announce"]),
        ({FOUR: ["dir2"]}, []),
    ],
)
def test_what_is_left_to_do(found: dict[str, list[str]], expected: list[str]) -> None:
    assert plan(found, "dir2") == expected


@given(st.dictionaries(st.text(), st.sets(st.sampled_from(("dir1", "dir2"))).map(sorted)))
def test_an_address_is_taken_before_another_one_has_to_give_it_up(found: dict[str, list[str]]) -> None:
    steps = plan(found, "dir2")
    assert (steps == []) == all(names == ["dir2"] for names in found.values())
    if "release" in steps and any("dir2" not in names for names in found.values()):
        assert steps.index("take") < steps.index("release")


def test_a_director_that_can_serve_is_fit() -> None:
    assert unfit(state(), (), TABLE, TABLE, ["backup", "master"]) == []
    assert unfit(state(), (), TABLE, TABLE, None) == []


def test_all_reasons_are_named() -> None:
    quiet = parse_table(["-A -t 192.0.2.30:80 -s wrr", "-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 0"])
    assert unfit(state(dir1="dead"), (), quiet, TABLE, ["backup"]) == [
        "Heartbeat says that dir1 is dead",
        "tcp 192.0.2.30:80 has no real server that takes connections",
        "no sync daemon runs as master",
    ]
    assert unfit(state("dir2", "transition", dir3="active"), (), {}, TABLE, None) == [
        "Heartbeat knows 3 nodes, dir1, dir2, dir3: there must be two",
        "Heartbeat is moving resources, and would not hear of it"
        "; if that lasts for minutes, restart Heartbeat here, where no address is",
        "tcp 192.0.2.30:80 is not in the IPVS table",
    ]
    # There, heartbeat-vips mends it, and a restart would move addresses.
    [said] = unfit(state("dir2", "transition", held=(FOUR,)), (), TABLE, TABLE, None)
    assert said == "Heartbeat is moving resources, and would not hear of it"


def test_a_director_that_believes_to_have_what_another_has_is_not_fit() -> None:
    assert unfit(state(), {FOUR}, TABLE, TABLE, None) == []
    assert unfit(state(resources="all"), {FOUR}, TABLE, TABLE, None) == [
        "another host has 192.0.2.30, which Heartbeat believes to be here"
    ]


@pytest.mark.parametrize(
    ("there", "here", "fit"),
    [
        ("1", "1", True),
        ("1", "0", False),
        ("0", "0", True),  # down on both
        ("0", "1", True),
    ],
)
def test_it_has_to_serve_what_the_other_one_serves(there: str, here: str, fit: bool) -> None:
    service = "-A -t 192.0.2.30:80 -s wrr"
    wanted, table = (parse_table([service, SERVER + weight]) for weight in (there, here))
    assert (unfit(state(), (), table, wanted, None) == []) is fit


@pytest.mark.parametrize(
    ("there", "here", "fit"),
    [("nat", "nat", True), ("nat", "direct", False), ("nat", "local", True), ("local", "nat", True)],
)
def test_it_has_to_forward_as_the_other_one_does(there: str, here: str, fit: bool) -> None:
    """It was down while another way was rolled out, and came back with its old configuration."""

    def by(forwarding: str) -> Table:
        return {
            key: service._replace(
                servers={at: each._replace(forwarding=forwarding) for at, each in service.servers.items()}
            )
            for key, service in TABLE.items()
        }

    reason = "tcp 192.0.2.30:80 forwards in another way than it does on the other director"
    assert unfit(state(), (), by(here), by(there), None) == [reason] * (not fit)


def test_a_fallback_is_no_real_server_of_the_other_one() -> None:
    service = "-A -t 192.0.2.30:80 -s wrr"
    table = parse_table([service, SERVER + "0", "-a -t 192.0.2.30:80 -r 127.0.0.1:80 -g -w 1"])
    assert unfit(state(), (), table, parse_table([service, SERVER + "1"]), None) != []
    assert unfit(state(), (), table, table, None) == []


def test_without_heartbeat_nothing_else_matters() -> None:
    assert unfit(State("dir2", {}, "", (), ()), (), {}, TABLE, []) == ["Heartbeat does not run here"]
