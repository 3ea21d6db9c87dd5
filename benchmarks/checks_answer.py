# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of `make bench-checks` that runs on a real server, as root: it answers on many ports, and dies when told.

    checks_answer.py INTERFACE FIRST COUNT

A line of JSON comes in, one goes out. {"do": "refuse"} closes all ports, "silence" takes the interface down, "return"
undoes both; each answers with the time at which it was so ("at", of the monotonic clock, which all containers share).
{"do": "asked"} tells how many of the ports have been connected to since {"do": "forget"}.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


class Server:
    """Ports that are open or closed, and connections to them."""

    def __init__(self, interface: str, ports: range) -> None:
        self.interface, self.ports = interface, ports
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.listening: list[socket.socket] = []
        self.open: set[socket.socket] = set()
        self.asked: set[int] = set()

    def link(self, state: str) -> None:
        """Take the interface up or down; its address stays."""
        subprocess.run(["ip", "link", "set", self.interface, state], check=True)

    def listen(self) -> None:
        """Open all ports that are closed."""
        for port in self.ports if not self.listening else ():
            listening = socket.create_server(("", port), backlog=128)
            listening.setblocking(False)
            self.selector.register(listening, selectors.EVENT_READ, port)
            self.listening.append(listening)

    def refuse(self) -> None:
        """Close all ports, and what is open on them, as the kernel does for a process that ends."""
        for each in [*self.listening, *self.open]:
            self.selector.unregister(each)
            each.close()
        self.listening, self.open = [], set()

    def command(self, word: str) -> dict[str, float]:
        """Do what is asked; the time is that before a death, and that after a return."""
        at = time.monotonic()
        if word == "refuse":
            self.refuse()
        elif word == "silence":
            self.link("down")
        elif word == "return":
            self.listen()
            self.link("up")
            at = time.monotonic()
        elif word == "forget":
            self.asked = set()
        return {"at": at, "asked": len(self.asked)}

    def accept(self, listening: socket.socket, port: int) -> None:
        """Take a connection; its request comes later."""
        try:
            connection, _client = listening.accept()
        except OSError:  # who asked has given up
            return
        self.asked.add(port)
        self.open.add(connection)
        self.selector.register(connection, selectors.EVENT_READ)

    def answer(self, connection: socket.socket) -> None:
        """Answer a request, whatever it is, and end the connection."""
        self.selector.unregister(connection)
        self.open.discard(connection)
        with connection:
            try:
                if connection.recv(4096):
                    connection.sendall(ANSWER)
            except OSError:
                pass

    def serve(self) -> None:
        """Answer until standard input ends."""
        while True:
            for key, _events in self.selector.select():
                if key.fileobj == sys.stdin:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    print(json.dumps(self.command(json.loads(line)["do"])), flush=True)
                    break  # what else was ready may be closed now
                assert isinstance(key.fileobj, socket.socket)
                if key.data is None:
                    self.answer(key.fileobj)
                else:
                    self.accept(key.fileobj, key.data)


if __name__ == "__main__":
    server = Server(sys.argv[1], range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[3])))
    server.command("return")
    server.serve()
