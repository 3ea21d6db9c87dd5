"""A cell's volumes as data. The texts are from a real cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import (
    FIRST_GROUP,
    LEAP,
    Cell,
    Group,
    Listed,
    Listing,
    Place,
    Replica,
    Step,
    Wanted,
    check,
    describe,
    lost,
    next_group,
    parse_listing,
    parse_servers,
    parse_vrlist,
    plan,
    strays,
    unlocated,
    vrlist,
)

ONE, TWO = "coda1.coda.test", "coda2.coda.test"
LISTING = """\
P/vicepa H10.98.20.11 T1268734 F12003ac
W/.0 I1000001 H1 P/vicepa m0 M0 U2 W1000001 C6744b0f6 D6744b0f6 B0 A0
Wwww.0 I1000002 H1 P/vicepa m0 M64 U1c W1000002 C6744b0f8 D6744b0f8 B0 A3
BWww.0.backup I1000003 H1 P/vicepa m0 M0 U1c W1000002 C6744b0f8 D6744b0f8 B0 A0
"""
VRLIST = f"/ 7f000000 1 1000001{' 0' * 8}\nwww 7f000001 2 1000002 2000001{' 0' * 7}\n"
GROUPS = parse_vrlist(VRLIST)
ROOT, WWW = GROUPS["/"], GROUPS["www"]
OTHER = Listing({"/vicepa": (9, 9), "/srv/b": (9, 9)}, [Listed("www.1", 0x2000001, "/srv/b", "W", 0x2000001, 0, 2)])
CELL = Cell({"/": ROOT, "www": WWW}, {ONE: parse_listing(LISTING), TWO: OTHER}, {1: ONE, 2: TWO}, {})
WANTED = [Wanted("/", (Place(ONE),)), Wanted("www", (Place(ONE), Place(TWO, "/srv/b")))]


def test_listing() -> None:
    listing = parse_listing(LISTING)
    assert listing.partitions == {"/vicepa": (0x1268734, 0x12003AC)}
    assert [volume.name for volume in listing.volumes] == ["/.0", "www.0", "Www.0.backup"]
    assert listing.find("www.0") == Listed("www.0", 0x1000002, "/vicepa", "W", 0x1000002, 100, 28)
    assert listing.find("nosuch") is None


def test_vrlist() -> None:
    assert parse_vrlist(VRLIST) == {
        "/": Group("/", 0x7F000000, (0x1000001,)),
        "www": Group("www", 0x7F000001, (0x1000002, 0x2000001)),
    }
    # What is written is what upstream's script writes: eight replicas, and no number of a storage group.
    assert (
        vrlist({"/": ROOT}, [WWW], [])
        == "/ 7f000000 1 1000001 0 0 0 0 0 0 0\nwww 7f000001 2 1000002 2000001 0 0 0 0 0 0\n"
    )
    assert vrlist({"/": ROOT, "www": WWW}, [], ["www"]).splitlines() == [ROOT.line()]


@pytest.mark.parametrize(
    ("missing", "cell", "expected"),
    [
        (0, CELL, []),
        (0x1000001, CELL, ["/"]),
        (0x2000001, CELL, ["www"]),
        (0x2000001, CELL._replace(listings={ONE: CELL.listings[ONE], TWO: None}), []),  # nobody could enter it now
        (0x2000001, CELL._replace(groups={"/": ROOT}), []),  # it has to be made
    ],
)
def test_what_the_location_database_does_not_know_is_named(missing: int, cell: Cell, expected: list[str]) -> None:
    known = [number for number in (0x1000001, 0x1000002, 0x2000001) if number != missing]
    vldb = b"".join(b"%d".ljust(64, b"\0") % number for number in known)
    assert unlocated(cell, WANTED, vldb) == expected
    assert unlocated(cell, [Wanted(volume.name, ()) for volume in WANTED], vldb) == []  # they are to be destroyed


def test_servers() -> None:
    assert parse_servers("coda1.coda.test\t1\n\ncoda2.coda.test  2\nbroken\n") == {1: ONE, 2: TWO}


@given(
    st.lists(
        st.builds(
            Group,
            st.from_regex(r"[A-Za-z0-9/][A-Za-z0-9/._-]{0,28}", fullmatch=True),
            st.integers(0x7F000000, 0x7FFFFFFF),
            st.lists(st.integers(1 << 24, 254 << 24), min_size=1, max_size=8).map(tuple),
        ),
        unique_by=lambda group: group.name,
    )
)
def test_a_vrlist_is_read_as_it_was_written(groups: list[Group]) -> None:
    by_name = {group.name: group for group in groups}
    assert parse_vrlist(vrlist(by_name, [], [])) == by_name


def test_a_cell_as_wanted_needs_nothing() -> None:
    assert plan(CELL, WANTED) == ([], [])
    assert list(strays(CELL)) == []


def test_order_of_servers_and_a_partition_left_out_are_no_difference() -> None:
    assert plan(CELL, [Wanted("www", (Place(TWO), Place(ONE)))]) == ([], [])


def test_created() -> None:
    steps, problems = plan(CELL, [*WANTED, Wanted("new", (Place(TWO, "/vicepa"), Place(ONE)))])
    assert problems == []
    replicas = (Replica("new.0", TWO, "/vicepa", None), Replica("new.1", ONE, "/vicepa", None))
    assert steps == [Step("new", None, replicas)]


def test_what_was_cut_short_is_finished() -> None:
    left = parse_listing(LISTING + "Wnew.1 I1000009 H1 P/vicepa m0 M0 U2 W1000009 C6 D6 B0 A0\n")
    cell = CELL._replace(listings={ONE: left, TWO: OTHER}, parents={0x1000009: 0x7F000007})
    assert [volume.name for _server, volume in strays(cell)] == ["new.1"]
    steps, problems = plan(cell, [Wanted("new", (Place(TWO, "/vicepa"), Place(ONE)))])
    assert problems == []
    replicas = (Replica("new.0", TWO, "/vicepa", None), Replica("new.1", ONE, "/vicepa", 0x1000009))
    assert steps == [Step("new", 0x7F000007, replicas)]


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (Wanted("www", (Place(ONE),)), "can't change that"),
        (Wanted("www", (Place(ONE), Place(TWO, "/vicepa"))), "can't move it"),
        (Wanted("new", (Place("coda3.coda.test"),)), "no file server"),
        (Wanted("new", (Place(ONE, "/vicepz"),)), "has no partition"),
        (Wanted("new", (Place(TWO),)), "name a partition"),
    ],
)
def test_refused(wanted: Wanted, word: str) -> None:
    steps, problems = plan(CELL, [wanted])
    assert steps == []
    assert word in " ".join(problems)


def test_servers_that_do_not_answer() -> None:
    cell = CELL._replace(listings={**CELL.listings, TWO: None})
    assert plan(cell, WANTED) == ([], [])  # it may be there: nobody can tell
    for wanted in (Wanted("new", (Place(TWO),)), Wanted("www", ())):
        steps, problems = plan(cell, [wanted])
        assert (steps, len(problems)) == ([], 1)


def test_a_lost_replica_is_told() -> None:
    cell = CELL._replace(listings={**CELL.listings, TWO: Listing(OTHER.partitions, [])})
    assert "is missing" in plan(cell, WANTED)[1][0]


def test_replicas_that_do_not_belong_together() -> None:
    left = parse_listing(LISTING + "Wnew.0 I1000009 H1 P/vicepa m0 M0 U2 W1000009 C6 D6 B0 A0\n")
    cell = CELL._replace(listings={ONE: left, TWO: OTHER})
    for parents in ({}, {0x1000009: WWW.id}):
        assert "belong together" in plan(cell._replace(parents=parents), [Wanted("new", (Place(ONE),))])[1][0]


def test_destroyed_with_what_was_made_of_it() -> None:
    steps, problems = plan(CELL, [Wanted("www", ())])
    assert problems == []
    assert [(replica.name, replica.server) for replica in steps[0].replicas] == [
        ("Www.0.backup", ONE),
        ("www.0", ONE),
        ("www.1", TWO),
    ]
    assert steps[0].destroy


def test_what_is_gone_needs_no_destroying() -> None:
    assert plan(CELL, [Wanted("gone", ())]) == ([], [])


def test_a_half_destroyed_volume_is_destroyed() -> None:
    cell = CELL._replace(groups={"/": ROOT}, parents={0x1000002: WWW.id, 0x2000001: WWW.id})
    (step,), problems = plan(cell, [Wanted("www", ())])
    assert (problems, step.group, len(step.replicas)) == ([], None, 3)


def test_lists_that_are_wrong_in_themselves() -> None:
    wrong = [Wanted("a b", (Place(ONE),)), Wanted("x" * 30, (Place(ONE),)), Wanted("y", (Place(ONE), Place(ONE)))]
    assert len(check([*wrong, Wanted("z", tuple(Place(str(n)) for n in range(9))), *WANTED, WANTED[0]])) == 5
    assert check(WANTED) == []


def test_described() -> None:
    found = describe(CELL)
    assert [volume["name"] for volume in found] == ["/", "www"]
    assert found[1]["replicas"][0] == {
        "server": ONE,
        "partition": "/vicepa",
        "id": "01000002",
        "used": 28,
        "quota": 100,
    }


@pytest.mark.parametrize(
    ("listings", "expected"),
    [
        (CELL.listings, []),
        ({**CELL.listings, TWO: None}, [f"www on {TWO}"]),  # does not answer
        ({**CELL.listings, ONE: Listing({}, [])}, [f"/ on {ONE}", f"www on {ONE}"]),
    ],
)
def test_replicas_of_the_inventory_that_no_server_holds(
    listings: dict[str, Listing | None], expected: list[str]
) -> None:
    wanted = [
        {"name": "/", "replicas": [{"server": ONE}]},
        {"name": "www", "state": "present", "replicas": [{"server": ONE}, {"server": TWO}]},
        {"name": "gone", "state": "absent", "replicas": [{"server": ONE}]},
    ]
    assert lost(wanted, describe(CELL._replace(listings=listings))) == expected
    assert lost([{"name": "new", "replicas": [{"server": TWO}]}], describe(CELL)) == [f"new on {TWO}"]


@pytest.mark.parametrize(
    ("counter", "taken", "number"),
    [
        ("2130706432\n", [], FIRST_GROUP),
        ("2130706440\n", [FIRST_GROUP], FIRST_GROUP + 8),
        ("2130706432\n", [FIRST_GROUP + 4], FIRST_GROUP + 5),
        ("", [FIRST_GROUP + 4], FIRST_GROUP + 5 + LEAP),
        ("half a li", [], FIRST_GROUP + LEAP),
    ],
)
def test_a_new_volume_gets_a_number_that_no_volume_has_had(counter: str, taken: list[int], number: int) -> None:
    assert next_group(counter, taken) == number
