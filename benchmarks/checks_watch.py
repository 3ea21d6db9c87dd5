# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench-checks` that runs on the director, as root: it watches the kernel's table.

It looks at /proc/net/ip_vs 20 times a second, which needs no other program, and understands it with ipvs-guard's own
reader, only where the text has changed. For each change it prints a line of JSON: {"at": s of the monotonic clock,
"in": [rows], "out": [rows]}, of the rows that got a weight and lost it. A row is VIP:PORT>REAL SERVER.

Between two looks it does what a line of JSON on standard input asks for, and prints {"answer": …}:

    {"run": [words]}                 a program, to its end
    {"start": unit}, {"stop": unit}  a checker's unit; after a stop nothing of it is left, and the table is empty
    {"usage": unit}                  s of a processor that the unit's processes have had, also those that have ended
    {"memory": unit}                 MiB of their memory, each shared page once, and how many there are
"""

from __future__ import annotations

import importlib.util
import json
import select
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

TABLE = Path("/proc/net/ip_vs")
GUARD = "/usr/local/sbin/ipvs-guard"
UNITS = Path("/sys/fs/cgroup/system.slice")
LOOK = 0.05  # s between two looks
ENDED = 10.0  # s in which killed processes must be gone


def reader() -> Any:
    """Return the program ipvs-guard as a module."""
    loader = SourceFileLoader("ipvs_guard", GUARD)
    spec = importlib.util.spec_from_loader("ipvs_guard", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ipvs_guard"] = module
    loader.exec_module(module)
    return module


def rows(guard: Any, text: str) -> set[str]:
    """Return the rows of a table that have a weight."""
    return {
        f"{key.address}:{key.port}>{address}"
        for key, shown in guard.read_table(text.splitlines()).items()
        for (address, _port), (_how, weight) in shown.servers.items()
        if weight
    }


class Watch:
    """The table as it was at the last look."""

    def __init__(self) -> None:
        self.guard = reader()
        self.text = ""
        self.alive: set[str] = set()

    def look(self) -> None:
        """Print what has changed since the last look."""
        at = time.monotonic()
        text = TABLE.read_text() if TABLE.exists() else ""
        if text == self.text:
            return
        alive = rows(self.guard, text)
        if alive != self.alive:
            change = {"at": at, "in": sorted(alive - self.alive), "out": sorted(self.alive - alive)}
            print(json.dumps(change), flush=True)
        self.text, self.alive = text, alive


def processes(unit: str) -> list[int]:
    """Return the process ids of a unit."""
    try:
        return [int(word) for word in (UNITS / unit / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def run(*words: str) -> dict[str, Any]:
    """Return code and output of a program."""
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return {"code": done.returncode, "out": done.stdout}


def stop(unit: str) -> dict[str, Any]:
    """Stop a unit, kill what ldirectord's own stop leaves for later, and empty the table."""
    run("systemctl", "stop", unit)
    if processes(unit):
        (UNITS / unit / "cgroup.kill").write_text("1")
    end = time.monotonic() + ENDED
    while left := processes(unit):
        if time.monotonic() > end:
            return {"code": 1, "out": f"{unit} has still the processes {left}"}
        time.sleep(LOOK)
    Path("/run/ldirectord.ldirectord.pid").unlink(missing_ok=True)
    return run("ipvsadm", "--clear")


def usage(unit: str) -> dict[str, Any]:
    """Return the time, s of a processor that a unit has had, and s that this kernel's processors have been idle."""
    try:
        words = (UNITS / unit / "cpu.stat").read_text().split()
    except OSError:
        return {"code": 1, "out": f"{unit} does not run"}
    spent = int(words[words.index("usage_usec") + 1]) / 1e6
    idle = int(Path("/proc/stat").read_text().split(maxsplit=5)[4]) / 100  # of USER_HZ
    return {"code": 0, "at": time.monotonic(), "spent_s": spent, "idle_s": idle}


def memory(unit: str) -> dict[str, Any]:
    """Return how much memory a unit's processes have, and how many they are."""
    there, kib = processes(unit), 0
    for process in there:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # it has ended meanwhile
            continue
        kib += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return {"code": 0, "mib": kib / 1024, "processes": len(there)}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    [(word, value)] = request.items()
    if word == "start":
        at = time.monotonic()
        return {**run("systemctl", "start", "--no-block", value), "at": at}
    if word == "run":
        return run(*value)
    return {"stop": stop, "usage": usage, "memory": memory}[word](value)


def main() -> None:
    """Look and answer until standard input ends."""
    watch = Watch()
    while True:
        ready, _write, _error = select.select([sys.stdin], [], [], LOOK)
        if ready:
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps({"answer": answer(json.loads(line))}), flush=True)
        watch.look()


if __name__ == "__main__":
    main()
