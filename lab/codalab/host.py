# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine: its memory, its ports, its apt, and the tools that the lab installs there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

from codalab.common import LabError, run

TOOLS = {  # command: the package that has it
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "taskset": "util-linux",
}


def install_tools() -> None:
    missing = sorted({package for command, package in TOOLS.items() if not shutil.which(command)})
    if not missing:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # In a session of its own, with signals held back, because stopping dpkg half-way would leave the machine broken.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        for argv in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            run("apt-get", "-q", *argv, what=f"apt-get {argv[0]}", env=environment, start_new_session=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def apt_sources() -> tuple[str, list[str]]:
    """The Debian mirror that this machine's apt uses, and the hosts of all its sources."""
    layout = "$(REPO_URI) $(LABEL) $(COMPONENT)"
    ask = ["apt-get", "indextargets", "--format", layout, "Identifier: Packages"]
    for attempt in (1, 2):
        rows = [row.split() for row in run(*ask, what="reading apt's sources").splitlines()]
        mirrors = [row[0] for row in rows if row[1:] == ["Debian", "main"]]
        if mirrors:
            return mirrors[0], sorted({urlsplit(row[0]).hostname or "" for row in rows} - {""})
        if attempt == 1:
            run("apt-get", "-q", "update", what="apt-get update")
    raise LabError("apt has no Debian mirror (label Debian, component main) among its sources")


def memory_free() -> int:
    match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return int(match[1]) * 1024 if match else 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
