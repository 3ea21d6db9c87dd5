#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_backup
short_description: Make archives of the volumes of a Coda cell
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Freezes one replica of each volume for a moment, dumps the frozen state while the volume stays in use, and turns
    that into a tar file with all files and, in C(..CodaACLs.yaml), all access lists. Run it on the SCM.
  - An archive gets its name once it has been read back and is on the disk. Only then are older ones of the same volume
    removed. Problems with one volume, or with names that are too long for an archive, are reported at the end and don't
    stop the other volumes.
  - An archive's name tells when it was made. If the folder holds archives that are later than now, the module makes
    none, since these would count as the newest ones. Set the clock right, or move them to another folder.
  - A run that is killed may leave a replica locked, which keeps clients from sending changes. The next run releases it,
    also after a power cut, since what may be locked is noted in C(/vice/backup/locked).
  - An archive lacks changes that a client has not sent yet, and what only a server has that does not answer.
  - To restore one, unpack it on a client; upstream's C(volutil restore) makes the file server crash. An incremental one
    has to be merged with the dump of its full one before, by C(codamergedump) and C(codadump2tar); the playbook
    C(codalvs.ha.coda_restore) does all that.
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
    description: How many full archives of each volume stay, with the incremental ones that go on from them.
    type: int
    default: 7
  increments:
    description:
      - How many incremental archives of a volume follow a full one, each with all that has changed since that.
      - With V(0), every archive is a full one. Else the dump of a full one stays beside it, as large again.
      - An archive is also a full one if the server no longer knows the last full one, if it comes from another
        server, or if the dump beside that one is damaged.
    type: int
    default: 0
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.coda_scm
attributes:
  check_mode:
    support: full
    details: Says which archives would go.
  diff_mode:
    support: none
    details: Archives are new each time.
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
    incremental:
      description: Whether it is an incremental one.
      type: bool
    files:
      description: How many files, folders and links it brings back, the file with the access lists among them.
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

from ansible_collections.codalvs.ha.plugins.module_utils._coda.backups import (
    BASE,
    END,
    HEADER,
    TOP,
    Header,
    base,
    faults,
    file_name,
    header,
    later,
    outdated,
    since,
)
from ansible_collections.codalvs.ha.plugins.module_utils._coda.programs import look, need_scm, rename, write_whole
from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import Cell

LOCKED = 400.0  # s that a client may hold a volume's lock: LQTIMEOUT (300 s) of codasrv, and some
PAUSE = 2.0  # s between two tries
REST = (".new-dump", ".new-merged", ".new-tar")  # ends of the names of unfinished files
# On the disk: the locks are in the memory of other servers, which need not start again when this host does.
NOTE = Path("/vice/backup/locked")


class BackupError(Exception):
    """Why there is no archive of a volume."""


def places(cell: Cell, names: list[str] | None) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Return an answering server and the number of its replica for each volume, and which volumes have none."""
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


def lock(module: AnsibleModule, server: str, number: int) -> str:
    """Lock a replica and return '' or why not. A client that sends changes holds the same lock, for minutes at most."""
    end = time.monotonic() + LOCKED
    while True:
        code, out, err = module.run_command(["volutil", "-h", server, "lock", f"{number:x}"])
        if not code:
            return ""
        if not re.search(r"\b11\b", out + err) or time.monotonic() > end:
            return f"it can't be locked on {server}: {(out + err).strip()}"
        time.sleep(PAUSE)


def noted() -> list[tuple[str, str]]:
    """Return the replicas, server and number, that a killed run may have left locked."""
    lines = [line.split() for line in NOTE.read_text(encoding="utf-8").splitlines()] if NOTE.exists() else []
    return [(words[0], words[1]) for words in lines if len(words) == 2]


def note(replicas: list[tuple[str, str]]) -> None:
    """Note what may be locked."""
    write_whole(NOTE, "".join(f"{server} {number}\n" for server, number in replicas))


def release(module: AnsibleModule, cell: Cell) -> None:
    """Release what a killed run has left locked, and no client's lock.

    Nobody can tell whether that run had its lock already, and `volutil unlock` releases anybody's. But `volutil backup`
    refuses a replica that volutil has not locked (S_VolMakeBackups in vol-backup.cc), and else unlocks it at its end.
    """
    away = []
    for server, number in noted():
        if cell.listings.get(server):
            module.run_command(["volutil", "-h", server, "backup", number])
        elif server in cell.listings:
            away.append((server, number))
    if noted():
        note(away)


def freeze(module: AnsibleModule, server: str, number: int) -> tuple[str, str]:
    """Make the backup volume of a replica; return its number, or '' and why not.

    It notes what it locks, for the next run if this one is killed.
    """
    others = [each for each in noted() if each != (server, f"{number:x}")]
    note([*others, (server, f"{number:x}")])
    if fault := lock(module, server, number):
        note(others)
        return "", fault
    code, out, err = module.run_command(["volutil", "-h", server, "backup", f"{number:x}"])
    if code:  # after a success, volutil has unlocked it
        module.run_command(["volutil", "-h", server, "unlock", f"{number:x}"])
    note(others)
    match = re.search(r"Backup \(id = ([0-9a-f]+)\)", out)
    return (match[1], "") if match and not code else ("", f"{server} made no backup volume: {(out + err).strip()}")


def dumped(
    module: AnsibleModule, volume: str, place: tuple[str, str], old: Path | None, new: tuple[Path, Path]
) -> Header:
    """Dump the backup volume at a place (server, number) to new[0]; if only changes came, merge them to new[1]."""
    dump, merged = new
    taken = take(module, *place, dump, old)
    if taken.incremental and old:
        try:
            merge(module, old, dump, merged)
        except BackupError as error:
            module.warn(f"Volume {volume} gets a full archive: {error}")
            taken = take(module, *place, dump, None)
    return taken


def archive(module: AnsibleModule, volume: str, place: tuple[str, int], stamp: str) -> tuple[dict[str, Any], list[str]]:
    """Make one archive and read it back; return what it is, empty if there is none, and what is wrong."""
    folder, increments = Path(module.params["folder"]), module.params["increments"]
    server, number = place
    begin = base([path.name for path in folder.iterdir()], volume, increments)
    old = folder / file_name(volume, begin, BASE) if begin else None
    dump, merged, made = (folder / file_name(volume, stamp, kind) for kind in REST)
    frozen, fault = freeze(module, server, number)
    if fault:
        return {}, [fault]
    problems: list[str] = []
    try:
        taken = dumped(module, volume, (server, frozen), old, (dump, merged))
        run_or_raise(
            module, "codadump2tar", "-rn", TOP, "-f", str(merged if taken.incremental else dump), "-o", str(made)
        )
        with tarfile.open(made) as opened:
            members = opened.getmembers()
        if taken.incremental and begin:
            target = rename(dump, folder / file_name(volume, stamp, since(begin)))
        else:
            target = rename(made, folder / file_name(volume, stamp))
            if increments:
                rename(dump, folder / file_name(volume, stamp, BASE))
                problems += mark(module, server, frozen)
    except (OSError, BackupError, tarfile.TarError) as error:
        return {}, [str(error)]
    made_of = {
        "volume": volume,
        "path": str(target),
        "server": server,
        "incremental": taken.incremental,
        "files": len(members),
        "bytes": target.stat().st_size,
    }
    return made_of, problems + faults(members)


def mark(module: AnsibleModule, server: str, frozen: str) -> list[str]:
    """Let the server's next incremental dumps go on from the one just taken; return what is wrong."""
    try:
        run_or_raise(module, "volutil", "-h", server, "ancient", frozen)
    except BackupError as error:
        return [f"{error}; so the next archive will be a full one, too"]
    return []


def merge(module: AnsibleModule, old: Path, dump: Path, merged: Path) -> None:
    """Merge a full dump and what has changed since into one dump."""
    merged.unlink(missing_ok=True)
    run_or_raise(module, "codamergedump", str(merged), str(old), str(dump))
    if not ends_whole(merged):
        raise BackupError("codamergedump has made half a dump")


def take(module: AnsibleModule, server: str, frozen: str, dump: Path, begin: Path | None) -> Header:
    """Dump the backup volume: only what has changed since the base `begin` if the server knows that base, else all."""
    old = read_header(begin) if begin and ends_whole(begin) else None
    for options in (["-i", "1"], []) if old else ([],):
        run_or_raise(module, "volutil", "-h", server, "dump", *options, frozen, str(dump))
        found = read_header(dump) if dump.exists() and ends_whole(dump) else None
        if not found:
            raise BackupError("the dump is not whole")
        # A server that has marked no dump sends a full one. If it has marked one, that need not be ours.
        if not found.incremental or (old and (found.replica, found.since) == (old.replica, old.mark)):
            return found
    raise BackupError("the server sends what has changed since some dump, where all was asked for")


def run_or_raise(module: AnsibleModule, *command: str) -> None:
    """Run one of Coda's programs. Even when codadump2tar exits with 0, it may print that it has failed.

    codamergedump reads memory that it never wrote, where its tables grow; mallopt(3) fills that with zeros.
    """
    code, out, err = module.run_command(list(command), environ_update={"MALLOC_PERTURB_": "255"})
    if code or (command[0] == "codadump2tar" and err.strip()):
        raise BackupError(f"{command[0]} has failed: {(out + err).strip()}")


def read_header(dump: Path) -> Header | None:
    """Return what a dump says of itself."""
    with dump.open("rb") as file:
        return header(file.read(HEADER))


def remove_rest(folder: Path) -> None:
    """Remove unfinished files. An archive's name never ends like theirs, whatever its volume is called."""
    for path in folder.iterdir():
        if path.name.endswith(REST):
            path.unlink()


def ends_whole(dump: Path) -> bool:
    """Tell whether a dump ends as a whole one does."""
    with dump.open("rb") as file:
        file.seek(max(0, dump.stat().st_size - len(END)))
        return file.read() == END


def refuse(module: AnsibleModule, stamp: str) -> None:
    """Fail if an option is too low, or if an archive would count as newer than those of this run."""
    for name, least in (("keep", 1), ("increments", 0)):
        if module.params[name] < least:
            module.fail_json(msg=f"{name} must be at least {least}, not {module.params[name]}. Nothing was done.")
    folder = Path(module.params["folder"])
    if ahead := later([path.name for path in folder.glob("*")] if folder.exists() else [], stamp):
        module.fail_json(
            msg=f"By this host's clock it is {stamp}, and {folder} holds later archives: {', '.join(ahead)}. If the "
            "clock is right now, it was wrong then: move these to another folder. Nothing was done."
        )


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, make the archives, remove old ones, and return the result. A fault of one volume stops no other."""
    folder, keep, increments = Path(module.params["folder"]), module.params["keep"], module.params["increments"]
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    refuse(module, stamp)
    cell = look(module, need_scm(module))
    found, problems = places(cell, module.params["volumes"])
    for server in (name for name, listing in cell.listings.items() if listing is None):
        module.warn(
            f"The file server {server} does not answer. Archives are of replicas that do, and may lack what it has."
        )
    made, removed = [], []
    if not module.check_mode:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_rest(folder)  # of a run that was killed
        release(module, cell)
    for volume, place in found.items():
        if not module.check_mode:
            archived, wrong = archive(module, volume, place, stamp)
            problems += [f"volume {volume}: {each}" for each in wrong]
            remove_rest(folder)
            if not archived:
                continue
            made.append(archived)
        names = [path.name for path in folder.glob("*")] if folder.exists() else []
        would_be = [file_name(volume, stamp)] if module.check_mode and not base(names, volume, increments) else []
        gone = [folder / name for name in outdated([*names, *would_be], volume, keep)]
        for path in gone if not module.check_mode else ():
            path.unlink()
        removed += [str(path) for path in gone]
    result = {"changed": bool(found), "archives": made, "removed": removed}
    if problems:
        module.fail_json(msg="Not all volumes were archived whole:\n" + "\n".join(problems), **result)
    return result


def main() -> None:
    """Make the archives, one run at a time."""
    os.umask(0o077)
    module = AnsibleModule(
        argument_spec={
            "volumes": {"type": "list", "elements": "str"},
            "folder": {"type": "path", "default": "/vice/backup/archives"},
            "keep": {"type": "int", "default": 7},
            "increments": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    # Not in /run/lock, where any user could take the lock first.
    with open("/run/codalvs-coda-backup", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            module.fail_json(msg="Another backup is being made on this host.")
        module.exit_json(**run(module))


if __name__ == "__main__":
    main()
