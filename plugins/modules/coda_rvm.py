#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_rvm
short_description: Initialise a Coda server's RVM and partitions, once and never again
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Makes RVM's log and data with Coda's own C(rvmutl) and C(rdsinit), and the file C(FTREEDB) that makes a folder a
    partition.
  - Those programs destroy a server that has files, and report success. This module decides by what is on the disk, and
    keeps marks of its own in O(state_dir). Where it can't be sure, it changes nothing and says what to do.
  - Work that was cut short is begun anew, which is safe as long as the server is never started without the mark
    C(rvm.json); let its unit say so (C(AssertPathExists)).
options:
  log:
    description: RVM's log, a file.
    type: path
    required: true
  log_size:
    description: Its size in MiB.
    type: int
    required: true
  data:
    description: RVM's data, a file.
    type: path
    required: true
  data_size:
    description: Its size in MiB. The server keeps all of it in memory.
    type: int
    required: true
  partitions:
    description: Folders that hold the contents of files, each on a file system of its own. A new one must be empty.
    type: list
    elements: path
    required: true
  state_dir:
    description: Folder of the marks C(rvm.begun) and C(rvm.json).
    type: path
    default: /vice
  adopt:
    description: Take over a server that was initialised by hand, as it is.
    type: bool
    default: false
extends_documentation_fragment:
  - codalvs.ha.attributes
attributes:
  check_mode:
    support: full
    details: Refuses what would be refused.
  diff_mode:
    support: full
    details: The mark before and after.
  platform:
    platforms: posix
    details: Linux with Coda's server; root.
seealso:
  - module: codalvs.ha.coda_volume
"""

EXAMPLES = r"""
- name: Initialise RVM and the partition
  codalvs.ha.coda_rvm:
    log: /vice/rvm/LOG
    log_size: 20
    data: /vice/rvm/DATA
    data_size: 256
    partitions: [/vicepa]
"""

RETURN = r"""
initialised:
  description: Whether RVM was made in this run, or would be.
  type: bool
  returned: success
layout:
  description: What the server is initialised with; sizes in bytes.
  type: dict
  returned: success
  sample: {log: /vice/rvm/LOG, log_size: 20971520, data: /vice/rvm/DATA, data_size: 268435456, partitions: [/vicepa]}
"""

import json
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import write_whole
from ansible_collections.codalvs.ha.plugins.module_utils._coda.rvm import MIB, TREE, Found, Layout, plan

# As in upstream's vice-setup-rvm.
START = "0x50000000"  # where RVM's data is mapped
STATIC = 1 << 20  # bytes that never move
OWN = 65536  # bytes that RVM keeps for itself
LISTS = "80"
CHUNK = "64"


class Disk:
    """The marks, and what they are about."""

    def __init__(self, state_dir: str) -> None:
        self.begun, self.done = Path(state_dir) / "rvm.begun", Path(state_dir) / "rvm.json"

    def look(self, wanted: Layout) -> Found:
        """Return what is on the disk."""
        paths = [Path(path) for path in (wanted.log, wanted.data)]
        folders = [Path(path) for path in wanted.partitions]
        memory = re.search(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        return Found(
            json.loads(self.done.read_text()) if self.done.exists() else None,
            json.loads(self.begun.read_text()) if self.begun.exists() else None,
            {str(path): path.stat().st_size for path in paths if path.exists()},
            {str(path): [entry.name for entry in path.iterdir()] for path in folders if path.exists()},
            int(memory[1]) * 1024 if memory else 0,
            {str(path): device(path) for path in folders},
        )

    def begin(self, layout: Layout) -> None:
        """Note that whatever is in these paths from now on may be thrown away."""
        write_whole(self.begun, json.dumps(layout.as_data()) + "\n")

    def finish(self, layout: Layout) -> None:
        """Note that it may never be thrown away again."""
        write_whole(self.done, json.dumps(layout.as_data()) + "\n")
        self.begun.unlink(missing_ok=True)


def device(path: Path) -> int:
    """Return the file system that a folder is on, or would be."""
    return next(place.stat().st_dev for place in (path, *path.parents) if place.exists())


def initialise(module: AnsibleModule, wanted: Layout) -> None:
    """Make log and data. This throws away what an earlier run has begun."""
    for path in (wanted.log, wanted.data):
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(path).unlink(missing_ok=True)
    heap = wanted.data_size - STATIC - OWN
    for command, given in (
        (["rvmutl"], f"i {wanted.log} {wanted.log_size // MIB}M\nq\n"),
        (
            [
                "rdsinit",
                "-f",
                wanted.log,
                wanted.data,
                str(wanted.data_size),
                START,
                str(heap),
                str(STATIC),
                LISTS,
                CHUNK,
            ],
            "",
        ),
    ):
        _code, out, err = module.run_command(command, data=given, check_rc=True)
        # Their exit codes say little, so look at what they must have made.
        if not Path(wanted.log).exists():
            module.fail_json(msg=f"{command[0]} made no {wanted.log}", stdout=out, stderr=err)
    size = Path(wanted.data).stat().st_size if Path(wanted.data).exists() else 0
    if size != wanted.data_size:
        module.fail_json(
            msg=f"rdsinit left {wanted.data} with {size} bytes in place of {wanted.data_size}", stdout=out, stderr=err
        )


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, decide, initialise, and return the result."""
    given = module.params
    wanted = Layout(
        given["log"], given["log_size"] * MIB, given["data"], given["data_size"] * MIB, tuple(given["partitions"])
    )
    disk = Disk(given["state_dir"])
    found = disk.look(wanted)
    decided = plan(found, wanted, given["adopt"])
    if decided.refusal:
        module.fail_json(msg=f"Nothing was changed. {decided.refusal}")
    if not module.check_mode:
        if decided.initialise:
            disk.begin(wanted)
            initialise(module, wanted)
        for path in decided.trees:
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
            (Path(path) / TREE).touch()
        if decided.mark:
            disk.finish(wanted)
    result = {
        "changed": bool(decided.mark or decided.trees),
        "initialised": decided.initialise,
        "layout": wanted.as_data(),
    }
    if module._diff:
        result["diff"] = {"before": found.done or {}, "after": wanted.as_data()}
    return result


def main() -> None:
    """Initialise a server's RVM and partitions."""
    module = AnsibleModule(
        argument_spec={
            "log": {"type": "path", "required": True},
            "log_size": {"type": "int", "required": True},
            "data": {"type": "path", "required": True},
            "data_size": {"type": "int", "required": True},
            "partitions": {"type": "list", "elements": "path", "required": True},
            "state_dir": {"type": "path", "default": "/vice"},
            "adopt": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
