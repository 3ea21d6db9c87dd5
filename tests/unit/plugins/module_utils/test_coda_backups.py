"""Names of archives, which of them go, and what makes one not whole."""

from __future__ import annotations

from tarfile import SYMTYPE, TarInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils.coda_backups import LISTS, TOP, faults, file_name, outdated

STAMPS = st.datetimes().map(lambda moment: moment.strftime("%Y%m%dT%H%M%SZ")).filter(lambda text: len(text) == 16)


def link(name: str, target: str) -> TarInfo:
    made = TarInfo(name)
    made.type, made.linkname = SYMTYPE, target
    return made


@given(st.lists(STAMPS, unique=True), st.integers(1, 9))
def test_the_newest_stay(stamps: list[str], keep: int) -> None:
    names = [file_name("www", stamp) for stamp in stamps]
    others = [file_name("www2", "20260101T000000Z"), "www.tar", "www.20260101T000000Z.new", "note.txt"]
    gone = outdated([*others, *names], "www", keep)
    assert len(gone) == max(0, len(names) - keep)
    assert sorted(names)[: len(gone)] == gone


def test_a_volume_is_not_taken_for_another() -> None:
    names = [
        file_name("/", "20260101T000000Z"),
        file_name("a/b", "20260101T000000Z"),
        file_name("a.b", "20260101T000000Z"),
    ]
    assert len(set(names)) == 3
    assert all("/" not in name for name in names)
    for volume, name in zip(("/", "a/b", "a.b"), names, strict=True):
        assert outdated(names, volume, 0) == [name]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([TarInfo(TOP), TarInfo(LISTS)], None),
        ([TarInfo(TOP)], LISTS),
        ([TarInfo(f"{TOP}/d/..CodaACLs.yaml")], LISTS),
        ([TarInfo(LISTS), TarInfo(f"v/{'x' * 98}")], None),
        ([TarInfo(LISTS), TarInfo(f"v/{'x' * 99}")], "too long"),
        ([TarInfo(LISTS), TarInfo(f"v/{'é' * 50}")], "too long"),
        ([TarInfo(LISTS), TarInfo(f"v/{'d/' * 77}x")], "too long"),
        ([TarInfo(LISTS), link("v/l", "x" * 97)], None),
        ([TarInfo(LISTS), link("v/l", "x" * 98)], "where the link leads"),
    ],
)
def test_faults(members: list[TarInfo], says: str | None) -> None:
    found = faults(members)
    assert len(found) == (1 if says else 0)
    assert says is None or says in found[0]
