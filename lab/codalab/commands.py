# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for a lab that is up: its state, the way to its engine, a command on its kernel, its logs."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from codalab.common import HERE, LabError
from codalab.disk import BASE_IMAGE, Disk
from codalab.engine import docker_get
from codalab.record import Record, need_up
from codalab.uml import guest

DOWN = 3  # the exit code of status when the lab is not up


def status(record: Record, options: argparse.Namespace) -> int:
    try:
        path = need_up(record)
    except LabError as error:
        print(error)
        return DOWN
    info, images = docker_get(path, "/info"), docker_get(path, "/images/json")
    if info is None or images is None:
        raise LabError(f"the engine of lab {record.name} does not say what it has")
    minutes, seconds = divmod(int(time.time() - record.data["since"]), 60)
    names = sorted(tag for image in images for tag in image.get("RepoTags") or [])
    rows = {
        "lab": record.name,
        "kind": record.data["kind"],
        "kernel": info["KernelVersion"],
        "engine": f"{info['ServerVersion']} at unix://{path}",
        "images": ", ".join(names) or "none",
        "containers": f"{info['Containers']} ({info['ContainersRunning']} running)",
        "up for": f"{minutes} min {seconds} s",
        "log": "the engine's own" if record.data["kind"] == "native" else str(record.run / "console.log"),
    }
    for key, value in rows.items():
        print(f"{key:<11} {value}")
    return 0


def env(record: Record, options: argparse.Namespace) -> int:
    path = need_up(record)
    native = record.data["kind"] == "native"
    # Docker's client would heed these before, or beside, DOCKER_HOST.
    print("unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION")
    print(f"export DOCKER_HOST={shlex.quote(f'unix://{path}')}")
    print(f"export LAB_NAME={record.name}")
    print(f"export LAB_KIND={record.data['kind']}")
    print(f"export LAB_BASE_IMAGE={'debian' if native else BASE_IMAGE}")
    if not native and not shutil.which("docker"):
        print(f'export PATH="$PATH":{shlex.quote(str(Path(record.data["base"], "tree/usr/bin")))}')
    if not native:
        proxy = f"ProxyCommand={shlex.quote(str(HERE / 'lab'))} --name {record.name} door %h %p"
        key = Path(record.data.get("disk") or Disk(Path(record.data["base"])).folder, "key")
        # All labs have the same addresses, and Ansible tells the connections that it keeps apart by nothing else.
        kept = f"ControlPath={record.run}/%h-%p-%r"
        settings = [proxy, kept, "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        words = ["-i", str(key), *(word for setting in settings for word in ("-o", setting))]
        print(f"export LAB_SSH_ARGS={shlex.quote(shlex.join(words))}")
    return 0


def execute(record: Record, options: argparse.Namespace) -> int:
    need_up(record)
    if not options.argv:
        raise LabError("exec needs a command")
    if record.data["kind"] == "native":
        return subprocess.run(options.argv, stdin=subprocess.DEVNULL, check=False).returncode
    return guest(record, shlex.join(options.argv))


def logs(record: Record, options: argparse.Namespace) -> int:
    if not record.data:
        raise LabError(f"lab {record.name} is not up; start it with `up`")
    follow = ["-f"] if options.follow else []
    if record.data["kind"] == "native":
        return subprocess.run(["journalctl", "--no-pager", "-u", "docker", *follow], check=False).returncode
    if options.engine:
        return guest(record, shlex.join(["journalctl", "--no-pager", "-u", "docker", *follow]))
    return subprocess.run(["tail", "-n", "+1", *follow, str(record.run / "console.log")], check=False).returncode
