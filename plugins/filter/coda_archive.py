# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.coda_archive: what the path of an archive says."""

from __future__ import annotations

from ansible_collections.codalvs.ha.plugins.module_utils._coda.backups import to_restore


def coda_archive(path: object) -> dict[str, str]:
    """Return {kind, base}; see module_utils/_coda/backups.py."""
    return to_restore(str(path))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, object]:
        """Return the filters of this file by name."""
        return {"coda_archive": coda_archive}
