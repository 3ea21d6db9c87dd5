# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Heartbeat says of a director's virtual addresses, and what the kernel says; only look() asks them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from ansible_collections.codalvs.ha.plugins.module_utils._network.addresses import kernel_addresses

Vips = Sequence[Mapping[str, Any]]

# An entry of the option vips, as the filter cluster returns it.
VIP = {
    "address": {"type": "str", "required": True},
    "node": {"type": "str", "required": True},
    "interface": {"type": "str"},
    "prefix": {"type": "int"},
}


class State(NamedTuple):
    """A director's own view of the cluster."""

    node: str  # its name
    nodes: Mapping[str, str]  # what Heartbeat says of each node; empty where it does not run
    resources: str  # whose groups this node holds by Heartbeat's word: all, local, foreign, none, transition; or empty
    held: Sequence[str]  # the virtual addresses that the kernel has
    expected: Sequence[str]  # those that it should have, going by Heartbeat

    @property
    def settled(self) -> bool:
        """Return whether Heartbeat runs, is not in transition, and the kernel agrees with it."""
        return self.resources not in ("", "transition") and self.held == self.expected


def held_addresses(vips: Vips, ip_json: str) -> list[str]:
    """Return the VIPs that `ip -json address show` has on their interface, or on any but lo if a VIP names none.

    A VIP on lo or a dummy device does not count: there a director carries it as a real server.
    """
    present = [entry.rpartition("/")[0].split(": ") for entry in kernel_addresses(ip_json)]
    return sorted(
        {
            address
            for vip in vips
            for device, address in present
            if address == str(ip_address(vip["address"]))
            and (device == vip["interface"] if vip.get("interface") else device != "lo")
        }
    )


def expected_addresses(vips: Vips, node: str, resources: str) -> list[str]:
    """Return the addresses that a node holds when `cl_status rscstatus` says `resources` (facts: cl_status(1)).

    local are the groups whose preferred node is this one, foreign those of the other node.
    """
    mine = {"all": (True, False), "local": (True,), "foreign": (False,)}.get(resources, ())
    return sorted(str(ip_address(vip["address"])) for vip in vips if (vip["node"].lower() == node) in mine)


def look(module: Any, vips: Vips) -> State:
    """Ask Heartbeat and the kernel. module: an AnsibleModule, which runs the commands."""
    program = module.get_bin_path("cl_status")

    def cl_status(*words: str) -> str:
        if not program:
            return ""
        code, out, _err = module.run_command([program, *words])
        # It says that a node is dead with exit code 1; its complaints go to the other stream.
        return str(out).strip() if code == 0 or words[0] == "nodestatus" else ""

    held = held_addresses(vips, module.run_command(["ip", "-json", "address", "show"], check_rc=True)[1])
    node, names = platform.node().lower(), cl_status("listnodes", "-n").split()
    resources = cl_status("rscstatus") if names else ""
    nodes = {name: cl_status("nodestatus", name) for name in names}
    return State(node, nodes, resources, held, expected_addresses(vips, node, resources))
