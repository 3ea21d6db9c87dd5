#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_volume
short_description: Manage the volumes of a Coda cell
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Takes a list of volumes, compares it with what the cell's servers say, and makes what is missing. Run it on the SCM.
  - All mistakes are named before the first change. What was cut short by a failure is found, and finished.
  - Coda's programs report success even when they fail, so everything is read back from every file server at the end.
  - A volume that is not listed is left alone.
options:
  volumes:
    description: The volumes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, 1 to 29 characters. V(/) is the root of the realm.
        type: str
        required: true
      state:
        description:
          - V(destroyed) removes the volume and B(all files in it), with its backups and clones, on all servers, and
            rebuilds the databases, which upstream's C(purgevol_rep) leaves out.
        type: str
        choices: [present, destroyed]
        default: present
      replicas:
        description:
          - The servers that hold it, 1 to 8; with V(present), required. They can't be changed afterwards.
        type: list
        elements: dict
        default: []
        suboptions:
          server:
            description: Name of a file server, as in C(/vice/db/servers).
            type: str
            required: true
          partition:
            description: Its partition; only where it has several.
            type: str
  timeout:
    description: Seconds until all file servers must know the volumes. They ask the SCM every 30 seconds.
    type: int
    default: 120
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.coda_scm
attributes:
  check_mode:
    support: full
    details: Refuses what would be refused.
  diff_mode:
    support: full
    details: The replicated volumes before and after.
seealso:
  - module: codalvs.ha.coda_volume_info
"""

EXAMPLES = r"""
- name: The root, and a volume on two servers
  codalvs.ha.coda_volume:
    volumes:
      - name: /
        replicas: [{server: coda1.example.net}]
      - name: www
        replicas: [{server: coda1.example.net}, {server: coda2.example.net, partition: /vicepb}]

- name: Remove a volume and all files in it
  codalvs.ha.coda_volume:
    volumes: [{name: old, state: destroyed}]
"""

RETURN = r"""
created:
  description: Names of the volumes that were made.
  type: list
  elements: str
  returned: success
destroyed:
  description: Names of the volumes that were removed.
  type: list
  elements: str
  returned: success
entered:
  description: Names of the volumes that were there, and that clients could not find; they were entered again.
  type: list
  elements: str
  returned: success
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import (
    DB,
    LIST,
    look,
    need_scm,
    rename,
    volutil,
    write_whole,
)
from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import (
    Cell,
    Group,
    Place,
    Step,
    Wanted,
    check,
    next_group,
    plan,
    unlocated,
    vrlist,
)

PAUSE = 1.0  # s between two looks


def wanted(given: list[dict[str, Any]]) -> tuple[list[Wanted], list[str]]:
    """Return the options as volumes, and what is wrong with them."""
    problems, volumes = [], []
    for entry in given:
        replicas = tuple(Place(replica["server"], replica["partition"]) for replica in entry["replicas"])
        if entry["state"] == "present" and not replicas:
            problems.append(f"volume {entry['name']}: name its replicas")
        volumes.append(Wanted(entry["name"], replicas if entry["state"] == "present" else ()))
    return volumes, problems + check(volumes)


class Change:
    """Takes the steps of a plan."""

    def __init__(self, module: AnsibleModule, scm: str, cell: Cell) -> None:
        self.module, self.scm, self.cell = module, scm, cell

    def take(self, steps: list[Step]) -> None:
        """Make and destroy replicas, then tell the databases once of all."""
        made = [self.create(step) for step in steps if not step.destroy]
        for step in steps:
            for replica in step.replicas if step.destroy else ():
                volutil(self.module, replica.server, "purge", f"{replica.id:x}", replica.name)
        # It exits with 0 even if it fails; run() reads back what it did.
        self.module.run_command(["bldvldb.sh"])
        groups = vrlist(self.cell.groups, made, [step.name for step in steps if step.destroy])
        candidate = Path(f"{LIST}.new")
        candidate.write_text(groups)
        volutil(self.module, self.scm, "makevrdb", str(candidate))
        rename(candidate, LIST)
        volutil(self.module, self.scm, "updatedb")

    def create(self, step: Step) -> Group:
        """Make the replicas that are missing, and return the entry of the database."""
        group = step.group or self.new_group()
        ids = []
        for replica in step.replicas:
            number = replica.id
            if number is None:
                out = volutil(self.module, replica.server, "create_rep", replica.partition, replica.name, f"{group:x}")
                number = int(out.split("Volume ")[1].split()[0], 16)
            ids.append(number)
        if len(ids) == 1:
            # As upstream does: a single replica has no other to resolve with.
            volutil(self.module, step.replicas[0].server, "setlogparms", f"{ids[0]:x}", "reson", "0")
        return Group(step.name, group, tuple(ids))

    def new_group(self) -> int:
        """Take the next number, and note that it is taken before it is used."""
        counter = DB / "maxgroupid"
        taken = [*(group.id for group in self.cell.groups.values()), *self.cell.parents.values()]
        number = next_group(counter.read_text() if counter.exists() else "", taken)
        write_whole(counter, f"{number + 1}\n")
        return number


def unknown(module: AnsibleModule, cell: Cell, steps: list[Step]) -> list[str]:
    """Return the steps that some file server does not know of yet, with the server."""
    lacking = []
    for server in (name for name, listing in cell.listings.items() if listing is not None):
        for step in steps:
            code, out, _err = module.run_command(["getvolinfo", server, step.name])
            known = code == 0 and f"\tServerCount {len(step.replicas)}\n" in out
            if (code == 0) if step.destroy else not known:
                lacking.append(f"{step.name} on {server}")
    return lacking


def unentered(cell: Cell, volumes: list[Wanted]) -> list[str]:
    """Return the volumes that clients would not find, although they are there."""
    vldb = DB / "VLDB"
    return unlocated(cell, volumes, vldb.read_bytes() if vldb.exists() else b"")


def change(module: AnsibleModule, scm: str, cell: Cell, volumes: list[Wanted], steps: list[Step]) -> None:
    """Take the steps, read back, and wait until all file servers know of them."""
    Change(module, scm, cell).take(steps)
    after = look(module, scm)
    left, obstacles = plan(after, volumes)
    told = [*obstacles, *(f"volume {step.name}: is as it was" for step in left)]
    told += [f"volume {name}: bldvldb.sh has not entered it in {DB}/VLDB" for name in unentered(after, volumes)]
    if told:
        module.fail_json(msg="The servers took all commands, but have not done this:\n" + "\n".join(told))
    end = time.monotonic() + module.params["timeout"]
    while lacking := unknown(module, after, steps):
        if time.monotonic() > end:
            msg = f"After {module.params['timeout']} s these are not known everywhere: {', '.join(lacking)}."
            module.fail_json(msg=f"{msg} See /vice/misc/UpdateClntLog on those servers.")
        time.sleep(PAUSE)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, plan, take the steps, and return the result. A killed run may have left the location database as it was."""
    volumes, problems = wanted(module.params["volumes"])
    scm = need_scm(module)
    cell = look(module, scm)
    steps, obstacles = plan(cell, volumes) if not problems else ([], [])
    if problems + obstacles:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(problems + obstacles))
    entered = unentered(cell, volumes)
    if (steps or entered) and not module.check_mode:
        change(module, scm, cell, volumes, steps)
    result = {
        "changed": bool(steps or entered),
        "created": [step.name for step in steps if not step.destroy],
        "destroyed": [step.name for step in steps if step.destroy],
        "entered": entered,
    }
    if module._diff:
        result["diff"] = {"before": _lines(cell, []), "after": _lines(cell, steps)}
    return result


def _lines(cell: Cell, steps: list[Step]) -> str:
    """Return the volumes and their servers, a line each, as they are after the steps."""
    places = {
        group.name: [cell.ids.get(number >> 24, "?") for number in group.replicas] for group in cell.groups.values()
    }
    for step in steps:
        places.pop(step.name, None)
        if not step.destroy:
            places[step.name] = [replica.server for replica in step.replicas]
    return "".join(f"{name} on {', '.join(servers)}\n" for name, servers in sorted(places.items()))


def main() -> None:
    """Create and destroy volumes."""
    replica = {"server": {"type": "str", "required": True}, "partition": {"type": "str"}}
    volume = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "destroyed"], "default": "present"},
        "replicas": {"type": "list", "elements": "dict", "default": [], "options": replica},
    }
    module = AnsibleModule(
        argument_spec={
            "volumes": {"type": "list", "elements": "dict", "required": True, "options": volume},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
