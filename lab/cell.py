# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the Coda cell share: its servers, how to run roles on them, and what a file server says it has."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, HarnessError, run

ONE, TWO, THREE = SERVERS = ("coda1.coda.test", "coda2.coda.test", "coda3.coda.test")
INVENTORY = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
PLAYBOOK = ROOT / "molecule" / "coda" / "roles.yml"
PLACE = "/opt/modules"  # of the collection's modules on the servers, for harness.Machine


def run_roles(host: str, *roles: str, part: str = "main", inventory: Path | None = None) -> str:
    """Run roles of the collection on a server, or of each role the task file named part; return what Ansible says.

    inventory: another one, whose values override the cell's own.
    """
    more = ["-i", str(inventory)] if inventory else []
    names = [f"codalvs.ha.{role}" for role in roles]
    wanted = json.dumps({"test_host": host, "test_roles": names, "test_part": part})
    return run("ansible-playbook", "-i", str(INVENTORY), *more, str(PLAYBOOK), "--extra-vars", wanted)


def refusal(host: str, *roles: str, part: str = "main", inventory: Path | None = None) -> str:
    """Run roles that must fail; return what Ansible says, in one line."""
    with pytest.raises(HarnessError) as failure:
        run_roles(host, *roles, part=part, inventory=inventory)
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", failure.value.output).split())


def write_inventory(path: Path, group: str, host: str, **variables: Any) -> Path:
    """Write an inventory that puts a host into a group, with these variables; return its path."""
    path.write_text(json.dumps({group: {"hosts": {host: variables}}}))
    return path


def volumes(server: str, by: str) -> dict[str, str]:
    """Return a file server's replicas and their partitions, as that server, or another one that asks it, sees them."""
    listed = run("docker", "exec", by, "volutil", "-h", server, "getvolumelist")
    return dict(re.findall(r"^W(\S+) I\S+ H\S+ P(\S+) ", listed, re.MULTILINE))


def answers(server: str) -> bool:
    """Return whether a file server answers, whatever it has."""
    try:
        volumes(server, by=server)
    except HarnessError:
        return False
    return True


def serves(server: str, volume: str) -> bool:
    """Return whether a file server answers and has a replica."""
    return answers(server) and volume in volumes(server, by=server)
