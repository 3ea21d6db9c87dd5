#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: heartbeat_check
short_description: Check files for Heartbeat on the director itself, before they are installed
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Heartbeat 3 has no test mode, and one bad line in any of its files stops it for good. This module applies its rules
    to the text of files that are not installed yet, and looks whether this host has what they name.
  - It names everything wrong at once, with file, line, value and what is allowed, and never a secret.
  - What Heartbeat accepts but is probably a mistake, such as a crc key, is a warning.
options:
  ha_cf:
    description: Text of C(ha.cf), which may hold the password of a fencing device.
    type: str
  haresources:
    description:
      - Text of C(haresources).
      - Its node names are checked only together with O(ha_cf).
    type: str
  authkeys:
    description: Text of C(authkeys).
    type: str
  installed_authkeys:
    description:
      - Texts of the C(authkeys) that the directors have now.
      - What would part them while only one of them has the new O(authkeys) is an error, unless these files part them
        already.
    type: list
    elements: str
    default: []
  left_out:
    description:
      - Names of the directors that won't get the new O(authkeys), because the run leaves them out.
      - If there are any, a key that is added, removed, changed or made active is an error, unless this host has no
        keys yet.
    type: list
    elements: str
    default: []
  loaded:
    description:
      - Folder with the C(ha.cf) and C(authkeys) that the running Heartbeat has read. A file that is not there is taken
        from C(/etc/ha.d).
      - If Heartbeat runs, O(ha_cf) is compared with the first for RV(parting), and O(authkeys) with the second as with
        O(installed_authkeys).
    type: path
extends_documentation_fragment:
  - codalvs.ha.attributes
attributes:
  check_mode:
    support: full
    details:
      - Reads only. In check mode a missing user, program or resource script is a warning, because the package that
        brings it may not be installed yet.
  diff_mode:
    support: N/A
    details: Reads only.
  platform:
    platforms: posix
    details: Debian with Heartbeat 3 in haresources mode.
"""

EXAMPLES = r"""
- name: Check all three files before any is installed
  codalvs.ha.heartbeat_check:
    ha_cf: "{{ lookup('ansible.builtin.template', 'ha.cf.j2') }}"
    haresources: "{{ lookup('ansible.builtin.template', 'haresources.j2') }}"
    authkeys: "{{ lookup('ansible.builtin.template', 'authkeys.j2') }}"

- name: Check a new line-up of resources only
  codalvs.ha.heartbeat_check:
    haresources: |
      dir1 IPaddr2::192.0.2.10/24/eth0
      dir2 IPaddr2::192.0.2.11/24/eth0
"""

RETURN = r"""
problems:
  description: What is wrong; warnings also when the module succeeds.
  type: list
  elements: dict
  returned: always
  contains:
    file:
      description: V(ha.cf), V(haresources) or V(authkeys).
      type: str
    line:
      description: Number of the line, 0 for the whole file.
      type: int
    directive:
      description: The directive, in V(haresources) the node, in V(authkeys) V(auth) or V(key); may be empty.
      type: str
    value:
      description: The value, in V(authkeys) the number of the key; may be empty.
      type: str
    problem:
      description: What is wrong, or what is allowed.
      type: str
    level:
      description: V(error), V(warning), or V(missing) for what this host does not have.
      type: str
  sample:
    - file: ha.cf
      line: 7
      directive: deadtime
      value: 2000ms
      problem: must be longer than twice keepalive (1000ms)
      level: error
parting:
  description:
    - Why two directors would part, if they loaded the new O(ha_cf) one after the other. Each would take the other one
      for dead, and all addresses.
    - Empty if they may, and where O(loaded) is not given.
  type: list
  elements: str
  returned: always
  sample: [no link is in both files with the same port and addresses]
"""

import os
import pwd
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.authkeys import check_authkeys
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import check_ha_cf, parse_ha_cf
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import check_haresources
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.parting import parting
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import MISSING, WARNING, Problem

FILES = "/etc/ha.d"
PID = "/run/heartbeat.pid"
RESOURCE_DIRECTORIES = ("/etc/ha.d/resource.d", "/etc/init.d")  # in Heartbeat's order


@dataclass(frozen=True)
class Lookup:
    """A set that answers `in`, and that nobody lists."""

    has: Callable[[str], bool]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)


@dataclass(frozen=True)
class Host:
    """What Heartbeat's files may name of a host."""

    node: str
    interfaces: Collection[str]
    users: Container[str]
    executables: Container[str]
    scripts: Container[str]


def this_host() -> Host:
    """Return the host that this runs on; nothing is executed."""
    return Host(
        node=os.uname().nodename,
        interfaces=frozenset(os.listdir("/sys/class/net")),
        users=Lookup(_user_exists),
        executables=Lookup(_is_executable),
        scripts=Lookup(lambda name: any(_is_executable(f"{folder}/{name}") for folder in RESOURCE_DIRECTORIES)),
    )


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def read_by_heartbeat(loaded: str, name: str) -> str | None:
    """Return the text of a file that the running Heartbeat has read, None where none runs. loaded: see the option."""
    try:
        with open(PID, encoding="ascii") as number:
            os.stat(f"/proc/{int(number.read())}")
    except (OSError, ValueError):
        return None
    for folder in (loaded, FILES):
        if os.path.exists(f"{folder}/{name}"):
            with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as lines:
                return lines.read()
    return None


def find_problems(
    texts: Mapping[str, str | None], host: Host, old_authkeys: Iterable[str] = (), left_out: Collection[str] = ()
) -> list[tuple[str, Problem]]:
    """Return what is wrong with the files given, each with the name of its file."""
    found: list[tuple[str, Problem]] = []
    ha_cf, haresources, authkeys = (texts.get(name) for name in ("ha_cf", "haresources", "authkeys"))
    if ha_cf is not None:
        problems = check_ha_cf(
            ha_cf, host.node, interfaces=host.interfaces, users=host.users, executables=host.executables
        )
        found += [("ha.cf", problem) for problem in problems]
    if haresources is not None:
        nodes = None if ha_cf is None else parse_ha_cf(ha_cf)[0].nodes
        problems = check_haresources(
            haresources, nodes, scripts=host.scripts, interfaces=host.interfaces, here=host.node
        )
        found += [("haresources", problem) for problem in problems]
    if authkeys is not None:
        found += [("authkeys", problem) for problem in check_authkeys(authkeys, old_authkeys, left_out)]
    return found


def describe(file: str, problem: Problem) -> str:
    """Return a problem as one line for people."""
    place = f"{file}:{problem.line}" if problem.line else file
    words = " ".join(word for word in (problem.directive, problem.value) if word)
    return f"{place}: {words}: {problem.problem}" if words else f"{place}: {problem.problem}"


def result(found: list[tuple[str, Problem]], check_mode: bool) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the module's result, the lines that make it fail, and the warnings."""
    lenient = (WARNING, MISSING) if check_mode else (WARNING,)
    failures = [describe(file, problem) for file, problem in found if problem.level not in lenient]
    warnings = [describe(file, problem) for file, problem in found if problem.level in lenient]
    return (
        {"changed": False, "problems": [{"file": file, **asdict(problem)} for file, problem in found]},
        failures,
        warnings,
    )


def main() -> None:
    """Check what was given."""
    module = AnsibleModule(
        argument_spec={
            "ha_cf": {"type": "str", "no_log": True},
            "haresources": {"type": "str"},
            "authkeys": {"type": "str", "no_log": True},
            "installed_authkeys": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "loaded": {"type": "path"},
        },
        required_one_of=[("ha_cf", "haresources", "authkeys")],
        supports_check_mode=True,
    )
    given, read = module.params, dict.fromkeys(("ha.cf", "authkeys"))
    try:
        if given["loaded"]:
            read = {name: read_by_heartbeat(given["loaded"], name) for name in read}
    except OSError as error:
        module.fail_json(msg=f"what the running Heartbeat has read can't be read: {error}")
    old_authkeys = [*given["installed_authkeys"], *filter(None, [read["authkeys"]])]
    found = find_problems(given, this_host(), old_authkeys, given["left_out"])
    outcome, failures, warnings = result(found, module.check_mode)
    outcome["parting"] = [] if given["ha_cf"] is None else parting(given["ha_cf"], read["ha.cf"])
    for warning in warnings:
        module.warn(warning)
    if failures:
        module.fail_json(msg="Heartbeat would not work with these files:\n" + "\n".join(failures), **outcome)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
