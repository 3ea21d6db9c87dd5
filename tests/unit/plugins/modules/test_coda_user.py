# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the other servers fetch the protection database again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._coda.users import Database, Plan
from ansible_collections.codalvs.ha.plugins.modules import coda_user

SECOND = 1_800_000_000


class Pdbtool:
    """A module whose pdbtool changes the database always in the same second."""

    check_mode = False
    _diff = False

    def __init__(self, db: Path) -> None:
        self.params = {"db": str(db), "users": [], "groups": []}

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        assert words[0] == "pdbtool"
        os.utime(Path(self.params["db"]) / coda_user.DATABASE, (SECOND, SECOND + 0.5))
        return 0, "", ""


@pytest.mark.parametrize("commands", [[], [["nui", "anna", "1001"], ["ng", "anna:authors", "1001"]]])
def test_a_changed_database_has_a_second_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    """A server that has fetched it between two commands sees by the second that there is more."""
    file = tmp_path / coda_user.DATABASE
    file.touch()
    os.utime(file, (SECOND, SECOND))
    plans = [Plan(commands, "", [], []), Plan([], "", [], [])]
    monkeypatch.setattr(coda_user, "look", lambda *_given: (Database({}, {}), ""))
    monkeypatch.setattr(coda_user, "plan", lambda *_given: plans.pop(0))
    module: Any = Pdbtool(tmp_path)
    assert coda_user.run(module)["changed"] is bool(commands)
    assert int(file.stat().st_mtime) == SECOND + bool(commands)
