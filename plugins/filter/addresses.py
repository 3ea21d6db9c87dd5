# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.addresses: what a host has, and what the inventory says it has, in one spelling."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError, addresses


def addresses_filter(source: Any) -> list[str]:
    """Return ['eth0: 192.0.2.11/24', …]; see plugin_utils/_inventory/model.py."""
    try:
        return addresses(source)
    except (ClusterError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"These are no addresses: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"addresses": addresses_filter}
