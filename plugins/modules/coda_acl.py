#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_acl
short_description: Manage the access lists of Coda's folders
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Takes the whole access list of each folder, compares it with what the servers say, and replaces it where they
    differ. Run it on one client, as a user with Coda's tokens who may administer the folders.
  - C(cfs setacl) reports success for users that don't exist, so each list is read back.
  - New folders inherit the list of the one that they are made in; existing folders don't change with it.
options:
  root:
    description: The folder that all paths start from; that of a realm, say.
    type: path
    required: true
  folders:
    description: The folders.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The folder, below O(root); O(root) itself is V('').
        type: str
        required: true
      rights:
        description:
          - Rights by name of user or group, as letters out of V(rlidwka) (read, lookup, insert, delete, write, lock,
            administer), or V(read), V(write), V(all) or V(none).
          - Members of System:Administrators may change the list whatever is in it.
        type: dict
        required: true
      denied:
        description: Rights that are denied whatever else is given, in the same form.
        type: dict
        default: {}
  timeout:
    description: Seconds until a folder that was made on this client must be on the servers, which have its list.
    type: int
    default: 60
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.coda_client
attributes:
  check_mode:
    support: full
    details:
      - A folder that is not there is taken for one that will be. Whether users are known is seen only afterwards.
  diff_mode:
    support: full
    details: The lists before and after.
seealso:
  - module: codalvs.ha.coda_mount
  - module: codalvs.ha.coda_user
"""

EXAMPLES = r"""
- name: Authors write, everybody reads
  codalvs.ha.coda_acl:
    root: /coda/example.net
    folders:
      - path: www
        rights: {System:Administrators: all, 'anna:authors': write, System:AnyUser: read}
"""

RETURN = r"""
changed_folders:
  description: The folders whose lists were changed.
  type: list
  elements: str
  returned: success
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.client import (
    Acl,
    acl_commands,
    acl_lines,
    parse_acl,
    same_acl,
    wanted_acl,
)
from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import cfs, kind, need_client

PAUSE = 1.0  # s between two looks


def wanted(root: str, given: list[dict[str, Any]]) -> tuple[dict[str, Acl], list[str]]:
    """Return the lists by path, and what is wrong with them."""
    lists: dict[str, Acl] = {}
    problems = []
    for entry in given:
        path = os.path.normpath(f"{root}/{entry['path']}")
        try:
            acl = wanted_acl(entry["rights"], entry["denied"])
        except ValueError as error:
            problems.append(f"{path}: {error}")
            continue
        if path in lists:
            problems.append(f"{path}: is listed twice")
        lists[path] = acl
    return lists, problems


def read(module: AnsibleModule, path: str) -> tuple[Acl, str]:
    """Return a folder's list, without rights if it can't be read, and what cfs said.

    The list is on the servers. While a folder has not been sent to them yet, cfs says that it is busy, or timed out.
    """
    end = time.monotonic() + module.params["timeout"]
    while True:
        said = cfs(module, "listacl", path)
        acl = parse_acl(said)
        if any(acl) or not said or time.monotonic() > end:
            return acl, said
        time.sleep(PAUSE)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, compare, replace what differs, read it back, and return the result."""
    lists, problems = wanted(module.params["root"], module.params["folders"])
    found: dict[str, Acl] = {}
    if not problems:
        need_client(module)
        for path in lists:
            if kind(module, f"{path}/.") != "directory":
                if module.check_mode:
                    found[path] = Acl({}, {})
                else:
                    problems.append(f"{path}: there is no such folder")
                continue
            found[path], said = read(module, path)
            if not any(found[path]):
                problems.append(f"{path}: its list can't be read: {said}")
    if problems:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(problems))
    differing = [path for path, acl in lists.items() if not same_acl(acl, found[path])]
    for path in differing if not module.check_mode else ():
        said = "".join(cfs(module, *words) for words in acl_commands(path, lists[path]))
        after, _said = read(module, path)
        if not same_acl(after, lists[path]):
            problems.append(f"{path}: {' '.join(said.split())}\nIt is:\n{acl_lines(after)}")
    if problems:
        msg = (
            "These access lists are not as they should be. Are all users and groups known, and may this user administer"
        )
        module.fail_json(msg=f"{msg} the folders?\n" + "\n".join(problems))
    result: dict[str, Any] = {"changed": bool(differing), "changed_folders": differing}
    if module._diff:
        result["diff"] = [
            {"before_header": path, "after_header": path, "before": acl_lines(found[path]), "after": acl_lines(acl)}
            for path, acl in lists.items()
        ]
    return result


def main() -> None:
    """Set the access lists."""
    folder = {
        "path": {"type": "str", "required": True},
        "rights": {"type": "dict", "required": True},
        "denied": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "folders": {"type": "list", "elements": "dict", "required": True, "options": folder},
            "uid": {"type": "int"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
