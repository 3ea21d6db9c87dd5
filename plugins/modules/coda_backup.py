#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_backup
short_description: Make archives of the volumes of a Coda cell
version_added: 0.1.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Of each volume, freezes one replica for a moment, dumps the frozen state while the volume is used on, and turns that
    into a tar file with all files and, in C(..CodaACLs.yaml), all access lists. Run it on the SCM.
  - An archive gets its name when it is whole and was read back. Older ones go after that.
  - To restore one, unpack it on a client; upstream's C(volutil restore) makes the file server crash.
options:
  volumes:
    description: Names of the volumes; if not given, all replicated ones.
    type: list
    elements: str
  folder:
    description: Where the archives go, best on a file system of its own. Only root can enter it.
    type: path
    default: /vice/backup/archives
  keep:
    description: How many archives of each volume stay.
    type: int
    default: 7
attributes:
  check_mode:
    support: full
    description: Says which archives would go.
  diff_mode:
    support: none
    description: Archives are new each time.
  platform:
    support: full
    platforms: posix
    description: The SCM of a Coda cell, with its file server running; root.
notes:
  - Every archive is a full one. Coda's incremental dumps were as large.
seealso:
  - module: codalvs.ha.coda_acl
"""

EXAMPLES = r"""
- name: All volumes
  codalvs.ha.coda_backup:
    keep: 14
"""

RETURN = r"""
archives:
  description: The archives that were made.
  type: list
  elements: dict
  returned: success
  contains:
    volume:
      description: The volume's name.
      type: str
    path:
      description: The archive.
      type: str
    server:
      description: The server whose replica it is of.
      type: str
    files:
      description: How many files, folders and links are in it, the file with the access lists among them.
      type: int
    bytes:
      description: Its size.
      type: int
removed:
  description: Paths of the older archives that were removed.
  type: list
  elements: str
  returned: success
"""

import fcntl
import os
import re
import tarfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils.coda_backups import faults, file_name, outdated
from ansible_collections.codalvs.ha.plugins.module_utils.coda_edge import look, need_scm, volutil
from ansible_collections.codalvs.ha.plugins.module_utils.coda_volumes import Cell


def places(cell: Cell, names: list[str] | None) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Return a server that answers and the number of its replica, by volume, and which volumes have none."""
    found, problems = {}, []
    for name in names if names is not None else sorted(cell.groups):
        if name not in cell.groups:
            problems.append(f"volume {name}: there is no such replicated volume")
            continue
        for number in cell.groups[name].replicas:
            listing = cell.listings.get(cell.ids.get(number >> 24, ""))
            if listing and any(volume.id == number for volume in listing.volumes):
                found[name] = (cell.ids[number >> 24], number)
                break
        else:
            problems.append(f"volume {name}: no server with a replica answers")
    return found, problems


def freeze(module: AnsibleModule, server: str, number: int) -> str:
    """Make the backup volume of a replica and return its number."""
    code, out, err = module.run_command(["volutil", "-h", server, "lock", f"{number:x}"])
    if code and "11" in out + err:  # locked: by a backup that was killed, for there is but one at a time
        volutil(module, server, "unlock", f"{number:x}")
        code, out, err = module.run_command(["volutil", "-h", server, "lock", f"{number:x}"])
    if code:
        module.fail_json(msg=f"The volume {number:x} on {server} can't be locked: {out}{err}")
    said = volutil(module, server, "backup", f"{number:x}")
    match = re.search(r"Backup \(id = ([0-9a-f]+)\)", said)
    if not match:
        module.fail_json(msg=f"{server} made no backup volume of {number:x}: {said}")
        raise AssertionError
    return match[1]


def archive(module: AnsibleModule, volume: str, server: str, number: int, target: Path) -> dict[str, Any]:
    """Make one archive and read it back."""
    dump, made = target.with_suffix(".dump"), target.with_suffix(".new")
    try:
        volutil(module, server, "dump", freeze(module, server, number), str(dump))
        code, out, err = module.run_command(["codadump2tar", "-f", str(dump), "-o", str(made)])
        if code or not made.exists():
            module.fail_json(msg=f"The dump of volume {volume} can't be read: {out}{err}")
        os.chmod(made, 0o600)
        with tarfile.open(made) as opened:
            members = opened.getmembers()
        if problems := faults(members):
            module.fail_json(msg=f"The archive of volume {volume} is not whole:\n" + "\n".join(problems))
        made.replace(target)
    except (OSError, tarfile.TarError) as error:
        module.fail_json(msg=f"The archive of volume {volume} can't be made: {error}")
    finally:
        for rest in (dump, made):
            rest.unlink(missing_ok=True)
    size = target.stat().st_size
    return {"volume": volume, "path": str(target), "server": server, "files": len(members), "bytes": size}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, make the archives, remove old ones, and return the result."""
    folder, keep = Path(module.params["folder"]), module.params["keep"]
    if keep < 1:
        module.fail_json(msg=f"keep must be at least 1, not {keep}. Nothing was done.")
    scm = need_scm(module)
    found, problems = places(look(module, scm), module.params["volumes"])
    if problems:
        module.fail_json(msg="Nothing was done:\n" + "\n".join(problems))
    made, removed = [], []
    if not module.check_mode:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for volume, (server, number) in found.items():
        target = folder / file_name(volume, stamp)
        if not module.check_mode:
            made.append(archive(module, volume, server, number, target))
        names = [path.name for path in folder.glob("*")] if folder.exists() else []
        removed += [folder / name for name in outdated({*names, target.name}, volume, keep)]
    for path in removed if not module.check_mode else ():
        path.unlink()
    return {"changed": bool(found), "archives": made, "removed": [str(path) for path in removed]}


def main() -> None:
    """Make the archives, one run at a time."""
    os.umask(0o077)
    module = AnsibleModule(
        argument_spec={
            "volumes": {"type": "list", "elements": "str"},
            "folder": {"type": "path", "default": "/vice/backup/archives"},
            "keep": {"type": "int", "default": 7},
        },
        supports_check_mode=True,
    )
    with open("/run/lock/codalvs-coda-backup", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            module.fail_json(msg="Another backup is being made on this host.")
        module.exit_json(**run(module))


if __name__ == "__main__":
    main()
