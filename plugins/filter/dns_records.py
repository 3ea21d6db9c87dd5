# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.dns_records: names and virtual services of one or several clusters as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.dns import FaultError, records, vips_of
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import plain


def dns_records(names: Any, services: Any, zone: str, clusters: Any = None, ttl: int = 60) -> list[dict[str, Any]]:
    """Return [{name, ttl, type, address}]; see plugin_utils/_inventory/dns.py."""
    try:
        vips = vips_of(plain(services))
        others: Any = plain(clusters or {})
        for cluster, theirs in others.items():
            vips |= _of_cluster(cluster, theirs)
        wanted: Any = plain(names)
        found = records(wanted, vips, str(zone), int(ttl))
    except (AttributeError, ClusterError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"There are no usable DNS records: {error}") from error
    return [{"name": each.name, "ttl": each.ttl, "type": each.kind, "address": str(each.address)} for each in found]


def _of_cluster(cluster: str, services: Any) -> Mapping[str, tuple[str, ...]]:
    try:
        return vips_of(services, cluster)
    except FaultError as fault:
        raise ClusterError(f"dns_zone_clusters.{cluster}: {fault}") from fault


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"dns_records": dns_records}
