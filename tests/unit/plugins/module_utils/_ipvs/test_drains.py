# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a drain is about, and what the directors' marks become."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.drains import (
    NOTE,
    checker,
    covers,
    files,
    gone,
    plan,
    problems,
    spelt,
    united,
    wanted,
    without_weight,
)

NAMES = st.sampled_from(
    ["192.0.2.21", "192.0.2.21:80", "192.0.2.21:443", "192.0.2.22", "2001:db8::21", "[2001:db8::21]:80"]
)
# A mark may have been made by hand.
MARKS = NAMES | st.sampled_from(["2001:DB8::21", "[2001:DB8::21]:80", "192.0.2.21:080"])
FILES = st.sets(MARKS | MARKS.map(NOTE.__add__))


def server(host: str, address: str, port: int, weight: int = 1) -> dict[str, Any]:
    """Return a real server as cluster() does."""
    endpoint = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return {"host": host, "address": address, "port": port, "endpoint": endpoint, "weight": weight}


SERVICES = [
    {"real_servers": [server("real1", "192.0.2.21", 80), server("real2", "192.0.2.22", 80)]},
    {"real_servers": [server("real1", "192.0.2.21", 80), server("real3", "192.0.2.23", 80)]},
    {"real_servers": [server("real1", "192.0.2.21", 443), server("real2", "192.0.2.22", 443, 0)]},
    {"real_servers": [server("real1", "2001:db8::21", 80), server("real2", "2001:db8::22", 80)]},
    {"real_servers": [server("real2", "192.0.2.22", 443), server("real4", "192.0.2.24", 0)]},
]


# --- from the inventory


@pytest.mark.parametrize(
    ("host", "port", "names", "weighted"),
    [
        ("real1", None, ["192.0.2.21", "2001:db8::21"], ["192.0.2.21:80", "192.0.2.21:443", "[2001:db8::21]:80"]),
        ("real1", 80, ["192.0.2.21:80", "[2001:db8::21]:80"], ["192.0.2.21:80", "[2001:db8::21]:80"]),
        ("real1", "443", ["192.0.2.21:443"], ["192.0.2.21:443"]),
        # One of its two services at that port has no weight for it.
        ("real2", 443, ["192.0.2.22:443"], []),
        ("real2", None, ["192.0.2.22", "2001:db8::22"], ["192.0.2.22:80", "[2001:db8::22]:80"]),
        ("real4", 0, ["192.0.2.24:0"], ["192.0.2.24:0"]),
        ("real3", 443, [], []),
        ("nobody", None, [], []),
    ],
)
def test_a_drain_is_about_all_addresses_or_one_port(
    host: str, port: int | str | None, names: list[str], weighted: list[str]
) -> None:
    found = wanted(SERVICES, host, port)
    assert (found["names"], found["weighted"]) == (names, weighted)
    assert (found["refused"] == "") == (names != [])


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("nobody", None, "drain_host = nobody: must be a real server of a virtual service: real1, real2, real3, real4"),
        ("", None, "drain_host = (not given): must be a real server of a virtual service: real1, real2, real3, real4"),
        ("real3", "443", "drain_host = real3: must be a real server of a virtual service at port 443: real1, real2, r"),
    ],
)
def test_who_is_no_real_server_is_refused(host: str, port: str | None, said: str) -> None:
    assert wanted(SERVICES, host, port)["refused"].startswith(said)


@pytest.mark.parametrize("port", ["http", "", "-1", "80.5", 65536, "\u0668\u0660", "1" * 5000])
def test_a_port_is_a_number(port: int | str) -> None:
    found = wanted(SERVICES, "real1", port)
    assert found == {"names": [], "weighted": [], "refused": f"drain_port = {port}: must be a port, 0 to 65535"}


@given(st.sampled_from(["real1", "real2", "real3", "real4"]), st.sampled_from([None, 80, 443]))
def test_what_gets_its_weight_back_was_marked(host: str, port: int | None) -> None:
    found = wanted(SERVICES, host, port)
    assert all(any(covers(name, place) for name in found["names"]) for place in found["weighted"])


# --- what the directors have noted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('AUTO="true"\nDAEMON="none"\n', "none"),
        ('# ipvsadm\nAUTO="false"\n', "ldirectord"),
        ("AUTO='true'\nAUTO=false", "ldirectord"),  # a shell reads the file: the last one counts
        ('#AUTO="true"\n', None),
        ('AUTO="maybe"\n', None),
        ("", None),
    ],
)
def test_what_loads_a_table_at_boot_tells_who_keeps_it(text: str, expected: str | None) -> None:
    assert checker(text) == expected


@pytest.mark.parametrize(
    ("dir1", "dir2", "expected"),
    [
        pytest.param(["192.0.2.21"], [], ["192.0.2.21"], id="drained while dir2 was away, or dir2 is new"),
        pytest.param([], ["192.0.2.21"], ["192.0.2.21"], id="dir1 is new"),
        pytest.param([".active.192.0.2.21"], ["192.0.2.21"], [], id="undrained while dir2 was away"),
        pytest.param([".active.192.0.2.21"], ["192.0.2.21:80"], [], id="all its ports"),
        pytest.param([".active.2001:db8::21"], ["[2001:db8::21]:80"], [], id="all its ports, IPv6"),
        pytest.param([".active.192.0.2.21:80"], ["192.0.2.21:80", "192.0.2.21:443"], ["192.0.2.21:443"], id="one port"),
        pytest.param([".active.192.0.2.21"], ["192.0.2.22"], ["192.0.2.22"], id="another one"),
        pytest.param([".hidden"], [], [], id="somebody else's file"),
    ],
)
def test_what_one_director_knows_all_do(dir1: list[str], dir2: list[str], expected: list[str]) -> None:
    assert sorted(united([*dir1, *dir2])) == expected
    assert sorted(plan(dir1, dir2, [], [], whole=True).names) == expected


@given(FILES, FILES)
def test_once_all_have_followed_nothing_changes(dir1: set[str], dir2: set[str]) -> None:
    """Each director then has the same names, and none has a note of what was undrained."""
    one, two = plan(dir1, dir2, [], [], whole=True), plan(dir2, dir1, [], [], whole=True)
    assert one == two
    assert not one.notes
    assert one.names <= dir1 | dir2
    assert plan(files(one), files(two), [], [], whole=True) == one


@given(FILES, FILES)
def test_a_run_that_ends_halfway_forgets_nothing(dir1: set[str], dir2: set[str]) -> None:
    """The role's order: first the marks of all, then the notes. Each director is told what only the other had."""
    drained = united(dir1 | dir2)
    one, two = (files(plan(own, others - own, [], [], whole=False)) for own, others in ((dir1, dir2), (dir2, dir1)))
    assert united(one | dir2) == united(one | two) == drained
    last = plan(one, dir2 - dir1, [], [], whole=True)
    assert (last.names, last.notes) == (drained, set())
    assert united(files(last) | two) == drained


def test_what_another_run_has_removed_since_stays_so() -> None:
    found, now = {"192.0.2.21", "192.0.2.22"}, {"192.0.2.22"}
    assert plan(now, found - found, [], [], whole=True).names == {"192.0.2.22"}


@given(FILES, FILES, NAMES, st.booleans())
def test_who_is_drained_is_so_for_all_who_ask(dir1: set[str], dir2: set[str], name: str, whole: bool) -> None:
    if problems(dir1 | dir2, [name], [], whole):
        return
    one, two = (plan(own, others, [name], [], whole) for own, others in ((dir1, dir2), (dir2, dir1)))
    assert one.names == two.names == united(files(one) | files(two))
    assert name in one.names
    assert united(dir1 | dir2) <= one.names  # nobody else is undrained by that


@given(FILES, FILES, FILES, NAMES)
def test_who_is_undrained_stays_so_when_another_director_comes_back(
    dir1: set[str], dir2: set[str], away: set[str], name: str
) -> None:
    if problems(dir1 | dir2, [], [name], whole=False):
        return
    one, two = (plan(own, others, [], [name], whole=False) for own, others in ((dir1, dir2), (dir2, dir1)))
    assert one.names == two.names == united(files(one) | files(two))
    assert not any(covers(name, each) for each in one.names)
    later = plan(away, files(one) | files(two), [], [], whole=True)
    assert not any(covers(name, each) for each in later.names)


@given(FILES, NAMES, st.booleans(), st.booleans())
def test_twice_is_once(own: set[str], name: str, drain: bool, whole: bool) -> None:
    change = ([name], []) if drain else ([], [name])
    if problems(own, *change, whole):
        return
    marks = plan(own, [], *change, whole)
    assert problems(files(marks), *change, whole) == []
    assert plan(files(marks), [], *change, whole) == marks


@given(NAMES, st.booleans())
def test_undrained_is_the_reverse_of_drained(name: str, whole: bool) -> None:
    drained = plan([], [], [name], [], whole)
    assert files(drained) == {name}
    assert files(plan(files(drained), [], [], [name], whole)) == (set() if whole else {NOTE + name})


@pytest.mark.parametrize(
    ("noted", "drained", "active", "whole", "expected"),
    [
        ([], ["real1"], [], True, "real1: must be ADDRESS or ADDRESS:PORT"),
        ([], ["../etc"], [], True, "../etc: must be"),
        ([], ["192.0.2.21:99999"], [], True, "192.0.2.21:99999: must be"),
        (["192.0.2.21"], [], ["192.0.2.21:80"], True, "all ports of 192.0.2.21 are drained"),
        (["2001:db8::21"], [], ["[2001:DB8::21]:80"], True, "all ports of 2001:db8::21 are drained"),
        ([".active.192.0.2.21"], ["192.0.2.21:80"], [], False, "all ports of 192.0.2.21 were undrained while a"),
    ],
)
def test_what_marks_cannot_say_is_refused(
    noted: list[str], drained: list[str], active: list[str], whole: bool, expected: str
) -> None:
    assert [problem[: len(expected)] for problem in problems(noted, drained, active, whole)] == [expected]


@pytest.mark.parametrize(
    ("noted", "drained", "active", "whole"),
    [
        (["192.0.2.21:80"], [], ["192.0.2.21"], False),
        (["192.0.2.21:80"], [], ["192.0.2.21:80"], False),
        (["192.0.2.21:080"], [], ["192.0.2.21:80"], False),
        (["[2001:DB8::21]:80"], [], ["[2001:db8::21]:80"], False),
        ([".active.2001:DB8::21"], ["2001:db8::21"], [], False),
        (["192.0.2.21"], ["192.0.2.21:80"], [], False),
        ([".active.192.0.2.21"], ["192.0.2.21"], [], False),
        ([".active.192.0.2.21"], ["192.0.2.21:80"], [], True),
        ([".active.192.0.2.21"], ["192.0.2.22:80"], [], False),
    ],
)
def test_what_they_can_say_is_not(noted: list[str], drained: list[str], active: list[str], whole: bool) -> None:
    assert problems(noted, drained, active, whole) == []


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("[2001:db8::21]:80", "[2001:DB8::21]:80", True),
        ("[2001:db8::21]:80", "[2001:db8::21]:080", True),
        ("192.0.2.21:80", "192.0.2.21:080", True),
        ("192.0.2.21:080", "192.0.2.21:80", True),
        ("2001:db8::21", "[2001:DB8::21]:80", True),
        ("2001:DB8::21", "[2001:db8::21]:80", True),
        ("192.0.2.21:80", "192.0.2.21:443", False),
        ("192.0.2.21:80", "192.0.2.21", False),
        ("192.0.2.21", "192.0.2.22:80", False),
        ("no name", "no name", True),
        ("no name", "192.0.2.21", False),
    ],
)
def test_a_name_stands_for_others_in_any_spelling(name: str, other: str, expected: bool) -> None:
    assert covers(name, other) is expected


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("2001:DB8:0::21", "2001:db8::21"),
        ("[2001:DB8:0::21]:080", "[2001:db8::21]:80"),
        ("192.0.2.21:80", "192.0.2.21:80"),
        ("no name", "no name"),
    ],
)
def test_names_are_spelt_as_the_kernel_does(given_name: str, expected: str) -> None:
    assert spelt(given_name) == expected


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (["192.0.2.21"], [0, 1, 0]),
        (["192.0.2.21:80"], [0, 1, 1]),
        (["192.0.2.21:81", "real1", "192.0.2"], [1, 1, 1]),
        (["[2001:db8::1]:443", "192.0.2.22"], [1, 0, 1]),
    ],
)
def test_who_is_drained_has_weight_0(names: list[str], weights: list[int]) -> None:
    servers = [{"address": "192.0.2.21", "weight": 1}, {"address": "192.0.2.22", "weight": 1}]
    services = [
        {"port": 80, "real_servers": servers},
        {"port": 443, "real_servers": [{"endpoint": "192.0.2.21:443", "weight": 1}]},
    ]
    assert [
        server["weight"] for service in without_weight(services, names) for server in service["real_servers"]
    ] == weights


def test_what_is_no_real_server_is_left_alone() -> None:
    services = [{"port": 443, "real_servers": [{"adress": "192.0.2.21"}]}, {"vip": "192.0.2.30"}]
    assert without_weight(services, ["192.0.2.21"]) == [services[0], {"vip": "192.0.2.30", "real_servers": []}]


def test_an_ipv6_server_is_drained_by_address_or_endpoint() -> None:
    services = [{"port": 443, "real_servers": [{"address": "2001:DB8:0::1", "weight": 1}]}]
    for name in ("2001:db8::1", "[2001:db8::1]:443", "2001:db8:0:0::1"):
        assert without_weight(services, [name])[0]["real_servers"][0]["weight"] == 0


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        (["192.0.2.21", "192.0.2.22:80"], []),
        (["192.0.2.99", "192.0.2.21"], ["192.0.2.99"]),
        (["192.0.2.99", "192.0.2.99:80"], ["192.0.2.99"]),
        (["192.0.2.21:81"], ["192.0.2.21:81"]),
        (["192.0.2.21", "192.0.2.21:81"], []),
        (["2001:DB8::99"], ["2001:db8::99"]),
        (["192.0.2.99", ".active.192.0.2.99"], []),
        (["README", ".hidden"], []),
    ],
)
def test_marks_that_no_service_has_any_longer_are_named(noted: list[str], expected: list[str]) -> None:
    servers = [{"address": f"192.0.2.{number}", "port": 80} for number in (21, 22)]
    services = [{"vip": "192.0.2.30", "port": 80, "real_servers": servers}]
    assert gone(noted, services) == expected
    assert gone(noted, [{"real_servers": [{"endpoint": f"{each['address']}:80"} for each in servers]}]) == expected
    assert gone(noted, []) == []
    assert problems(noted, [], gone(noted, services), False) == []


def test_what_no_service_has_is_forgotten_by_all_directors() -> None:
    """In the steps of the role: first a note each, then, when all have heard of it, none."""
    folders = [{"192.0.2.99"}, {"192.0.2.99", "192.0.2.21"}]
    services = [{"real_servers": [{"endpoint": "192.0.2.21:80"}]}]
    noted = [name for folder in folders for name in folder]
    for whole in (False, True):
        active = [] if whole else gone(noted, services)
        folders = [files(plan(own, set(noted) - own, [], active, whole)) for own in folders]
        assert not any("192.0.2.99" in folder for folder in folders)
    assert folders == [{"192.0.2.21"}] * 2
