#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_wait
short_description: Wait until a Coda client reaches its volumes and has sent all changes
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Asks the client on this host about volumes until they are as wanted, and reads only.
  - Fails after O(timeout) and says what it saw.
  - A volume in conflict never gets better by waiting, so that ends the wait at once.
options:
  paths:
    description: A path in each of the volumes.
    type: list
    elements: path
    required: true
  reachable:
    description: Whether the servers of the volumes have to answer.
    type: bool
    default: true
  sent:
    description:
      - Whether all changes made on this client have to be on the servers. Until they are, they are lost with its disk.
    type: bool
    default: true
  timeout:
    description: Seconds to wait.
    type: int
    default: 120
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.reads
  - codalvs.ha.attributes.coda_client
"""

EXAMPLES = r"""
- name: Wait until nothing would be lost with this client
  codalvs.ha.coda_wait:
    paths: [/coda/example.net, /coda/example.net/www]
"""

RETURN = r"""
volumes:
  description: What the client said last.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: The path it was asked about.
      type: str
    name:
      description: The volume's name.
      type: str
    reachable:
      description: Whether its servers answer.
      type: bool
    age:
      description: Seconds before a change is sent.
      type: int
    time:
      description: Seconds that sending may take; with 0, a program that changes something waits for the servers.
      type: float
    conflicts:
      description: Whether something in it is in conflict.
      type: bool
    pending:
      description: Changes that the servers don't have.
      type: int
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.client import Volume, parse_volume
from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import as_user, cfs, need_client

PAUSE = 1.0  # s between two looks
CONFLICT = "in conflict: "


def lacking(path: str, link: str, volume: Volume | None, reachable: bool, sent: bool) -> str:
    """Return what one path lacks, '' for nothing. link: where the path leads if it is a symbolic link."""
    if link.startswith("@"):
        return f"{CONFLICT}{path}"
    if volume is None:
        return f"{path} is in no volume that answers"
    if volume.conflicts:
        return f"{CONFLICT}something in volume {volume.name}"
    if reachable and not volume.reachable:
        return f"no server of volume {volume.name} answers"
    if sent and volume.pending:
        return f"{volume.pending} changes in volume {volume.name} are not sent"
    return ""


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look until nothing is lacking or the time is over, and return the result."""
    need_client(module)
    wanted = module.params["reachable"], module.params["sent"]
    end = time.monotonic() + module.params["timeout"]
    while True:
        volumes = {path: parse_volume(cfs(module, "listvol", path)) for path in module.params["paths"]}
        links = {path: as_user(module, "readlink", path)[1] for path in volumes}
        told = [lacking(path, links[path], volume, *wanted) for path, volume in volumes.items()]
        problems = [problem for problem in told if problem]
        if not problems:
            return {"volumes": [{"path": path, **volume._asdict()} for path, volume in volumes.items() if volume]}
        conflicts = [problem for problem in problems if problem.startswith(CONFLICT)]
        if conflicts:
            module.fail_json(msg=f"{'; '.join(conflicts)}. See repair(1).")
        if time.monotonic() > end:
            module.fail_json(msg=f"After {module.params['timeout']} s: {'; '.join(problems)}.")
        time.sleep(PAUSE)


def main() -> None:
    """Wait."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "reachable": {"type": "bool", "default": True},
            "sent": {"type": "bool", "default": True},
            "uid": {"type": "int"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **run(module))


if __name__ == "__main__":
    main()
