#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs
short_description: Manage the kernel's IPVS table
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Takes any number of virtual services with their real servers, reads the table once, and writes the difference at
    once.
  - A service or real server that has changed is changed in place, so that its connections stay. Additions come before
    removals, so that a service is not empty in between.
  - Everything wrong with the services is named at once, before the first change.
  - The kernel has no transactions. If it refuses an operation, the module stops soon after, fails, and says in
    RV(operations), RV(refused) and RV(untried) how far it got; the next run goes on from there.
  - It speaks to the kernel itself; C(ipvsadm) is not needed, but its manual explains the terms. C(ip_vs) is loaded
    if necessary.
options:
  services:
    description:
      - The virtual services. Options of a service that you leave out get their defaults, whatever the kernel has now.
      - All are checked together, and the module names everything that is wrong in RV(problems).
    type: list
    elements: dict
    default: []
    suboptions:
      vip:
        description: Virtual address, IPv4 or IPv6. A service has either this or O(services[].fwmark).
        type: str
      port:
        description: 1 to 65535, or 0, every port, which goes only with persistence.
        type: int
        default: 0
      protocol:
        description: V(tcp) where it is not given. A service by mark has none.
        type: str
        choices: [tcp, udp, sctp]
      fwmark:
        description:
          - In place of O(services[].vip), O(services[].port) and O(services[].protocol), the mark that a packet filter
            has set, 1 to 4294967295.
        type: int
      family:
        description: With O(services[].fwmark), V(4), the default, or V(6). An address tells its family.
        type: int
        choices: [4, 6]
      scheduler:
        description: Any that the kernel has, such as V(rr), V(wrr) or V(mh).
        type: str
        default: wlc
      scheduler_flags:
        description:
          - V(sh-fallback) and V(sh-port) with V(sh), V(mh-fallback) and V(mh-port) with V(mh), V(flag-1) to V(flag-3)
            with any scheduler.
        type: list
        elements: str
        default: []
      one_packet:
        description: Schedule each packet by itself; udp and fwmark services only.
        type: bool
        default: false
      persistence:
        description: Send a client's connections to the server that it had before. By default there is no persistence.
        type: dict
        suboptions:
          timeout:
            description: For how many seconds after its last connection, 1 to 2678400.
            type: int
            default: 300
          netmask:
            description:
              - Clients with the same network count as one, by a netmask such as V(255.255.255.0), for IPv6 by a prefix
                length, 1 to 128. By default, each client is one.
            type: str
          engine:
            description: V(sip) tells clients apart by the call; udp and fwmark services only.
            type: str
            choices: [sip]
      forwarding:
        description: How packets reach those real servers that name no other way.
        type: str
        choices: [direct, nat, tunnel]
        default: direct
      real_servers:
        description: The servers that do the work.
        type: list
        elements: dict
        suboptions:
          address:
            description:
              - The real server's address, IPv4 or IPv6; of the service's family unless the forwarding is V(tunnel).
            type: str
            required: true
          port:
            description: Default is the service's. Only V(nat) or a mark allows another one.
            type: int
          forwarding:
            description: Default is the service's.
            type: str
            choices: [direct, nat, tunnel]
          weight:
            description: Its share of new connections, 0 to 2147483647; 0 for none.
            type: int
            default: 1
          upper_threshold:
            description: Connections from which on it gets no new ones, 0 to 65535; 0 for no limit.
            type: int
            default: 0
          lower_threshold:
            description: Connections below which it gets some again.
            type: int
            default: 0
          tunnel:
            description: With the forwarding V(tunnel), how packets are wrapped.
            type: dict
            suboptions:
              type:
                description: The kind of tunnel.
                type: str
                choices: [ipip, gue, gre]
                default: ipip
              port:
                description: Of V(gue) only, and required there.
                type: int
              checksum:
                description: V(none) where it is not given; V(full) with V(gue) and V(gre); V(remote) with V(gue) only.
                type: str
                choices: [none, full, remote]
  state:
    description:
      - V(present) adds and corrects the services and real servers that are named.
      - V(absent) removes the services that are named; of one that is given with C(real_servers), only these, if any.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description:
      - Make the table exactly the one given, and remove every other service and real server. Their connections end.
      - With an empty O(services), this empties the table.
    type: bool
    default: false
  timeouts:
    description: How long an idle connection is remembered, in seconds; what is not given stays as it is.
    type: dict
    suboptions:
      tcp:
        description: An established TCP connection, 1 to 2147483.
        type: int
      tcp_fin:
        description: A TCP connection that is being closed, 1 to 2147483.
        type: int
      udp:
        description: After a UDP packet, 1 to 2147483.
        type: int
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.ipvs
attributes:
  check_mode:
    support: full
    details: Reads the table and says what would be done. Where C(ip_vs) is not loaded, the table counts as empty.
  diff_mode:
    support: full
    details: The table before and after, in lines of C(ipvsadm).
seealso:
  - module: codalvs.ha.ipvs_info
"""

EXAMPLES = r"""
- name: Balance a web service, and leave everything else in the table alone
  codalvs.ha.ipvs:
    services:
      - vip: 192.0.2.30
        port: 80
        scheduler: wrr
        persistence: {timeout: 120}
        real_servers:
          - {address: 192.0.2.21, weight: 2}
          - {address: 192.0.2.22}

- name: Have exactly this table
  codalvs.ha.ipvs:
    purge: true
    services:
      - vip: '2001:db8::30'
        port: 53
        protocol: udp
        forwarding: nat
        real_servers: [{address: '2001:db8::21', port: 5353}]
      - fwmark: 7
        scheduler: sh
        scheduler_flags: [sh-port]
        forwarding: tunnel
        real_servers: [{address: 198.51.100.7}]
    timeouts: {tcp: 7200}

- name: No new connections for one real server; those that it has stay
  codalvs.ha.ipvs:
    services:
      - vip: 192.0.2.30
        port: 80
        scheduler: wrr
        persistence: {timeout: 120}
        real_servers: [{address: 192.0.2.21, weight: 0}]

- name: Remove one real server, and a whole service
  codalvs.ha.ipvs:
    state: absent
    services:
      - {vip: 192.0.2.30, port: 80, real_servers: [{address: 192.0.2.21}]}
      - {vip: 192.0.2.30, port: 443}
"""

RETURN = r"""
operations:
  description: What was done, or in check mode would be done, in order, as arguments of C(ipvsadm).
  type: list
  elements: str
  returned: success, and when the kernel refused something
  sample: ["-e -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 2"]
refused:
  description: What the kernel refused, and why.
  type: list
  elements: str
  returned: when the kernel refused something
untried:
  description: What was not tried after that.
  type: list
  elements: str
  returned: when the kernel refused something
problems:
  description: Everything wrong with O(services) and O(timeouts).
  type: list
  elements: dict
  returned: when something is wrong
  contains:
    rule:
      description: Name of the rule.
      type: str
    path:
      description: Where; the service stands in brackets.
      type: str
      sample: services[0] (tcp 192.0.2.30:80).real_servers[1].weight
    value:
      description: The value.
      type: str
    problem:
      description: What is wrong, or what is allowed.
      type: str
    remedy:
      description: What to do.
      type: str
"""

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.kernel import failing, open_kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import Kernel, Refused
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import read
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.plan import apply, plan, plan_removal
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import LONGEST_IDLE, TIMEOUTS, Operation, Table
from ansible_collections.codalvs.ha.plugins.module_utils._schema import Problem

ATTEMPTS = 3  # when another program, such as ldirectord, changes the same entries meanwhile


def kernel_schedulers() -> set[str] | None:
    """Return the schedulers that this kernel has or can load, None if its list of modules can't be read."""
    folder = f"/lib/modules/{os.uname().release}"
    names = set(os.listdir("/sys/module"))
    try:
        for file in ("modules.dep", "modules.builtin"):
            with open(f"{folder}/{file}", encoding="utf-8") as lines:
                names.update(found[1] for line in lines if (found := re.match(r"\S*/(ip_vs_\w+)\.ko", line)))
    except FileNotFoundError:
        return None
    return {name[6:] for name in names if re.match(r"ip_vs_(?!ftp$|pe_)", name)}


def kernel_families() -> set[int]:
    """Return the address families that this kernel has: IPv6 may be left out or switched off at its start."""
    return {4, 6} if os.path.exists("/proc/net/if_inet6") else {4}


def check_timeouts(given: Mapping[str, int | None]) -> list[Problem]:
    """Return what is wrong with the timeouts."""
    return [
        Problem(
            "out_of_range",
            f"timeouts.{name}",
            str(value),
            f"must be 1 to {LONGEST_IDLE}",
            "correct the number of seconds",
        )
        for name, value in given.items()
        if value is not None and not 1 <= value <= LONGEST_IDLE
    ]


def overtaken(refused: Refused) -> bool:
    """Tell whether the kernel refused an operation only because another program was faster."""
    kind, error = refused.operation.kind, refused.error
    if error == errno.EEXIST:
        return kind.startswith("add")
    return error == errno.ESRCH or (error == errno.ENOENT and kind in ("edit_server", "delete_server"))


def converge(
    module: AnsibleModule, kernel: Kernel | None, wanted: Table
) -> tuple[Table, list[Operation], list[Refused], list[Operation]]:
    """Read, plan and, except in check mode, write; return the table before, and operations done, refused, not tried."""
    before: Table = {}
    done: list[Operation] = []
    for attempt in range(ATTEMPTS):
        current = kernel.table() if kernel else {}
        before = before if attempt else current
        if module.params["state"] == "absent":
            operations = plan_removal(current, wanted)
        else:
            operations = plan(current, wanted, module.params["purge"])
        if module.check_mode or kernel is None:
            return before, operations, [], []
        applied, refused, untried = kernel.apply(operations)
        done += applied
        if not refused or not all(map(overtaken, refused)):
            break
    return before, done, refused, untried


def wanted_table(module: AnsibleModule) -> Table:
    """Return the table that the options describe; fail with everything that is wrong with them."""
    absent = module.params["state"] == "absent"
    if absent and (module.params["purge"] or module.params["timeouts"]):
        module.fail_json(msg="With state=absent, purge and timeouts mean nothing: remove them.")
    wanted, problems = read(module.params["services"], kernel_schedulers(), absent, kernel_families())
    problems += check_timeouts(module.params["timeouts"] or {})
    if problems:
        lines = [f"{p.path}{' = ' + p.value if p.value else ''}: {p.problem}; {p.remedy}" for p in problems]
        module.fail_json(
            msg=f"Nothing was changed: {len(problems)} wrong.\n" + "\n".join(lines),
            problems=list(map(asdict, problems)),
        )
    return wanted


def shown(table: Table, timeouts: Mapping[str, int]) -> str:
    """Return a table and its timeouts as lines of ipvsadm."""
    lines = (*print_table(table), f"--set {' '.join(str(timeouts.get(name, 0)) for name in TIMEOUTS)}")
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Bring the kernel's table to what the options describe."""
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "purge": {"type": "bool", "default": False},
            "timeouts": {"type": "dict", "options": {name: {"type": "int"} for name in TIMEOUTS}},
        },
        supports_check_mode=True,
    )
    wanted = wanted_table(module)
    kernel = open_kernel(module)
    with failing(module):
        had = kernel.timeouts() if kernel else {}
        timeouts = {name: s for name, s in (module.params["timeouts"] or {}).items() if s and had.get(name) != s}
        if timeouts and kernel and not module.check_mode:
            kernel.set_timeouts(timeouts)
        before, done, refused, untried = converge(module, kernel, wanted)
        after: Table = {}
        if module._diff:
            # After a write, read the table again: another program may have done a part of it meanwhile.
            after = kernel.table() if kernel and not module.check_mode else apply(before, done)

    operations = ["--set " + " ".join(str(timeouts.get(name, 0)) for name in TIMEOUTS)] if timeouts else []
    operations += map(str, done)
    result: dict[str, Any] = {"changed": bool(operations), "operations": operations}
    if module._diff:
        result["diff"] = {"before": shown(before, had), "after": shown(after, {**had, **timeouts})}
    if refused:
        first = "\n".join(map(str, refused[:20]))
        module.fail_json(
            msg=f"The kernel refused {len(refused)}; {len(operations)} are done, {len(untried)} not tried.\n{first}",
            refused=list(map(str, refused)),
            untried=list(map(str, untried)),
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
