# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker engines: ask one something, and tell whether this machine's own can be the lab."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

from codalab.common import LabError, run

NATIVE_SOCKET = Path("/var/run/docker.sock")
OLDEST_ENGINE = 28  # the first that lets `docker run` name a container's interfaces


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self.unix_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.unix_path))


def docker_get(path: Path, url: str) -> Any:
    """Ask an engine one thing; None when it does not answer."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", url)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            return None
        return json.loads(body) if answer.getheader("Content-Type", "").startswith("application/json") else body
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def unsuitable(version: Any, info: Any, kernel: str) -> str:
    """Why an engine can't be the lab, from its /version and /info and this machine's kernel; nothing when it can."""
    if version is None or info is None:
        return f"the engine at {NATIVE_SOCKET} does not answer"
    if "Podman Engine" in [part.get("Name") for part in version.get("Components") or []]:
        return f"the engine at {NATIVE_SOCKET} is Podman, not Docker"
    major = re.match(r"\d+", version["Version"])
    if not major or int(major[0]) < OLDEST_ENGINE:
        return f"this machine's Docker is {version['Version']}, and the lab needs {OLDEST_ENGINE} or newer"
    # An engine pads its kernel's release to three numbers.
    if info["KernelVersion"] != re.sub(r"^(\d+\.\d+)(?![.\d])", r"\1.0", kernel):
        return f"this machine's Docker runs on another kernel ({info['KernelVersion']}), as Docker Desktop does"
    security = {option.partition("=")[2].partition(",")[0] for option in info.get("SecurityOptions") or []}
    if "rootless" in security:
        return "this machine's Docker is rootless, and the lab's containers need root's rights"
    if "userns" in security:
        return "this machine's Docker maps users (userns-remap), and so starts no privileged container"
    if info.get("CgroupVersion") != "2":
        return "this machine has control groups of version 1, on which a newer systemd does not start"
    return ""


def unsuitable_native() -> str:
    """Why this machine's own engine can't be the lab; nothing when it can."""
    if not NATIVE_SOCKET.exists():
        elsewhere = "one elsewhere, rootless or named by DOCKER_HOST or a context, is left alone"
        return f"there is no Docker engine at {NATIVE_SOCKET} ({elsewhere})"
    version, info = docker_get(NATIVE_SOCKET, "/version"), docker_get(NATIVE_SOCKET, "/info")
    if reason := unsuitable(version, info, os.uname().release):
        return reason
    if not shutil.which("docker"):
        return "this machine has a Docker engine, but not the command docker (Debian: the package docker-cli)"
    if not Path("/proc/net/ip_vs").exists():
        try:
            run("modprobe", "ip_vs", what="modprobe ip_vs")
        except LabError as error:
            return f"this machine's kernel has no IPVS ({error})"
    return ""
