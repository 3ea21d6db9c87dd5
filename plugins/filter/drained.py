# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.drained: weight 0 for the real servers that are drained."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils.ipvs import address_of, endpoint


def drained(services: list[dict[str, Any]], names: Collection[str]) -> list[dict[str, Any]]:
    """Return the services; a real server whose address, or address and port, is among the names has weight 0.

    Spellings of an IPv6 address don't matter. What is no real server at all is left for others to complain about.
    """
    marked = {_spelt(name) for name in names}
    return [
        {
            **service,
            "real_servers": [
                {**server, "weight": 0} if _names(server, service) & marked else server
                for server in service.get("real_servers") or ()
            ],
        }
        for service in services
    ]


def _names(server: dict[str, Any], service: dict[str, Any]) -> set[str]:
    address, port = server.get("address"), server.get("port") or service.get("port") or 0
    place = _spelt(server.get("endpoint") or endpoint(str(address), port))
    return {place, place.rpartition(":")[0].strip("[]")}


def _spelt(name: str) -> str:
    """Return an address, or address and port, in the kernel's spelling."""
    if known := address_of(name):
        return known[1]
    address, _colon, port = name.rpartition(":")
    known = address_of(address.strip("[]"))
    return f"[{known[1]}]:{port}" if known and known[0] == 6 else name


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"drained": drained}
