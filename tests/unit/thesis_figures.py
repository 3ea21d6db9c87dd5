# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the thesis's cluster (its figures 4.8 to 4.11) as plain data: what they say, not how they are spelled.

Each is in the form that our parsers return, so that a test can compare it with the files that the roles render from
inventories/thesis. Where Debian 12 can't follow the thesis to the letter, the difference stands beside it.
"""

from __future__ import annotations

from typing import Any

VIP = "192.168.1.30"
REAL_SERVERS = tuple(f"100.100.100.{number}" for number in range(1, 5))


def _virtual_service(port: int, service: str) -> dict[str, Any]:
    return {
        "family": 4,
        "address": VIP,
        "port": port,
        "protocol": "tcp",
        "scheduler": "wrr",
        "persistent": 120,
        "netmask": "255.255.255.0",
        "service": service,
        # Written "index.html"; ldirectord puts the slash before it.
        "request": "/index.html",
        "receive": "happy",
        "fallback": {"address": "127.0.0.1", "port": port, "forwarding": "gate"},
        "real_servers": [
            {"address": address, "port": port, "forwarding": "gate", "weight": 1} for address in REAL_SERVERS
        ],
    }


# Figure 4.8, as parse() of ldirectord_config returns its services. Each item must be in the rendered service, which may
# say more (its check). The thesis indents with two spaces, which ldirectord refuses ("Unknown command"): compare the
# meaning. We know of no global directives in it; ours come from the role.
LDIRECTORD_SERVICES: list[dict[str, Any]] = [_virtual_service(443, "https"), _virtual_service(80, "http")]

# The tests of its chapter 5 also had smtp, http and pop3, scheduled rr. (port, scheduler)
LDIRECTORD_TESTED: list[tuple[int, str]] = [(25, "rr"), (110, "rr")]

# Figure 4.9, as HaCf.meaning() returns it.
HA_CF: dict[str, Any] = {
    "debugfile": "/var/log/ha-debug",
    "logfile": "/var/log/ha-log",
    "logfacility": "local0",
    "keepalive": 2.0,
    "deadtime": 20.0,
    "warntime": 10.0,
    "initdead": 30.0,
    "baud": 19200,
    "bcast": ["eth1"],
    "auto_failback": True,
    "node": ["servidor", "cliente"],
    # The cluster's own address: whoever holds it always reaches it. Preflight warns.
    "ping": [VIP],
    # The thesis has the path of its own build, /usr/local/lib/heartbeat/ipfail; this is Debian's.
    "respawn": [("hacluster", "/usr/libexec/heartbeat/ipfail")],
}
# The thesis sets the speed of a serial link without having one; the role writes it only before serial links.
HA_CF_LEFT_OUT = frozenset(("baud",))
# What the role writes and the thesis leaves to its default: 694 is that default.
HA_CF_ADDED: dict[str, Any] = {"udpport": 694}

# Figure 4.10: the preferred node, then each resource as script and arguments.
HARESOURCES_AS_WRITTEN: list[tuple[str, list[tuple[str, tuple[str, ...]]]]] = [
    ("servidor", [("IPaddr", (VIP,)), ("ldirectord", ())]),
]
# IPaddr needs ifconfig, which Debian leaves out, and does not take the address off lo. So IPaddr2 instead, with the
# prefix and the interface that inventories/thesis gives servidor in 192.168.1.0/24.
HARESOURCES: list[tuple[str, list[tuple[str, tuple[str, ...]]]]] = [
    ("servidor", [("IPaddr2", (f"{VIP}/24/eth0",)), ("ldirectord", ())]),
]

# Figure 4.11: the key that signs, and number: (method, secret). The secret is printed in the thesis.
AUTHKEYS_ACTIVE = 1
AUTHKEYS: dict[int, tuple[str, str | None]] = {1: ("crc", None), 3: ("md5", "Hello!")}
