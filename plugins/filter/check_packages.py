# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.check_packages: packages that ldirectord's checks need and its package does not depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import CHECKS, SERVICE_OF_PORT

HTTP_OVER_IPV6 = "libnet-inet6glue-perl"  # check_http() of 4.12 requires it


def check_packages(services: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return Debian's names of the packages that the checks of these services need, sorted.

    services: resolved virtual services, as the filter cluster returns them.
    """
    return sorted(set(_packages(services)))


def _packages(services: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for service in services:
        check = service.get("check") or {}
        asked = check.get("service") or SERVICE_OF_PORT.get(int(service.get("port") or 0), "none")
        if (check.get("type") or "negotiate") != "negotiate":
            continue
        if asked in CHECKS:
            yield from CHECKS[asked].packages
        if asked in ("http", "https") and service.get("family") == 6:
            yield HTTP_OVER_IPV6


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"check_packages": check_packages}
