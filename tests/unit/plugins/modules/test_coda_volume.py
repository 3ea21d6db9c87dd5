# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume that the location database has lost is entered again. The scenario coda asks real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import Cell, Group, Listed, Listing
from ansible_collections.codalvs.ha.plugins.modules import coda_volume

ONE = "coda1.coda.test"
HELD = Listing({"/vicepa": (9, 9)}, [Listed("/.0", 0x1000001, "/vicepa", "W", 0x1000001, 0, 2)])
CELL = Cell({"/": Group("/", 0x7F000000, (0x1000001,))}, {ONE: HELD}, {1: ONE}, {})


class Module:
    """A module whose bldvldb.sh may fail, with exit code 0."""

    _diff = False

    def __init__(self, db: Path, check_mode: bool, works: bool) -> None:
        replicas = [{"server": ONE, "partition": None}]
        self.params = {"volumes": [{"name": "/", "state": "present", "replicas": replicas}], "timeout": 0}
        self.db, self.check_mode, self.works = db, check_mode, works
        self.asked: list[str] = []

    def run_command(self, words: list[str], **_options: Any) -> tuple[int, str, str]:
        self.asked.append(words[0] if words[0] == "bldvldb.sh" else words[3])
        if words[0] == "bldvldb.sh" and self.works:
            (self.db / "VLDB").write_bytes(b"16777217".ljust(64, b"\0"))
        return 0, "", ""

    def fail_json(self, msg: str, **_more: Any) -> None:
        raise RuntimeError(msg)


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(coda_volume, "DB", tmp_path)
    monkeypatch.setattr(coda_volume, "LIST", tmp_path / "VRList")
    monkeypatch.setattr(coda_volume, "need_scm", lambda _module: ONE)
    monkeypatch.setattr(coda_volume, "look", lambda *_given: CELL)
    return tmp_path


@pytest.mark.parametrize("check_mode", [False, True])
def test_it_is_entered_again_once(db: Path, check_mode: bool) -> None:
    module: Any = Module(db, check_mode, works=True)
    found = [coda_volume.run(module) for _time in range(2)]
    assert [(each["changed"], each["entered"]) for each in found] == [(True, ["/"]), (check_mode, ["/"] * check_mode)]
    assert module.asked == ([] if check_mode else ["bldvldb.sh", "makevrdb", "updatedb"])


def test_a_program_that_fails_with_success_is_found_out(db: Path) -> None:
    module: Any = Module(db, check_mode=False, works=False)
    with pytest.raises(RuntimeError, match=r"volume /: bldvldb\.sh has not entered it"):
        coda_volume.run(module)
