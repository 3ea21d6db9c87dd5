#!/usr/bin/env python3
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an address for a page over and over, and print one line of JSON for each attempt.

Attempts begin at fixed times, whatever became of those before, so the error of an outage is one interval. Each is a new
TCP connection with a time limit shorter than TCP's first retransmission (1 s), so that a repeated SYN can't hide an
outage. An answer that comes later than that, though TCP had to repeat nothing, was not lost: a machine was slow. An
attempt that gets no answer while this process itself did not run, because its machine stood still, tells nothing, and
has no line. How many these were is said at the end, among the errors.

A line is {"at": seconds since the epoch, "ok": bool, "body": first line or error}; lines come in the order in which the
attempts began.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
import sys
import time
from asyncio import Queue, Task
from typing import Any

TICK = 0.05  # s between two looks at the clock
JITTER = 0.1  # s that a look may come too late without being called a standstill
SLOW = 5.0  # s after which an answer is taken for lost, though TCP has had nothing to repeat
REPEATED = 100  # where struct tcp_info has the number of segments that were sent again, of four bytes: linux/tcp.h


class Standstill:
    """For how long (s) this process has not run since its start."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def watch(self) -> None:
        """Look at the clock over and over; add up how much too late the looks come."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            late = time.monotonic() - before - TICK
            if late > JITTER:
                self.seconds += late


class Connection:
    """One of TCP's, whose repetitions can be counted until it is closed."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.setblocking(False)

    def repeated(self) -> bool:
        """Return whether this machine had to send something again."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, REPEATED + 4)
        return struct.unpack_from("=I", info, REPEATED) != (0,)


async def ask(connection: Connection, address: str, port: int, path: str) -> str:
    """Return the first line of the page's body; raises OSError when there is none."""
    await asyncio.get_running_loop().sock_connect(connection.socket, (address, port))
    reader, writer = await asyncio.open_connection(sock=connection.socket.dup())
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    if not answer:
        raise OSError("empty answer")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if " 200 " not in f"{status} ":
        raise OSError(status)
    return body.decode(errors="replace").strip().partition("\n")[0]


async def attempt(options: argparse.Namespace, still: Standstill) -> dict[str, Any] | None:
    """Ask once, and tell what came of it; None: nothing can be told."""
    at, before = time.time(), still.seconds
    connection = Connection(options.address)
    asking = asyncio.create_task(ask(connection, options.address, options.port, options.path))
    try:
        await asyncio.wait({asking}, timeout=options.limit)
        if not asking.done() and await is_lost(asking, connection, at + SLOW):
            # After a standstill, the clock's look was due before this limit, so it has been added up by now.
            return {"at": at, "ok": False, "body": "timed out"} if still.seconds == before else None
        return {"at": at, "ok": True, "body": await asking}
    except OSError as error:
        return {"at": at, "ok": False, "body": str(error)}
    finally:
        asking.cancel()
        await asyncio.wait({asking})  # until asyncio has let go of the socket, whose number the next one may get
        connection.socket.close()


async def is_lost(asking: Task[str], connection: Connection, until: float) -> bool:
    """Wait for a late answer, at most until a time (s since the epoch); return whether something was lost."""
    while not (lost := connection.repeated()) and not asking.done() and time.time() < until:
        await asyncio.wait({asking}, timeout=TICK)
    return lost or not asking.done()


async def begin(
    options: argparse.Namespace, still: Standstill, attempts: Queue[Task[dict[str, Any] | None] | None]
) -> None:
    """Begin the attempts, each at its time."""
    start = time.monotonic()
    for number in range(int(options.seconds / options.interval)):
        await asyncio.sleep(start + number * options.interval - time.monotonic())
        attempts.put_nowait(asyncio.create_task(attempt(options, still)))
    attempts.put_nowait(None)


async def poll(options: argparse.Namespace) -> None:
    """Print each attempt, once all before it are printed."""
    attempts: Queue[Task[dict[str, Any] | None] | None] = Queue()
    still = Standstill()
    watching = asyncio.create_task(still.watch())
    beginning = asyncio.create_task(begin(options, still, attempts))
    untold = 0
    while (task := await attempts.get()) is not None:
        if told := await task:
            print(json.dumps(told), flush=True)
        else:
            untold += 1
    await beginning
    watching.cancel()
    if untold:
        print(f"{untold} attempts met a standstill of this machine", file=sys.stderr, flush=True)


def main() -> None:
    """Poll until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--path", default="/index.html")
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between two attempts")
    parser.add_argument("--limit", type=float, default=0.4, help="seconds until an attempt has failed")
    parser.add_argument("--seconds", type=float, default=10, help="how long to go on")
    asyncio.run(poll(parser.parse_args()))


if __name__ == "__main__":
    main()
