#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_switchover
short_description: Give a director all virtual addresses, or its own, without an outage
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Run it on the director that is to have the addresses. It takes them and tells the network, then lets Heartbeat on
    the other director give them up (and asks again every 15 seconds while it does not), waits until that is so, and
    tells the network once more.
  - For some seconds both directors have them. Established connections go on if both know these
    (M(codalvs.ha.ipvs_sync)) and both have the same table.
  - It refuses, before anything is changed, when this director is not fit to serve. All reasons are named.
  - That the other director has given an address up is Heartbeat's word, which comes after the address is gone; and no
    other host may answer for one in the network of its O(vips[].interface).
  - For Heartbeat 3 with C(haresources) that have addresses only, and the role C(codalvs.ha.heartbeat) with its program
    C(heartbeat-vips). C(auto_failback) may be on or off.
options:
  vips:
    description: All virtual addresses of the two directors, as P(codalvs.ha.cluster#filter) returns them in C(vips).
    type: list
    elements: dict
    required: true
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
        description: Interface that it belongs on. Without it, any but lo counts, and the network is not asked.
        type: str
      prefix:
        description: Prefix length of its network; not looked at.
        type: int
  services:
    description:
      - What it has to serve, as O(codalvs.ha.ipvs#module:services), best as M(codalvs.ha.ipvs_info) returned it on the
        other director.
      - Each service must be in the IPVS table of this director. Of its real servers with a weight, fallbacks included,
        at least one must have a weight there; if it has none, it is down anyway.
    type: list
    elements: dict
    default: []
  only_own:
    description: Take only the addresses that prefer this director (O(vips[].node)), and leave all others.
    type: bool
    default: false
  sync:
    description: Whether the sync daemons, master and backup, must run here.
    type: bool
    default: true
  timeout:
    description: Seconds in which it has to be done. When they have passed, the module fails, and says what it saw last.
    type: int
    default: 120
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.heartbeat_vips
attributes:
  check_mode:
    support: full
    details: Says what would be done, and refuses what would be refused.
  diff_mode:
    support: full
    details: The directors that have each address, before and after.
  platform:
    platforms: posix
    details: Debian with Heartbeat 3; root.
seealso:
  - module: codalvs.ha.heartbeat_info
  - module: codalvs.ha.tcp_probe
"""

EXAMPLES = r"""
- name: See what the directors serve
  codalvs.ha.ipvs_info:
  register: info

- name: Move all addresses to dir2
  codalvs.ha.heartbeat_switchover:
    vips: "{{ (hostvars | codalvs.ha.cluster(groups)).vips }}"
    services: "{{ hostvars.dir1.info.services }}"
  when: inventory_hostname == 'dir2'

- name: Move those that prefer dir1 back to it
  codalvs.ha.heartbeat_switchover:
    vips: "{{ (hostvars | codalvs.ha.cluster(groups)).vips }}"
    services: "{{ hostvars.dir2.info.services }}"
    only_own: true
  when: inventory_hostname == 'dir1'
"""

RETURN = r"""
holders:
  description:
    - The directors that have each address, when the module was through. In check mode, before.
    - With O(only_own), only the addresses that prefer this director.
  type: dict
  returned: success, and when the time was over
  sample: {192.0.2.30: [dir2]}
steps:
  description: What was done, or would be; C(release) is asked of the other director.
  type: list
  elements: str
  returned: success
  sample: [take, release, wait, announce]
seconds:
  description: How long each step took. It is not the outage; that a client has to measure.
  type: dict
  returned: success
  sample: {take: 0.2, release: 0.1, wait: 4.1, announce: 0.2}
unfit:
  description: Why this director was refused.
  type: list
  elements: str
  returned: when it was
"""

import time
from ipaddress import ip_address
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.state import VIP, State, Vips, look
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.switchover import Holders, holders, own, plan, unfit
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.kernel import failing, open_kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import read
from ansible_collections.codalvs.ha.plugins.module_utils._network.neighbours import answered

PAUSE = 1.0  # s between two looks
# s after which the other director is asked once more. Its Heartbeat drops a request without a word while it carries out
# an earlier one, such as a failback that has just moved other addresses.
AGAIN = 15.0


def commands(only_own: bool) -> dict[str, list[str]]:
    """Return what does each step. `local` are the addresses that prefer this director."""
    return {
        "take": ["/usr/local/sbin/heartbeat-vips", "take", *(["local"] if only_own else [])],
        # This makes Heartbeat on the other director run hb_standby.
        "release": ["/usr/share/heartbeat/hb_takeover", "local" if only_own else "all"],
        "announce": ["/usr/local/sbin/heartbeat-vips", "announce"],
    }


def network_answers(vips: Vips) -> set[str]:
    """Return the addresses for which another host answers."""
    found: set[str] = set()
    for interface in sorted({vip["interface"] for vip in vips if vip["interface"]}):
        found |= answered(interface, [str(ip_address(v["address"])) for v in vips if v["interface"] == interface])
    return found


def refuse_unfit(module: AnsibleModule, state: State) -> None:
    """Fail when this director could not serve."""
    wanted, problems = read(module.params["services"])
    if problems:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(f"{each.path}: {each.problem}" for each in problems))
    kernel = open_kernel(module, needed=False)
    with failing(module):
        table = kernel.table() if kernel else {}
        daemons = [daemon.role for daemon in kernel.daemons()] if kernel else []
        answers = network_answers(module.params["vips"])
    reasons = unfit(state, answers, table, wanted, daemons if module.params["sync"] else None)
    if reasons:
        module.fail_json(msg=f"Nothing was changed: {state.node} is not fit: {'; '.join(reasons)}.", unfit=reasons)


def wait(module: AnsibleModule, vips: Vips, end: float, release: list[str]) -> Holders:
    """Wait until this director is the only holder, and return the holders; fail when the time is over.

    release: the command that asks the other director to release what it holds; it is repeated.
    """
    asked = time.monotonic()
    while True:
        state = look(module, vips)
        found = holders(vips, state, ())
        if not plan(found, state.node):
            found = holders(vips, state, network_answers(vips))
            if not plan(found, state.node):
                return found
        if time.monotonic() > end:
            module.fail_json(
                msg=f"After {module.params['timeout']} s, not {state.node} alone has the addresses: {dict(found)}. "
                f"Heartbeat holds here: {state.resources or 'nothing'}; it says of the nodes: {dict(state.nodes)}.",
                holders=found,
            )
        lacking = "release" in plan(found, state.node) and state.resources != "transition"
        if lacking and time.monotonic() > asked + AGAIN:
            module.run_command(release, check_rc=True)
            asked = time.monotonic()
        time.sleep(PAUSE)


def shown(found: Holders) -> str:
    """Return who holds what, an address a line."""
    return "".join(f"{address}: {', '.join(names) or 'nobody'}\n" for address, names in found.items())


def main() -> None:
    """Refuse, or take, let the other one release, wait and announce."""
    module = AnsibleModule(
        argument_spec={
            "vips": {"type": "list", "elements": "dict", "required": True, "options": VIP},
            "services": {"type": "list", "elements": "dict", "default": []},
            "only_own": {"type": "bool", "default": False},
            "sync": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    end, only_own = time.monotonic() + module.params["timeout"], module.params["only_own"]
    state = look(module, module.params["vips"])
    refuse_unfit(module, state)
    vips = own(module.params["vips"], state.node) if only_own else module.params["vips"]
    before: Holders = holders(vips, state, ())
    found, steps = before, plan(before, state.node)
    seconds: dict[str, float] = {}
    for step in [] if module.check_mode else steps:
        began = time.monotonic()
        if step == "wait":
            found = wait(module, vips, end, commands(only_own)["release"])
        else:
            module.run_command(commands(only_own)[step], check_rc=True)
        seconds[step] = round(time.monotonic() - began, 2)
    result: dict[str, Any] = {"changed": bool(steps), "holders": found, "steps": steps, "seconds": seconds}
    if module._diff:
        after = {address: [state.node] for address in before}
        result["diff"] = {"before": shown(before), "after": shown(after)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
