# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about the third tier: which kind of shared storage there is, and NFS."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    STORAGE,
    Cluster,
    known,
    to_address,
    unusable,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.nfs import members
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import INVENTORY
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule

PATH = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")  # a word in exports(5) and fstab(5)
BELOW = re.compile(r"(?![/.]+(/|$))[^/]+(/(?!\.{1,2}(/|$))[^/]+)*")  # a path without '.' and '..'
SYMBOLIC = r"[ugoa]*[-+=][rwxXst]*"  # chmod(1)
MODE = re.compile(rf"[0-7]{{3,4}}|{SYMBOLIC}(,{SYMBOLIC})*")
CLIENT = re.compile(r"[^\s#()'\"\\,-][^\s#()'\"\\]*")  # a word of exports(5), which no option follows
NFS = 2049
OPTION = re.compile(r"[a-z0-9_][a-z0-9_.-]*(=[A-Za-z0-9_.:/@-]+)?")


@rule("shared_storage")
def shared_storage(cluster: Cluster) -> Iterator[Complaint]:
    """Both kinds would want to be at ha_shared_folder."""
    there = {kind: [name for name in names if cluster.groups.get(name)] for kind, names in STORAGE.items()}
    if all(there.values()):
        found = show(", ".join(name for names in there.values() for name in names))
        remedy = "empty the groups of one kind; to move files from one to the other, use two inventories"
        yield Complaint("groups", found, "an inventory has shared storage of one kind", remedy, INVENTORY)
        return
    kind = cluster.get("ha_shared_storage")
    found_kind = next((name for name, names in there.items() if names), "none")
    if kind is not None and kind != found_kind:
        if kind == "none":
            problem = f"but there are hosts in {' and '.join(there[found_kind])}"
            remedy = f"write {found_kind}, or empty these groups"
        else:
            problem = f"but there is no host in {', '.join(STORAGE[kind])}"
            remedy = "list hosts in them, or leave the variable out"
        yield Complaint("ha_shared_storage", show(kind), problem, remedy)


@rule("nfs_hosts")
def nfs_hosts(cluster: Cluster) -> Iterator[Complaint]:
    """One server, which does not mount what it serves: a machine that waits for itself can't be shut down."""
    servers, clients = cluster.groups.get("nfs_server", ()), cluster.groups.get("nfs_clients", ())
    if len(servers) > 1 or (clients and not servers):
        problem = f"NFS has exactly one server here, not {len(servers)}"
        value = show(", ".join(servers)) if servers else ""
        yield Complaint("groups.nfs_server", value, problem, "list one host in the group nfs_server", INVENTORY)
    elif servers and not clients:
        remedy = "list hosts in the group nfs_clients"
        yield Complaint("groups.nfs_clients", "", "nobody mounts what the server has", remedy, INVENTORY)
    for host in servers:
        if host in clients:
            problem = "serves the folder and needs no mount"
            yield Complaint("groups.nfs_clients", "", problem, "take it out of nfs_clients", host)
    for host in clients:
        for server in servers[:1]:
            families = {entry.address.version for entry in cluster.addresses.get(host, ())}
            offered = {entry.address.version for entry in cluster.addresses.get(server, ())}
            if families and offered and not families & offered:
                problem = f"has no address of a family that {server} has as well"
                yield Complaint("ha_interfaces", "", problem, "give both an IPv4 or an IPv6 address", host)


@rule("nfs_settings")
def nfs_addresses(cluster: Cluster) -> Iterator[Complaint]:
    """A line of exports(5) is cut at blanks, '#' and brackets, and a folder without a client is for everybody."""
    for host in cluster.groups.get("nfs_server", ()):
        for index, client in enumerate(cluster.value(host, "nfs_server_clients") or ()):
            if client is not UNUSABLE and not CLIENT.fullmatch(client):
                problem = "must be one address, network or host name, without blanks, quotes, brackets and '#'"
                yield Complaint(f"nfs_server_clients[{index}]", show(client), problem, "write it like 10.0.20.21", host)
    for host in cluster.groups.get("nfs_clients", ()):
        address = to_address(cluster.value(host, "nfs_client_server"))
        # Linux routes the IPv4 addresses of a link like others.
        fault = unusable(address) if address and not (address.version == 4 and address.is_link_local) else None
        ports = [service.get("port") for service in cluster.services if address and service.vip == address]
        if fault or (ports and not {0, NFS, None} & {*ports}):
            problem = f"is {fault}" if fault else "is a VIP, of which no service has NFS's port"
            yield Complaint("nfs_client_server", show(str(address)), problem, "write it like 10.0.20.11", host)


@rule("open_export", "warning")
def open_export(cluster: Cluster) -> Iterator[Complaint]:
    """What NFS lets in it believes: a client says itself which user it is."""
    for host in cluster.groups.get("nfs_server", ()):
        for index, client in enumerate(cluster.value(host, "nfs_server_clients") or ()):
            if client in ("*", "0.0.0.0/0", "0.0.0.0/0.0.0.0", "::/0"):
                problem = "lets everybody mount the folder who reaches the server"
                yield Complaint(
                    f"nfs_server_clients[{index}]", show(client), problem, "name a network or addresses", host
                )


@rule("nfs_settings")
def nfs_settings(cluster: Cluster) -> Iterator[Complaint]:
    """exportfs(8) and mount(8) complain only when half is done."""
    for host in dict.fromkeys([*members(cluster.groups), *cluster.groups.get("coda_clients", ())]):
        mine = {
            "nfs_server": ("nfs_server_folder", "nfs_server_options", "nfs_server_clients"),
            "nfs_clients": ("ha_shared_folder", "nfs_client_folder", "nfs_client_options", "nfs_client_server"),
            "coda_clients": ("ha_shared_folder",),
        }
        for name in dict.fromkeys(
            name for group, names in mine.items() if host in cluster.groups.get(group, ()) for name in names
        ):
            value = cluster.value(host, name)
            if name == "nfs_server_clients" and value == []:
                problem = "exportfs takes a folder without clients as one for everybody"
                yield Complaint(name, "", problem, "list addresses, or leave it out", host)
            if name == "nfs_client_server" and value is not None:
                if to_address(value) is None:
                    problem = "must be an IP address: a name can't be looked up before there is a network"
                    yield Complaint(name, show(value), problem, "write it like 10.0.20.11", host)
                continue
            if isinstance(value, str) and not PATH.fullmatch(value):
                problem = "must be an absolute path of letters, digits, '.', '_' and '-', and not '/'"
                yield Complaint(name, show(value), problem, "write it like /srv/shared", host)
            for index, option in enumerate(value if isinstance(value, list) and name.endswith("_options") else ()):
                if option is not UNUSABLE and not OPTION.fullmatch(option):
                    problem = "must be one option, such as sync or rsize=65536"
                    yield Complaint(f"{name}[{index}]", show(option), problem, "list each option by itself", host)


@rule("nfs_folders")
def nfs_folders(cluster: Cluster) -> Iterator[Complaint]:
    """YAML reads 0770 as the number 504, and some versions of Ansible take those digits for the permissions."""
    for host in cluster.groups.get("nfs_server", ()):
        written = cluster.hosts[host].get("nfs_server_folders")
        for index, entry in enumerate(cluster.value(host, "nfs_server_folders") or ()):
            if entry is UNUSABLE:
                continue
            place, path, mode = f"nfs_server_folders[{index}]", known(entry["path"]), known(entry["mode"])
            if path is not None and not BELOW.fullmatch(path.rstrip("/")):
                problem = "must be a path below the shared folder, without '.' and '..' as names"
                yield Complaint(f"{place}.path", show(path), problem, "write it like www or www/static", host)
            number = isinstance(written, list) and isinstance(written[index].get("mode"), int | float)
            if mode is not None and (number or not MODE.fullmatch(mode)):
                problem = "must be three or four digits from 0 to 7, as a text: else YAML makes a number of it"
                yield Complaint(f"{place}.mode", show(mode), problem, "write it in quotes, such as '0770'", host)
