# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a host, in the kernel's spelling."""

from __future__ import annotations

import json
from ipaddress import ip_interface


def kernel_addresses(ip_json: str) -> list[str]:
    """Return addresses as 'eth0: 192.0.2.11/24', from the output of `ip -json address show`."""
    return [
        f"{link['ifname']}: {ip_interface((entry['local'], entry['prefixlen']))}"
        for link in json.loads(ip_json)
        for entry in link.get("addr_info", ())
        if "local" in entry
    ]
