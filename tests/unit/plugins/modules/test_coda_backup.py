# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose lock a backup releases, and when it makes nothing.

What upstream's volutil allows is described here; coda_clients asks a real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._coda import programs
from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import Cell, Listing
from ansible_collections.codalvs.ha.plugins.modules import coda_backup

SERVER, OTHER = "coda1.coda.test", "coda2.coda.test"
CELL = Cell({}, {SERVER: Listing({}, []), OTHER: None}, {1: SERVER, 2: OTHER}, {})


class Server:
    """A replica's lock, as upstream's vol-lock.cc and vol-backup.cc keep it."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.broken: list[str] = []

    def run_command(self, words: list[str], **_options: Any) -> tuple[int, str, str]:
        action = words[3]
        if action == "lock":
            if self.holder:
                return 1, "", "VolLock failed with (11) EWOULDBLOCK"
            self.holder = "volutil"
        elif action == "unlock":
            self.broken.append(self.holder)
            self.holder = ""
        elif action == "backup":
            if self.holder != "volutil":
                return 1, "", "VolMakeBackups failed with VFAIL"
            self.holder = ""
            return 0, "Backup (id = 1000009) of 1000002 made", ""
        return 0, "", ""


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "note"
    monkeypatch.setattr(coda_backup, "NOTE", path)
    monkeypatch.setattr(coda_backup, "LOCKED", 0.0)
    monkeypatch.setattr(coda_backup, "PAUSE", 0.0)
    return path


@pytest.mark.parametrize("holder", ["", "client", "volutil"])
def test_a_killed_run_costs_no_client_its_lock(note: Path, holder: str) -> None:
    note.write_text(f"{SERVER} 1000002\n")
    server: Any = Server(holder)
    coda_backup.release(server, CELL)
    assert server.holder == ("client" if holder == "client" else "")
    frozen, fault = coda_backup.freeze(server, SERVER, 0x1000002)
    assert server.broken == []
    assert (frozen, bool(fault)) == (("", True) if holder == "client" else ("1000009", False))
    assert note.read_text() == ""


def test_what_a_server_that_is_away_may_have_locked_is_remembered(note: Path) -> None:
    note.write_text(f"{OTHER} 2000002\n{SERVER} 1000002\ngone.coda.test 3000002\n")
    server: Any = Server("volutil")
    coda_backup.release(server, CELL)
    assert note.read_text() == f"{OTHER} 2000002\n"
    assert coda_backup.freeze(server, SERVER, 0x1000002) == ("1000009", "")
    assert note.read_text() == f"{OTHER} 2000002\n"


@pytest.mark.parametrize("text", ["", "coda1", "\n"])
def test_a_note_that_was_cut_short_is_none(note: Path, text: str) -> None:
    note.write_text(text)
    server: Any = Server("")
    coda_backup.release(server, CELL)
    assert coda_backup.freeze(server, SERVER, 0x1000002) == ("1000009", "")


def test_a_replica_that_stays_locked_is_reported_and_left(note: Path) -> None:
    server: Any = Server("client")
    assert "can't be locked" in coda_backup.freeze(server, SERVER, 0x1000002)[1]
    assert (server.holder, server.broken, note.read_text()) == ("client", [], "")


def test_what_another_server_keeps_locked_is_known_after_a_reboot(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(coda_backup.__file__).read_text(encoding="utf-8").partition("\nNOTE = Path(")[2].partition(")")[0]
    assert not place.strip('"').startswith(("/run/", "/tmp/"))
    synced: list[Path] = []
    monkeypatch.setattr(programs, "flush", synced.append)
    coda_backup.note([(SERVER, "1000002")])
    assert synced == [note.with_name("note.new"), note.parent]


class RefusalError(Exception):
    """What the module says as it fails."""


class Module:
    """A module that is asked for archives in a folder."""

    check_mode = False

    def __init__(self, folder: Path) -> None:
        self.params = {"folder": str(folder), "keep": 1, "increments": 0, "volumes": None}

    def fail_json(self, msg: str) -> None:
        raise RefusalError(msg)


def test_nothing_is_made_beside_an_archive_of_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name it is the newest one: with `keep` 1, a run would remove all that it has just made."""
    (tmp_path / "www.20991231T000000Z.tar").touch()
    (tmp_path / "www.20251231T000000Z.tar").touch()
    monkeypatch.setattr(coda_backup, "need_scm", lambda _module: pytest.fail("it has gone on"))
    module: Any = Module(tmp_path)
    with pytest.raises(RefusalError, match=r"holds later archives: www\.20991231T000000Z\.tar\. .* Nothing was done\."):
        coda_backup.run(module)
    (tmp_path / "www.20991231T000000Z.tar").unlink()
    with pytest.raises(pytest.fail.Exception, match="it has gone on"):
        coda_backup.run(module)
