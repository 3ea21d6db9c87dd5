# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The documentation of the action plugin of the same name; nothing here ever runs.

from __future__ import annotations

DOCUMENTATION = r"""
module: role_check
short_description: Refuse what a role of this collection can't use of its variables
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - The first task of each role. Ansible's own comparison with the argument specification comes before it, and does not
    know of the three mistakes that this one finds. So roles refuse them without M(codalvs.ha.preflight), too.
  - A variable whose value is null hides the role's default, but gives no value.
  - Some variables had other names once, which no role reads any longer.
  - Those of the cluster, C(ha_checker) and C(ha_standby), are in the specification of the role C(codalvs.ha.preflight)
    only.
  - Works on the controller, and only in the tasks of a role.
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
seealso:
  - module: codalvs.ha.preflight
"""

EXAMPLES = r"""
- name: Check the role's variables
  codalvs.ha.role_check:
"""

RETURN = r"""
msg:
  description: What is wrong with which variable, and what to do.
  type: str
  returned: always
"""
