# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands on machines by a shell that stays on each: `docker exec` takes a tenth of a second of a processor."""

from __future__ import annotations

import atexit
import os
import selectors
import shlex
import subprocess
import threading
import uuid
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

PATIENCE = 1.0  # s without an answer until somebody asks whether the machine runs
OFF = 137  # the exit code of what ended with its machine, as that of docker


class Door:
    """A shell on a machine, which runs one command after the other. way: words that start a command there."""

    def __init__(self, host: str, way: Sequence[str]) -> None:
        self.host = host
        self.process = subprocess.Popen(
            [*way, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    @property
    def broken(self) -> bool:
        """Return whether the machine was switched off since."""
        return self.process.poll() is not None

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
        """Run a command, whose standard input is empty; None if the machine is off or stands still."""
        assert self.process.stdin
        mark = uuid.uuid4().hex
        line = f"{shlex.join(command)} </dev/null; echo {mark}$?; echo {mark} >&2\n"
        with suppress(BrokenPipeError):  # what it has answered says so
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()
        answers = self._read(mark.encode())
        if answers is None:
            return None
        out, _, code = answers[0].rpartition(mark)
        return subprocess.CompletedProcess(command, int(code), out, answers[1].rpartition(mark)[0])

    def _read(self, mark: bytes) -> list[str] | None:
        """Read both outputs up to the end of the line with the mark."""
        found = {stream: b"" for stream in (self.process.stdout, self.process.stderr) if stream}
        with selectors.DefaultSelector() as waiting:
            for stream in found:
                waiting.register(stream, selectors.EVENT_READ)
            while waiting.get_map():
                ready = waiting.select(PATIENCE)
                if not ready and not self._runs():
                    return None
                for key, _events in ready:
                    new = os.read(key.fd, 65536)
                    if not new:
                        return None
                    found[key.fileobj] += new  # type: ignore[index]
                    if mark in found[key.fileobj] and new.endswith(b"\n"):  # type: ignore[index]
                        waiting.unregister(key.fileobj)
        return [text.decode(errors="replace") for text in found.values()]

    def _runs(self) -> bool:
        state = ["docker", "inspect", "--format", "{{.State.Running}} {{.State.Paused}}", self.host]
        return subprocess.run(state, capture_output=True, text=True, check=False).stdout == "true false\n"

    def close(self) -> None:
        """End the shell."""
        self.process.kill()
        with suppress(BrokenPipeError):
            self.process.communicate()


_doors: dict[str, Door] = {}
_busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def run_on(host: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a machine. While its door is busy, another one goes by `docker exec`."""
    if not _busy[host].acquire(blocking=False):
        return subprocess.run(["docker", "exec", host, *command], capture_output=True, text=True, check=False)
    try:
        if host in _doors and _doors[host].broken:
            _close(host)
        if host not in _doors:
            _doors[host] = Door(host, ["docker", "exec", "--interactive", host])
        done = _doors[host].run(command)
        if done is None:
            _close(host)
        return done or subprocess.CompletedProcess(command, OFF, "", f"{host} is off, or stands still")
    finally:
        _busy[host].release()


def _close(host: str) -> None:
    _doors.pop(host).close()


@atexit.register
def _close_all() -> None:
    for host in list(_doors):
        _close(host)
