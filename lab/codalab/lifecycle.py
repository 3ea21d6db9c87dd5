# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's beginning and end: choose its kind, start it, and remove all that is on record."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from codalab.common import CACHE, RUN, LabError, Progress, run
from codalab.engine import NATIVE_SOCKET, docker_get, unsuitable_native
from codalab.record import Record, end_process, native_labs
from codalab.uml import start_uml

LABEL = "codalvs.ha"  # on all that the project makes on an engine, so that it never removes anything else


def up(record: Record, options: argparse.Namespace) -> int:
    progress = Progress()
    if record.data.get("up") and record.engine_answers():
        print(f"lab {record.name} is up already ({record.data['kind']})")
        return 0
    if record.data.get("up") and record.alive("machine"):
        raise LabError(f"lab {record.name} is up but its engine does not answer; see `logs`, then use `down` first")
    if record.data:
        if record.data.get("up"):
            keep_console(record)
        with progress.phase("remains of an earlier lab removed"):
            remove(record)
    kind = wanted_kind(record.name, options.kind)
    record.note(name=record.name, kind=kind, since=time.time())
    try:
        if kind == "uml":
            start_uml(record, progress)
        else:
            record.note(up=True)
    except BaseException:
        hold_signals()
        keep_console(record)
        remove(record)
        raise
    progress.total(f'lab {record.name} is up ({kind}); eval "$({shlex.quote(sys.argv[0])} --name {record.name} env)"')
    return 0


def wanted_kind(name: str, wanted: str) -> str:
    """Choose the kind of lab: native or uml. One engine is one lab, because it can have a cluster's names only once."""
    if wanted == "uml":
        return wanted
    if reason := unsuitable_native():
        if wanted == "native":
            raise LabError(f"{reason}; with `--kind uml` the lab is a User-Mode Linux machine")
        print(f"{reason}; so the lab is a User-Mode Linux machine", flush=True)
        return "uml"
    if others := [other for other in native_labs() if other != name]:
        raise LabError(f"lab {others[0]} uses this machine's engine; first: {sys.argv[0]} --name {others[0]} down")
    return "native"


def hold_signals() -> None:
    """Let no signal interrupt the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def keep_console(record: Record) -> None:
    console = record.run / "console.log"
    with suppress(OSError):  # the lab may have failed because the disk is full, and must be removed all the same
        shutil.copy(console, CACHE / f"failed-{record.name}.log")


def remove(record: Record) -> list[str]:
    """Remove all that is on record, in whatever state it is, and say what there was."""
    removed = []
    if record.data.get("kind") == "native":
        removed += remove_from_engine()
    for label, pid, started in record.data.get("processes", []):
        if end_process(pid, started):
            removed.append(f"process {pid} ({label}) and all it started")
    netns = record.data.get("netns")
    if netns and Path("/run/netns", netns).exists():
        run("ip", "netns", "delete", netns, what="deleting the network namespace")
        removed.append(f"network namespace {netns}")
    for key, what in (("state", "disk"), ("scratch", "half-built disk")):
        folder = record.data.get(key)
        if folder and Path(folder).exists():
            shutil.rmtree(folder)
            removed.append(f"{what} {folder}")
    if record.run.exists():
        shutil.rmtree(record.run)
        removed.append(f"record, sockets and log {record.run}")
    record.data = {}
    return removed


def remove_from_engine() -> list[str]:
    """Remove the project's containers and networks from this machine's own engine; its images stay, as a cache."""
    removed = []
    if docker_get(NATIVE_SOCKET, "/_ping") is None:
        raise LabError(
            f"the engine at {NATIVE_SOCKET} does not answer, and has what is to be removed; start it "
            f"first, or remove {RUN} where it is gone for good"
        )
    ours = f"label={LABEL}"
    engine = {**os.environ, "DOCKER_HOST": f"unix://{NATIVE_SOCKET}"}  # without it, a context may name another engine
    for what, find, delete in (
        ("container", ("ps", "--all", "--format", "{{.Names}}"), ("rm", "--force", "--volumes")),
        ("network", ("network", "ls", "--format", "{{.Name}}"), ("network", "rm")),
    ):
        for name in run("docker", *find, "--filter", ours, what=f"listing the {what}s", env=engine).split():
            run("docker", *delete, name, what=f"removing the {what} {name}", env=engine)
            removed.append(f"{what} {name}")
    return removed


def down(record: Record, options: argparse.Namespace) -> int:
    hold_signals()
    removed = remove(record)
    # A restart of this machine removes the record, but not the containers.
    if options.all and not native_labs() and shutil.which("docker") and docker_get(NATIVE_SOCKET, "/_ping"):
        removed += remove_from_engine()
    for line in removed or [f"lab {record.name} was not up, nothing to remove"]:
        print(line if line.startswith("lab ") else f"removed {line}")
    return 0
