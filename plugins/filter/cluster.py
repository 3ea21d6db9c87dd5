# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.cluster: everything the roles need to know, from hostvars and groups."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.module_utils.cluster import VARIABLES, ClusterError, cluster


def cluster_filter(hostvars: Any, groups: dict[str, list[str]]) -> dict[str, Any]:
    """Return the cluster that the inventory describes; see module_utils/cluster.py for the shape."""
    names = {name for group in ("directors", "real_servers") for name in groups.get(group, ())}
    try:
        for service in _first_services(hostvars, groups):
            names.update(server["host"] for server in service.get("real_servers") or ())
        hosts = {name: {key: hostvars[name][key] for key in VARIABLES if key in hostvars[name]} for name in names}
        return cluster(hosts, groups)
    except (ClusterError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"The inventory describes no usable cluster: {error}") from error


def _first_services(hostvars: Any, groups: dict[str, list[str]]) -> list[dict[str, Any]]:
    first = next(iter(groups.get("directors") or groups.get("real_servers") or ()), None)
    return (hostvars[first].get("ha_virtual_services") or []) if first else []


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"cluster": cluster_filter}
