#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_volume_info
short_description: Gather the volumes of a Coda cell, and what its file servers hold
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Asks the SCM for the replicated volumes and every file server for what it holds, and reads only. Run it on the SCM.
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.reads
  - codalvs.ha.attributes.coda_scm
seealso:
  - module: codalvs.ha.coda_volume
"""

EXAMPLES = r"""
- name: Look at the cell
  codalvs.ha.coda_volume_info:
  register: coda

- name: All file servers answer, and no replica is left over
  ansible.builtin.assert:
    that:
      - coda.servers | rejectattr('up') | length == 0
      - coda.strays | length == 0
"""

RETURN = r"""
volumes:
  description: The replicated volumes, sorted by name.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    id:
      description: Its number, hexadecimal.
      type: str
    replicas:
      description:
        - Its replicas. Where a server does not answer or has lost it, C(partition), C(used) and C(quota) are empty.
      type: list
      elements: dict
      contains:
        server:
          description: The server that holds it.
          type: str
        partition:
          description: The partition that it is in.
          type: str
        id:
          description: Its number, hexadecimal.
          type: str
        used:
          description: KiB in use.
          type: int
        quota:
          description: Its limit in KiB, 0 for none.
          type: int
servers:
  description: The file servers.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    id:
      description: Its number.
      type: int
    up:
      description: Whether it answers.
      type: bool
    partitions:
      description: Its partitions, with C(path), and C(total) and C(free) in KiB.
      type: list
      elements: dict
strays:
  description: Replicas that no replicated volume knows, with C(server), C(name) and C(id); an attempt was cut short.
  type: list
  elements: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import look, need_scm
from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import Cell, Listing, describe, strays


def result(cell: Cell) -> dict[str, Any]:
    """Return the cell as the result of the module."""
    return {
        "volumes": describe(cell),
        "servers": [
            {
                "name": name,
                "id": number,
                "up": cell.listings[name] is not None,
                "partitions": _partitions(cell.listings[name]),
            }
            for number, name in sorted(cell.ids.items())
        ],
        "strays": [
            {"server": server, "name": volume.name, "id": f"{volume.id:08x}"} for server, volume in strays(cell)
        ],
    }


def _partitions(listing: Listing | None) -> list[dict[str, Any]]:
    found = sorted(listing.partitions.items()) if listing else []
    return [{"path": path, "total": total, "free": free} for path, (total, free) in found]


def main() -> None:
    """Look at the cell."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, **result(look(module, need_scm(module))))


if __name__ == "__main__":
    main()
