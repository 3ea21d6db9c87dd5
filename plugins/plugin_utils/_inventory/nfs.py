# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory to NFS: by which address each client reaches the server, and whom the server lets in. No I/O."""

from __future__ import annotations

from typing import Any

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    ClusterError,
    Groups,
    Hosts,
    usable_addresses,
)

VARIABLES = ("ha_interfaces",)  # what this file reads of a host


def members(groups: Groups) -> list[str]:
    """Return the hosts that serve or mount the folder."""
    return list(dict.fromkeys([*groups.get("nfs_server", ()), *groups.get("nfs_clients", ())]))


def nfs(hosts: Hosts, groups: Groups) -> dict[str, Any]:
    """Return {clients, servers}.

    clients: the addresses that the server lets in, all of each client in the family by which it comes.
    servers: by client, the server's address: one in a network that both are on, else its first one.
    Raises ClusterError where a client and the server have no address of one family.
    """
    clients: dict[str, None] = {}
    servers = {}
    for server in groups.get("nfs_server", ())[:1]:
        for client in groups.get("nfs_clients", ()):
            servers[client] = str(address := server_address(hosts, client, server))
            own = (entry for entry in usable(hosts, client) if entry.version == address.version)
            clients |= dict.fromkeys(str(entry.ip) for entry in own)
    return {"clients": list(clients), "servers": servers}


def usable(hosts: Hosts, name: str) -> list[Any]:
    """Return a host's addresses; those of a link alone are none without the interface's name."""
    own = usable_addresses(name, hosts[name].get("ha_interfaces"))
    return [entry.address for entry in own if not entry.address.is_link_local]


def server_address(hosts: Hosts, client: str, server: str) -> Any:
    """Choose the address by which a client reaches the server."""
    own = usable(hosts, client)
    offered = [entry for entry in usable(hosts, server) if entry.version in {each.version for each in own}]
    if not offered:
        raise ClusterError(f"host {client}: ha_interfaces: no address of a family that {server} has as well")
    near = {entry.network for entry in own}
    return next((entry for entry in offered if entry.network in near), offered[0]).ip
