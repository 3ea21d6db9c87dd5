#!/usr/bin/env python3
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open one connection to an address and ask for a page over it once a second; never open another.

A file always tells the state: 'served N' after N answers, 'broken after N: reason' at the end. Another file, with .pid
behind its name, has this process's id, so that it can be ended.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Ask until the connection breaks or this process is ended."""
    address, report = sys.argv[1], Path(sys.argv[2])
    Path(f"{report}.pid").write_text(str(os.getpid()))
    connection = http.client.HTTPConnection(address, timeout=15)
    connection.connect()
    connection.auto_open = 0  # http.client would open the next one silently
    answers = 0
    try:
        while True:
            connection.request("GET", "/index.html")
            connection.getresponse().read()
            answers += 1
            report.write_text(f"served {answers}")
            time.sleep(1)
    except (OSError, http.client.HTTPException) as error:
        report.write_text(f"broken after {answers}: {error!r}")


if __name__ == "__main__":
    main()
