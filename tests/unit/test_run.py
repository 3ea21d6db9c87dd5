# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/run makes of a stage's exit code and log."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

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
    busy = iter([0.5, 2.5, 3.0, 4.0, 4.5])
    steps = tests.Steps(stage, SimpleNamespace(read=lambda: next(busy), lab_roots=list))
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
    assert stage.steps == [("create", 4.0, 2.0), ("converge", 3.5, 1.0)]


def test_a_stages_processes_are_its_whole_tree() -> None:
    stat = "{} (a) b) S {} 1 {} 0 -1 0 0 0 0 0 {} {} {} {} 20 0 1 0 5 0 0".format
    stats = [
        stat(10, 1, 10, 1, 2, 0, 0),
        stat(11, 10, 10, 100, 0, 20, 0),
        stat(12, 11, 12, 0, 1000, 0, 0),
        stat(13, 1, 1, 9, 9, 9, 9),
    ]
    processes = tests.parse_stats(stats)
    assert tests.trees([10, 12, 99], processes) == {10, 11, 12}
    assert tests.trees([99], processes) == set()
    assert [processes[number].ticks for number in (10, 11, 12)] == [3, 120, 1000]
    assert processes[12].session == 12


def test_who_gives_way_does_so_with_all_its_sessions() -> None:
    process = subprocess.Popen(["setsid", "sh", "-c", "setsid --wait sleep 60; :"])
    try:
        found: set[int] = set()
        while len(found) < 2:  # a process of a session of its own each
            time.sleep(0.01)
            found = tests.trees([process.pid], tests.parse_stats(tests.process_stats()))
        tests.weigh([process.pid], 3)
        assert {tests.os.getpriority(tests.os.PRIO_PROCESS, number) for number in found} == {3}
    finally:
        tests.end_group(process)
        for number in found - {process.pid}:
            with suppress(ProcessLookupError):
                tests.os.kill(number, 9)
        process.wait()


def test_a_meter_counts_what_has_ended_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import time\nwhile time.process_time() < 0.3: pass"
    process = subprocess.Popen(["sh", "-c", f"{sys.executable} -c '{program}'; exit 3"])
    meter = tests.Meter(process.pid, "")
    while not tests.ended(process):
        time.sleep(0.01)
    busy = meter.read()
    assert busy >= 0.25
    assert process.wait() == 3
    assert meter.read() == busy  # it has gone, and its time stays
    second = tests.os.sysconf("SC_CLK_TCK")
    monkeypatch.setattr(tests, "parse_stats", lambda _: {process.pid: tests.Process(1, 1, second)})  # the next lab's
    assert meter.read() == pytest.approx(busy + 1)


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


def test_a_failed_stage_says_why_in_a_few_lines(tmp_path: Path) -> None:
    log = tmp_path / "molecule-a.log"
    log.write_text(
        "  \x1b[31m│\x1b[0m fatal: [dir1]: FAILED! => no such file\n"
        "  │ E   AssertionError: two\n  │ E   assert 2 == 1\n  │ E         ?  ^\n  │ E         )\n  │ ok: [dir2]\n"
        f"  │ FAILED molecule/a/test_a.py::test_a - {'x' * 300}\n"
        "  │ FAILED - RETRYING: [dir1]: Wait (10 retries left).\n"
        "  │ \x1b[31mFAILED\x1b[0m\n  \x1b[2m│\x1b[0m   test_b.py\n"
    )
    assert tests.reasons(log) == [
        "fatal: [dir1]: FAILED! => no such file",
        "E   AssertionError: two",
        "E   assert 2 == 1",
        f"FAILED molecule/a/test_a.py::test_a - {'x' * 300}"[: tests.WIDTH],
        "FAILED test_b.py",
    ]


def test_of_a_log_without_reasons_the_end_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "ruff.log"
    log.write_text("a.py:1:1: F401\nb.py:2:2: E501\n\nFound 3 errors.\n")
    assert tests.reasons(log) == ["a.py:1:1: F401", "b.py:2:2: E501", "Found 3 errors."]
    log.write_text("failed: [coda1] (item=coda-auth2) => {}\n  more\n")
    assert tests.reasons(log) == ["failed: [coda1] (item=coda-auth2) => {}"]


@pytest.mark.parametrize(
    ("scenario", "minute", "passed", "begins"),
    [
        ("faults", 0, {}, True),
        ("alone", 76, {}, True),
        ("alone", 77, {}, False),
        ("new", 70, {}, True),
        ("new", 71, {}, False),
        ("default", 50, {"coda": 26}, True),  # a machine of half the speed
        ("default", 57, {"coda": 26}, False),
        ("default", 68, {"coda": 6}, True),  # a fast one is not relied on
        ("default", 69, {"coda": 6}, False),
    ],
)
def test_what_would_end_too_late_is_not_begun(
    scenario: str, minute: float, passed: dict[str, float], begins: bool
) -> None:
    def stage(name: str, minutes: float, result: str) -> tests.Stage:
        return tests.Stage(f"molecule-{name}", "molecule", "3.11", "true", result=result, seconds=60 * minutes)

    begun = [stage(name, minutes, "passed") for name, minutes in passed.items()]
    begun += [stage("thesis", 1000, "failed"), stage("nfs", 0, "")]
    assert (tests.too_late(stage(scenario, 0, ""), begun, minute) == "") is begins


def test_every_scenario_has_its_minutes() -> None:
    scenarios = {path.parent.name for path in tests.ROOT.glob("molecule/*/molecule.yml")}
    assert scenarios == set(tests.MINUTES)
    assert list(tests.MINUTES.values()) == sorted(tests.MINUTES.values(), reverse=True)


def test_who_is_through_helps_the_patient_lab() -> None:
    def stage(name: str, nice: int = 0, needs: tuple[str, ...] = ()) -> tests.Stage:
        return tests.Stage(name, "molecule", "3.11", "true", nice=nice, needs=needs, env={"LAB_NAME": name})

    patient, others = tests.deque([stage("coda"), stage("nfs")]), tests.deque([stage("faults")])
    begun: list[tests.Stage] = []
    first = tests.lab_lane(stage("lab-a"), [others, patient], begun)
    third = tests.lab_lane(stage("lab-c", 10, ("lab-b",)), [patient], begun)
    labs = [next(first), next(third)]
    for lab in labs:
        lab.result = "passed"
    taken = [next(lane) for lane in (first, third, first)]
    assert [(each.name, each.nice, each.env["LAB_NAME"]) for each in taken] == [
        ("faults", 0, "lab-a"),
        ("coda", 10, "lab-c"),
        ("nfs", 0, "lab-a"),
    ]
    assert list(first) == list(third) == []
    absent = stage("lab-b", needs=("lab-a",))
    lane = tests.lab_lane(absent, [tests.deque([stage("ipvs")])], [])
    assert next(lane) is absent
    absent.result = "SKIPPED"
    assert list(lane) == []


def test_the_second_lab_takes_over_from_the_tools() -> None:
    def stage(name: str, nice: int = 0) -> tests.Stage:
        return tests.Stage(name, "x", "3.11", "true", nice=nice)

    tools, scenarios = [stage(f"tool-{number}") for number in range(3)], [stage("molecule-ipv6"), stage("molecule-nfs")]
    for count, found in ((1, ["lab-a"]), (2, ["lab-a", "lab-b"]), (3, ["lab-a", "lab-b", "lab-c"])):
        labs = [stage(f"lab-{name}", nice) for name, nice in zip("abc", (0, 0, 5), strict=True)][:count]
        lanes = list(tests.lanes(tools, labs, scenarios, False))
        begun = [next(lane).name for lane in lanes[:3]]
        assert begun == ["lab-a", "tool-0", "tool-1"]
        assert next(lanes[1]).name == "tool-2"
        assert list(lanes[2]) == []
        assert [begun[0], *(next(lane).name for lane in lanes[1::2][: count - 1])] == found
    assert [len(list(tests.lanes(tools, [], scenarios, alone))) for alone in (True, False)] == [1, 2]


def test_mypy_looks_at_every_program_on_hosts() -> None:
    files = [path for path in tests.ROOT.glob("roles/*/files/*") if path.read_bytes().startswith(b"#!")]
    found = {
        path.relative_to(tests.ROOT).as_posix() for path in files if b"python3" in path.read_bytes().split(b"\n")[0]
    }
    assert found <= set(tests.MYPY)
    assert "roles/heartbeat/files/heartbeat-vips" in found
