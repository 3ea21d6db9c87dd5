# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a Coda client: change a folder for some time, and log what was acknowledged, safe from a power cut.

    python3 coda_write.py FOLDER LOG SECONDS

A line of the log is [seconds since the start, seconds it took, what, path, content, error]; '' for no error.
"""

from __future__ import annotations

import json
import os
import sys
import time


def steps(number: int) -> list[tuple[str, str, str]]:
    """Return the changes of one round: what, path, and content or new path."""
    made = [("write", f"n{number}", f"content {number}\n"), ("write", "same", f"state {number}\n")]
    if number % 3 == 0 and (number - 1) % 5:  # it was not renamed
        made.append(("remove", f"n{number - 1}", ""))
    if number % 4 == 0:
        made += [("folder", f"d{number}", ""), ("write", f"d{number}/x", f"inside {number}\n")]
    if number % 5 == 0:
        made.append(("rename", f"n{number}", f"r{number}"))
    return made


def take(what: str, path: str, content: str) -> None:
    """Do one change."""
    if what == "write":
        with open(path, "w", encoding="ascii") as file:
            file.write(content)
    elif what == "remove":
        os.unlink(path)
    elif what == "folder":
        os.mkdir(path)
    else:
        os.rename(path, content)


def main() -> None:
    """Change until the time is over."""
    folder, log, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    start, number = time.monotonic(), 0
    with open(log, "w", encoding="ascii") as file:
        while time.monotonic() < start + seconds:
            number += 1
            for what, path, content in steps(number):
                begin, error = time.monotonic(), ""
                try:
                    take(what, f"{folder}/{path}", f"{folder}/{content}" if what == "rename" else content)
                except OSError as problem:
                    error = problem.strerror or "?"
                end = time.monotonic()
                file.write(
                    json.dumps([round(begin - start, 2), round(end - begin, 2), what, path, content, error]) + "\n"
                )
                file.flush()
                os.fsync(file.fileno())
            time.sleep(max(0.0, 1 - (time.monotonic() - begin)))


if __name__ == "__main__":
    main()
