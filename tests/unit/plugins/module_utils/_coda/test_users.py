"""A cell's users, groups and passwords as data. The texts are from a real cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._coda.users import (
    Database,
    Group,
    User,
    check,
    conceal,
    parse,
    password_fault,
    plan,
)

USERS = "System:*:1:500::/:\ncodaadmin:*:500:500::/:\nanna:*:1001:500::/:\n"
GROUPS = "System%Administrators:*:-204:codaadmin\nSystem%AnyUser:*:-101:System\nanna%authors:*:-205:anna,codaadmin\n"
DATABASE = parse(USERS, GROUPS)
ANNA = User("anna", 1001, "geheim")
PASSWORDS = f"500\t{conceal('changeme')}\tadmin user\n1001\t{conceal('geheim')}\tanna\n"


def test_parsed() -> None:
    assert DATABASE.users == {"System": 1, "codaadmin": 500, "anna": 1001}
    assert DATABASE.groups["anna:authors"] == Group("anna:authors", "anna", frozenset({"codaadmin"}))


def test_passwords_are_as_initpw_writes_them() -> None:
    # printf '500\tchangeme\tadmin user\n1\tx\t\n' | initpw -k 'drseuss '
    assert conceal("changeme") == "071a120b12161e45"
    assert conceal("x") == "1c72736575737320"


def test_nothing_to_do() -> None:
    decided = plan(DATABASE, PASSWORDS, [ANNA, User("codaadmin", 500)], list(DATABASE.groups.values()))
    assert decided == ([], PASSWORDS, [], [])


def test_a_new_cell() -> None:
    groups = [Group("System:Administrators", "codaadmin", frozenset()), Group("System:AnyUser", "System", frozenset())]
    decided = plan(Database({}, {}), "", [User("System", 1), User("codaadmin", 500, "changeme")], groups)
    assert decided.commands == [
        ["nui", "System", "1"],
        ["nui", "codaadmin", "500"],
        ["ng", "System:Administrators", "codaadmin"],
        ["ng", "System:AnyUser", "System"],
    ]
    assert decided.passwords == "500\t071a120b12161e45\tcodaadmin\n"
    assert decided.new_passwords == ["codaadmin"]


def test_members_come_and_go() -> None:
    group = Group("anna:authors", "anna", frozenset({"System"}))
    decided = plan(DATABASE, "", [], [group])
    assert decided.commands == [["ag", "anna:authors", "System"], ["rg", "anna:authors", "codaadmin"]]


def test_a_password_is_replaced_and_others_stay() -> None:
    decided = plan(DATABASE, PASSWORDS + f"1001\t{conceal('old')}\tanna\n", [ANNA], [])
    assert decided.new_passwords == ["anna"]  # the last line of a uid counts
    assert decided.passwords == PASSWORDS


@pytest.mark.parametrize(
    ("user", "word"),
    [(User("anna", 7), "not 7"), (User("berta", 500), "is that of codaadmin")],
)
def test_numbers_stay(user: User, word: str) -> None:
    decided = plan(DATABASE, "", [user], [])
    assert word in decided.problems[0]
    assert decided.commands == []


@pytest.mark.parametrize(
    "group", [Group("anna:authors", "codaadmin", frozenset()), Group("x", "nobody", frozenset({"anna"}))]
)
def test_groups_refused(group: Group) -> None:
    assert plan(DATABASE, "", [], [group]).problems


@pytest.mark.parametrize(
    "user",
    [
        User("1st", 9),
        User("a b", 9),
        User("a", 0),
        User("a", 1),
        User("System", 9),
        User("a", 9, ""),
        User("a", 9, "hunter2hunter2"),
        User("a", 9, "tab\t"),
        User("a", 9, "back\\"),
        User("a", 9, "it's"),
        User("a", 9, "ä"),
    ],
)
def test_users_wrong_in_themselves(user: User) -> None:
    problems = check([user], [])
    assert len(problems) == 1
    assert "hunter2" not in problems[0]


def test_lists_wrong_in_themselves() -> None:
    assert len(check([User("a", 9), User("a", 9), User("b", 9)], [Group("a", "b", frozenset())])) == 3


def test_names_that_differ_in_case_alone_are_one_in_access_lists() -> None:
    assert check([User("bob", 9), User("Bob", 10)], []) == [
        "user Bob: differs from bob in case alone, and access lists take them for one"
    ]
    assert len(check([User("bob", 9)], [Group("BOB", "bob", frozenset())])) == 1


def test_eight_bytes_are_not_eight_characters() -> None:
    assert password_fault("12345678") is None
    assert "10 bytes" in (password_fault("ä" * 5) or "")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\"\\"), min_size=1, max_size=8))
def test_a_password_is_kept_as_it_is(password: str) -> None:
    assert password_fault(password) is None
    assert password in repr([password])
    assert (
        bytes(a ^ b for a, b in zip(bytes.fromhex(conceal(password)), b"drseuss ", strict=True)).rstrip(b"\0")
        == password.encode()
    )
