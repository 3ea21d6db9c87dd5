#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coda_user
short_description: Manage the users, groups and passwords of a Coda cell
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Takes lists of users and groups, compares them with Coda's protection database and C(auth2.pw) on the SCM, and makes
    what is missing. It also makes both files for a new cell. Coda's other servers fetch them by themselves.
  - C(pdbtool) reports success whatever happens, so everything is read back.
  - Users and groups that are not listed are left alone.
options:
  users:
    description: The users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name.
        type: str
        required: true
      uid:
        description: Number; access lists know the user by it, so it can't be changed.
        type: int
        required: true
      password:
        description:
          - Password of 1 to 8 bytes; Coda ignores the rest. If not given, it stays as it is.
          - Printable ASCII without quotes and backslashes, which Ansible could not keep out of the system's log.
        type: str
  groups:
    description: The groups.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name, such as V(System:Administrators).
        type: str
        required: true
      owner:
        description: User that may change it, a member as well.
        type: str
        required: true
      members:
        description: All other members, users or groups.
        type: list
        elements: str
        default: []
  db:
    description: Folder of the databases.
    type: path
    default: /vice/db
extends_documentation_fragment:
  - codalvs.ha.attributes
attributes:
  check_mode:
    support: full
    details: Refuses what would be refused.
  diff_mode:
    support: full
    details: The commands for pdbtool, and whose password is set; no password.
  platform:
    platforms: posix
    details: The SCM of a Coda cell; root.
"""

EXAMPLES = r"""
- name: An author
  codalvs.ha.coda_user:
    users:
      - {name: anna, uid: 1001, password: "{{ vault_anna }}"}
    groups:
      - {name: anna:authors, owner: anna, members: [codaadmin]}
"""

RETURN = r"""
commands:
  description: What was asked of pdbtool.
  type: list
  elements: str
  returned: success
  sample: [nui anna 1001]
passwords:
  description: Whose password was set.
  type: list
  elements: str
  returned: success
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._coda.users import (
    Database,
    Group,
    Plan,
    User,
    check,
    parse,
    plan,
)

DATABASE = "prot_users.cdb"
PASSWORDS = "auth2.pw"


def look(module: AnsibleModule, db: Path) -> tuple[Database, str]:
    """Return the protection database and the text of auth2.pw."""
    database = Database({}, {})
    if (db / DATABASE).exists():
        files = [Path(module.tmpdir) / name for name in ("users", "groups")]
        _code, out, err = module.run_command(["pdbtool", "export", *map(str, files)])
        if not all(file.exists() for file in files):
            module.fail_json(msg="pdbtool could not export the protection database", stdout=out, stderr=err)
        database = parse(*(file.read_text() for file in files))
    passwords = db / PASSWORDS
    return database, passwords.read_text() if passwords.exists() else ""


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, as a whole or not at all."""
    candidate = path.with_name(path.name + ".new")
    candidate.unlink(missing_ok=True)
    with os.fdopen(os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    candidate.replace(path)


def renew(path: Path) -> None:
    """Give a file a later time: other servers compare whole seconds, and may have what it was earlier in this one."""
    later = int(path.stat().st_mtime) + 1
    os.utime(path, (later, later))


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, plan, take the steps, read back, and return the result."""
    given, db = module.params, Path(module.params["db"])
    users = [User(entry["name"], entry["uid"], entry["password"]) for entry in given["users"]]
    groups = [Group(entry["name"], entry["owner"], frozenset(entry["members"])) for entry in given["groups"]]
    decided = Plan([], "", [], check(users, groups))
    if not decided.problems:
        decided = plan(*look(module, db), users, groups)
    if decided.problems:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(decided.problems))
    if not module.check_mode:
        for command in decided.commands:
            module.run_command(["pdbtool", *command])
        if decided.commands and (db / DATABASE).exists():
            renew(db / DATABASE)
        if decided.new_passwords:
            write_secret(db / PASSWORDS, decided.passwords)
        left = plan(*look(module, db), users, groups)
        undone = [*left.problems, *(" ".join(command) for command in left.commands), *left.new_passwords]
        if undone:
            module.fail_json(msg="pdbtool took all commands, but these have had no effect:\n" + "\n".join(undone))
    commands = [" ".join(command) for command in decided.commands]
    result = {
        "changed": bool(commands or decided.new_passwords),
        "commands": commands,
        "passwords": list(decided.new_passwords),
    }
    if module._diff:
        lines = [*commands, *(f"password of {name}" for name in decided.new_passwords)]
        result["diff"] = {"before": "", "after": "".join(f"{line}\n" for line in lines)}
    return result


def main() -> None:
    """Create, change and remove users and groups."""
    user = {
        "name": {"type": "str", "required": True},
        "uid": {"type": "int", "required": True},
        "password": {"type": "str", "no_log": True},
    }
    group = {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str", "required": True},
        "members": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "dict", "default": [], "options": user},
            "groups": {"type": "list", "elements": "dict", "default": [], "options": group},
            "db": {"type": "path", "default": "/vice/db"},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
