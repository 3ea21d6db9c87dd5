# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each test of the cell may have: the collection's modules on its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from cell import PLACE, SERVERS
from harness import Machine, install_modules


@pytest.fixture(scope="session", autouse=True)
def _modules() -> None:
    """Put the modules on all servers."""
    for name in SERVERS:
        install_modules(name, PLACE)


@pytest.fixture(scope="module")
def on() -> Iterator[Callable[[str], Machine]]:
    """Return a function that gives the process that runs modules on a server, one for all tests of a file."""
    with ExitStack() as stack:
        there: dict[str, Machine] = {}

        def find(name: str) -> Machine:
            if name not in there:
                there[name] = stack.enter_context(Machine(name, PLACE))
            return there[name]

        yield find
