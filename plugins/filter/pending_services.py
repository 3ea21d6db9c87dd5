# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.pending_services: what a director's file would become beside weights."""

from __future__ import annotations

from typing import Any

from ansible_collections.codalvs.ha.plugins.plugin_utils._pending import pending


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"pending_services": pending}
