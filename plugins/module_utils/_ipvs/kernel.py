# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the IPVS modules share on their way to the kernel: load it, and say in one sentence why it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import Kernel


def open_kernel(module: Any, needed: bool = True) -> Kernel | None:
    """Return the kernel's IPVS, or None if it is not loaded and must not be: not needed, or check mode.

    module: an AnsibleModule, which fails if IPVS can't be loaded.
    """
    with failing(module):
        try:
            return Kernel()
        except FileNotFoundError:
            if module.check_mode or not needed:
                return None
        program = module.get_bin_path("modprobe", required=True, opt_dirs=["/sbin", "/usr/sbin"])
        code, _out, error = module.run_command([program, "ip_vs"])
        try:
            return Kernel()
        except FileNotFoundError:
            module.fail_json(msg=f"This kernel has no IPVS: modprobe ip_vs ended with {code}: {error.strip()}")
    return None


@contextmanager
def failing(module: Any) -> Iterator[None]:
    """Turn the kernel's refusals into a failure of the module that says what to do."""
    try:
        yield
    except PermissionError:
        module.fail_json(msg="The kernel's IPVS needs root (CAP_NET_ADMIN): use become.")
    except OSError as error:
        module.fail_json(msg=f"The kernel's IPVS does not answer: {error}")
