# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the inventory to a Coda cell: its servers, the files that are the same on all of them, its tree. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._schema import conform
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Groups, Values, usable_addresses

# What this file reads of a host.
VARIABLES = (
    "ha_interfaces",
    "coda_scm_volumes",
    "coda_server_address",
    "coda_server_file_space",
    "coda_server_id",
    "coda_server_name",
    "coda_server_partitions",
    "coda_server_rvm_data_size",
    "coda_server_services",
)

SERVICES = ("files", "auth")  # all that there are; the SCM needs both
# How many files a partition can hold, and the shape of its tree of folders (vicetab(5)).
TREES = {
    "256K": "width=64,depth=3",
    "1M": "width=32,depth=4",
    "2M": "width=128,depth=3",
    "16M": "width=256,depth=3",
}
# The sizes (MiB) that upstream's own set-up offers, of which a server needs 4 % of its file space.
RVM_SIZES = (32, 64, 128, 256, 512, 768, 1024)
RVM_SHARE = 0.04
# For a volume that names no rights. With Coda's own default, only administrators would see anything.
RIGHTS = {"System:Administrators": "all", "System:AnyUser": "read"}


def rvm_data_size(file_space: float) -> int | None:
    """Return the size (MiB) of RVM's data for so much file space (GiB); None if no supported one is enough."""
    return next((size for size in RVM_SIZES if size >= file_space * 1024 * RVM_SHARE), None)


def servers_of(groups: Groups) -> list[str]:
    """Return the hosts that run a part of the cell, the SCM first."""
    return list(dict.fromkeys([*groups.get("coda_scm", ()), *groups.get("coda_servers", ())]))


def server(host: str, values: Values) -> dict[str, Any]:
    """Return one server as the roles need it; raises ClusterError at what is malformed."""
    own = {name: values.usable(host, name) for name in VARIABLES}
    return {
        "host": host,
        "name": own["coda_server_name"] or host,
        "id": own["coda_server_id"],
        "address": own["coda_server_address"] or first_address(host, own["ha_interfaces"]) or "",
        "services": own["coda_server_services"],
        "partitions": [
            {"path": entry["path"], "tree": TREES[entry["files"]]} for entry in own["coda_server_partitions"]
        ],
        "rvm_data_size": own["coda_server_rvm_data_size"] or rvm_data_size(own["coda_server_file_space"]) or 0,
    }


def first_address(host: str, interfaces: Any) -> str | None:
    """Return the first IPv4 address of ha_interfaces: Coda's servers know no other family."""
    own = (entry.address for entry in usable_addresses(host, interfaces))
    return next((str(address.ip) for address in own if address.version == 4), None)


def tree(volumes: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return {mounts, folders}: what is mounted where, and the access list of each volume's folder.

    mounts: {path, volume} or {path, state: absent}; folders: {path, rights, denied}. Paths are below the
    realm's folder, whose own is ''. The volumes have all options of coda_scm_volumes.
    """
    there = [volume for volume in volumes if volume["state"] == "present"]
    mounted = [volume for volume in there if volume["mount"]]
    taken = {volume["mount"] for volume in mounted}
    gone = [volume for volume in volumes if volume not in there and volume["mount"] not in (None, "", *taken)]
    root = [volume for volume in there if volume["name"] == "/"]
    return {
        "mounts": [
            *({"path": volume["mount"], "state": "absent"} for volume in gone),
            *({"path": volume["mount"], "volume": volume["name"]} for volume in mounted),
        ],
        "folders": [
            {
                "path": volume["mount"] or "",
                "rights": volume["rights"] or RIGHTS,
                "denied": volume["denied"] or {},
            }
            for volume in root + mounted
        ],
    }


def cell(values: Values, groups: Groups) -> dict[str, Any]:
    """Return the cell: {realm, scm, servers, file_servers, volumes, mounts, folders, files}.

    realm: the domain of the SCM's name; scm, servers: as `server` has them; mounts, folders: see `tree`.
    volumes: coda_scm_volumes of the SCM as it is written, with its default.
    files: the text of each file of /vice/db that follows from the inventory and is the same on all servers.
    """
    servers = [server(name, values) for name in servers_of(groups)]
    file_servers = [entry for entry in servers if "files" in entry["services"]]
    scm = servers[0] if groups.get("coda_scm") else None
    names = "auth2.pw auth2.tk auth2.tk.BAK auth2.lock files prot_users.cdb servers scm update.tk volutil.tk VLDB VRDB"
    replicated = [*names.split(), "VRList", "maxgroupid", "vicetab"]
    root = {"name": "/", "replicas": [{"server": scm["name"]}]} if scm else None
    volumes: Any = (values.hosts[scm["host"]].get("coda_scm_volumes") if scm else None) or ([root] if root else [])
    return {
        "realm": (scm["name"].partition(".")[2] or scm["name"]) if scm else "",
        "volumes": volumes,
        **tree(conform(values.options["coda_scm_volumes"], volumes, "coda_scm_volumes", [])),
        "scm": scm,
        "servers": {entry["host"]: entry for entry in servers},
        "file_servers": [entry["name"] for entry in file_servers],
        "files": {
            "scm": f"{scm['name']}\n" if scm else "",
            "servers": "".join(f"{entry['name']}\t{entry['id']}\n" for entry in file_servers),
            "vicetab": "".join(
                f"{entry['name']} {partition['path']} ftree {partition['tree']}\n"
                for entry in file_servers
                for partition in entry["partitions"]
            ),
            "files": "".join(f"{name}\n" for name in replicated),
            "files.export": "".join(f"{name}\n" for name in ["db", *(f"db/{name}" for name in replicated)]),
        },
    }


def unsaid(text: str, wanted: str, servers: Collection[str] | None = None) -> list[str]:
    """Return the lines of a file of /vice/db that `wanted`, its text by the inventory, does not say.

    servers: only lines that begin with one of these names. One that is gone for good may have left lines.
    """
    said = {" ".join(line.split()) for line in wanted.splitlines()} | {""}
    lines = dict.fromkeys(" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line not in said and (servers is None or line.split()[0] in servers)]
