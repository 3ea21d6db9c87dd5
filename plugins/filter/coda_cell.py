# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.coda_cell: the servers of the Coda cell and its common files, from hostvars and groups."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.coda_cell import VARIABLES, cell
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError, Values
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import Hostvars, once_a_task, options_of


@once_a_task
def coda_cell_filter(hostvars: Any, groups: dict[str, list[str]]) -> dict[str, Any]:
    """Return the cell that the inventory describes; see plugin_utils/_inventory/coda_cell.py for the shape."""
    try:
        return cell(Values(Hostvars(hostvars, lambda _host: VARIABLES), options_of(VARIABLES)), groups)
    except (ClusterError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"The inventory describes no usable Coda cell: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"coda_cell": coda_cell_filter}
