# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command that needs the lab, and end it with all that it started if the lab dies under it."""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from codalab.common import INTERRUPTED, LabError, last_line
from codalab.record import Record, need_up, start_time

GONE = 75  # the exit code when the lab ended first


def watch(record: Record, options: argparse.Namespace) -> int:
    """Run a command that needs the lab; if a machine of the lab ends by itself, end the command and say why."""
    need_up(record)
    if not options.argv:
        raise LabError("watch needs a command")
    # So nothing that the command starts gets out of sight; Ansible's workers are in sessions of their own.
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    command = subprocess.Popen(options.argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command, too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: command.send_signal(number))
    cause, its_end = "", os.pidfd_open(command.pid)
    while command.poll() is None and not cause:
        select.select([its_end], [], [], 1)  # Popen.wait(1) would look twenty times
        cause = cause_of_death(record)
    deadline = time.monotonic() + 10  # a command may fail before its lab's processes have ended
    while command.returncode and not cause and time.monotonic() < deadline:
        time.sleep(0.2)
        cause = cause_of_death(record)
    if not cause or command.returncode == 0:
        return command.returncode if command.returncode >= 0 else INTERRUPTED - command.returncode
    print(f"lab: lab {record.name} is gone: {cause}; {options.then}", file=sys.stderr, flush=True)
    end_children()
    return GONE


def cause_of_death(record: Record) -> str:
    """The console's last words of a machine of the lab that has ended by itself, else ''.

    Tests also switch a whole machine off on purpose, so for one only a panic counts.
    """
    now = Record(record.name)
    if record.data["kind"] == "native":
        return ""
    if not now.data:
        return "it was brought down"
    for label, pid, started in now.data["processes"]:
        log = now.run / ("console.log" if label == "machine" else f"{label.removeprefix('machine ')}.log")
        if label.startswith("machine") and start_time(pid) != started:
            said = log.read_text(errors="replace") if log.exists() else ""
            panics = [line.strip() for line in said.splitlines() if "Kernel panic" in line]
            if panics or label == "machine":
                return f"{label}: {panics[-1] if panics else last_line(said) or 'its console says nothing'}"
    return ""


def end_children() -> None:
    """End all that this process has started, and what that has started: SIGTERM first, SIGKILL after ten seconds."""
    deadline = time.monotonic() + 10
    while children := descendants(os.getpid()):
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        for _ in range(20):
            time.sleep(0.05)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def descendants(pid: int) -> list[int]:
    """The living processes below one."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [each for child in children if start_time(child) for each in (child, *descendants(child))]
