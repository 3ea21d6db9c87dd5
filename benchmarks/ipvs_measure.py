# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench-ipvs` that runs on the machine, as root.

    ipvs_measure.py ROUNDS        measures in network namespaces of its own, and prints a line of JSON for each figure
    ipvs_measure.py module FILE   one run of the module ipvs with the arguments in a file, as Ansible would start it

Its folder also has ansible.module_utils and the collection (harness.install_modules()).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ansible.module_utils import basic

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import read
from ansible_collections.codalvs.ha.plugins.modules import ipvs

NAMESPACE = "ipvs-bench"


def services(count: int, weight: int = 1) -> list[dict[str, Any]]:
    """Return services of 10 real servers each; the first real server of all has the given weight."""
    found: list[dict[str, Any]] = [
        {
            "vip": f"10.{number >> 8}.{number & 255}.1",
            "port": 80,
            "scheduler": "wrr",
            "real_servers": [{"address": f"172.16.{number & 127}.{server + 1}"} for server in range(10)],
        }
        for number in range(count)
    ]
    found[0]["real_servers"][0]["weight"] = weight
    return found


def module(path: str) -> None:
    """Run the module, and write how long its kernel work took (s) and its peak memory (MiB) to standard error."""
    work = 0.0
    converge = ipvs.converge

    def timed(*arguments: Any) -> Any:
        nonlocal work
        began = time.perf_counter()
        try:
            return converge(*arguments)
        finally:
            work = time.perf_counter() - began

    ipvs.converge = timed  # type: ignore[assignment]  # as it is called, but for the names of its arguments
    basic._ANSIBLE_ARGS = Path(path).read_bytes()
    basic._ANSIBLE_PROFILE = "legacy"
    try:
        ipvs.main()
    finally:
        # Not getrusage(): until a program is executed, its peak includes the parent's.
        memory = int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024
        print(json.dumps({"kernel work, s": work, "memory, MiB": memory}), file=sys.stderr)


@contextmanager
def empty_table() -> Iterator[list[str]]:
    """Give the words that run a command in a network namespace of its own, once the machine is idle.

    A removed real server stays in the kernel's trash for two minutes, and the kernel looks there first for every new
    one (ip_vs_trash_get_dest()). With a table that is emptied and filled again, that would be measured, too.
    """
    for _ in range(60):
        before = idle()
        time.sleep(0.5)  # the span over which idleness is measured
        after = idle()
        if (after[0] - before[0]) > 0.9 * (after[1] - before[1]):
            break
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    inside = ["ip", "netns", "exec", NAMESPACE]
    try:
        # Without any address there, the kernel takes every real server for a broadcast address, and refuses it.
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


def idle() -> tuple[int, int]:
    """Return the processors' idle and whole time (ticks)."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def run_module(inside: list[str], given: list[dict[str, Any]], operations: int) -> dict[str, float]:
    """Return the figures of one run in a process of its own, and check how many operations it did."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": {"services": given, "purge": True}}, file)
        file.flush()
        command = [*inside, sys.executable, __file__, "module", file.name]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        whole = time.perf_counter() - began
    result = json.loads(done.stdout)
    if done.returncode or len(result["operations"]) != operations:
        sys.exit(f"not the {operations} operations expected: {done.stdout[:2000]}")
    return {**json.loads(done.stderr.splitlines()[-1]), "whole, s": whole}


def run_ipvsadm(inside: list[str], *words: str, lines: list[str] | None = None) -> float:
    """Return how long one ipvsadm took (s)."""
    text = "\n".join(lines) + "\n" if lines else None
    began = time.perf_counter()
    subprocess.run([*inside, "ipvsadm", *words], input=text, text=True, check=True)
    return time.perf_counter() - began


def say(row: str, figures: dict[str, float]) -> None:
    """Print one line of figures."""
    print(json.dumps({"row": row, "figures": figures}), flush=True)


def main(rounds: int) -> None:
    """Measure all things in turns, so that a slow spell of the machine affects all of them."""
    for _ in range(rounds):
        for count in (100, 1000, 10000):
            given = services(count)
            lines = print_table(read(given)[0])
            with empty_table() as inside:
                say(f"ipvsadm -R, {count} x 10", {"s": run_ipvsadm(inside, "-R", lines=lines)})
            with empty_table() as inside:
                say(f"module, {count} x 10 from empty", run_module(inside, given, count * 11))
                say(f"module, {count} x 10, no change", run_module(inside, given, 0))
                say(f"module, {count} x 10, one weight", run_module(inside, services(count, weight=2), 1))
        with empty_table() as inside:
            loop = [*inside, "sh", "-c", "while read -r line; do ipvsadm $line || exit 1; done"]
            began = time.perf_counter()
            subprocess.run(loop, input="\n".join(lines[:500]) + "\n", text=True, check=True)
            taken = time.perf_counter() - began
            say("ipvsadm, 500 calls in a loop", {"s": taken, "s for 11,000": taken * 22})


if __name__ == "__main__":
    if sys.argv[1] == "module":
        module(sys.argv[2])
    else:
        main(int(sys.argv[1]))
