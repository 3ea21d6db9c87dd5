# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role refuses of its own variables where preflight has not seen them, in preflight's words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.codalvs.ha.plugins.module_utils._schema import Options, Problem, conform
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.settings import RENAMED, no_value, old_name


def old_names(shared: Options) -> list[str]:
    """Return the old names of variables of the cluster that a role reads."""
    return [old for old, (new, _words) in RENAMED.items() if new in shared]


def refused(given: Mapping[str, object], own: Options, shared: Options) -> list[str]:
    """Return what is wrong with a role's variables, one text each.

    given: those that are set, evaluated, the old names among them; own: the role's options, whose types and choices
    Ansible has compared already; shared: those of the cluster's own variables (ha_...) that the role reads.
    """
    return [_text(each) for name, value in sorted(given.items()) for each in _wrong(name, value, own, shared)]


def _wrong(name: str, value: object, own: Options, shared: Options) -> Iterable[Complaint | Problem]:
    if name in RENAMED:
        return [old_name(name, value, shared)]
    if value is None:
        return [no_value(name)] if name in own or name in shared else []
    problems: list[Problem] = []
    if name in shared:
        conform(shared[name], value, name, problems)
    return problems


def _text(found: Complaint | Problem) -> str:
    place = found.variable if isinstance(found, Complaint) else found.path
    value = f" = {found.value}" if found.value else ""
    return f"{place}{value}: {found.problem}; {found.remedy}"
