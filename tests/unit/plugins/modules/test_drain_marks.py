# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of marks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.codalvs.ha.plugins.modules import drain_marks


@pytest.fixture(name="call")
def fixture_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the module with options, in a folder of the test's own."""
    monkeypatch.setattr(drain_marks, "FOLDER", str(tmp_path / "marks"))

    def call(check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            drain_marks.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return call


def test_marks_come_and_go(call: Any, tmp_path: Path) -> None:
    folder = tmp_path / "marks"
    planned = call(check=True, drained=["192.0.2.21"], whole=True)
    assert not folder.exists()
    done = call(drained=["192.0.2.21"], whole=True)
    assert (planned["changed"], planned["names"], planned["diff"]) == (True, ["192.0.2.21"], done["diff"])
    assert done["diff"] == {"before": "", "after": f"{folder}/\n{folder}/192.0.2.21\n"}
    assert os.listdir(folder) == ["192.0.2.21"]
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "192.0.2.21")] == [0o755, 0o644]
    again = call(drained=["192.0.2.21"], whole=True)
    assert (again["changed"], again["found"], again["names"]) == (False, ["192.0.2.21"], ["192.0.2.21"])
    assert call(active=["192.0.2.21"])["names"] == []
    assert os.listdir(folder) == [".active.192.0.2.21"]
    assert call(whole=True)["changed"]
    assert os.listdir(folder) == []


def test_the_folder_is_made(call: Any, tmp_path: Path) -> None:
    assert call()["changed"]
    assert not call()["changed"]
    assert (tmp_path / "marks").is_dir()


def test_what_the_other_director_knows_is_known_here(call: Any, tmp_path: Path) -> None:
    assert call(others=["192.0.2.21", ".active.192.0.2.22"])["names"] == ["192.0.2.21"]
    assert os.listdir(tmp_path / "marks") == ["192.0.2.21"]


def test_somebody_elses_hidden_file_stays(call: Any, tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks/.hidden").touch()
    assert not call(whole=True)["changed"]
    assert call(drained=["192.0.2.21"], whole=True)["found"] == [".hidden"]
    assert sorted(os.listdir(tmp_path / "marks")) == [".hidden", "192.0.2.21"]


def test_a_refusal_changes_nothing(call: Any, tmp_path: Path) -> None:
    call(drained=["192.0.2.21"])
    refused = call(active=["192.0.2.21:80"])
    assert refused["failed"]
    assert refused["msg"].startswith("Nothing was changed: all ports of 192.0.2.21 are drained")
    assert os.listdir(tmp_path / "marks") == ["192.0.2.21"]


@pytest.mark.parametrize(
    ("written", "checker", "refused"),
    [
        ('AUTO="false"\n', "ldirectord", False),
        ('AUTO="true"\n', "none", False),
        ('AUTO="true"\n', "ldirectord", True),
        ('AUTO="false"\n', "none", True),
        (None, "ldirectord", True),
        (None, None, False),
    ],
)
def test_a_director_that_was_configured_for_another_checker_is_refused(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, checker: str | None, refused: bool
) -> None:
    monkeypatch.setattr(drain_marks, "DEFAULTS", str(tmp_path / "ipvsadm"))
    if written is not None:
        (tmp_path / "ipvsadm").write_text(written)
    done = call(drained=["192.0.2.21"], **({"checker": checker} if checker else {}))
    assert done.get("failed", False) == refused
    assert (tmp_path / "marks").exists() != refused
    if refused:
        said = "ha_checker has changed since this director was configured; run codalvs.ha.site first."
        assert done["msg"] == f"Nothing was changed: {said}"
