# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/run makes of a stage's exit code and log."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import load

tests = load("tests/run")
GONE = "lab: lab ci-a is gone: machine: Kernel panic - not syncing: x; it begins anew, once, in a fresh lab\n"


@pytest.mark.parametrize(
    ("code", "log", "result"),
    [
        (0, "all is well\n", ("passed", "")),
        (2, "lab: lab ci-a is up already\n", ("failed", "exit code 2")),
        (77, "first\nno packages in /there\n\n", ("SKIPPED", "no packages in /there")),
        (77, "", ("SKIPPED", "no reason given")),
        (0, GONE, ("passed", "in a second lab, for the first was gone: machine: Kernel panic - not syncing: x")),
        (
            2,
            GONE,
            ("failed", "exit code 2; in a second lab, for the first was gone: machine: Kernel panic - not syncing: x"),
        ),
        (
            75,
            GONE + GONE.replace("x;", "y;"),
            ("failed", "the lab was gone, and so was the second one: machine: Kernel panic - not syncing: y"),
        ),
        (75, "a command's own\n", ("failed", "exit code 75")),
    ],
)
def test_a_second_lab_is_never_hidden(code: int, log: str, result: tuple[str, str]) -> None:
    assert tests.verdict(code, log) == result


def test_steps_are_timed_as_the_log_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests, "LOGS", tmp_path)
    now = iter([0.0, 1.0, 5.0, 5.5, 9.0, 9.5])
    monkeypatch.setattr(tests.time, "monotonic", lambda: next(now))
    stage = tests.Stage("molecule-x", "molecule", "3.11", "true")
    steps = tests.Steps(stage)
    steps.follow()  # there is no log yet
    with stage.log.open("a") as log:
        for text in (
            "INFO     \x1b[32mx\x1b[0m ➜ \x1b[33mcreate\x1b[0m: \x1b[36mExecuting\x1b[0m\n",
            "INFO     x ➜ create: Executed: Successful\nINFO  x ➜ converge: Exec",
            "uting\nINFO  x ➜ converge: Executed: Failed\n",
            "x ➜ converge: Executed: Failed\n",  # the summary
        ):
            log.write(text)
            log.flush()
            steps.follow()
    assert stage.steps == [("create", 4.0), ("converge", 3.5)]


def test_the_slowest_tasks_of_all_logs_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(
        "  \x1b[2m│\x1b[0m codalvs.ha.ldirectord : Write the file --- 2.50s\n│ TASK [x] ***\n"
    )
    (tmp_path / "b.log").write_text("Look - again ------ 12.00s\nipvs -A -s\n")
    found = tests.slowest([tmp_path / "a.log", tmp_path / "b.log", tmp_path / "none.log"], 10)
    assert found == [
        f"{12.0:6.1f} s  {'b':24} Look - again",
        f"{2.5:6.1f} s  {'a':24} codalvs.ha.ldirectord : Write the file",
    ]
