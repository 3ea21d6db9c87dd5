# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Coda cell of the scenario `coda_clients`, for benchmarks: servers in containers, clients as whole machines."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))
from harness import ROOT, SHARED, Cluster, HarnessError, run, wait_for

INVENTORY = ROOT / "molecule" / "coda_clients" / "inventory"
PACKAGES = ROOT / "molecule" / "coda_clients" / "needs"
WALK = """
import json, os, sys
found = {}
for top, folders, files in os.walk(sys.argv[1]):
    for name in files + [each for each in folders if os.path.islink(os.path.join(top, each))]:
        path = os.path.join(top, name)
        try:
            content = os.readlink(path) if os.path.islink(path) else open(path).read()
        except OSError as error:
            content = f'unreadable: {error}'
        found[os.path.relpath(path, sys.argv[1])] = content
print(json.dumps(found))
"""
LAB = str(ROOT / "lab" / "lab")


class Cell(Cluster):
    """The cell, which is made if it does not exist."""

    def __init__(self, **extra_vars: Any) -> None:
        super().__init__(INVENTORY, extra_vars)

    @property
    def inventories(self) -> list[str]:
        """Return the options for the inventory, which says how to reach clients; its servers are containers."""
        return ["-i", str(SHARED / "inventory" / "docker.yml"), "-i", str(self.inventory)]

    def make(self) -> None:
        """Make the machines, the cell on them, and give both clients the administrator's tokens."""
        needs = subprocess.run([str(PACKAGES)], capture_output=True, text=True, check=False)
        if needs.returncode:
            print(f"SKIPPED coda: {needs.stdout.strip()}")
            sys.exit(77)
        self.playbook(SHARED / "create.yml")
        self.playbook("codalvs.ha.coda")
        for client in self.clients:
            self.login(client)

    @property
    def clients(self) -> list[str]:
        """Return the clients' names."""
        return self.group("coda_clients")

    def login(self, client: str) -> None:
        """Give a client's root the administrator's tokens."""
        (scm,) = self.group("coda_scm")
        password = run("docker", "exec", scm, "cat", "/vice/admin-password").strip()
        self.on(client, f"echo {shlex.quote(password)} | clog codaadmin@coda.test")

    def ssh(self, client: str, script: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell script on a client and return how it went; a time-out is a failure without output."""
        address = self.address(client)
        command = ["ssh", *shlex.split(os.environ["LAB_SSH_ARGS"]), "-o", "ConnectTimeout=5", f"root@{address}", script]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"not over after {seconds} s")

    def on(self, client: str, script: str, seconds: float = 120) -> str:
        """Run a shell script on a client and return what it printed; a failure raises."""
        done = self.ssh(client, script, seconds)
        if done.returncode:
            raise HarnessError(f"on {client}: {script[:80]}: {done.stdout[-500:]}{done.stderr[-500:]}")
        return done.stdout

    def address(self, client: str) -> str:
        """Return a client's address."""
        return str(next(iter(self.variables(client)["ha_interfaces"].values()))).split("/")[0]

    def machine(self, client: str, *words: str) -> None:
        """Switch a client on, or do what the words say (options of lab/lab machine)."""
        run(LAB, "machine", client, self.address(client), *words)

    def wait_for_ssh(self, client: str) -> None:
        """Wait until a client can be reached."""
        wait_for(f"{client} can be reached", lambda: self.ssh(client, "true", 10).returncode == 0, 90)

    def cable(self, server: str, *, plugged: bool) -> None:
        """Pull a server's cable, or plug it in again."""
        if plugged:
            gateway = self.variables(server)["ha_interfaces"]["eth0"].rpartition(".")[0] + ".254"
            script = f"ip link set eth0 up && ip route replace default via {gateway}"
        else:
            script = "ip link set eth0 down"
        run("docker", "exec", server, "sh", "-c", script)

    def status(self, client: str, folder: str) -> str:
        """Return what a client says of the volume of a folder."""
        return self.ssh(client, f"cfs listvol {folder}", 60).stdout

    def tree(self, client: str, folder: str) -> dict[str, str]:
        """Return what a client sees below a folder: the contents of files, and where links lead."""
        done = self.ssh(client, f"python3 -c {shlex.quote(WALK)} {folder}", 180)
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            raise HarnessError(f"{client} can't list {folder}: {done.stderr[-300:]}") from None


def later(seconds: float, since: float) -> None:
    """Sleep until some seconds after a moment of time.monotonic()."""
    time.sleep(max(0.0, since + seconds - time.monotonic()))
