# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about a Coda cell. What Coda does otherwise was seen on a real cell of version 8.1.7."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from posixpath import commonpath, normpath
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._coda import client as coda_client
from ansible_collections.codalvs.ha.plugins.module_utils._coda import users as coda_users
from ansible_collections.codalvs.ha.plugins.module_utils._coda import volumes as coda_volumes
from ansible_collections.codalvs.ha.plugins.module_utils._schema import HIDDEN, UNUSABLE, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.coda_cell import (
    RVM_SHARE,
    RVM_SIZES,
    SERVICES,
    rvm_data_size,
    servers_of,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Cluster, known, to_address, unusable
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import INVENTORY
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule, usable
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.settings import PATH, RELAY

LONGEST_NAME = 63  # MAXHOSTNAMELEN with the closing zero
OWN_GROUPS = ("System:Administrators", "System:AnyUser")  # which every cell has
LEAST_CACHE, MOST_PRIORITY = 2, 1000  # MiB (venus.conf.ex), hoard(1)
# Connections to a container. One can be reached by ssh as well, so the role looks again.
CONTAINERS = ("docker", "podman", "buildah", "lxc", "lxd", "nspawn", "chroot", "jail", "kubectl", "oc")
# Those of the whole cell are read from the SCM.
CELL_WIDE = ("coda_scm_users", "coda_scm_groups", "coda_scm_volumes", "coda_scm_tokens", "coda_scm_admin")


def own(cluster: Cluster, host: str, name: str) -> Any:
    """Return a host's value of a variable, with the default; None if there is none or if it is reported already."""
    return cluster.value(host, name)


def services(cluster: Cluster, host: str) -> list[Any]:
    """Return what a server runs."""
    return [name for name in own(cluster, host, "coda_server_services") or SERVICES if name is not UNUSABLE]


def file_servers(cluster: Cluster) -> list[str]:
    """Return the hosts that hold volumes."""
    return [host for host in servers_of(cluster.groups) if "files" in services(cluster, host)]


def server_name(cluster: Cluster, host: str) -> str:
    """Return the name by which the cell knows a host."""
    return str(own(cluster, host, "coda_server_name") or host)


def volumes(cluster: Cluster) -> list[tuple[str, Any]]:
    """Return the well-formed volumes of the SCM, with their paths."""
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    return list(_entries(cluster, scm, "coda_scm_volumes")) if scm else []


def _entries(cluster: Cluster, host: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the usable entries of a list, with their places."""
    return usable(name, own(cluster, host, name))


@rule("coda_scm_count")
def coda_scm_count(cluster: Cluster) -> Iterator[Complaint]:
    """The databases have one master, from which all others fetch them."""
    scm, others = cluster.groups.get("coda_scm", ()), cluster.groups.get("coda_servers", ())
    if len(scm) > 1 or (others and not scm):
        problem = f"a cell has exactly one system control machine, not {len(scm)}"
        remedy = "list one host in the group coda_scm"
        yield Complaint("groups.coda_scm", show(", ".join(scm)) if scm else "", problem, remedy, INVENTORY)


@rule("coda_scm_services")
def coda_scm_services(cluster: Cluster) -> Iterator[Complaint]:
    """createvol and the databases of volumes need a file server on the SCM, changes of passwords its auth2."""
    for host in cluster.groups.get("coda_scm", ()):
        given = services(cluster, host)
        if set(SERVICES) - set(given) and UNUSABLE not in (own(cluster, host, "coda_server_services") or ()):
            problem = "the SCM needs both: it keeps the databases of volumes and of passwords"
            yield Complaint("coda_server_services", ", ".join(given), problem, "write [files, auth]", host)
    for host in servers_of(cluster.groups):
        if own(cluster, host, "coda_server_services") == []:
            yield Complaint("coda_server_services", "", "a server without services", "write files, auth or both", host)


@rule("coda_packages")
def coda_packages(cluster: Cluster) -> Iterator[Complaint]:
    """No Debian release has Coda."""
    for host in dict.fromkeys([*servers_of(cluster.groups), *cluster.groups.get("coda_clients", ())]):
        if not own(cluster, host, "coda_packages"):
            problem = "there is nothing to install Coda from"
            remedy = "list package files or, with coda_apt_repository, names of packages"
            yield Complaint("coda_packages", "", problem, remedy, host)


@rule("coda_apt_password")
def coda_apt_password(cluster: Cluster) -> Iterator[Complaint]:
    """Everybody on a host may read its list of repositories, and --diff shows it."""
    for host in dict.fromkeys([*servers_of(cluster.groups), *cluster.groups.get("coda_clients", ())]):
        repository = known(own(cluster, host, "coda_apt_repository")) or {}
        for place, uri in usable("coda_apt_repository.uris", known(repository.get("uris"))):
            if re.match(r"[^/]*//[^/]*@", uri):
                problem = "holds a user or a password, which everybody on the host could read"
                remedy = (
                    "leave it out here, and have it in a file of mode 0600 in /etc/apt/auth.conf.d (apt_auth.conf(5))"
                )
                yield Complaint(place, HIDDEN, problem, remedy, host)


@rule("coda_server_name")
def coda_server_name(cluster: Cluster) -> Iterator[Complaint]:
    """Servers know each other by name, and cut a long one short."""
    seen: dict[str, str] = {}
    for host in servers_of(cluster.groups):
        name = server_name(cluster, host)
        problem, remedy = "", "choose a full host name of 1 to 63 letters, digits, '.' or '-'"
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9.-]{{0,{LONGEST_NAME - 1}}}", name):
            problem = "is not a host name that Coda can use"
        elif name.partition(".")[0].lower() == "localhost" or to_address(name):
            problem = "is a loopback name or an address; other servers and clients look this name up"
        elif name.lower() in seen:
            problem, remedy = f"is the name of {seen[name.lower()]} as well", "give each server a name of its own"
        seen.setdefault(name.lower(), host)
        if problem:
            yield Complaint("coda_server_name", show(name), problem, remedy, host)


@rule("coda_server_id")
def coda_server_id(cluster: Cluster) -> Iterator[Complaint]:
    """The first byte of a volume's number is that of its server; 0, 127 and 255 mean something else."""
    seen: dict[int, str] = {}
    for host in file_servers(cluster):
        number = own(cluster, host, "coda_server_id")
        if number is None:
            if cluster.hosts[host].get("coda_server_id") is None:
                remedy = "give each file server a number, 1 to 254 but not 127, and never change it"
                yield Complaint("coda_server_id", "", "every file server needs a number", remedy, host)
            continue
        if not 1 <= number <= 254 or number == 127:
            problem = "must be 1 to 254, and not 127, which is for replicated volumes"
            yield Complaint("coda_server_id", show(number), problem, "choose another one for a new server", host)
        elif number in seen:
            problem = f"is the number of {seen[number]} as well"
            yield Complaint("coda_server_id", show(number), problem, "choose another one for a new server", host)
        seen.setdefault(number, host)


@rule("coda_address")
def coda_address(cluster: Cluster) -> Iterator[Complaint]:
    """Coda's servers know each other by IPv4 addresses; of replicated ones, the first number must be below 128."""
    replicated = {
        replica["server"]
        for _path, volume in volumes(cluster)
        for replica in (known(volume["replicas"]) or ())
        if len(known(volume["replicas"]) or ()) > 1 and replica is not UNUSABLE
    }
    for host in servers_of(cluster.groups):
        given = own(cluster, host, "coda_server_address")
        declared = [entry for entry in cluster.addresses.get(host, ()) if entry.address.version == 4]
        if given is None and not declared:
            interfaces = cluster.hosts[host].get("ha_interfaces")
            # Of addresses that can't be read, another rule says so.
            empty = isinstance(interfaces, Mapping) and all(each in ([], ()) for each in interfaces.values())
            if interfaces is None or empty or cluster.addresses.get(host):
                remedy = "add, for example, ha_interfaces: {eth0: 10.0.0.11/24}"
                yield Complaint("ha_interfaces", "", "a Coda server needs an IPv4 address", remedy, host)
            continue
        variable = "coda_server_address" if given is not None else declared[0].variable
        text = str(given) if given is not None else str(declared[0].address.ip)
        address = to_address(text)
        if address is None or address.version != 4 or address not in [entry.address.ip for entry in declared]:
            problem = "must be one of this host's IPv4 addresses"
            yield Complaint(variable, show(text), problem, "write one that is in its ha_interfaces", host)
        elif int(text.split(".", maxsplit=1)[0]) >= 128 and server_name(cluster, host) in replicated:
            problem = "Coda can't resolve differences of replicas on servers whose address begins with 128 or more"
            remedy = "give it an address such as 10.0.0.11 (and coda_server_address), or one replica to each volume"
            yield Complaint(variable, text, problem, remedy, host)


@rule("coda_partition")
def coda_partition(cluster: Cluster) -> Iterator[Complaint]:
    """Paths are words in vicetab and server.conf, and part of commands."""
    paths = ("coda_server_rvm_data", "coda_server_rvm_log")
    for host in file_servers(cluster):
        entries = _entries(cluster, host, "coda_server_partitions")
        given = [(f"{place}.path", known(entry["path"])) for place, entry in entries]
        folders = [path for _variable, path in given if path]
        if own(cluster, host, "coda_server_partitions") == []:
            problem = "a file server needs a folder for the contents of files"
            yield Complaint("coda_server_partitions", "", problem, "list one, such as {path: /vicepa}", host)
        seen = set()
        for variable, path in [*given, *((name, own(cluster, host, name)) for name in paths)]:
            if path is None:
                continue
            if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or "/.." in path:
                problem = "must be an absolute path of letters, digits, '.', '_' and '-'"
                yield Complaint(variable, show(path), problem, "write it like /vicepa", host)
            elif is_in(path, "/dev"):
                problem = "is a device, or would be gone after a reboot: a server needs folders and files on a disk"
                remedy = "mount the disk, and name a folder or a file there"
                yield Complaint(variable, show(path), problem, remedy, host)
            elif path in seen:
                yield Complaint(variable, show(path), "is listed twice", "name another path", host)
            elif outer := _around(path, folders) if variable.endswith(".path") else None:
                problem = f"lies in the partition {outer}, whose files are the server's alone"
                yield Complaint(variable, show(path), problem, "give each partition a place of its own", host)
            seen.add(path)


def is_in(path: str, folder: str) -> bool:
    """Tell whether an absolute path is a folder or lies in it."""
    inner, outer = (normpath(f"/{each.lstrip('/')}") for each in (path, folder))
    return commonpath((inner, outer)) == outer


def _around(path: str, folders: Collection[str]) -> str | None:
    """Return another folder that a path lies in."""
    return next((folder for folder in folders if folder != path and is_in(path, folder)), None)


@rule("coda_rvm_size")
def coda_rvm_size(cluster: Cluster) -> Iterator[Complaint]:
    """RVM's data can't grow, so it must be large enough from the start."""
    for host in file_servers(cluster):
        space = own(cluster, host, "coda_server_file_space")
        if space is not None and space <= 0:
            problem = "must be more than 0 GiB"
            remedy = f"write a number such as {cluster.options['coda_server_file_space']['default']}"
            yield Complaint("coda_server_file_space", show(space), problem, remedy, host)
        elif space and not own(cluster, host, "coda_server_rvm_data_size") and rvm_data_size(space) is None:
            problem = f"needs {space * 1024 * RVM_SHARE:.0f} MiB for RVM's data, and Coda supports {RVM_SIZES[-1]}"
            remedy = "spread the files over more servers or, for few and large ones, set coda_server_rvm_data_size"
            yield Complaint("coda_server_file_space", show(space), problem, remedy, host)
        log = own(cluster, host, "coda_server_rvm_log_size")
        if log is not None and not 2 <= log <= 30:
            yield Complaint("coda_server_rvm_log_size", show(log), "must be 2 to 30 MiB", "20 is a good choice", host)


@rule("coda_volume")
def coda_volume(cluster: Cluster) -> Iterator[Complaint]:
    """What Coda would refuse only when half of the cell is made."""
    names = {server_name(cluster, host): host for host in file_servers(cluster)}
    seen: set[str] = set()
    given = volumes(cluster)
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    for path, volume in given:
        name, replicas = known(volume["name"]), known(volume["replicas"]) or []
        if name is not None and not coda_volumes.NAME.fullmatch(name):
            problem = "must be 1 to 29 letters, digits, '/', '.', '_' or '-', the first a letter, digit or '/'"
            yield Complaint(f"{path}.name", show(name), problem, "choose such a name", scm)
        if name in seen:
            yield Complaint(f"{path}.name", show(name), "is listed twice", "list each volume once", scm)
        seen.add(name)
        count = len(replicas)
        if known(volume["state"]) == "present" and not 1 <= count <= coda_volumes.MOST_REPLICAS:
            problem = f"must be 1 to {coda_volumes.MOST_REPLICAS} servers, not {count}"
            yield Complaint(f"{path}.replicas", "", problem, "list the servers that hold it", scm)
        servers = [known(replica["server"]) for replica in replicas if replica is not UNUSABLE]
        for index, server in enumerate(servers):
            place = f"{path}.replicas[{index}].server"
            if server is not None and server not in names:
                problem = "is not a file server of this cell"
                yield Complaint(place, show(server), problem, f"name one of {', '.join(names)}", scm)
            elif server is not None and server in servers[:index]:
                yield Complaint(place, show(server), "holds this volume already", "name another server", scm)
    root = next((volume for _path, volume in given if volume["name"] == "/"), None)
    if given and (root is None or known(root["state"]) != "present"):
        problem = "has no volume '/', and without it clients see an empty realm"
        yield Complaint("coda_scm_volumes", "", problem, "add {name: /, replicas: [{server: …}]}", scm)


@rule("coda_volume")
def coda_replica_partition(cluster: Cluster) -> Iterator[Complaint]:
    """A replica is made in a partition of its server; a volume that is there already needs none to be named."""
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    partitions = {
        server_name(cluster, host): [
            known(each["path"]) for each in own(cluster, host, "coda_server_partitions") or () if each is not UNUSABLE
        ]
        for host in file_servers(cluster)
    }
    for path, volume in volumes(cluster):
        for index, replica in enumerate(known(volume["replicas"]) or ()):
            server, place = (
                (None, None) if replica is UNUSABLE else map(known, (replica["server"], replica["partition"]))
            )
            there = partitions.get(str(server), [])
            if place is not None and there and None not in there and place not in there:
                problem = f"is no partition of {server}, which has {', '.join(map(str, there))}"
                remedy = "name one of them, or add it to coda_server_partitions"
                yield Complaint(f"{path}.replicas[{index}].partition", show(place), problem, remedy, scm)


@rule("out_of_range")
def coda_out_of_range(cluster: Cluster) -> Iterator[Complaint]:
    """What coda_backup would delete everything with, and seconds that are none."""
    backed_up = [host for host in servers_of(cluster.groups) if host in cluster.groups.get("coda_scm", ())]
    clients = cluster.groups.get("coda_clients", ())
    for hosts, name, least in (
        (backed_up, "coda_backup_keep", 1),
        (backed_up, "coda_backup_increments", 0),
        (clients, "coda_client_server_probe", 0),
    ):
        for host in hosts:
            number = own(cluster, host, name)
            if number is not None and number < least:
                problem = f"must be a whole number from {least} on"
                yield Complaint(name, show(number), problem, "write such a number", host)


@rule("coda_replicas", "warning")
def coda_replicas(cluster: Cluster) -> Iterator[Complaint]:
    """Seen on a real cell (benchmarks/coda_survival): a server with one of two replicas lost power under writes."""
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    for path, volume in volumes(cluster):
        count = len(known(volume["replicas"]) or ())
        if count > 1 and known(volume["state"]) == "present":
            problem = (
                "can end in conflicts: in 2 of 3 runs, a folder written to while a server died could not be read after"
            )
            remedy = "give it one replica; clients go on with what they have and hoard"
            yield Complaint(f"{path}.replicas", str(count), problem, remedy, scm)


@rule("coda_password")
def coda_password(cluster: Cluster) -> Iterator[Complaint]:
    """Of a longer password Coda honours eight bytes, and says nothing; some characters would reach the system's log."""
    for host in cluster.groups.get("coda_scm", ()):
        given = list(_entries(cluster, host, "coda_scm_users"))
        admin = own(cluster, host, "coda_scm_admin")
        for path, user in [*given, *([("coda_scm_admin", admin)] if admin else [])]:
            password = known(user["password"])
            fault = None if password is None else coda_users.password_fault(password)
            if fault:
                remedy = "write 1 to 8 bytes: letters and digits, at random"
                yield Complaint(f"{path}.password", HIDDEN, fault, remedy, host)
        tokens = own(cluster, host, "coda_scm_tokens") or {}
        for name, least, most in (("auth2", 1, 8), ("update", 8, 255), ("volutil", 8, 255)):
            token = known(tokens.get(name))
            if token is not None and not re.fullmatch(rf"[!-~]{{{least},{most}}}", token):
                problem = f"must be {least} to {most} characters of ASCII without blanks and line ends"
                remedy = "leave it out, and one is generated; else choose letters and digits at random"
                yield Complaint(f"coda_scm_tokens.{name}", HIDDEN, problem, remedy, host)


@rule("coda_user")
def coda_user(cluster: Cluster) -> Iterator[Complaint]:
    """pdbtool reports success whatever it is told."""
    for host in cluster.groups.get("coda_scm", ()):
        users, groups = (list(_entries(cluster, host, name)) for name in ("coda_scm_users", "coda_scm_groups"))
        admin = own(cluster, host, "coda_scm_admin")
        label = "coda_scm_admin" if cluster.hosts[host].get("coda_scm_admin") else "coda_scm_admin, by default"
        given = [("Coda's own user", {"name": "System", "uid": 1}), *([(label, admin)] if admin else []), *users]
        named = [(place, user) for place, user in given if UNUSABLE not in (user["name"], user["uid"])]
        owned = [(place, group) for place, group in groups if UNUSABLE not in (group["name"], group["owner"])]
        names = [group["name"] for _place, group in owned]
        # Which the role makes beside those that are listed.
        owned = [("Coda's own group", {"name": name, "owner": ""}) for name in OWN_GROUPS if name not in names] + owned
        places = {"user": [place for place, _user in named], "group": [place for place, _group in owned]}
        for fault in coda_users.faults(
            [coda_users.User(user["name"], user["uid"]) for _place, user in named],
            [coda_users.Group(group["name"], group["owner"], frozenset()) for _place, group in owned],
        ):
            place = places[fault.kind][fault.place]
            other = "" if fault.other is None else f" ({places['user'][fault.other]})"
            problem = f"{place}, {fault.name}: {fault.problem}{other}"
            yield Complaint(place.partition("[")[0], "", problem, "correct that entry", host)


def admin_of(cluster: Cluster, scm: str) -> str:
    """Return the name of the cell's administrator."""
    return str((known(own(cluster, scm, "coda_scm_admin")) or {}).get("name") or "codaadmin")


def names_of(cluster: Cluster, scm: str) -> set[str]:
    """Return the names of the cell's users and groups."""
    names = {"System", *OWN_GROUPS, admin_of(cluster, scm)}
    for variable in ("coda_scm_users", "coda_scm_groups"):
        entries = own(cluster, scm, variable) or ()
        names |= {str(entry["name"]) for entry in entries if entry is not UNUSABLE}
    return names


@rule("coda_user")
def coda_group(cluster: Cluster) -> Iterator[Complaint]:
    """Coda's tools make no group with somebody who isn't there, and an administrator has to stay one."""
    for host in cluster.groups.get("coda_scm", ()):
        names, admin = names_of(cluster, host), admin_of(cluster, host)
        users, groups = (own(cluster, host, name) for name in ("coda_scm_users", "coda_scm_groups"))
        entries = [own(cluster, host, "coda_scm_admin"), *(users or ()), *(groups or ())]
        unread = any(
            entry in (None, UNUSABLE) or UNUSABLE in (entry["name"], entry.get("members")) for entry in entries
        )
        if unread or users is None:  # of which another rule complains
            continue
        for place, group in _entries(cluster, host, "coda_scm_groups"):
            owner, members = group["owner"], group["members"] or ()
            listed = [(f"{place}.owner", owner), *((f"{place}.members[{n}]", each) for n, each in enumerate(members))]
            for variable, name in listed:
                if name is not UNUSABLE and name not in names:
                    remedy = "add it to coda_scm_users or coda_scm_groups, also if the cell has it, or correct it"
                    yield Complaint(variable, show(name), "is not a user or group of the inventory", remedy, host)
            if group["name"] == OWN_GROUPS[0] and not {admin, UNUSABLE} & {owner, *members}:
                problem = f"lacks {admin}, who would administer the cell no longer"
                yield Complaint(f"{place}.members", "", problem, f"add {admin}", host)


def names_in_lists(cluster: Cluster, scm: str) -> set[str]:
    """Return who may be in an access list, in small letters: Coda takes no notice of case."""
    return {name.lower() for name in names_of(cluster, scm)}


@rule("coda_mount")
def coda_mount(cluster: Cluster) -> Iterator[Complaint]:
    """A mount point is made by a client, and stays in the volume that it lies in."""
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    seen: dict[str, str] = {}
    for path, volume in volumes(cluster):
        name, mount = known(volume["name"]), known(volume["mount"])
        problem, remedy = "", "write a path such as www or pub/docs"
        if mount is None:
            continue
        if name == "/":
            problem, remedy = "is the realm's own folder and is mounted nowhere else", "leave the option out"
        elif not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", mount):
            problem = "must be a path below the realm, of letters, digits, '.', '_' and '-'"
        elif mount in seen:
            problem, remedy = f"is where {seen[mount]} is mounted", "mount each volume in a place of its own"
        elif not cluster.groups.get("coda_clients"):
            problem, remedy = "can only be made by a client, and there is none", "list a host in the group coda_clients"
        seen.setdefault(mount, str(name))
        if problem:
            yield Complaint(f"{path}.mount", show(mount), problem, remedy, scm)


@rule("coda_rights")
def coda_rights(cluster: Cluster) -> Iterator[Complaint]:
    """cfs reports success for users that aren't there, and leaves the list as it was."""
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    names = names_in_lists(cluster, scm) if scm else set()
    for path, volume in volumes(cluster):
        for option in ("rights", "denied"):
            given = known(volume[option]) or {}
            for name, rights in given.items():
                place = f"{path}.{option}.{name}"
                if str(name).lower() not in names:
                    remedy = "add it to coda_scm_users or coda_scm_groups"
                    yield Complaint(place, show(rights), "is not a user or group of the cell", remedy, scm)
                try:
                    coda_client.to_rights(rights)
                except (TypeError, ValueError):
                    problem = "must be none, read, write, all, or letters out of 'rlidwka'"
                    yield Complaint(place, show(rights), problem, "write, for example, rl", scm)


# Folders of a Debian system that others need; what else is in use, the role finds on the host.
SYSTEM = re.compile(
    r"/(bin|boot|coda|dev|etc|home|lib(32|64)?|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|vice"
    r"|usr(/(bin|lib|local|sbin|share))?|var(/(cache|lib|log|mail|spool|tmp))?)"
)


def folder_fault(folder: str) -> str:
    """Return what is wrong with the folder of a client's cache, '' if nothing is."""
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", folder) or {".", ".."} & set(folder.split("/")):
        return "must be an absolute path of letters, digits, '.', '_' and '-', without '.' and '..' as names"
    if SYSTEM.fullmatch(folder):
        return "is the system's own, and nobody but root could enter it any more"
    return ""


@rule("coda_client")
def coda_client_settings(cluster: Cluster) -> Iterator[Complaint]:
    """What venus would not start with, or not heed."""
    for host in cluster.groups.get("coda_clients", ()):
        size = own(cluster, host, "coda_client_cache_size")
        if size is not None and size < LEAST_CACHE:
            problem = f"must be at least {LEAST_CACHE} MiB"
            yield Complaint("coda_client_cache_size", show(size), problem, "400 is a good choice", host)
        folder = own(cluster, host, "coda_client_folder")
        if folder is not None and (problem := folder_fault(folder)):
            yield Complaint("coda_client_folder", show(folder), problem, "write it like /var/lib/coda", host)
        seconds = own(cluster, host, "coda_client_reintegration_time")
        if seconds is not None and seconds < 0:
            yield Complaint("coda_client_reintegration_time", show(seconds), "must be 0 or more", "write 15", host)
        user = own(cluster, host, "coda_client_primary_user")
        if user is not None and user < 1:
            problem = "must be above 0: Coda uses 0 for whoever is logged in at the console"
            yield Complaint("coda_client_primary_user", show(user), problem, "65534 is nobody", host)
        realm = own(cluster, host, "coda_client_realm")
        if realm is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}", realm):
            problem = "must be 1 to 63 letters, digits, '.' or '-'"
            yield Complaint("coda_client_realm", show(realm), problem, "write it like example.net", host)
        if not cluster.groups.get("coda_scm") and (realm is None or own(cluster, host, "coda_client_servers") is None):
            problem = "there is no coda_scm to take the realm and its servers from"
            remedy = "set coda_client_realm and coda_client_servers, or list the SCM in coda_scm"
            yield Complaint("coda_client_realm", "", problem, remedy, host)


@rule("coda_client")
def coda_client_beside_server(cluster: Cluster) -> Iterator[Complaint]:
    """Both have files DATA and LOG, and a server deletes what it does not know in its partitions."""
    for host in file_servers(cluster):
        cache = own(cluster, host, "coda_client_folder")
        if host not in cluster.groups.get("coda_clients", ()) or cache is None or folder_fault(cache):
            continue
        files = [own(cluster, host, name) for name in ("coda_server_rvm_data", "coda_server_rvm_log")]
        entries = _entries(cluster, host, "coda_server_partitions")
        partitions = [path for _place, entry in entries if (path := known(entry["path"]))]
        taken = [path for path in [*files, *partitions] if path and is_in(path, cache)]
        taken += [path for path in partitions if is_in(cache, path)]
        if taken:
            problem = f"is a place of the server on this host, too: {', '.join(dict.fromkeys(taken))}"
            remedy = "give the client a folder of its own, such as /var/lib/coda"
            yield Complaint("coda_client_folder", show(cache), problem, remedy, host)


@rule("coda_client")
def coda_client_places(cluster: Cluster) -> Iterator[Complaint]:
    """Files of servers, a line of words each, and of what to hoard; and a link that would lie in what it leads to."""
    for host in cluster.groups.get("coda_clients", ()):
        name = "ha_shared_folder" if own(cluster, host, "coda_client_link") is None else "coda_client_link"
        link = own(cluster, host, name)
        fault = link_fault(link, with_grammar=name == "coda_client_link") if link else ""
        link_is_good = not fault
        if fault:
            yield Complaint(name, show(link), fault, "write it like /srv/shared", host)
        servers = own(cluster, host, "coda_client_servers")
        if servers == []:
            remedy = "list the realm's file servers, or leave it out for those of coda_scm and coda_servers"
            yield Complaint("coda_client_servers", "", "is empty, so the client would find no server", remedy, host)
        for place, server in usable("coda_client_servers", servers):
            if fault := server_fault(server):
                yield Complaint(place, show(server), fault, "write it like coda1.example.net", host)
        for place, entry in _entries(cluster, host, "coda_client_hoard"):
            path, priority = known(entry["path"]), known(entry["priority"])
            if path is not None and (fault := hoard_fault(path, link if link_is_good else None)):
                yield Complaint(f"{place}.path", show(path), fault, "write it like www or www/static", host)
            if priority is not None and not 1 <= priority <= MOST_PRIORITY:
                problem = f"must be 1 to {MOST_PRIORITY}"
                yield Complaint(f"{place}.priority", show(priority), problem, "write, for example, 500", host)


def link_fault(link: str, with_grammar: bool) -> str:
    """Return what is wrong with the place of the link to the realm, '' if nothing is."""
    if with_grammar and (not PATH.fullmatch(link) or link.endswith("/")):
        return "must be an absolute path without blanks, quotes, '#', '%' and backslashes, and without '/' at its end"
    return "is in /coda, where the realms themselves are" if is_in(link, "/coda") else ""


def server_fault(server: str) -> str:
    """Return what is wrong with a word of the client's file of realms, '' if nothing is."""
    address = to_address(server)
    if address is None:
        word = server.removesuffix(".").replace("_", "-")  # which names in /etc/hosts may have
        return "" if RELAY.fullmatch(word) else "must be one host name or IPv4 address"
    if address.version == 6:
        return "is an IPv6 address, and Coda knows IPv4 alone"
    fault = None if address.is_link_local else unusable(address)
    return f"is {fault}" if fault else ""


def hoard_fault(path: str, link: str | None) -> str:
    """Return what is wrong with a path below the realm, '' if nothing is. '/' is the realm itself."""
    if not path or re.search(r"\s", path):
        return "contains a blank, which ends it in the client's list" if path else "is empty"
    if path.startswith("/") and (is_in(path, "/coda") or (link and is_in(path, link))):
        return "must be a path below the realm, and begins at the root of this host"
    return "" if is_in(f"/realm/{path}", "/realm") else "leads out of the realm"


@rule("coda_login")
def coda_login(cluster: Cluster) -> Iterator[Complaint]:
    """clog takes a wrong name for a wrong password, and says so only when the cell is there."""
    scm = next(iter(cluster.groups.get("coda_scm", ())), None)
    users = [user for user in (own(cluster, scm, "coda_scm_users") if scm else None) or () if user is not UNUSABLE]
    passwords = {known(user["name"]): user["password"] for user in users}
    admin = admin_of(cluster, scm) if scm else None
    for host in cluster.groups.get("coda_clients", ()):
        seen = set()
        for index, entry in enumerate(own(cluster, host, "coda_client_logins") or ()):
            if entry is UNUSABLE:
                continue
            place = f"coda_client_logins[{index}]"
            user, name, password = (known(entry[key]) for key in ("user", "name", "password"))
            if user is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", user):
                remedy = "write it as in /etc/passwd, such as www-data"
                yield Complaint(f"{place}.user", show(user), "is not the name of a local user", remedy, host)
            elif user in seen:
                yield Complaint(f"{place}.user", show(user), "is listed twice", "one login is enough for a user", host)
            seen.add(user)
            if scm and name is not None and name not in (*passwords, admin):
                problem, remedy = "is no user of the cell", "add it to coda_scm_users"
                yield Complaint(f"{place}.name", show(name), problem, remedy, host)
            elif name is not None and entry["password"] is None and passwords.get(name) is None:
                problem, remedy = f"there is no password for {name}", "write it here, or in coda_scm_users"
                yield Complaint(f"{place}.password", "", problem, remedy, host)
            fault = None if password is None else coda_users.password_fault(password)
            if fault:
                yield Complaint(f"{place}.password", HIDDEN, fault, "write the user's password", host)


@rule("coda_client_in_container")
def coda_client_in_container(cluster: Cluster) -> Iterator[Complaint]:
    """The kernel gives its device to a program of the first process namespace only."""
    for host in cluster.groups.get("coda_clients", ()):
        connection = str(cluster.hosts[host].get("ansible_connection", ""))
        if connection.rpartition(".")[2] in CONTAINERS:
            problem = (
                "a Coda client can't run in a container, whose processes the kernel's part of Coda does not accept"
            )
            yield Complaint("ansible_connection", show(connection), problem, "use a whole machine as the client", host)
