"""What happens to a command whose lab ends under it: `pytest tests/lab`. Makes a small lab of its own, named gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "gone"
RECORD = Path("/run/codalvs-lab", NAME, "lab.json")
ENVIRONMENT = {**os.environ, "LAB_NAME": NAME, "LAB_MEMORY_MB": "1024", "LAB_KIND": "uml"}
FOREVER = 1200  # s that a command would take if nobody ended it
# Never the kernel of a machine whose own engine is the lab.
PANIC = 'test "$LAB_KIND" = uml && lab/lab exec sh -c "echo c >/proc/sysrq-trigger"'


@pytest.fixture(scope="module", autouse=True)
def _lab() -> Iterator[None]:
    """Have a User-Mode Linux lab, and remove it at the end."""
    lab = [str(ROOT / "lab/lab"), "--name", NAME]
    subprocess.run([*lab, "up"], check=True, env=ENVIRONMENT)
    yield
    subprocess.run([*lab, "down"], check=True, env=ENVIRONMENT)


def with_lab(*words: str) -> subprocess.CompletedProcess[str]:
    """Run tests/with-lab to its end."""
    command = [str(ROOT / "tests/with-lab"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, cwd=ROOT)


def guest() -> int:
    """Return the process id of the lab's User-Mode Linux."""
    [holder] = [pid for label, pid, _ in json.loads(RECORD.read_text())["processes"] if label == "machine"]
    inside = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0]
    command = ["pgrep", "--oldest", "--ns", inside, "--nslist", "pid", "linux.uml"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_panic_is_told_and_the_command_begins_anew(tmp_path: Path) -> None:
    script = f"echo try >>{tmp_path}/tries; test $(wc -l <{tmp_path}/tries) = 1 || exit 0; {PANIC}; sleep {FOREVER}"
    began = time.monotonic()
    told = with_lab("--again", "sh", "-c", script)
    assert told.returncode == 0, told
    assert (
        "lab: lab gone is gone: machine: Kernel panic - not syncing: sysrq triggered crash; it begins anew"
        in told.stderr
    )
    assert (tmp_path / "tries").read_text().split() == ["try", "try"]
    assert time.monotonic() - began < FOREVER / 2


def test_it_begins_anew_only_once(tmp_path: Path) -> None:
    script = f"echo try >>{tmp_path}/tries; {PANIC}; sleep {FOREVER}"
    told = with_lab("--again", "sh", "-c", script)
    assert told.returncode == 75, told
    assert (tmp_path / "tries").read_text().split() == ["try", "try"]
    assert "the command was ended" in told.stderr.splitlines()[-1]


def test_what_the_command_has_started_is_ended_too(tmp_path: Path) -> None:
    command = ["sh", "-c", f"setsid sleep {FOREVER} & echo $! >{tmp_path}/pid; sleep {FOREVER}"]
    with ThreadPoolExecutor(max_workers=1) as pool:
        ending = pool.submit(with_lab, *command)
        while not (tmp_path / "pid").exists() and not ending.done():
            time.sleep(0.1)
        os.kill(guest(), signal.SIGKILL)
        killed = time.monotonic()
        process = ending.result()
    told = process.stderr
    assert time.monotonic() - killed < 60
    assert process.returncode == 75, told
    assert "lab: lab gone is gone: machine: " in told
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_command_reaches_the_engine() -> None:
    assert with_lab("docker", "version").returncode == 0


def test_a_command_that_fails_is_not_tried_again(tmp_path: Path) -> None:
    told = with_lab("--again", "sh", "-c", f"echo try >>{tmp_path}/tries; exit 3")
    assert told.returncode == 3, told
    assert (tmp_path / "tries").read_text().split() == ["try"]
    assert "is gone" not in told.stderr
