# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to whole test machines that keeps a warm Python on each, in place of ssh: see docker.py.

It keeps one ssh connection, which ends some seconds after the machine loses power or its cable. A task that waits then
finds the machine unreachable, as with ssh.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from warm import WarmConnection

DOCUMENTATION = """
name: warm_ssh
short_description: Run tasks on a machine reached by ssh by a Python that stays
description: For the project's own tests.
author: The codalvs.ha engineers
options:
  remote_addr:
    description: Address of the machine.
    default: inventory_hostname
    type: str
    vars: [{name: inventory_hostname}, {name: ansible_host}]
  remote_user:
    description: Who logs in there.
    type: str
    vars: [{name: ansible_user}]
  ssh_common_args:
    description: Arguments of ssh.
    default: ''
    type: str
    vars: [{name: ansible_ssh_common_args}]
extends_documentation_fragment: [connection_pipelining]
"""

SETTINGS = {
    "ControlMaster": "no",
    "ControlPath": "none",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "4",
    "ServerAliveCountMax": "3",
}


class Connection(WarmConnection):
    """The ssh connection of the tests."""

    transport = "warm_ssh"

    def start_python(self, name: str) -> Sequence[str]:
        settings = [word for item in SETTINGS.items() for word in ("-o", "=".join(item))]
        login = f"{self.get_option('remote_user')}@{name}"
        return "ssh", *settings, *shlex.split(self.get_option("ssh_common_args")), login, "python3"

    def no_answer(self, error: Exception) -> tuple[int, bytes, bytes]:
        raise AnsibleConnectionFailure(f"{self.get_option('remote_addr')} does not answer: {error}") from error
