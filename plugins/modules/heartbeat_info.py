#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_info
short_description: Gather what Heartbeat and the kernel say on a director
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Returns the state of Heartbeat and of its nodes, and which of the given virtual addresses this host really has.
  - Heartbeat's own report of what it holds proves nothing (it says V(local) even after every resource failed to
    start), so
    RV(held) comes from the kernel.
  - Also returns how late heartbeats came, which helps to choose a deadtime.
options:
  log:
    description:
      - Heartbeat's log, such as V(/var/log/ha-log), to look for late heartbeats in, its rotated parts included.
      - They are looked for only where it is given.
    type: path
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
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.reads
  - codalvs.ha.attributes.heartbeat_vips
attributes:
  platform:
    platforms: posix
    details: Debian with Heartbeat 3.
"""

EXAMPLES = r"""
- name: Wait until this director has what Heartbeat says that it has
  codalvs.ha.heartbeat_info:
    vips: [{address: 192.0.2.10, node: dir1}]
  register: info
  until: info.settled
  retries: 60
  delay: 1

- name: See how late heartbeats came in the last seven days
  codalvs.ha.heartbeat_info:
    log: /var/log/ha-log
  register: info

- name: Want a deadtime of at least twice that
  ansible.builtin.assert:
    that: info.deadtime_ms >= 2 * info.late.worst_ms
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
deadtime_ms:
  description: The deadtime of the installed C(ha.cf), in milliseconds; 0 where none is installed.
  type: int
  returned: always
late:
  description:
    - Heartbeats that came to this host later than warntime, in the last seven days, from the nodes of the installed
      C(ha.cf), this one included.
    - What came later than RV(deadtime_ms) is left out, for it ended a death. So are ping nodes, which have another
      deadtime.
  type: dict
  returned: when O(log) is given
  contains:
    count:
      description: How many there were.
      type: int
    since:
      description: The time from which on they count, in the host's own time.
      type: str
    worst_ms:
      description: Milliseconds between the latest one and the one before it; 0 without any.
      type: int
    worst_node:
      description: The node that sent it; empty without any.
      type: str
    worst_at:
      description: When it came; empty without any.
      type: str
  sample:
    count: 3
    since: '2026-11-17 22:00:00'
    worst_ms: 1310
    worst_node: dir2
    worst_at: '2026-11-20 04:12:31'
"""

import glob
import gzip
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import deadtime_of, parse_ha_cf
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.log import late_heartbeats, worst_late
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.state import VIP, look

HA_CF = "/etc/ha.d/ha.cf"
LATE_DAYS = 7


def log_lines(log: str, since: datetime) -> Iterator[str]:
    """Yield the lines of a log, and of its rotated parts that were written to since a time."""
    for path in sorted(glob.glob(f"{glob.escape(log)}*")):
        if os.path.getmtime(path) >= since.timestamp():
            with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", errors="replace") as lines:
                yield from lines


def installed_ha_cf() -> str | None:
    """Return the text of ha.cf, None if none is installed."""
    try:
        with open(HA_CF, encoding="utf-8", errors="replace") as lines:
            return lines.read()
    except FileNotFoundError:
        return None


def main() -> None:
    """Ask Heartbeat, its files and the kernel."""
    module = AnsibleModule(
        argument_spec={
            "log": {"type": "path"},
            "vips": {"type": "list", "elements": "dict", "default": [], "options": VIP},
        },
        supports_check_mode=True,
    )
    now = datetime.now()
    since = now - timedelta(days=LATE_DAYS)
    late: dict[str, Any] = {}
    try:
        text = installed_ha_cf()
        config = parse_ha_cf(text or "")[0]
        if module.params["log"]:
            found = late_heartbeats(log_lines(module.params["log"], since), now)
            late = {"late": worst_late(found, config, since)}
    except (OSError, EOFError) as error:
        module.fail_json(msg=f"Heartbeat's files can't be read: {error}")
    state = look(module, module.params["vips"])
    module.exit_json(
        changed=False,
        running=bool(state.nodes),
        settled=state.settled,
        deadtime_ms=0 if text is None else deadtime_of(config),
        **late,
        **state._asdict(),
    )


if __name__ == "__main__":
    main()
