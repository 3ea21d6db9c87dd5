# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.nfs: the addresses of the NFS server and its clients, from hostvars and groups."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.nfs import VARIABLES, nfs
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import Hostvars, once_a_task


@once_a_task
def nfs_filter(hostvars: Any, groups: dict[str, list[str]]) -> dict[str, Any]:
    """Return {clients, servers}; see plugin_utils/_inventory/nfs.py."""
    try:
        return nfs(Hostvars(hostvars, lambda _host: VARIABLES), groups)
    except (ClusterError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"The inventory describes no usable NFS: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"nfs": nfs_filter}
