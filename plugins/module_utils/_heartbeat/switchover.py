# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a director is fit to have all virtual addresses, who has them, and what moves them, without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.state import State, Vips
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import Service, Table

Holders = Mapping[str, Sequence[str]]


def unfit(
    state: State, answered: Collection[str], table: Table, wanted: Table, daemons: Collection[str] | None
) -> list[str]:
    """Return why a director should not get the addresses.

    answered: addresses for which another host answers. wanted: the table that it has to serve, such as the other
    director's. If a service has real servers with a weight there, at least one of these must have a weight here, and
    get packets in the same way. daemons: roles of the sync daemons that run; None if they don't matter.
    """
    if not state.nodes:
        return ["Heartbeat does not run here"]
    reasons = [f"Heartbeat says that {name} is {status}" for name, status in state.nodes.items() if status != "active"]
    if len(state.nodes) != 2:
        reasons.append(f"Heartbeat knows {len(state.nodes)} nodes, {', '.join(state.nodes)}: there must be two")
    if state.resources == "transition":
        remedy = "" if state.held else "; if that lasts for minutes, restart Heartbeat here, where no address is"
        reasons.append(f"Heartbeat is moving resources, and would not hear of it{remedy}")
    elsewhere = sorted({*answered} & {*state.expected})
    reasons += [f"another host has {address}, which Heartbeat believes to be here" for address in elsewhere]
    for key, service in wanted.items():
        if key not in table:
            reasons.append(f"{key} is not in the IPVS table")
        elif live(service) and not live(service) & live(table[key]):
            reasons.append(f"{key} has no real server that takes connections")
        elif live(service) and not _alike(service, table[key]):
            reasons.append(f"{key} forwards in another way than it does on the other director")
    lacking = [] if daemons is None else [role for role in ("master", "backup") if role not in daemons]
    return reasons + [f"no sync daemon runs as {role}" for role in lacking]


def live(service: Service) -> set[tuple[str, int]]:
    """Return the real servers that take connections."""
    return {place for place, server in service.servers.items() if server.weight > 0}


def _alike(one: Service, other: Service) -> bool:
    """Return whether a live real server of both gets packets in the same way; one on the director itself is `local`."""
    ways = ({one.servers[place].forwarding, other.servers[place].forwarding} for place in live(one) & live(other))
    return any(len(each) == 1 or "local" in each for each in ways)


def own(vips: Vips, node: str) -> Vips:
    """Return the addresses that prefer a node. Heartbeat's names have small letters."""
    return [vip for vip in vips if vip["node"].lower() == node.lower()]


def holders(vips: Vips, state: State, answered: Collection[str]) -> dict[str, list[str]]:
    """Return the names of the directors that have each address.

    This director has what its kernel has. The other one has what Heartbeat does not expect here, because Heartbeat
    reports nothing as released that is still there, and also an address for which somebody else has answered.
    """
    other = next((name for name in state.nodes if name != state.node), "another host")
    found = {}
    for address in sorted({str(ip_address(vip["address"])) for vip in vips}):
        here, there = address in state.held, address not in state.expected or address in answered
        found[address] = [state.node] * here + [other] * there
    return found


def plan(found: Holders, node: str) -> list[str]:
    """Return the steps that make a node the only holder; between "take" and "release" there are two."""
    steps = ["take"] if any(node not in names for names in found.values()) else []
    if any(set(names) - {node} for names in found.values()):
        steps.append("release")
    return [*steps, "wait", "announce"] if steps else []
