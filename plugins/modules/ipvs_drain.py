#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_drain
short_description: Take a real server out of its services without breaking its connections, and back in
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Gives a real server weight 0 in every service of this director that has it, so that it gets no new connections,
    and waits until existing ones have ended. Or gives it a weight again.
  - With persistence, a client that is bound to it stays bound unless C(net.ipv4.vs.expire_quiescent_template) is 1.
  - ldirectord undoes weights that it has not set itself only when a server's health changes, but then it does. Where it
    runs, let its configuration say weight 0, and let this module only wait (O(set_weight=false)); the playbooks
    C(codalvs.ha.drain) and C(codalvs.ha.undrain) do that.
options:
  real_server:
    description:
      - Address of the real server, or address and port, such as V(192.0.2.21:80) or V([2001:db8::21]:80).
      - Several, such as its IPv4 and its IPv6 address, are drained and waited for together.
    type: list
    elements: str
    required: true
  port:
    description: Only where it has this port; if not given, all its ports, or those of O(real_server).
    type: int
  state:
    description: V(drained) gets no new connections, V(active) does.
    type: str
    choices: [drained, active]
    default: drained
  set_weight:
    description: V(false) waits until another program has set the weights.
    type: bool
    default: true
  weight:
    description: With O(state=active), the weight that it gets where it has 0.
    type: int
    default: 1
  connections:
    description: How many active (established) connections may remain.
    type: int
    default: 0
  count_inactive:
    description: Wait for inactive connections too. All of a UDP service are inactive by the kernel's count.
    type: bool
    default: false
  timeout:
    description: Seconds to wait; 0 does not wait. When they have passed, the module succeeds, with RV(reached) false.
    type: int
    default: 300
  allow_last:
    description:
      - Drain it also where a service would be left without a real server that takes connections.
      - One whose check fails, and that C(ipvs-guard) keeps in for a minimum, does not count.
    type: bool
    default: false
  allow_missing:
    description:
      - Succeed also where one of O(real_server) is in no service of this director, as on a standby whose table is
        empty. Otherwise the module fails before it changes anything, for the address may be misspelt.
    type: bool
    default: false
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.ipvs
attributes:
  check_mode:
    support: full
    details:
      - Says what would be done, does not wait, and refuses what would be refused. RV(reached) is what it would be
        at once.
  diff_mode:
    support: full
    details: The weights before and after.
seealso:
  - module: codalvs.ha.ipvs
"""

EXAMPLES = r"""
- name: Take a real server out for maintenance
  codalvs.ha.ipvs_drain:
    real_server: 192.0.2.21
    timeout: 600
  register: drained
  failed_when: not drained.reached

- name: Take it in again
  codalvs.ha.ipvs_drain:
    real_server: 192.0.2.21
    state: active
"""

RETURN = r"""
reached:
  description: The weights are as wanted and, for V(drained), no more connections than allowed remain.
  type: bool
  returned: success
services:
  description: The services that have this real server, and what it has there.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: The service, as messages name it.
      type: str
    port:
      description: Port of the real server.
      type: int
    weight:
      description: Its weight.
      type: int
    active:
      description: Established connections.
      type: int
    inactive:
      description: Other connections.
      type: int
    persistent:
      description: Clients that are bound to it.
      type: int
  sample:
    - {service: "tcp 192.0.2.30:80", port: 80, weight: 0, active: 3, inactive: 17, persistent: 0}
waited:
  description: How long it waited, in seconds.
  type: float
  returned: success
"""

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.drains import parse
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.kernel import failing, open_kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import Counted, Kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import KEPT, MOST, Operation, Server, Service

PAUSE = 1.0  # s between two looks

Place = tuple[str, "int | None"]  # address and port; None: all ports


class Entry(NamedTuple):
    """A real server in one service."""

    service: Service
    server: Server
    counted: Counted
    others: int  # other real servers of that service that take connections, and pass their checks

    def shown(self) -> dict[str, Any]:
        """Return the entry as the result has it."""
        numbers = dict(zip(("active", "inactive", "persistent"), self.counted.connections, strict=True))
        return {"service": str(self.service.key), "port": self.server.port, "weight": self.server.weight, **numbers}


def entries(
    table: Iterable[tuple[Service, Counted, Sequence[tuple[Server, Counted]]]], places: Collection[Place]
) -> list[Entry]:
    """Return a real server's entries in a table, sorted by service. places: its addresses, each with port or None."""

    def meant(server: Server) -> bool:
        return (server.address, server.port) in places or (server.address, None) in places

    return [
        Entry(service, server, counted, sum(serves(other) and not meant(other) for other, _counted in servers))
        for service, _counted, servers in sorted(table, key=lambda found: found[0].key)
        for server, counted in sorted(servers)
        if meant(server)
    ]


def serves(server: Server) -> bool:
    """Tell whether a real server takes connections, and not only because ipvs-guard keeps it in."""
    return server.weight > 0 and server.upper != KEPT


def plan(found: Iterable[Entry], state: str, weight: int) -> list[Operation]:
    """Return the operations that give every entry the weight of the wanted state."""
    return [
        Operation("edit_server", entry.service, entry.server._replace(weight=0 if state == "drained" else weight))
        for entry in found
        if (entry.server.weight > 0) == (state == "drained")
    ]


def reached(found: Iterable[Entry], state: str, limit: int, count_inactive: bool) -> bool:
    """Tell whether every entry has the weight of the wanted state, and few enough connections; true for no entries."""
    if state == "active":
        return all(entry.server.weight > 0 for entry in found)
    return all(
        entry.server.weight == 0 and sum(entry.counted.connections[: 2 if count_inactive else 1]) <= limit
        for entry in found
    )


def check(given: dict[str, Any]) -> list[str]:
    """Return what is wrong with the options."""
    problems = [
        f"real_server = {name}: must be an IPv4 or IPv6 address, with or without port"
        for name in given["real_server"]
        if parse(name) is None
    ]
    bounds = {"port": (0, 65535), "weight": (1, MOST), "connections": (0, MOST), "timeout": (0, MOST)}
    for name, (least, most) in bounds.items():
        if given[name] is not None and not least <= given[name] <= most:
            problems.append(f"{name} = {given[name]}: must be {least} to {most}")
    return problems


def places(names: Iterable[str], port: int | None) -> list[Place]:
    """Return the places that names mean (ADDRESS or ADDRESS:PORT); port: for names without one."""
    known = [found for name in names if (found := parse(name))]
    return [(address, port if own is None else own) for address, own in known]


def lacking(found: Iterable[Entry], meant: Iterable[Place]) -> list[Place]:
    """Return those of the meant places that no service has."""
    there = {place for entry in found for place in ((entry.server.address, None), entry.server[:2])}
    return [place for place in meant if place not in there]


def refusal(found: Sequence[Entry], meant: Sequence[Place], given: dict[str, Any]) -> str:
    """Return why no weight may be changed, or ''."""
    missing = lacking(found, meant)
    if missing and given["set_weight"] and not given["allow_missing"]:
        return f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} in no service of this director."
    last = [str(entry.service.key) for entry in found if serves(entry.server) and not entry.others]
    if given["state"] == "drained" and last and not given["allow_last"]:
        shown = f"without {_listed(meant)}, no real server takes connections for {', '.join(last)}"
        return f"{shown}. Take another one in first, or set allow_last."
    return ""


def run(module: AnsibleModule, kernel: Kernel | None) -> dict[str, Any]:
    """Set the weights, wait, and return the result."""
    given = module.params
    meant, state = places(given["real_server"], given["port"]), given["state"]

    def look() -> list[Entry]:
        return entries(kernel.counted() if kernel else [], meant)

    first = found = look()
    if why := refusal(found, meant, given):
        module.fail_json(msg=f"Nothing was changed: {why}")
    operations = plan(found, state, given["weight"]) if given["set_weight"] else []
    began = time.monotonic()
    if kernel and not module.check_mode:
        _done, refused, _untried = kernel.apply(operations)
        if refused:
            module.fail_json(msg="The kernel refused to set a weight: " + "; ".join(map(str, refused)))
        found = look()
        while not is_reached(found, meant, given) and time.monotonic() - began < given["timeout"]:
            time.sleep(PAUSE)
            found = look()
    planned = [_planned(entry, operations) for entry in first]
    if module.check_mode:
        found = planned
    result = {
        "changed": bool(operations),
        "reached": is_reached(found, meant, given),
        "services": [entry.shown() for entry in found],
        "waited": round(time.monotonic() - began, 1),
    }
    if module._diff:
        result["diff"] = {"before": "".join(map(_line, first)), "after": "".join(map(_line, planned))}
    return result


def is_reached(found: list[Entry], meant: Iterable[Place], given: dict[str, Any]) -> bool:
    """Tell whether all is as the options want it."""
    if lacking(found, meant) and not given["allow_missing"]:
        return False  # another program may still add it to the table
    return reached(found, given["state"], given["connections"], given["count_inactive"])


def _listed(meant: Iterable[Place]) -> str:
    return ", ".join(address if port is None else f"{address} at port {port}" for address, port in meant)


def _planned(entry: Entry, operations: Iterable[Operation]) -> Entry:
    """Return an entry as it is after the operations."""
    for operation in operations:
        if operation.server and (operation.service.key, *operation.server[:2]) == (
            entry.service.key,
            *entry.server[:2],
        ):
            return entry._replace(server=operation.server)
    return entry


def _line(entry: Entry) -> str:
    return f"{entry.service.key} -> {entry.server.address} port {entry.server.port} weight {entry.server.weight}\n"


def main() -> None:
    """Drain a real server, or take it in again."""
    module = AnsibleModule(
        argument_spec={
            "real_server": {"type": "list", "elements": "str", "required": True},
            "port": {"type": "int"},
            "state": {"type": "str", "choices": ["drained", "active"], "default": "drained"},
            "set_weight": {"type": "bool", "default": True},
            "weight": {"type": "int", "default": 1},
            "connections": {"type": "int", "default": 0},
            "count_inactive": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
            "allow_last": {"type": "bool", "default": False},
            "allow_missing": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    problems = check(module.params)
    if problems:
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(problems))
    kernel = open_kernel(module, needed=False)
    with failing(module):
        result = run(module, kernel)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
