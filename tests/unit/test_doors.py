# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pin what comes out of a shell that stays; here, it is one of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from doors import Door
from harness import wait_for


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door("here", [])
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        (["true"], 0, "", ""),
        (["sh", "-c", "echo one; printf 'two'; echo three >&2; exit 4"], 4, "one\ntwo", "three\n"),
        (["printf", "%s\n", "a b", "$HOME", "it's", "x\ny"], 0, "a b\n$HOME\nit's\nx\ny\n", ""),
        (["cat"], 0, "", ""),
        (["seq", "50000"], 0, "".join(f"{number}\n" for number in range(1, 50001)), ""),
    ],
    ids=["nothing", "both outputs", "quotes", "no input", "much"],
)
def test_one_command_after_the_other_gets_its_own_answer(door, command, code, out, err):
    for _time in range(2):
        done = door.run(command)
        assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_what_comes_behind_an_answer_is_nobodys(door, tmp_path):
    begin, end = tmp_path / "begin", tmp_path / "end"
    script = f"(until [ -e {begin} ]; do sleep 0.01; done; echo late; echo later >&2; touch {end}) &"
    door.run(["sh", "-c", script])
    begin.touch()
    wait_for("it has spoken", end.exists, 10, pause=0.01)
    done = door.run(["echo", "now"])
    assert done.stdout.endswith("now\n")
    assert (done.returncode, door.run(["echo", "then"]).stdout) == (0, "then\n")


def test_a_shell_that_has_ended_gives_no_answer(door):
    assert door.run(["sh", "-c", "kill -KILL $PPID"]) is None
    door.process.wait()
    assert door.broken
    assert door.run(["true"]) is None
