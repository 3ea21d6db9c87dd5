#!/usr/bin/env python3
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an address for a page over and over, and print one line of JSON for each attempt.

Each attempt is a new TCP connection with a short time limit, shorter than TCP's first retransmission (1 s), so that a
repeated SYN can't hide an outage. A line is {"at": seconds since the epoch, "ok": bool, "body": first line or error}.
"""

from __future__ import annotations

import argparse
import json
import socket
import time


def ask(address: str, port: int, path: str, limit: float) -> str:
    """Return the first line of the page's body; raises OSError when the answer isn't there within the limit (s)."""
    deadline = time.monotonic() + limit
    with socket.create_connection((address, port), timeout=limit) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        answer = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            connection.settimeout(left)
            chunk = connection.recv(65536)
            if not chunk:
                break
            answer += chunk
    if not answer:
        raise OSError("empty answer")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if " 200 " not in f"{status} ":
        raise OSError(status)
    return body.decode(errors="replace").strip().partition("\n")[0]


def main() -> None:
    """Poll until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--path", default="/index.html")
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between two attempts")
    parser.add_argument("--limit", type=float, default=0.4, help="seconds until an attempt has failed")
    parser.add_argument("--seconds", type=float, default=10, help="how long to go on")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    while (start := time.monotonic()) < end:
        at = time.time()
        try:
            result = {"ok": True, "body": ask(options.address, options.port, options.path, options.limit)}
        except OSError as error:
            result = {"ok": False, "body": str(error)}
        print(json.dumps({"at": at, **result}), flush=True)
        time.sleep(max(0.0, options.interval - (time.monotonic() - start)))


if __name__ == "__main__":
    main()
