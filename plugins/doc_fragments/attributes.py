# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several modules document: their attributes, and options that they share."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments by name. Each module extends DOCUMENTATION, which explains the attributes, and others that it needs."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Tells what it would change, and changes nothing.
  diff_mode:
    description: Shows what it changes, before and after.
  platform:
    description: The hosts that it runs on.
    support: full
"""

    READS = r"""
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: N/A
    details: Reads only.
"""

    CODA_CLIENT = r"""
options:
  uid:
    description:
      - Number of the local user whose tokens are used; no account of it is needed.
      - If not given, those of the user who runs the module.
    type: int
attributes:
  action_group:
    description: Takes the C(module_defaults) of C(group/codalvs.ha.coda_client), such as O(uid).
    support: full
    membership: [codalvs.ha.coda_client]
  platform:
    platforms: posix
    details: A Coda client that runs.
"""

    CODA_SCM = r"""
attributes:
  platform:
    platforms: posix
    details: The SCM of a Coda cell, with its file server running; root.
"""

    HEARTBEAT_VIPS = r"""
attributes:
  action_group:
    description: Takes the C(module_defaults) of C(group/codalvs.ha.heartbeat_vips), such as O(vips).
    support: full
    membership: [codalvs.ha.heartbeat_vips]
"""

    IPVS = r"""
attributes:
  platform:
    platforms: posix
    details: Linux with IPVS; root.
"""
