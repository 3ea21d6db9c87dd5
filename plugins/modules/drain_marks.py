#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drain_marks
short_description: Mark real servers as drained on a director, or take the marks away
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - A real server is drained as long as a file in C(/etc/lvs-drained) has its name, V(ADDRESS) for all ports or
    V(ADDRESS:PORT). The roles C(codalvs.ha.ldirectord) and C(codalvs.ha.lvs_director) give it weight 0 then. This
    module only marks; the playbooks C(codalvs.ha.drain) and C(codalvs.ha.undrain) do all of it.
  - A director that was replaced or away may lack marks. Give the module what the others have (O(others)), and it
    brings this director up to date.
  - If a real server is undrained while a director is away, a file C(.active.NAME) remains until O(whole) says that
    all directors know.
  - It refuses what the marks can't express, before anything is changed.
options:
  drained:
    description: Names of the real servers to mark.
    type: list
    elements: str
    default: []
  active:
    description: Names of the real servers whose marks are removed; an V(ADDRESS) stands for those of its ports, too.
    type: list
    elements: str
    default: []
  others:
    description: What the other directors have, as the module returned it there in RV(found).
    type: list
    elements: str
    default: []
  whole:
    description: Whether every director takes part, and its marks are among O(others).
    type: bool
    default: false
  checker:
    description:
      - Who keeps the IPVS table by the inventory, as C(ha_checker) has it. The module refuses where
        C(/etc/default/ipvsadm) says that this director was configured for another one, and would not follow.
      - Not compared where this is not given.
    type: str
    choices: [ldirectord, none]
extends_documentation_fragment:
  - codalvs.ha.attributes
attributes:
  check_mode:
    support: full
    details: Refuses what would be refused.
  diff_mode:
    support: full
    details: The files before and after.
  platform:
    platforms: posix
    details: Linux; root.
seealso:
  - module: codalvs.ha.ipvs_drain
"""

EXAMPLES = r"""
- name: Read the marks
  codalvs.ha.drain_marks:
  check_mode: true
  register: marks

- name: Mark a real server as drained on both directors
  codalvs.ha.drain_marks:
    drained: [192.0.2.21]
    others: "{{ hostvars.dir1.marks.found + hostvars.dir2.marks.found }}"
    whole: true
"""

RETURN = r"""
found:
  description: The files that were there, sorted; those of programs unknown to this module included.
  type: list
  elements: str
  returned: always
  sample: [.active.192.0.2.22, 192.0.2.21]
names:
  description: Names of the real servers that are drained now, or in check mode would be, sorted.
  type: list
  elements: str
  returned: success
  sample: [192.0.2.21, "[2001:db8::22]:80"]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.drains import NOTE, checker, files, plan, problems

FOLDER = "/etc/lvs-drained"
DEFAULTS = "/etc/default/ipvsadm"


def look(folder: str) -> set[str]:
    """Return the names of the files in a folder, none if there is no such folder."""
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def refusals(given: dict[str, Any], found: set[str]) -> list[str]:
    """Return why nothing can be done here. given: the module's options; found: names of the files in the folder."""
    wrong = problems(found | {*given["others"]}, given["drained"], given["active"], given["whole"])
    if given["checker"] and given["checker"] != configured(DEFAULTS):
        wrong.insert(0, "ha_checker has changed since this director was configured; run codalvs.ha.site first")
    return wrong


def configured(path: str) -> str | None:
    """Return the ha_checker for which the director was configured, None if it was not."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return checker(file.read())
    except FileNotFoundError:
        return None


def write(folder: str, new: set[str], old: set[str]) -> None:
    """Make the new files, readable for everybody, and only then remove the old ones."""
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    for name in sorted(new):
        path = os.path.join(folder, name)
        with open(path, "a", encoding="ascii"):
            os.chmod(path, 0o644)
    for name in sorted(old):
        os.remove(os.path.join(folder, name))


def main() -> None:
    """Read, plan and, except in check mode, write."""
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "drained": names,
            "active": names,
            "others": names,
            "whole": {"type": "bool", "default": False},
            "checker": {"type": "str", "choices": ["ldirectord", "none"]},
        },
        supports_check_mode=True,
    )
    drained, active, others, whole = (module.params[name] for name in ("drained", "active", "others", "whole"))
    try:
        found = look(FOLDER)
        if wrong := refusals(module.params, found):
            module.fail_json(msg=f"Nothing was changed: {'; '.join(wrong)}.", found=sorted(found))
        marks = plan(found, others, drained, active, whole)
        # Hidden files other than notes are somebody else's.
        own = {name for name in found if not name.startswith(".") or name.startswith(NOTE)}
        after = files(marks)
        there = os.path.isdir(FOLDER)
        changed = after != own or not there
        if changed and not module.check_mode:
            write(FOLDER, after - own, own - after)
    except OSError as error:
        module.fail_json(msg=f"{FOLDER}: {error}")
    result = {"changed": changed, "found": sorted(found), "names": sorted(marks.names)}
    if module._diff:
        before = {"", *own} if there else set()
        texts = ["".join(f"{FOLDER}/{name}\n" for name in sorted(each)) for each in (before, {"", *after})]
        result["diff"] = {"before": texts[0], "after": texts[1]}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
