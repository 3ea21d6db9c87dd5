# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the connections in connection/ share: the task's side of relay.py."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase
from relay import ANSWER, RELAY, REQUEST, receive


class WarmConnection(ConnectionBase):
    """A connection to a machine with a Python that stays. The first task starts it."""

    has_pipelining = True
    cwd: bytes | None = None  # Ansible sets it where the machine is this one

    def start_python(self, name: str) -> Sequence[str]:
        """Return the command that starts the machine's Python; arguments follow."""
        raise NotImplementedError

    def no_answer(self, error: Exception) -> tuple[int, bytes, bytes]:
        """Return or raise the outcome of a command on a machine that is off, or goes off."""
        raise NotImplementedError

    def _connect(self) -> WarmConnection:
        self._connected = True
        return self

    def _relay(self) -> socket.socket:
        """Return a connection to the process that stays, which is started when it isn't there."""
        machine = self.get_option("remote_addr")
        # What a module can see around it: the lab, and on this machine also the scenario, its Python and the folder.
        around = [os.environ.get(name, "") for name in ("DOCKER_HOST", "MOLECULE_EPHEMERAL_DIRECTORY")]
        here = os.fsdecode(self.cwd) if self.cwd else None
        name = hashlib.sha1("\0".join([*around, sys.prefix, here or "", machine]).encode()).hexdigest()
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
                command = [sys.executable, str(RELAY), path, *self.start_python(machine)]
                with open(f"{path}.log", "w") as log:
                    process = subprocess.Popen(
                        command,
                        cwd=here,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        start_new_session=True,
                    )
                if not process.stdout or process.stdout.readline() != b"ready\n":
                    raise EOFError(Path(f"{path}.log").read_text().strip()) from None
                relay.connect(path)
        return relay

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = False) -> tuple[int, bytes, bytes]:
        """Run a command on the machine; return its exit code, output and errors."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        command, data = cmd.encode(), in_data or b""
        try:
            with self._relay() as relay:
                relay.sendall(REQUEST.pack(0, len(command), len(data)) + command + data)
                _, code, *sizes = ANSWER.unpack(receive(relay, ANSWER.size))
                output, errors = (receive(relay, size) for size in sizes)
        except (EOFError, OSError) as error:
            return self.no_answer(error)
        return code, output, errors

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file to the machine."""
        super().put_file(in_path, out_path)
        code, _, errors = self.exec_command(f"cat >{self._shell.quote(out_path)}", Path(in_path).read_bytes() or b"")
        if code:
            raise AnsibleError(f"{out_path} can't be written: {errors.decode()}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file from the machine."""
        super().fetch_file(in_path, out_path)
        code, output, errors = self.exec_command(f"cat {self._shell.quote(in_path)}")
        if code:
            raise AnsibleError(f"{in_path} can't be read: {errors.decode()}")
        Path(out_path).write_bytes(output)

    def close(self) -> None:
        """Do nothing: no connection is kept between tasks here."""
        self._connected = False
