# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.ipvs_lines: the lines of ipvsadm(8) that make a table."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import read


def ipvs_lines(services: list[dict[str, Any]]) -> list[str]:
    """Return the lines that `ipvsadm -R` takes; raises AnsibleFilterError with everything wrong with the services."""
    table, problems = read(services)
    if problems:
        raise AnsibleFilterError("\n".join(f"{each.path}: {each.problem}; {each.remedy}" for each in problems))
    return print_table(table)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"ipvs_lines": ipvs_lines}
