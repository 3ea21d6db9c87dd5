"""What cfs says, parsed; access lists compared and planned."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._coda.client import (
    RIGHTS,
    Acl,
    Volume,
    acl_commands,
    acl_lines,
    archived_acls,
    by_depth,
    parse_acl,
    parse_mount,
    parse_volume,
    same_acl,
    to_rights,
    wanted_acl,
)

# As a client of version 8.1.7 said them.
STATUS = """\
  Status of volume 7f000001 (2130706433) named "www"
  Volume type is ReadWrite
  Connection State is Reachable
  Reintegration age: 0 sec, time 15.000 sec
  Minimum quota is 0, maximum quota is unlimited
  Current blocks used are 2
  The partition has 36930120 blocks available out of 39122144
  There are 1 CML entries pending for reintegration (281 bytes)

"""
CUT_OFF = """\
  Status of volume 7f000001 (2130706433) named "www"
  Volume type is ReadWrite
  Connection State is Unreachable
  Reintegration age: 0 sec, time 0.000 sec
  *** There are pending conflicts in this volume ***

"""
LIST = """\
System:Administrators  rlidwka 
      System:AnyUser  rl      
                anna -w       
"""  # noqa: W291
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9:._-]{0,30}", fullmatch=True)
LISTS = st.dictionaries(NAMES, st.sets(st.sampled_from(RIGHTS), min_size=1).map("".join).map(to_rights), max_size=4)


def test_volume() -> None:
    assert parse_volume(STATUS) == Volume("www", True, 0, 15.0, False, 1)
    assert parse_volume(CUT_OFF) == Volume("www", False, 0, 0.0, True, 0)
    assert parse_volume("/coda/x: Connection timed out") is None


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ('Mount point for volume "www."', "www"),
        ('Dangling sym link; looks like a mount point for volume "nosuch."', "nosuch"),
        ("Not a mount point", None),
        ("/coda/x - Not a mount point", None),
        ("realpath: Connection timed out", None),
    ],
)
def test_mount(text: str, volume: str | None) -> None:
    assert parse_mount(text) == volume


def test_acl() -> None:
    assert parse_acl(LIST) == Acl({"System:Administrators": "rlidwka", "System:AnyUser": "rl"}, {"anna": "w"})
    for text in ("/coda/x: Connection timed out", "/coda/x: Device or resource busy", "/coda/x: Permission denied"):
        assert parse_acl(text) == Acl({}, {})


@given(LISTS, LISTS)
def test_acl_is_read_as_it_is_shown(rights: dict[str, str], denied: dict[str, str]) -> None:
    shown = [f"{name:>20}  {text:<8}\n" for name, text in rights.items()]
    shown += [f"{name:>20} -{text:<8}\n" for name, text in denied.items()]
    assert parse_acl("".join(shown)) == Acl(rights, denied)


@pytest.mark.parametrize(
    ("text", "rights"),
    [("read", "rl"), ("write", "rlidwk"), ("all", RIGHTS), ("none", ""), ("akwdilr", RIGHTS), ("lr", "rl")],
)
def test_rights(text: str, rights: str) -> None:
    assert to_rights(text) == rights


@pytest.mark.parametrize("text", ["x", "rr", "reads", "RL"])
def test_no_rights(text: str) -> None:
    with pytest.raises(ValueError, match="none of"):
        to_rights(text)


def test_same_whatever_the_case_of_names() -> None:
    assert same_acl(Acl({"System:AnyUser": "rl"}, {}), Acl({"system:anyuser": "rl"}, {}))
    assert not same_acl(Acl({"a": "rl"}, {}), Acl({}, {"a": "rl"}))
    assert not same_acl(Acl({"a": "rl"}, {}), Acl({"a": "l"}, {}))


def test_commands_make_the_whole_list() -> None:
    acl = wanted_acl({"b": "all", "a": "read", "gone": "none"}, {"c": "w"})
    assert acl_commands("/coda/x", acl) == [
        ["setacl", "-clear", "/coda/x", "a", "rl", "b", RIGHTS],
        ["setacl", "-negative", "/coda/x", "c", "w"],
    ]
    assert acl_lines(acl) == "a rl\nb rlidwka\nc -w\n"


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), unique=True))
def test_a_path_comes_after_those_it_lies_in(paths: list[str]) -> None:
    order = by_depth(paths)
    assert sorted(order) == sorted(paths)
    for index, path in enumerate(order):
        assert not any(later and path.startswith(f"{later}/") for later in order[index:])


def test_lists_of_an_archive() -> None:
    entry = {"path": "./d", "acl": [{"name": "anna", "rights": "rl"}, {"name": "bert", "rights": "-w"}]}
    assert archived_acls({"acls": [entry]}) == [{"path": "./d", "rights": {"anna": "rl"}, "denied": {"bert": "w"}}]


def escaped(text: str) -> str:
    """Return a name as upstream's strencode.c writes it between quotes."""
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte not in b'"\\' else f"\\x{byte:02X}" for byte in text.encode()
    )


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_names_in_an_archive_are_those_of_the_folders(name: str) -> None:
    """Such as Bücher, which is B\\xC3\\xBCcher there."""
    text = f'acls:\n- path: "{escaped(name)}"\n  acl:\n  - {{name: "{escaped(name)}", rights: rl}}\n'
    assert archived_acls(yaml.safe_load(text)) == [{"path": name, "rights": {name: "rl"}, "denied": {}}]


@pytest.mark.parametrize("name", ["B\xfccher", "B\u20accher"])
def test_a_name_that_is_not_in_utf8_is_told(name: str) -> None:
    with pytest.raises(ValueError, match="cher' is not in UTF-8"):
        archived_acls({"acls": [{"path": name, "acl": []}]})
