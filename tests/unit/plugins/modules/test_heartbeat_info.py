# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a log the module reads."""

from __future__ import annotations

import gzip
import os
from datetime import datetime, timedelta
from pathlib import Path

from ansible_collections.codalvs.ha.plugins.modules.heartbeat_info import log_lines


def test_a_rotated_log_is_read_as_far_as_it_matters(tmp_path: Path) -> None:
    now = datetime.now()
    ages = {"ha-log": 0, "ha-log.1": 3, "ha-log.2.gz": 6, "ha-log.3.gz": 9, "ha-debug": 0}
    for name, days in ages.items():
        path = tmp_path / name
        path.write_bytes(gzip.compress(b"in " + name.encode()) if name.endswith(".gz") else b"in \xff " + name.encode())
        then = (now - timedelta(days=days)).timestamp()
        os.utime(path, (then, then))
    lines = list(log_lines(str(tmp_path / "ha-log"), now - timedelta(days=7)))
    assert lines == ["in \ufffd ha-log", "in \ufffd ha-log.1", "in ha-log.2.gz"]
    assert list(log_lines(str(tmp_path / "no-log"), now)) == []
