# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab has made: its record on disk, its processes, and the locks that keep two commands apart.

What outlives a command is written down before it is made, so that `down` can remove it after any crash.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from codalab.common import RUN, LabError
from codalab.engine import NATIVE_SOCKET, docker_get


def start_time(pid: int) -> int | None:
    """When a living process started, in the kernel's ticks. This and its id name one process for ever."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def end_process(pid: int, started: int) -> bool:
    """End a namespace made by `spawn`: kill its first process, and wait until `unshare` has seen all of it end."""
    if start_time(pid) != started:
        return False
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    for victim in [int(child) for child in children] or [pid]:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while start_time(pid) == started:
        if time.monotonic() > deadline:
            raise LabError(f"process {pid} of this lab does not end; try `down` again")
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # reap it, if it is this command's own child
        time.sleep(0.02)
    return True


class Record:
    """What a lab has made on this machine, on disk before each thing is made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.run = RUN / name
        self.path = self.run / "lab.json"
        self.data: dict[str, Any] = {}
        try:
            self.data = json.loads(self.path.read_text())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise LabError(f"the record {self.path} cannot be read: {error}") from error

    def note(self, **facts: Any) -> None:
        self.data.update(facts)
        self.run.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self.data, indent=1) + "\n")
        draft.rename(self.path)

    def spawn(self, label: str, argv: list[str], log: Path, *, guest: bool = False, **options: Any) -> Any:
        """Start a command in namespaces of its own, after its process id is on record.

        The process waits at a gate, a read from a pipe, until that is done; if this command dies first, the read ends
        and the process with it. A guest lives on when this command ends, and has one processor; all else dies with it.
        """
        gate = ["sh", "-c", 'read -r go && exec "$@" </dev/null', "gate"]
        leash = [] if guest else ["setpriv", "--pdeathsig", "KILL"]
        place = ["taskset", "--cpu-list", str(quietest_processor())] if guest else []
        wall = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*leash, *gate, *place, *wall, *argv],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **options,
            )
        self.note(processes=[*self.data.get("processes", []), [label, process.pid, start_time(process.pid)]])
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.close()
        return process

    def alive(self, label: str) -> bool:
        return any(
            name == label and start_time(pid) == started for name, pid, started in self.data.get("processes", [])
        )

    def engine_answers(self) -> bool:
        return docker_get(self.socket, "/_ping") is not None

    @property
    def socket(self) -> Path:
        """Where the lab's engine answers."""
        return NATIVE_SOCKET if self.data["kind"] == "native" else self.run / "docker.sock"


def quietest_processor() -> int:
    """The processor with the fewest guests of all labs.

    User-Mode Linux passes control between its kernel and the guest's processes at every system call. On one processor
    that is a switch; on two, one of them has to be woken each time, and all that the guest does takes twice as long.
    """
    guests = Counter[int]()
    for path in RUN.glob("*/lab.json"):
        for _, pid, started in Record(path.parent.name).data.get("processes", []):
            if start_time(pid) == started and len(processors := os.sched_getaffinity(pid)) == 1:
                guests.update(processors)
    return min(sorted(os.sched_getaffinity(0)), key=lambda processor: guests[processor])


@contextmanager
def locked(path: Path, *, busy: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock that the kernel releases however this process ends; nothing of it stays on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise LabError(busy) from None
                print(busy, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            # The holder before has removed the file, and a lock on a file without a name keeps nobody out.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                try:
                    yield
                finally:
                    path.unlink()
                return


def native_labs() -> list[str]:
    """The labs on record that are this machine's own engine."""
    names = sorted(path.parent.name for path in RUN.glob("*/lab.json"))
    return [name for name in names if Record(name).data.get("kind") == "native"]


def need_up(record: Record) -> Path:
    """The socket of the engine of a lab that is up."""
    if not record.data.get("up"):
        raise LabError(f"lab {record.name} is not up; start it with `up`")
    if not record.engine_answers():
        raise LabError(f"lab {record.name} was started but its engine does not answer; see `logs`, then `down`, `up`")
    return record.socket
