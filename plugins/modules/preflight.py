# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The documentation of the action plugin of the same name; nothing here ever runs.

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find every mistake of an inventory at once, without touching a host
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Reads the variables of all hosts of the inventory on the controller and checks them against each other and against
    the argument specifications of the roles of this collection.
  - Fails with all findings at once. Opens no connection, whatever host it runs for.
  - Fails where ansible-core is older than the collection needs.
  - Looks into the files of the inventory for what Ansible only warns of, keys that are written twice, and groups that
    are their own descendants.
  - A warning stops the run as an error does, unless its name is in C(ha_acknowledged).
  - Values that may be secret are never shown.
options: {}
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.reads
attributes:
  action:
    support: full
    description: Runs on the controller.
  platform:
    platforms: all
    details: Touches no host.
"""

EXAMPLES = r"""
- name: Refuse a wrong inventory
  hosts: localhost:all
  gather_facts: false
  tasks:
    - name: Check the whole inventory
      codalvs.ha.preflight:
      run_once: true
"""

RETURN = r"""
findings:
  description: All that is wrong, errors first.
  type: list
  elements: dict
  returned: with C(-v)
  contains:
    rule:
      description: Name of the rule; the one to put into C(ha_acknowledged) for a warning.
      type: str
    severity:
      description: V(error), V(warning), or V(acknowledged) for a warning that is named in C(ha_acknowledged).
      type: str
    host:
      description: A host, several hosts, V(all hosts), or V(inventory) for what belongs to none.
      type: str
    variable:
      description: The variable with the path inside of it.
      type: str
      sample: ha_virtual_services[3].check.interval
    value:
      description: The value as text, shortened; V((hidden\)) where it may be secret.
      type: str
    problem:
      description: What is wrong, and what is allowed.
      type: str
    remedy:
      description: What to do.
      type: str
msg:
  description: The findings as a text for people.
  type: str
  returned: always
"""
