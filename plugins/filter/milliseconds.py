# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.milliseconds: a time of ha.cf as a number."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import milliseconds


def milliseconds_filter(time: object) -> int:
    """Return a time as Heartbeat takes it, in whole milliseconds; raises AnsibleFilterError for anything else."""
    try:
        return milliseconds(str(time))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, object]:
        """Return the filters of this file by name."""
        return {"milliseconds": milliseconds_filter}
