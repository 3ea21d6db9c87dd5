# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that outlive a power cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._coda import programs


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flushed = tmp_path / "maxgroupid", []
    path.write_text("old\n")
    path.chmod(0o644)

    def fsync(number: int) -> None:
        name = Path(f"/proc/self/fd/{number}").resolve()
        flushed.append((name.name, path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    programs.write_whole(path, "new\n")
    assert flushed == [("maxgroupid.new", "old\n"), (tmp_path.name, "new\n")]
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["maxgroupid"]
