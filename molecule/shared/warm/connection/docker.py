# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to test machines that keeps a warm Python on each, in place of community.docker.docker.

Where Ansible looks for connections in this folder, `ansible_connection: docker` means this one. Starting a process in a
container and importing Ansible's own library take four fifths of the time that a small module takes. So the first task
starts relay.py on this machine, which starts agent.py in the container; both go when the container stops, or after some
minutes without a task. What the modules do, and with what, stays the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from relay import ANSWER, RELAY, REQUEST, receive

DOCUMENTATION = """
name: docker
short_description: Run tasks in a container by a Python that stays
description: For the project's own tests.
author: The codalvs.ha engineers
options:
  remote_addr:
    description: Name of the container.
    default: inventory_hostname
    type: str
    vars: [{name: inventory_hostname}, {name: ansible_host}]
extends_documentation_fragment: [connection_pipelining]
"""


class Connection(ConnectionBase):
    """The docker connection of the tests."""

    transport = "docker"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def _relay(self) -> socket.socket:
        """Return a connection to the process that stays, which is started when it isn't there."""
        container = self.get_option("remote_addr")
        name = hashlib.sha1(f"{os.environ.get('DOCKER_HOST')} {container}".encode()).hexdigest()
        folder = f"/tmp/ansible-warm-{os.getuid()}"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.lstat(folder).st_uid != os.getuid():
            raise AnsibleError(f"{folder} is somebody else's")
        path = f"{folder}/{name}"
        with open(f"{path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            relay = socket.socket(socket.AF_UNIX)
            try:
                relay.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                command = [sys.executable, str(RELAY), container, path]
                with open(f"{path}.log", "w") as log:
                    process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
                    )
                if process.stdout.readline() != b"ready\n":
                    raise EOFError(Path(f"{path}.log").read_text().strip()) from None
                relay.connect(path)
        return relay

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = False) -> tuple[int, bytes, bytes]:
        """Run a command in the container; return its exit code, output and errors.

        A container that is off, or goes off, is a failed command, as with `docker exec`, so that a task can try again.
        """
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        command, data = cmd.encode(), in_data or b""
        try:
            with self._relay() as relay:
                relay.sendall(REQUEST.pack(0, len(command), len(data)) + command + data)
                _, code, *sizes = ANSWER.unpack(receive(relay, ANSWER.size))
                output, errors = (receive(relay, size) for size in sizes)
        except (EOFError, OSError) as error:
            return 1, b"", f"{self.get_option('remote_addr')} does not answer: {error}".encode()
        return code, output, errors

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the container."""
        super().put_file(in_path, out_path)
        code, _, errors = self.exec_command(f"cat >{self._shell.quote(out_path)}", Path(in_path).read_bytes() or b"")
        if code:
            raise AnsibleError(f"{out_path} can't be written: {errors.decode()}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out of the container."""
        super().fetch_file(in_path, out_path)
        code, output, errors = self.exec_command(f"cat {self._shell.quote(in_path)}")
        if code:
            raise AnsibleError(f"{in_path} can't be read: {errors.decode()}")
        Path(out_path).write_bytes(output)

    def close(self) -> None:
        """Nothing is held between tasks."""
        self._connected = False
