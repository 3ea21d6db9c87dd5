#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_mount
short_description: Manage the mount points of a Coda cell's volumes
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Creates and removes mount points. A mount point is a part of the volume that it lies in, so it is made
    once, on any one client of the cell, by a user with Coda's tokens who may insert there.
  - C(cfs mkmount) reports success for a volume that doesn't exist, so the module enters each new mount point, and
    removes it again if that fails.
  - Mount points that are not listed are left alone.
options:
  root:
    description: The folder that all paths start from; that of a realm, say.
    type: path
    required: true
  mounts:
    description: The mount points.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where, below O(root).
        type: str
        required: true
      volume:
        description: Name of the volume; with V(present), required.
        type: str
      state:
        description: V(absent) removes the mount point, not the volume.
        type: str
        choices: [present, absent]
        default: present
  timeout:
    description: Seconds until each volume must be there. Servers ask the SCM for new ones every 30 seconds.
    type: int
    default: 90
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.coda_client
attributes:
  check_mode:
    support: full
    details: Refuses what would be refused; whether a volume is there is known only afterwards.
  diff_mode:
    support: full
    details: The listed mount points before and after.
seealso:
  - module: codalvs.ha.coda_volume
  - module: codalvs.ha.coda_acl
"""

EXAMPLES = r"""
- name: The web's documents
  codalvs.ha.coda_mount:
    root: /coda/example.net
    mounts:
      - {path: www, volume: www}
      - {path: old, state: absent}
"""

RETURN = r"""
created:
  description: Paths of the mount points that were made.
  type: list
  elements: str
  returned: success
removed:
  description: Paths of those that were removed.
  type: list
  elements: str
  returned: success
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.client import by_depth, parse_mount
from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import as_user, cfs, kind, need_client

PAUSE = 1.0  # s between two looks


def look(module: AnsibleModule, path: str) -> tuple[bool, str | None]:
    """Return whether something is at a path, and which volume is mounted there."""
    if not kind(module, path):
        return False, None
    return True, parse_mount(cfs(module, "lsmount", path))


def enterable(module: AnsibleModule, path: str) -> bool:
    """Tell whether there is a folder, or a mount point whose volume answers."""
    return kind(module, f"{path}/.") == "directory"


def plan(
    module: AnsibleModule, mounts: dict[str, str | None]
) -> tuple[dict[str, str | None], list[str], list[str], list[str]]:
    """Return the present mount points, those to make, those to remove, and what forbids it."""
    found: dict[str, str | None] = {}
    made, removed, problems = [], [], []
    for path in by_depth(mounts):
        there, volume = look(module, path)
        found[path] = volume
        if there and volume is None:
            problems.append(f"{path} is there and is no mount point: move it away, or choose another path")
        elif volume is None and mounts[path]:
            made.append(path)
            parent = os.path.dirname(path)
            if not enterable(module, parent) and mounts.get(parent) is None:
                problems.append(f"{path}: there is no folder {parent} to mount a volume in; make it first")
        elif volume is not None and mounts[path] is None:
            removed.append(path)
        elif volume is not None and volume != mounts[path]:
            problems.append(f"{path} is the mount point of {volume}, not of {mounts[path]}: remove it first")
        elif volume is not None and not enterable(module, path):
            problems.append(f"{path} is the mount point of {volume}, which does not answer")
    return found, made, removed, problems


def wanted(module: AnsibleModule) -> tuple[dict[str, str | None], list[str]]:
    """Return the wanted volume of each path, None for no mount point, and what is wrong with the options."""
    mounts: dict[str, str | None] = {}
    problems = []
    for entry in module.params["mounts"]:
        path = os.path.normpath(f"{module.params['root']}/{entry['path']}")
        if not path.startswith(f"{module.params['root'].rstrip('/')}/"):
            problems.append(f"{entry['path']} does not lie below {module.params['root']}")
        if path in mounts:
            problems.append(f"{path} is listed twice")
        if entry["state"] == "present" and not entry["volume"]:
            problems.append(f"{path}: name the volume")
        mounts[path] = entry["volume"] if entry["state"] == "present" else None
    return mounts, problems


def make(module: AnsibleModule, path: str, volume: str) -> None:
    """Make one mount point and enter it."""
    said = cfs(module, "mkmount", path, volume)
    end = time.monotonic() + module.params["timeout"]
    while look(module, path)[1] != volume or not enterable(module, path):
        if time.monotonic() > end:
            limit, fault = module.params["timeout"], remove(module, path)
            undone = f"and that can't be undone: {fault}" if fault else "so that was undone."
            msg = f"Volume {volume} can't be entered at {path} {limit} s after it was mounted, {undone}"
            module.fail_json(msg=f"{msg} Is there such a volume, and may this user insert there? {said}".strip())
        time.sleep(PAUSE)


def remove(module: AnsibleModule, path: str) -> str:
    """Remove a mount point; return '' or why it is still there. If it leads nowhere, cfs may leave the link behind."""
    said = cfs(module, "rmmount", path)
    if kind(module, path) == "symbolic link":
        as_user(module, "rm", path)
    return said or "it is still there" if kind(module, path) else ""


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, plan, take the steps, and return the result."""
    mounts, problems = wanted(module)
    if not problems:
        need_client(module)
        found, made, removed, problems = plan(module, mounts)
    if problems:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(problems))
    if not module.check_mode:
        for path in reversed(removed):
            if fault := remove(module, path):
                module.fail_json(msg=f"The mount point {path} is still there: {fault}")
        for path in made:
            make(module, path, str(mounts[path]))
    result: dict[str, Any] = {"changed": bool(made or removed), "created": made, "removed": removed}
    if module._diff:
        after = {**found, **{path: mounts[path] for path in [*made, *removed]}}
        result["diff"] = {"before": _lines(found), "after": _lines(after)}
    return result


def _lines(mounts: dict[str, str | None]) -> str:
    return "".join(f"{path} {volume}\n" for path, volume in sorted(mounts.items()) if volume)


def main() -> None:
    """Make and remove mount points."""
    mount = {
        "path": {"type": "str", "required": True},
        "volume": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "mounts": {"type": "list", "elements": "dict", "required": True, "options": mount},
            "uid": {"type": "int"},
            "timeout": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
