# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The documentation of the action plugin of the same name; nothing here ever runs.

from __future__ import annotations

DOCUMENTATION = r"""
module: directors_wait
short_description: Look at all directors again and again until they fulfil a condition together
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Ansible's C(until) sees one host. To tell whether exactly one director holds each address, or whether one knows
    the other's connections, all have to be looked at together.
  - All hosts of the play run this task at once. Each looks at itself, waits until the others have looked, and
    compares, so all end with the same result. Changes nothing.
  - It needs as many forks as the play has hosts (C(--forks), 5 by default), and can't be used with C(serial), C(loop),
    C(until) or a condition that leaves a host of the play out.
options:
  until:
    description:
      - V(one_holder) - Heartbeat is active on all directors, and by the kernel's word each VIP is on exactly one of
        them.
      - V(balanced) - that, and in each director's IPVS table every service has a real server that takes connections,
        and real servers get packets in the way that the inventory asks for. In cold standby a director without VIPs has
        no service.
      - V(synced) - both sync daemons run everywhere, and the other director knows 95 % of the connections of each that
        has VIPs, or all but five.
    type: str
    choices: [one_holder, balanced, synced]
    required: true
  cluster:
    description: What the inventory says, as P(codalvs.ha.cluster#filter) returns it.
    type: dict
    required: true
  absent:
    description: Hosts that are known to be down, such as C(ha_absent). What Heartbeat says of them doesn't count.
    type: list
    elements: str
    default: []
  looks:
    description: How often it looks at most, with a second between two looks. After that, the task fails on all hosts.
    type: int
    default: 30
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.reads
attributes:
  action:
    support: full
    description: Compares on the controller what modules see on the hosts.
  platform:
    platforms: posix
    details: Debian with Heartbeat 3; root.
seealso:
  - module: codalvs.ha.heartbeat_info
  - module: codalvs.ha.ipvs_info
"""

EXAMPLES = r"""
- name: Wait until exactly one director holds each VIP
  codalvs.ha.directors_wait:
    until: one_holder
    cluster: "{{ hostvars | codalvs.ha.cluster(groups) }}"
    absent: "{{ ha_absent | default([]) }}"
"""

RETURN = r"""
looked:
  description: How often it looked.
  type: int
  returned: always
lacking:
  description: What the last look found wrong, each with its host; empty on success.
  type: list
  elements: str
  returned: always
  sample: [192.0.2.30 is on none of dir1 and dir2]
heartbeat:
  description: What M(codalvs.ha.heartbeat_info) last said of this host, also when the looks are over.
  type: dict
  returned: when all hosts answered
ipvs:
  description: What M(codalvs.ha.ipvs_info) last said of this host, with C(fingerprints) for O(until=synced).
  type: dict
  returned: success, and O(until) is not V(one_holder)
known:
  description:
    - How much of the connections of each director with VIPs the other one knows, by host, as
      P(codalvs.ha.synced#filter) says it, and in a sentence, C(told).
  type: dict
  returned: with O(until=synced), when all hosts answered
"""
