# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.dns_zone: records as the file of a zone in BIND's syntax."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.dns import Record, Zone, zone_text
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError, to_address
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import plain


def dns_zone(
    records: Any,
    zone: str,
    nameservers: Any,
    contact: str,
    today: str,
    includes: Any = None,
    old: str | None = None,
) -> str:
    """Return the text of the zone's file; see plugin_utils/_inventory/dns.py."""
    wanted: Any = plain(records)
    servers: Any = plain(nameservers)
    included: Any = plain(list(includes or []))
    try:
        found = [Record(each["name"], each["ttl"], _address(each["address"])) for each in wanted]
        said = Zone(str(zone), servers, str(contact), included)
        return zone_text(said, found, None if old is None else str(old), str(today))
    except (ClusterError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"There is no usable zone {zone}: {error}") from error


def _address(text: str) -> Any:
    address = to_address(text)
    if address is None:
        raise ClusterError(f"{text} is no address")
    return address


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"dns_zone": dns_zone}
