#!/usr/bin/env python3
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open connections of four kinds to a web server, keep them for some seconds, and tell which ones still work.

silent    connected, and nothing said until the end
idle      one request, and nothing more until the end
slow      a long page, read a little at a time
busy      a request each 0.2 s

All speak HTTP/1.1 to one server; the last line of output is JSON: {"kind": {"opened": n, "survived": n}, …}. `ready` is
printed when all are open. The signal USR1 makes it the end at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from contextlib import suppress

ANSWER_LIMIT = 30.0  # s that an answer may take: an outage, and what TCP waits after it
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def request(streams: Streams, path: str, headers_only: bool = False) -> int:
    """Ask for a page; return its length (bytes)."""
    reader, writer = streams
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(head.partition(b"\r\n")[0].decode(errors="replace"))
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    if not headers_only:
        await reader.readexactly(length)
    return length


def is_over(options: argparse.Namespace) -> bool:
    """Return whether it is the end."""
    return options.over.is_set() or time.monotonic() >= options.end


async def silent(streams: Streams, options: argparse.Namespace) -> None:
    """Say nothing until the end."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(options.over.wait(), options.end - time.monotonic())
    await asyncio.wait_for(request(streams, options.path), ANSWER_LIMIT)


async def idle(streams: Streams, options: argparse.Namespace) -> None:
    """Ask once, and again at the end."""
    await request(streams, options.path)
    await silent(streams, options)


async def busy(streams: Streams, options: argparse.Namespace) -> None:
    """Ask over and over."""
    while not is_over(options):
        await asyncio.wait_for(request(streams, options.path), ANSWER_LIMIT)
        await asyncio.sleep(0.2)


async def slow(streams: Streams, options: argparse.Namespace) -> None:
    """Read a long page in pieces that last until the end."""
    left = await request(streams, options.long_path, headers_only=True)
    piece = max(1, left // max(1, int((options.end - time.monotonic()) / 0.1)))
    while left:
        data = await asyncio.wait_for(streams[0].read(min(left, piece)), ANSWER_LIMIT)
        if not data:
            raise OSError("the page ended too early")
        left -= len(data)
        if not is_over(options):
            await asyncio.sleep(0.1)


KINDS = {"silent": silent, "idle": idle, "slow": slow, "busy": busy}


async def keep(options: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Open all connections, and count by kind those that survive."""
    opened = []
    for kind in KINDS:
        for _ in range(options.each):
            # A small window, so that a long page is not in the client's buffer at once.
            streams = await asyncio.open_connection(options.address, options.port, limit=2048)
            opened.append((kind, streams))
    options.end, options.over = time.monotonic() + options.seconds, asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, options.over.set)
    print("ready", flush=True)
    results = await asyncio.gather(*(KINDS[kind](streams, options) for kind, streams in opened), return_exceptions=True)
    for _kind, (_reader, writer) in opened:
        with suppress(OSError):
            writer.close()
    counts = {kind: {"opened": options.each, "survived": 0} for kind in KINDS}
    for (kind, _streams), result in zip(opened, results, strict=True):
        counts[kind]["survived"] += result is None
        if result is not None:
            print(f"{kind}: {result!r}", flush=True)
    return counts


def main() -> None:
    """Open, keep and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--path", default="/index.html")
    parser.add_argument("--long-path", default="/long.bin", help="a page of some megabytes")
    parser.add_argument("--each", type=int, default=50, help="connections of each kind")
    parser.add_argument("--seconds", type=float, default=20, help="how long to keep them")
    print(json.dumps(asyncio.run(keep(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
