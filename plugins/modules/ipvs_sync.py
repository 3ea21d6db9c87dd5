#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_sync
short_description: Manage the daemons that synchronise IPVS connections between directors
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Starts and stops the kernel's sync daemons. A master sends what it knows of connections by multicast, a backup
    listens.
  - One that runs with other settings is stopped and started again, one daemon after the other; what it knows of
    connections stays with the kernel. If the kernel refuses the new settings, it runs with the old ones again.
  - Directors with different O(syncid) don't hear each other. Afterwards, C(ipvs-resync) on each tells the other one
    what it missed; the role C(codalvs.ha.lvs_director) installs and runs it.
  - What is sent is neither signed nor encrypted, so use a dedicated or trusted network.
  - The daemons end with the machine; a role or unit has to start them at boot.
options:
  role:
    description: Which daemons run on this director, exactly; V(both) is usual on both directors of a pair.
    type: str
    choices: [master, backup, both, none]
    required: true
  interface:
    description: Interface of the network over which they speak; required unless O(role=none).
    type: str
  syncid:
    description: Only daemons of the same number, 0 to 255, hear each other; a backup with 0 hears all.
    type: int
    default: 0
  group:
    description: Multicast address, IPv4 or IPv6.
    type: str
    default: 224.0.0.81
  port:
    description: UDP port, 1 to 65535, the first one where C(net.ipv4.vs.sync_ports) is above 1.
    type: int
    default: 8848
  ttl:
    description: How many routers a datagram may pass, 1 to 255; 1 stays in the network.
    type: int
    default: 1
  maxlen:
    description: Bytes of the longest datagram, 1024 to 65487; if not given, the kernel chooses, such as 1472.
    type: int
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.ipvs
attributes:
  check_mode:
    support: full
    details: Reads only, and says what would be done.
  diff_mode:
    support: full
    details: The daemons before and after, in words of C(ipvsadm).
seealso:
  - module: codalvs.ha.ipvs_info
"""

EXAMPLES = r"""
- name: Send and receive connections over the dedicated link
  codalvs.ha.ipvs_sync:
    role: both
    interface: eth1
    syncid: 7

- name: Neither send nor receive
  codalvs.ha.ipvs_sync:
    role: none
"""

RETURN = r"""
daemons:
  description: The daemons that run now, or in check mode would run, as M(codalvs.ha.ipvs_info) returns them.
  type: list
  elements: dict
  returned: success
operations:
  description: What was done, in order.
  type: list
  elements: str
  returned: success
  sample: ["stop master", "start master"]
"""

import errno
import os
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.kernel import failing, open_kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import Daemon, Kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import address_of

ROLES = {"master": ("master",), "backup": ("backup",), "both": ("backup", "master"), "none": ()}
BOUNDS = {"syncid": (0, 255), "port": (1, 65535), "ttl": (1, 255), "maxlen": (1024, 65487)}


def check(given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options, without looking at this host."""
    problems = [
        f"{name} = {given[name]}: must be {least} to {most}"
        for name, (least, most) in BOUNDS.items()
        if given[name] is not None and not least <= given[name] <= most
    ]
    known = address_of(given["group"])
    if known is None or not ip_address(known[1]).is_multicast:
        problems.append(f"group = {given['group']}: must be a multicast address, such as 224.0.0.81 or ff02::81")
    if given["role"] != "none" and not given["interface"]:
        problems.append("interface: is required, the network over which the directors speak")
    return problems


def wanted_daemons(given: Mapping[str, Any]) -> list[Daemon]:
    """Return the daemons that the options ask for."""
    known = address_of(given["group"])
    group = known[1] if known else ""
    return [
        Daemon(role, given["interface"], given["syncid"], given["maxlen"] or 0, group, given["port"], given["ttl"])
        for role in ROLES[given["role"]]
    ]


def same(running: Daemon, wanted: Daemon) -> bool:
    """Tell whether a daemon runs as wanted; without a maxlen, any will do."""
    return running == (wanted if wanted.maxlen else wanted._replace(maxlen=running.maxlen))


def plan(running: Sequence[Daemon], wanted: Sequence[Daemon]) -> tuple[list[Daemon], list[Daemon]]:
    """Return the daemons to stop, and those to start afterwards."""
    stop = [daemon for daemon in running if not any(same(daemon, other) for other in wanted)]
    start = [daemon for daemon in wanted if not any(same(other, daemon) for other in running)]
    return stop, start


Step = tuple[str, "Daemon | None", "Daemon | None"]  # a role, what ends, and what takes its place


def order(stop: Sequence[Daemon], start: Sequence[Daemon]) -> list[Step]:
    """Return one step for each role, so that one daemon goes on while the other one is replaced."""
    ending, coming = ({daemon.role: daemon for daemon in daemons} for daemons in (stop, start))
    return [(role, ending.get(role), coming.get(role)) for role in ROLES["both"] if role in (*ending, *coming)]


def replace(kernel: Any, old: Daemon | None, new: Daemon | None, done: list[str]) -> None:
    """Do one step and note it; where the new daemon is refused, start the old one again. Raises OSError."""
    if old:
        kernel.stop_daemon(old)
        done.append(f"stop {old.role}")
    if new:
        try:
            kernel.start_daemon(new)
        except OSError:
            if old:
                kernel.start_daemon(old)
                done.append(f"start {old.role} with its old settings")
            raise
        done.append(f"start {new.role}")


def words(daemon: Daemon) -> str:
    """Return a daemon as ipvsadm(8) starts it."""
    length = f" --sync-maxlen {daemon.maxlen}" if daemon.maxlen else ""
    return (
        f"--start-daemon {daemon.role} --mcast-interface {daemon.interface} --syncid {daemon.syncid}{length}"
        f" --mcast-group {daemon.group} --mcast-port {daemon.port} --mcast-ttl {daemon.ttl}\n"
    )


def missing(interface: str | None) -> list[str]:
    """Return an error if the given interface does not exist on this host."""
    if not interface or os.path.exists(f"/sys/class/net/{interface}"):
        return []
    present = ", ".join(sorted(os.listdir("/sys/class/net")))
    return [f"interface = {interface}: this host has no such interface; there are {present}"]


def change(module: AnsibleModule, kernel: Kernel, stop: Sequence[Daemon], start: Sequence[Daemon]) -> None:
    """Stop and start daemons; if the kernel refuses one, fail and tell what was done by then."""
    done: list[str] = []
    for role, old, new in order(stop, start):
        try:
            replace(kernel, old, new, done)
        except OSError as error:
            mixed = "; real servers of another family than their service rule them out"
            module.fail_json(
                msg=f"The kernel refused to change the {role} daemon: {error.strerror}"
                f"{mixed if error.errno == errno.EINVAL else ''}. Done: {', '.join(done) or 'nothing'}.",
                changed=bool(done),
                operations=done,
            )


def main() -> None:
    """Bring the sync daemons to what the options describe."""
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "choices": list(ROLES), "required": True},
            "interface": {"type": "str"},
            "syncid": {"type": "int", "default": 0},
            "group": {"type": "str", "default": "224.0.0.81"},
            "port": {"type": "int", "default": 8848},
            "ttl": {"type": "int", "default": 1},
            "maxlen": {"type": "int"},
        },
        supports_check_mode=True,
    )
    problems = [*check(module.params), *missing(module.params["interface"])]
    if problems:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(problems))

    kernel = open_kernel(module, needed=module.params["role"] != "none")
    with failing(module):
        running = kernel.daemons() if kernel else []
    stop, start = plan(running, wanted_daemons(module.params))
    after = sorted([daemon for daemon in running if daemon not in stop] + start)
    if kernel and not module.check_mode:
        change(module, kernel, stop, start)
        with failing(module):
            after = kernel.daemons()
    result: dict[str, Any] = {
        "changed": bool(stop or start),
        "operations": [
            f"{verb} {daemon.role}"
            for _role, old, new in order(stop, start)
            for verb, daemon in (("stop", old), ("start", new))
            if daemon
        ],
        "daemons": [daemon._asdict() for daemon in after],
    }
    if module._diff:
        result["diff"] = {"before": "".join(map(words, running)), "after": "".join(map(words, after))}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
