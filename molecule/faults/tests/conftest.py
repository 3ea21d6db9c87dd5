# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each test of the fault table begins with."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("faults")  # what its assertions compare is told, as it is for those of tests

from faults import wait_whole  # noqa: E402


@pytest.fixture
def active() -> str:
    """Return the director that holds the VIP of a whole cluster."""
    return wait_whole()
