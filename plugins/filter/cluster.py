# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.cluster: everything the roles need to know, from hostvars and groups."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.cluster import VARIABLES, cluster
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import OWN, ClusterError, parse, viewpoint
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import Hostvars, once_a_task, options_of


@once_a_task
def cluster_filter(hostvars: Any, groups: dict[str, list[str]], here: str = "") -> dict[str, Any]:
    """Return the cluster that the inventory describes; see plugin_utils/_inventory/cluster.py for the shape."""
    view = viewpoint(groups)
    hosts = Hostvars(hostvars, lambda host: VARIABLES if host == view else OWN)
    try:
        return cluster(parse(hosts, groups, options_of(VARIABLES)), here)
    except (ClusterError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"The inventory describes no usable cluster: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"cluster": cluster_filter}
