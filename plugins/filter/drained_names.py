# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.drained_names: who is drained, from what each director has noted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils.ipvs import address_of

ACTIVE = ".active."  # before a name: taken in again, while another director was away


def drained_names(noted: Mapping[str, Collection[str]]) -> list[str]:
    """Return the names that any director has, without those that one of them has taken in again since.

    noted: names by director. ACTIVE before an address without port stands for all its ports.
    """
    names = {name for each in noted.values() for name in each}
    active = {name.removeprefix(ACTIVE) for name in names if name.startswith(ACTIVE)}
    return sorted(name for name in names if not name.startswith(".") and not active & {name, _address(name)})


def _address(name: str) -> str:
    return name if address_of(name) else name.rpartition(":")[0].strip("[]")


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"drained_names": drained_names}
