# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two tables, and plan the operations that lead from one to the other."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import Key, Operation, Service, Table, additions


def plan(current: Table, wanted: Table, purge: bool = False) -> list[Operation]:
    """Return the operations after which the kernel's table holds `wanted`, and with purge nothing else.

    They change entries in place, so that connections stay. Additions and changes come before removals, so that a
    service that has servers before and after has some all the time.
    """
    changes: list[Operation] = []
    removals: list[Operation] = []
    for key, service in wanted.items():
        old = current.get(key)
        if old is None:
            changes += additions(service)
            continue
        if old[:-1] != service[:-1]:
            changes.append(Operation("edit_service", service))
        if old.servers == service.servers:
            continue
        for place, server in service.servers.items():
            before = old.servers.get(place)
            if before is None:
                changes.append(Operation("add_server", service, server))
            elif before != server:
                changes.append(Operation("edit_server", service, server))
        if purge:
            removals += [
                Operation("delete_server", service, server)
                for place, server in sorted(old.servers.items())
                if place not in service.servers
            ]
    if purge:
        removals += [Operation("delete_service", current[key]) for key in sorted(current) if key not in wanted]
    return changes + removals


def plan_removal(current: Table, unwanted: Table) -> list[Operation]:
    """Return the operations that remove services, or only the real servers of a service that is given with some."""
    operations = []
    for key, service in unwanted.items():
        old = current.get(key)
        if old is None:
            continue
        if service.servers:
            operations += [
                Operation("delete_server", old, old.servers[place]) for place in service.servers if place in old.servers
            ]
        else:
            operations.append(Operation("delete_service", old))
    return operations


def apply(table: Table, operations: Iterable[Operation]) -> dict[Key, Service]:
    """Return the table after some operations, as the kernel would have it."""
    result = dict(table)
    for kind, service, server in operations:
        key = service.key
        if kind == "delete_service":
            del result[key]
        elif server is None:
            # Real servers have operations of their own, and an edit of the service leaves them alone.
            result[key] = service._replace(servers=result[key].servers if key in result else {})
        else:
            servers = dict(result[key].servers)
            if kind == "delete_server":
                del servers[server[:2]]
            else:
                servers[server[:2]] = server
            result[key] = result[key]._replace(servers=servers)
    return result
