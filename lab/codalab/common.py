# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all subjects of the lab use: its places, messages to the user, and short commands."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent  # the folder lab/, with the recipe of the disk and the machines' scripts
RUN = Path("/run/codalvs-lab")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codalvs-lab"
INTERRUPTED = 128  # plus the signal's number: the exit code of a program that a signal stopped
MIB, GIB = 1 << 20, 1 << 30


class LabError(Exception):
    """Something the user can act on; its text is the one sentence they see."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this command to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = INTERRUPTED + number


def run(*argv: str | Path, what: str, **options: Any) -> str:
    """Run a short command and return its output; `what` names it in the sentence about a failure."""
    try:
        done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)
    except OSError as error:
        raise LabError(f"{what} failed: {error}") from error
    if done.returncode:
        raise LabError(f"{what} failed: {last_line(done.stderr) or f'exit code {done.returncode}'}")
    return str(done.stdout)


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def tail(path: Path) -> str:
    """Why a log ends as it does: apt's first error, because later ones say less; without one, the log's end."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    errors = [line for line in text.splitlines() if line.startswith("E: ")]
    return errors[0] if errors else last_line(text)


class Progress:
    """One line a phase, with the seconds it took."""

    def __init__(self) -> None:
        self.begin = time.monotonic()

    @contextmanager
    def phase(self, text: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        print(f"{time.monotonic() - start:6.1f} s  {text}", flush=True)

    def total(self, text: str) -> None:
        print(f"{time.monotonic() - self.begin:6.1f} s  in all; {text}", flush=True)
