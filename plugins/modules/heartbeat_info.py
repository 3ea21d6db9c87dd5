#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_info
short_description: What Heartbeat says on a director, and what the kernel says
version_added: 0.1.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Returns the state of Heartbeat and of its nodes, and which of the given virtual addresses this host really has.
  - Heartbeat's own word for what it holds is no proof (it says V(local) even after every resource failed to start), so
    RV(held) comes from the kernel.
options:
  vips:
    description: Virtual addresses to look for, as P(codalvs.ha.cluster#filter) returns them in C(vips).
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: The address, IPv4 or IPv6, without prefix length.
        type: str
        required: true
      node:
        description: Node name of its preferred director.
        type: str
        required: true
      interface:
        description: Interface that it belongs on; not looked at.
        type: str
      prefix:
        description: Prefix length of its network; not looked at.
        type: int
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Reads only.
  platform:
    support: full
    platforms: posix
    description: Debian with Heartbeat 3.
"""

EXAMPLES = r"""
- name: Wait until this director has what Heartbeat says that it has
  codalvs.ha.heartbeat_info:
    vips: [{address: 192.0.2.10, node: dir1}]
  register: info
  until: info.settled
  retries: 60
  delay: 1
"""

RETURN = r"""
running:
  description: Whether Heartbeat is installed and runs.
  type: bool
  returned: always
node:
  description: This node's name, as Heartbeat folds it (lower case).
  type: str
  returned: always
resources:
  description:
    - Whose resource groups this node holds by Heartbeat's word, V(all), V(local), V(foreign), V(none) or V(transition).
    - Empty when Heartbeat does not run.
  type: str
  returned: always
nodes:
  description: Heartbeat's word on each node, such as V(active) or V(dead).
  type: dict
  returned: always
held:
  description:
    - Those of O(vips) that are on their interface of this host.
    - Where O(vips[].interface) is not given, any interface but lo counts.
  type: list
  elements: str
  returned: always
expected:
  description: Those of O(vips) that this host should hold by RV(resources).
  type: list
  elements: str
  returned: always
settled:
  description: Heartbeat runs, is not in transition, and RV(held) is RV(expected).
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils.heartbeat_state import VIP, look


def main() -> None:
    """Ask Heartbeat and the kernel."""
    module = AnsibleModule(
        argument_spec={"vips": {"type": "list", "elements": "dict", "default": [], "options": VIP}},
        supports_check_mode=True,
    )
    state = look(module, module.params["vips"])
    module.exit_json(changed=False, running=bool(state.nodes), settled=state.settled, **state._asdict())


if __name__ == "__main__":
    main()
