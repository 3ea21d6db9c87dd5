# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.haresources: the resources that a file of Heartbeat's names."""

from __future__ import annotations

from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import parse_haresources


def haresources(text: str) -> list[dict[str, Any]]:
    """Return [{node, script, arguments}], in the file's order."""
    return [
        {"node": group.node, "script": resource.script, "arguments": list(resource.arguments)}
        for group in parse_haresources(text)[0]
        for resource in group.resources
    ]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"haresources": haresources}
