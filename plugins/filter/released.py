# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.released: the resources of Heartbeat's that a director stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import released


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Return the filters of this file by name."""
        return {"released": released}
