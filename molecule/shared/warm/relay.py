# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that stays: it speaks to the agent of one machine, by one `docker exec` or one ssh, for all tasks.

Started by warm.py with the path of the socket that tasks connect to, and the command that starts Python on the machine.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shlex
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

RELAY = Path(__file__).resolve()
AGENT = RELAY.with_name("agent.py")
BOOT = (
    "import sys; read = sys.stdin.buffer.read; exec(compile(read(int.from_bytes(read(4), 'big')), 'agent.py', 'exec'))"
)
REQUEST, ANSWER = struct.Struct(">iii"), struct.Struct(">iiii")
IDLE = 300.0  # s


def receive(stream: socket.socket | IO[bytes], count: int) -> bytes:
    """Return so many bytes; EOFError if there are fewer."""
    data = bytearray()
    while len(data) < count:
        part = stream.recv(count - len(data)) if isinstance(stream, socket.socket) else stream.read(count - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def module_utils() -> bytes:
    """Return an archive of Ansible's own library, as this Python has it."""
    found = importlib.util.find_spec("ansible")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1) as archive:
        archive.addfile(tarfile.TarInfo("ansible/__init__.py"))
        archive.add(package / "release.py", "ansible/release.py")
        archive.add(
            package / "module_utils",
            "ansible/module_utils",
            filter=lambda entry: None if "__pycache__" in entry.name else entry,
        )
    return data.getvalue()


class Relay:
    """Passes requests of many tasks on to the agent of one machine, and its answers back."""

    def __init__(self, path: str, *python: str) -> None:
        # ssh gives the words to a shell there, docker to Python.
        boot = shlex.quote(BOOT) if python[0] == "ssh" else BOOT
        self.agent = subprocess.Popen([*python, "-c", boot], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.path = path
        self.lock = threading.Lock()
        self.clients: dict[int, socket.socket] = {}
        self.number = 0
        self.last = time.monotonic()
        assert self.agent.stdin is not None
        assert self.agent.stdout is not None
        self.to, self.of = self.agent.stdin, self.agent.stdout
        for part in (AGENT.read_bytes(), module_utils()):
            self.to_agent(len(part).to_bytes(4, "big") + part)
        receive(self.of, 4)

    def to_agent(self, data: bytes) -> None:
        self.to.write(data)
        self.to.flush()

    def serve(self) -> None:
        """Serve until the agent has gone, or nobody has asked for some time."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen(64)
        print("ready", flush=True)
        for work in (self.answers, self.idle):
            threading.Thread(target=work, daemon=True).start()
        while True:
            client, _ = listening.accept()
            threading.Thread(target=self.request, args=(client,), daemon=True).start()

    def request(self, client: socket.socket) -> None:
        with suppress(EOFError, OSError):
            _, *sizes = REQUEST.unpack(receive(client, REQUEST.size))
            content = receive(client, sum(sizes))
            with self.lock:
                self.number += 1
                self.last = time.monotonic()
                self.clients[self.number] = client
                self.to_agent(REQUEST.pack(self.number, *sizes) + content)

    def answers(self) -> None:
        with suppress(EOFError):
            while True:
                header = receive(self.of, ANSWER.size)
                number, _, *sizes = ANSWER.unpack(header)
                content = receive(self.of, sum(sizes))
                with self.lock:
                    client = self.clients.pop(number)
                    self.last = time.monotonic()
                with suppress(OSError), client:
                    client.sendall(header + content)
        self.end()

    def idle(self) -> None:
        while self.clients or time.monotonic() - self.last < IDLE:
            time.sleep(1)
        self.end()

    def end(self) -> None:
        """Tell all who still wait for an answer that none will come."""
        os.unlink(self.path)
        os._exit(0)


def stay(path: str, *python: str) -> None:
    """Be the process that speaks to a machine's agent."""
    try:
        relay = Relay(path, *python)
    except (EOFError, OSError) as error:
        sys.exit(f"no Python could be started by {shlex.join(python)}: {error!r}")
    relay.serve()


if __name__ == "__main__":
    stay(*sys.argv[1:])
