# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nft in a network namespace of its own, for the tests that load real rules."""

from __future__ import annotations

import os
import shutil
import subprocess

NFT = shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "nft"  # not in every user's path
ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


def has_nft() -> bool:
    """Tell whether nft works in a network namespace here."""
    found = shutil.which(NFT) and shutil.which("unshare")
    return (
        bool(found)
        and subprocess.run([*ALONE, NFT, "list", "ruleset"], capture_output=True, check=False).returncode == 0
    )
