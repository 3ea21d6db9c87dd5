#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ipvs_info
short_description: Gather the kernel's IPVS table, counters, connections and sync daemons
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Reads what the kernel knows. Names of hosts and ports are never resolved.
  - RV(services) has the form that M(codalvs.ha.ipvs) takes.
options:
  gather:
    description:
      - What to read. V(services), V(timeouts) and V(daemons) are read in any case.
      - V(statistics) adds what was counted of every service and real server, V(connections) the connections.
      - V(fingerprints) adds what P(codalvs.ha.synced#filter) compares with another director's, and takes three seconds.
    type: list
    elements: str
    choices: [statistics, connections, fingerprints]
    default: []
  connections:
    description: Which connections to return, where O(gather) asks for them; every condition has to hold.
    type: dict
    suboptions:
      limit:
        description: How many at most.
        type: int
        default: 1000
      protocol:
        description: V(tcp), V(udp) or V(sctp).
        type: str
        choices: [tcp, udp, sctp]
      client:
        description: Address of the client.
        type: str
      vip:
        description: Virtual address.
        type: str
      vport:
        description: Port of the virtual service.
        type: int
      real_server:
        description: Address of the real server.
        type: str
      state:
        description: Such as V(ESTABLISHED), V(FIN_WAIT) or, for persistence, V(NONE) and V(ASSURED).
        type: str
extends_documentation_fragment:
  - codalvs.ha.attributes
  - codalvs.ha.attributes.reads
  - codalvs.ha.attributes.ipvs
seealso:
  - module: codalvs.ha.ipvs
"""

EXAMPLES = r"""
- name: Read the table
  codalvs.ha.ipvs_info:
  register: director

- name: See which connections a real server has
  codalvs.ha.ipvs_info:
    gather: [connections]
    connections: {real_server: 192.0.2.21, state: ESTABLISHED, limit: 100}

- name: Copy a table to another director
  codalvs.ha.ipvs:
    services: "{{ hostvars.dir1.director.services }}"
    purge: true
"""

RETURN = r"""
loaded:
  description: Whether this kernel has loaded IPVS; if not, everything else is empty.
  type: bool
  returned: always
version:
  description: Version of IPVS.
  type: str
  returned: always
  sample: 1.2.1
connection_table_size:
  description: Size of the hash table of connections.
  type: int
  returned: always
services:
  description: Virtual services and their real servers, sorted; see O(codalvs.ha.ipvs#module:services).
  type: list
  elements: dict
  returned: always
  sample:
    - vip: 192.0.2.30
      port: 80
      protocol: tcp
      scheduler: wrr
      real_servers: [{address: 192.0.2.21, port: 80, forwarding: direct, weight: 1}]
timeouts:
  description: How long an idle connection is remembered, in seconds.
  type: dict
  returned: always
  sample: {tcp: 900, tcp_fin: 120, udp: 300}
daemons:
  description: The sync daemons that run.
  type: list
  elements: dict
  returned: always
  sample:
    - {role: backup, interface: eth1, syncid: 1, maxlen: 1472, group: 224.0.0.81, port: 8848, ttl: 1}
statistics:
  description:
    - What was counted, a dictionary for each service, in the order of RV(services).
    - Totals are since the entry was made or the counters were set to zero, rates are of the last seconds.
  type: list
  elements: dict
  returned: when O(gather) has V(statistics)
  contains:
    service:
      description: The service, as messages name it.
      type: str
      sample: tcp 192.0.2.30:80
    connections:
      description: Connections scheduled.
      type: int
    in_packets:
      description: Packets from clients; C(out_packets), C(in_bytes), C(out_bytes) likewise.
      type: int
    connections_per_second:
      description: Rate; C(in_packets_per_second) and so on likewise.
      type: int
    real_servers:
      description:
        - The same for each real server, with its C(address) and C(port), and C(active) (established), C(inactive) and
          C(persistent), the numbers of connections that it has now.
      type: list
      elements: dict
connections:
  description: Connections of this director, in the kernel's order.
  type: list
  elements: dict
  returned: when O(gather) has V(connections)
  sample:
    - protocol: tcp
      client: 198.51.100.7
      client_port: 40112
      vip: 192.0.2.30
      vport: 80
      real_server: 192.0.2.21
      real_port: 80
      state: ESTABLISHED
      expires: 899
connections_truncated:
  description: There were more than the limit.
  type: bool
  returned: when O(gather) has V(connections)
fingerprints:
  description:
    - Numbers that stand for the connections which a failover must not end, established ones and templates of
      persistence, at two looks three seconds apart.
  type: dict
  returned: when O(gather) has V(fingerprints)
  contains:
    count:
      description: Connections that were there at both looks.
      type: int
    lasting:
      description: Their fingerprints, at most the 2000 smallest.
      type: list
      elements: str
    seen:
      description: Fingerprints of those that were there at either look, at most the 2000 smallest.
      type: list
      elements: str
    whole:
      description: Whether RV(fingerprints.seen) has all of them.
      type: bool
"""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.connections import (
    fingerprints,
    parse_connections,
    sample,
    select,
)
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.kernel import failing, open_kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import COUNTERS, RATES, Counted, Kernel
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import describe
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import address_of

CONNECTIONS = "/proc/net/ip_vs_conn"
PAUSE = 3.0  # s between two looks at the connections; longer than one director is behind the other in a common task
GATHERED = ("statistics", "connections", "fingerprints")
CONDITIONS = ("protocol", "client", "vip", "vport", "real_server", "state")


def numbers(counted: Counted) -> dict[str, int]:
    """Return counters and rates by name."""
    return dict(zip((*COUNTERS, *RATES), (*counted.totals, *counted.rates), strict=True))


def statistics(found: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what Kernel.counted() found in the shape of the result, sorted as describe() sorts."""
    return [
        {
            "service": str(service.key),
            **numbers(counted),
            "real_servers": [
                {
                    "address": server.address,
                    "port": server.port,
                    **dict(zip(("active", "inactive", "persistent"), own.connections, strict=True)),
                    **numbers(own),
                }
                for server, own in sorted(servers)
            ],
        }
        for service, counted, servers in sorted(found, key=lambda entry: entry[0].key)
    ]


def look(delay: float = 0.0) -> set[str]:
    """Wait, and return the fingerprints of the connections that exist then."""
    time.sleep(delay)
    with open(CONNECTIONS, encoding="ascii", errors="backslashreplace") as lines:
        return fingerprints(lines)


def conditions(module: AnsibleModule, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions that connections in the result meet, with addresses in the kernel's spelling."""
    found = {name: wanted[name] for name in CONDITIONS if wanted.get(name) is not None}
    for name in ("client", "vip", "real_server"):
        if name in found:
            known = address_of(found[name])
            if known is None:
                module.fail_json(msg=f"connections.{name} = {found[name]}: must be an IPv4 or IPv6 address")
            else:
                found[name] = known[1]
    return found


def nothing(gather: Collection[str]) -> dict[str, Any]:
    """Return the result for a kernel without IPVS."""
    result: dict[str, Any] = {"loaded": False, "version": "", "connection_table_size": 0, "services": []}
    result.update(timeouts={}, daemons=[])
    result.update({"statistics": []} if "statistics" in gather else {})
    result.update({"connections": [], "connections_truncated": False} if "connections" in gather else {})
    result.update({"fingerprints": sample((), ())} if "fingerprints" in gather else {})
    return result


def seen(kernel: Kernel, gather: Collection[str], wanted: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return what the kernel has. wanted, limit: which connections, and how many."""
    result: dict[str, Any] = {"loaded": True, **kernel.info(), "timeouts": kernel.timeouts()}
    result["daemons"] = [daemon._asdict() for daemon in kernel.daemons()]
    if "statistics" in gather:
        found = kernel.counted()
        result["statistics"] = statistics(found)
        table = {
            service.key: service._replace(servers={server[:2]: server for server, _counted in servers})
            for service, _counted, servers in found
        }
    else:
        table = kernel.table()
    result["services"] = describe(table)
    if "connections" in gather:
        with open(CONNECTIONS, encoding="ascii", errors="backslashreplace") as lines:
            result["connections"], result["connections_truncated"] = select(parse_connections(lines), wanted, limit)
    if "fingerprints" in gather:
        result["fingerprints"] = sample(look(), look(PAUSE))
    return result


def main() -> None:
    """Read."""
    module = AnsibleModule(
        argument_spec={
            "gather": {"type": "list", "elements": "str", "choices": list(GATHERED), "default": []},
            "connections": {
                "type": "dict",
                "options": {
                    "limit": {"type": "int", "default": 1000},
                    "protocol": {"type": "str", "choices": ["tcp", "udp", "sctp"]},
                    "client": {"type": "str"},
                    "vip": {"type": "str"},
                    "vport": {"type": "int"},
                    "real_server": {"type": "str"},
                    "state": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    gather, wanted = module.params["gather"], module.params["connections"] or {"limit": 1000}
    which = conditions(module, wanted)
    kernel = open_kernel(module, needed=False)
    with failing(module):
        result = seen(kernel, gather, which, wanted["limit"]) if kernel else nothing(gather)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
