# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to test machines that keeps a warm Python on each, in place of community.docker.docker.

Where Ansible looks for connections in this folder, `ansible_connection: docker` means this one. Starting a process in a
container and importing Ansible's own library take four fifths of the time that a small module takes. So the first task
starts relay.py on this machine, which starts agent.py in the container; both go when the container stops, or after some
minutes without a task. What the modules do, and with what, stays the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from warm import WarmConnection

DOCUMENTATION = """
name: docker
short_description: Run tasks in a container by a Python that stays
description: For the project's own tests.
author: The codalvs.ha engineers
options:
  remote_addr:
    description: Name of the container.
    default: inventory_hostname
    type: str
    vars: [{name: inventory_hostname}, {name: ansible_host}]
extends_documentation_fragment: [connection_pipelining]
"""


class Connection(WarmConnection):
    """The docker connection of the tests."""

    transport = "docker"

    def start_python(self, name: str) -> Sequence[str]:
        return "docker", "exec", "--interactive", name, "python3"

    def no_answer(self, error: Exception) -> tuple[int, bytes, bytes]:
        """As with `docker exec`, so that a task can try again."""
        return 1, b"", f"{self.get_option('remote_addr')} does not answer: {error}".encode()
