# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole machines beside the guest, each a User-Mode Linux of its own: power, cables, and a way to their ports."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from codalab.common import HERE, LabError, run
from codalab.disk import Base, Disk
from codalab.host import apt_sources
from codalab.record import Record, end_process, need_up, start_time


def machine(record: Record, options: argparse.Namespace) -> int:
    """Switch a whole machine on, or off as a power cut does; its disk stays until the lab goes down."""
    need_up(record)
    if record.data["kind"] == "native":
        raise LabError("whole machines are User-Mode Linux machines; start the lab with `up --kind uml`")
    label, tap = f"machine {options.machine}", f"tap{options.address.rpartition('.')[2]}"
    if options.cable:
        # Don't set the link down: after that, User-Mode Linux reads no more from its end.
        words = ["nomaster"] if options.cable == "out" else ["master", "lab0"]
        run("ip", "-n", record.data["netns"], "link", "set", tap, *words, what=f"moving the cable of {options.machine}")
        return 0
    off = options.off or options.remove
    for entry in [entry for entry in record.data["processes"] if entry[0] == label]:
        if not off and start_time(entry[1]) == entry[2]:
            print(f"machine {options.machine} is on already")
            return 0
        if end_process(entry[1], entry[2]):
            print(f"machine {options.machine} is off")
        record.note(processes=[other for other in record.data["processes"] if other != entry])
    if options.remove:
        Path(record.data["state"], options.machine).unlink(missing_ok=True)
    if off:
        return 0
    switch_on(record, options, label, tap)
    return 0


def switch_on(record: Record, options: argparse.Namespace, label: str, tap: str) -> None:
    base = Base(apt_sources()[0])
    if str(base.folder) != record.data["base"]:
        raise LabError("the lab's recipe has changed since it was brought up; use `down`, then `up`")
    if "disk" not in record.data:  # a lab's machines share one, also when the recipe changes meanwhile
        disk = Disk(base.folder)
        disk.ensure(record, base)
        record.note(disk=str(disk.folder))
    there = run("ip", "-n", record.data["netns"], "-o", "link", what="listing the lab's network")
    for line in (f"tuntap add {tap} mode tap", f"link set {tap} master lab0 up") if f" {tap}: " not in there else ():
        run("ip", "-n", record.data["netns"], *line.split(), what=f"ip {line}")
    settings = {
        "TREE": base.tree,
        "BASE": record.data["disk"],
        "STATE": record.data["state"],
        "NETNS": record.data["netns"],
        "NAME": options.machine,
        "ADDRESS": options.address,
        "TAP": tap,
        "MEMORY": options.memory,
    }
    environment = {**os.environ, **{key: str(value) for key, value in settings.items()}}
    log = record.run / f"{options.machine}.log"
    record.spawn(label, ["sh", str(HERE / "whole.sh")], log, guest=True, env=environment)


def door(record: Record, options: argparse.Namespace) -> int:
    """Connect standard input and output with a port in the lab's network, for ssh's ProxyCommand."""
    need_up(record)
    netns, tree = record.data["netns"], Path(record.data["base"], "tree")
    inside = ["nsenter", f"--net=/run/netns/{netns}", "chroot", str(tree)]
    os.execvp("nsenter", [*inside, "socat", "-t", "86400", "-", f"TCP:{options.address}:{options.port}"])
