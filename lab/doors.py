# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands on machines by a shell that stays on each: `docker exec` takes a tenth of a second of a processor."""

from __future__ import annotations

import atexit
import os
import re
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
        answers = self._read(re.compile(rb"%s([0-9]*)\n" % mark.encode()))
        if answers is None:
            return None
        (out, code), (err, _code) = answers
        return subprocess.CompletedProcess(command, int(code), out, err)

    def _read(self, end: re.Pattern[bytes]) -> list[tuple[str, str]] | None:
        """Read both outputs up to the line with the mark, and what follows the mark there."""
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
                    if end.search(found[key.fileobj]):  # type: ignore[index]
                        waiting.unregister(key.fileobj)
        # What a process in the background says behind the mark is nobody's.
        parts = (end.split(text, maxsplit=1)[:2] for text in found.values())
        return [(text.decode(errors="replace"), code.decode()) for text, code in parts]

    def _runs(self) -> bool:
        """Return whether the machine runs, and is not paused."""
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
        # It may be older than the machine's last start. A command itself is never run twice.
        if host in _doors and (_doors[host].broken or _doors[host].run([":"]) is None):
            _doors.pop(host).close()
        if host not in _doors:
            _doors[host] = Door(host, ["docker", "exec", "--interactive", host])
        if done := _doors[host].run(command):
            return done
        _doors.pop(host).close()
        return subprocess.CompletedProcess(command, OFF, "", f"{host} is off, or stands still")
    finally:
        _busy[host].release()


@atexit.register
def _close_all() -> None:
    for door in _doors.values():
        door.close()
