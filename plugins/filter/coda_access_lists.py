# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter codalvs.ha.coda_access_lists: an archive's access lists, as the module coda_acl takes them."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.module_utils._coda.client import archived_acls


def coda_access_lists(data: Any) -> list[dict[str, Any]]:
    """Return [{path, rights, denied}, …]; see module_utils/_coda/client.py."""
    try:
        return archived_acls(data)
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(f"These are no access lists of an archive: {error}") from error
    except ValueError as error:
        raise AnsibleFilterError(
            f"Set the access lists by hand, from the archive's ..CodaACLs.yaml: {error}"
        ) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"coda_access_lists": coda_access_lists}
