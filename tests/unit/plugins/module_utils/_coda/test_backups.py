"""Names of archives, which of them go, and what makes one not whole."""

from __future__ import annotations

from tarfile import SYMTYPE, TarInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._coda.backups import (
    BASE,
    BEGIN,
    LISTS,
    TOP,
    Header,
    base,
    chains,
    faults,
    file_name,
    header,
    later,
    outdated,
    parse_name,
    since,
    to_restore,
)

VOLUMES = st.text(alphabet="abcA./-_0TZ", min_size=1)
STAMPS = st.datetimes().map(lambda moment: moment.strftime("%Y%m%dT%H%M%SZ")).filter(lambda text: len(text) == 16)


def link(name: str, target: str) -> TarInfo:
    made = TarInfo(name)
    made.type, made.linkname = SYMTYPE, target
    return made


@given(VOLUMES, STAMPS, STAMPS)
def test_a_name_tells_what_it_was_made_of(volume: str, stamp: str, begin: str) -> None:
    own = volume.replace("/", "%")
    assert parse_name(file_name(volume, stamp)) == (own, stamp, "full", "")
    assert parse_name(file_name(volume, stamp, BASE)) == (own, stamp, "base", "")
    assert parse_name(file_name(volume, stamp, since(begin))) == (own, stamp, "incremental", begin)


@given(VOLUMES, STAMPS, STAMPS)
def test_what_a_path_says_is_what_the_module_wrote(volume: str, stamp: str, begin: str) -> None:
    folder = "/vice/backup/archives"
    base_path = f"{folder}/{file_name(volume, begin, BASE)}"
    assert to_restore(f"{folder}/{file_name(volume, stamp)}") == {"kind": "full", "base": ""}
    assert to_restore(base_path) == {"kind": "", "base": ""}
    whole = f"{folder}/{file_name(volume, stamp, since(begin))}"
    assert to_restore(whole) == {"kind": "incremental", "base": base_path}
    assert to_restore(whole.removeprefix("/")) == {"kind": "", "base": ""}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", ""),
        ("/", ""),
        ("/a/.tar", ""),
        ("/a/renamed.tar", "full"),
        ("a.tar", ""),
        ("/a/www.20260101T000000Z.tar.new", ""),
        ("/a/www.20260101T000000Z.since-2026.dump", ""),
        ("/a/www.since-20260101T000000Z.dump", ""),
    ],
)
def test_which_paths_can_be_restored(path: str, kind: str) -> None:
    assert to_restore(path) == {"kind": kind, "base": ""}


@given(st.lists(STAMPS, unique=True), st.integers(1, 9))
def test_the_newest_stay(stamps: list[str], keep: int) -> None:
    names = [file_name("www", stamp) for stamp in stamps]
    others = [file_name("www2", "20260101T000000Z"), "www.tar", "www.20260101T000000Z.new", "note.txt"]
    gone = outdated([*others, *names], "www", keep)
    assert len(gone) == max(0, len(names) - keep)
    assert sorted(names)[: len(gone)] == gone


@given(st.lists(STAMPS, unique=True), STAMPS, st.sampled_from([".tar", BASE, since("20260101T000000Z")]))
def test_what_is_later_than_now_is_told(stamps: list[str], now: str, kind: str) -> None:
    names = [file_name("www", stamp, kind) for stamp in stamps]
    assert later([*names, "note.99990101T000000Z", "99990101T000000Z.tar"], now) == [
        file_name("www", stamp, kind) for stamp in sorted(stamps) if stamp > now
    ]


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
        assert list(chains(names, volume)) == ["20260101T000000Z"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30), st.integers(1, 4), st.integers(0, 4))
def test_nights_of_backups(nights: list[tuple[bool, int]], keep: int, increments: int) -> None:
    """The module's work, while bases get lost and runs are killed as they remove files: all that is left is usable."""
    there: set[str] = set()
    without: set[str] = set()  # full archives whose base somebody has removed
    for number, (lost, killed) in enumerate(nights):
        stamp = f"202601{number + 1:02}T000000Z"
        begin = base(there, "www", increments)
        if begin:
            assert file_name("www", begin, BASE) in there
            there.add(file_name("www", stamp, since(begin)))
        else:
            there |= {file_name("www", stamp), *([file_name("www", stamp, BASE)] if increments else [])}
        gone = outdated(there, "www", keep)
        assert len(gone) == len(set(gone))
        assert set(gone) <= there
        for name in gone[:killed] if killed < 9 else gone:
            there.remove(name)
            left = chains(there, "www")
            assert all(chain.base or full in without for full, chain in left.items() if chain.later)
            assert sum(2 if chain.base else 1 for chain in left.values()) + sum(
                len(chain.later) for chain in left.values()
            ) == len(there)  # no incremental archive without its full one
        left = chains(there, "www")
        if killed == 9:
            assert 1 <= len(left) <= keep
            assert all(len(chain.later) <= increments for chain in left.values())
            assert sum(chain.base and not chain.later for chain in left.values()) <= 1
        newest = list(left)[-1]
        if lost and left[newest].base:
            without.add(newest)
            there.remove(file_name("www", newest, BASE))


def test_what_lacks_its_full_archive_is_not_touched() -> None:
    full, early = file_name("www", "20260103T000000Z"), "20260101T000000Z"
    moved = [file_name("www", early, BASE), file_name("www", "20260102T000000Z", since(early))]
    assert outdated([full, *moved], "www", 1) == []


def dump(*fields: bytes) -> bytes:
    return BEGIN + bytes([0, 0, 0, 1]) + b"".join(fields) + bytes([9])


def number(name: bytes, *values: int) -> bytes:
    return name + b"".join(value.to_bytes(4, "big") for value in values)


NAMED = [number(b"v", 0x2000002), number(b"p", 0x2000001), number(b"n", 11) + b"vip.backup\0", number(b"b", 7)]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (dump(*NAMED, number(b"i", 0), number(b"I", 31, 31)), Header(0x2000001, False, 31, 31)),
        (dump(*NAMED, number(b"i", 1), number(b"I", 31, 39)), Header(0x2000001, True, 31, 39)),
        (dump(*NAMED, number(b"i", 1)), None),
        (dump(*NAMED, number(b"i", 1), number(b"I", 31, 39))[:-1], None),
        (dump(*NAMED, number(b"i", 1), number(b"I", 31, 39))[:-5], None),
        (b"", None),
        (b"no dump at all", None),
    ],
)
def test_header(data: bytes, found: Header | None) -> None:
    assert header(data) == found


@given(st.binary(max_size=80))
def test_any_header(data: bytes) -> None:
    header(BEGIN + data)


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


def test_a_name_that_is_not_in_utf8_is_no_fault() -> None:
    """Coda takes any bytes, and tarfile escapes them."""
    members = [TarInfo(LISTS), TarInfo(f"{TOP}/B\udcfccher"), link(f"{TOP}/a", "B\udcfccher")]
    assert faults(members) == []
    assert len(faults([*members, TarInfo(f"{TOP}/" + "\udcfc" * 99)])) == 1
