# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action codalvs.ha.role_check: refuses variables that a role can't use, opens no connection."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import plain, read_role
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.role import old_names, refused


class ActionModule(ActionBase):
    """Compare the variables of the task's role with what the role can use."""

    TRANSFERS_FILES = False
    _VALID_ARGS: frozenset[str] = frozenset()
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return all that is wrong with the variables that are set; it does not evaluate the role's defaults."""
        result = super().run(tmp, task_vars)
        variables, role = task_vars or {}, self._task._role
        if role is None:
            return {**result, "changed": False, "failed": True, "msg": "This action works in the tasks of a role."}
        name, defaults = role.get_name(include_role_fqcn=False), role.get_default_vars()
        own = read_role(name)
        shared = {key: option for key, option in read_role("preflight").items() if key in defaults}
        given = {
            key: plain(self._templar.template(variables[key]))
            for key in (*own, *shared, *old_names(shared))
            if key in variables and (key not in defaults or variables[key] != defaults[key])
        }
        wrong = refused(given, own, shared)
        text = f"Variables of the role {name}: {'. '.join(wrong)}. Nothing was changed." if wrong else ""
        return {**result, "changed": False, "failed": bool(wrong), "msg": text or "The role can use its variables."}
