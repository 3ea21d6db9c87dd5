# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to this machine that keeps a warm Python, in place of Ansible's own: see docker.py.

Only the tests' own tasks run on this machine, such as those that ask Docker. Half of their time goes into importing the
library that speaks to it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from warm import WarmConnection

DOCUMENTATION = """
name: local
short_description: Run tasks on this machine by a Python that stays
description: For the project's own tests.
author: The codalvs.ha engineers
options:
  remote_addr:
    description: Name of the machine.
    default: inventory_hostname
    type: str
    vars: [{name: inventory_hostname}]
extends_documentation_fragment: [connection_pipelining]
"""


class Connection(WarmConnection):
    """The local connection of the tests."""

    transport = "local"

    def start_python(self, name: str) -> Sequence[str]:
        return (sys.executable,)

    def no_answer(self, error: Exception) -> tuple[int, bytes, bytes]:
        return 1, b"", f"the Python that stays on this machine does not answer: {error}".encode()
