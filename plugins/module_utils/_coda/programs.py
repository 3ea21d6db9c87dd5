# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Coda modules share: the cell's files on the SCM, whole files, the programs volutil and cfs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._coda.volumes import (
    Cell,
    Listing,
    parse_listing,
    parse_servers,
    parse_vrlist,
    strays,
)

DB = Path("/vice/db")
LIST = DB / "VRList"


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def rename(path: Path, target: Path) -> Path:
    """Give a file its name when its contents are on the disk, and return that: it is there as a whole or not at all."""
    flush(path)
    path.replace(target)
    flush(target.parent)
    return target


def write_whole(path: Path, text: str) -> None:
    """Write a file as a whole or not at all, even in a power cut. One that is there keeps its mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    candidate = path.with_name(path.name + ".new")
    candidate.write_text(text, encoding="utf-8")
    if path.exists():
        candidate.chmod(path.stat().st_mode & 0o7777)
    rename(candidate, path)


def need_scm(module: Any) -> str:
    """Return the SCM's name; the module fails on any other host."""
    own, scm = Path("/vice/hostname"), DB / "scm"
    if not own.exists() or not scm.exists():
        module.fail_json(msg="This host is no Coda server: it has no /vice/hostname or no /vice/db/scm.")
    if own.read_text() != scm.read_text():
        name = scm.read_text().strip()
        module.fail_json(msg=f"{own.read_text().strip()} is not the SCM of its cell: run this on {name}.")
    return scm.read_text().strip()


def volutil(module: Any, server: str, *words: str) -> str:
    """Run volutil against a server and return what it printed; the module fails with it."""
    code, out, err = module.run_command(["volutil", "-h", server, *words])
    if code:
        module.fail_json(
            msg=f"volutil {words[0]} of {server} failed: {_last_line(err) or _last_line(out)}", stdout=out, stderr=err
        )
    return str(out)


def listing(module: Any, server: str) -> Listing | None:
    """Return what a server holds; None if it does not answer."""
    code, out, _err = module.run_command(["volutil", "-h", server, "getvolumelist"])
    return None if code else parse_listing(out)


def look(module: Any, scm: str) -> Cell:
    """Return the state of the cell, as its servers say."""
    ids = parse_servers((DB / "servers").read_text())
    listings = {server: listing(module, server) for server in ids.values()}
    if listings.get(scm) is None:
        module.fail_json(
            msg=f"The file server of the SCM, {scm}, does not answer. See /vice/srv/SrvErr and /vice/srv/SrvLog there."
        )
    dump = Path(module.tmpdir) / "vrlist"
    dump.unlink(missing_ok=True)
    volutil(module, scm, "dumpvrdb", str(dump))
    cell = Cell(parse_vrlist(dump.read_text()), listings, ids, {})
    parents = {}
    for server, volume in strays(cell):
        text = volutil(module, server, "info", f"{volume.id:x}")
        if match := re.search(r"^replicated groupId = ([0-9a-f]+)$", text, re.MULTILINE):
            parents[volume.id] = int(match[1], 16)
    return cell._replace(parents=parents)


def need_client(module: Any) -> None:
    """Fail where no Coda client runs: there, cfs reports success for most subcommands."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    if not any(words[2] == "coda" for words in mounts):
        module.fail_json(
            msg="No Coda client runs on this host: nothing of the type coda is mounted. Start coda-client.service."
        )


def as_user(module: Any, *command: str) -> tuple[int, str, str]:
    """Run a command as the user of the option `uid`, if it is given; return exit code, output and errors."""
    uid = module.params["uid"]
    prefix = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    code, out, err = module.run_command([*prefix, *command], cwd="/")
    return int(code), str(out), str(err)


def cfs(module: Any, *words: str) -> str:
    """Run cfs and return all that it said; its exit code tells nothing."""
    _code, out, err = as_user(module, "cfs", *words)
    return (out + err).strip("\n")


def kind(module: Any, path: str) -> str:
    """Return what is at a path, in the words of stat(1), such as 'directory' or 'symbolic link'; '' for nothing."""
    code, out, _err = as_user(module, "stat", "--format", "%F", path)
    return "" if code else out.strip()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
