# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent that runs modules on the lab's machines: here, on this machine, by its own protocol."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import wait_for
from programs import load

relay = load("molecule/shared/warm/relay.py")
agent = load("molecule/shared/warm/agent.py")
MODULE = f"/bin/sh -c '{sys.executable} && sleep 0'"
Ask = Callable[..., tuple[int, bytes, bytes]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Return a function that sends a command and its data to an agent, and returns exit code, output and errors."""
    with subprocess.Popen([sys.executable, "-c", relay.BOOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for part in (relay.AGENT.read_bytes(), relay.module_utils()):
            process.stdin.write(len(part).to_bytes(4, "big") + part)
        process.stdin.flush()
        assert relay.receive(process.stdout, 4) == b"warm"

        def ask(command: str, data: bytes, times: int = 1) -> tuple[int, bytes, bytes]:
            """Ask so many times at once, and return the last answer."""
            assert process.stdin is not None
            assert process.stdout is not None
            request = relay.REQUEST.pack(7, len(command), len(data)) + command.encode() + data
            process.stdin.write(request * times)
            process.stdin.flush()
            for _each in range(times):
                number, code, *sizes = relay.ANSWER.unpack(relay.receive(process.stdout, relay.ANSWER.size))
                assert number == 7
                out, err = (relay.receive(process.stdout, size) for size in sizes)
            return code, out, err

        yield ask
        process.stdin.close()


def test_a_command_has_its_input_its_output_and_its_code(ask: Ask) -> None:
    assert ask("cat; echo wrong >&2; exit 3", b"in") == (3, b"in", b"wrong\n")


def test_requests_that_come_together_are_all_answered(ask: Ask) -> None:
    assert ask("echo a", b"", times=8) == (0, b"a\n", b"")
    assert ask(MODULE, b"print('a')", times=8) == (0, b"a\n", b"")


def test_a_module_runs_in_a_copy(ask: Ask) -> None:
    program = b"import os, sys; print(os.environ['A'], __name__, repr(sys.stdin.read())); sys.exit(4)"
    assert ask(MODULE.replace("-c '", "-c 'A=b "), program) == (4, b"b __main__ ''\n", b"")
    assert ask(MODULE, b"import os; print(os.environ.get('A'))") == (0, b"None\n", b"")


@pytest.mark.parametrize(
    ("program", "code", "errors"), [(b"1/0", 1, b"ZeroDivisionError"), (b"import sys; sys.exit('no')", 1, b"no\n")]
)
def test_a_module_that_fails_ends_as_in_python(ask: Ask, program: bytes, code: int, errors: bytes) -> None:
    found = ask(MODULE, program)
    assert found[:2] == (code, b"")
    assert errors in found[2]


def test_what_a_module_registers_for_its_end_is_done(ask: Ask) -> None:
    assert ask(MODULE, b"import atexit; atexit.register(print, 'bye')") == (0, b"bye\n", b"")


LOOK = b"""
import json, os, signal, sys
basic, warnings = (sys.modules[f"ansible.module_utils.{name}"] for name in ("basic", "common.warnings"))
print(os.getpid(), os.getcwd(), os.environ.get("A"), sys.path[0], signal.getsignal(signal.SIGTERM))
print(oct(os.umask(18)), hasattr(basic, "new"), basic._ANSIBLE_ARGS, warnings._global_warnings)
import tempfile
print("ansible.x" in sys.modules, tempfile.gettempdir())
"""
CHANGE = b"""
import os, signal, sys, types
os.chdir("/"), os.umask(0), sys.path.insert(0, "/x"), signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.environ["A"], sys.modules["ansible.x"] = "a", types.ModuleType("ansible.x")
basic, warnings = (sys.modules[f"ansible.module_utils.{name}"] for name in ("basic", "common.warnings"))
basic.new, basic._ANSIBLE_ARGS, warnings._global_warnings["w"] = 1, b"secret", 1
import gettext, tempfile
gettext.install("x")
tempfile.tempdir = "/x"
sys.exit("changed")
"""


def test_modules_share_a_process_that_is_put_back(ask: Ask) -> None:
    before = ask(MODULE, LOOK)
    assert before[0] == 0
    assert ask(MODULE, CHANGE) == (1, b"", b"changed\n")
    assert ask(MODULE, LOOK) == before


PID = b"import os; print(os.getpid())"


@pytest.mark.parametrize(
    "program",
    [
        b"import sys, types; sys.modules['apt'] = types.ModuleType('apt'); sys.modules['apt'].__file__ = '/x/apt.py'",
        b"import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        b"import os; os._exit(3)",
        b"import os; os.open('/etc/passwd', os.O_RDONLY)",
        b"import os, time; os.fork() and os._exit(3); os.closerange(0, 3); time.sleep(30)",
    ],
    ids=["foreign-library", "thread", "ends", "open-file", "ends-before-its-child"],
)
def test_a_process_that_cannot_be_put_back_ends(ask: Ask, program: bytes) -> None:
    before = ask(MODULE, PID)
    assert ask(MODULE, program) == (3 if b"_exit" in program else 0, b"", b"")
    assert ask(MODULE, PID) not in (before, (1, b"", b""))


def test_a_socket_that_stays_open_ends_nothing(ask: Ask) -> None:
    """Each module of Ansible writes to the log, whose socket stays."""
    before = ask(MODULE, PID)
    assert ask(MODULE, b"import json, socket; json.kept = socket.socket()") == (0, b"", b"")
    assert ask(MODULE, PID) == before


def test_a_worker_that_somebody_kills_is_replaced(ask: Ask) -> None:
    process = int(ask(MODULE, PID)[1])
    os.kill(process, signal.SIGKILL)
    wait_for("it has ended", lambda: ") Z " in Path(f"/proc/{process}/stat").read_text())
    assert ask(MODULE, b"print('here')") == (0, b"here\n", b"")


def test_a_child_that_returns_from_a_module_ends(ask: Ask) -> None:
    assert ask(MODULE, b"import os, sys; child = os.fork(); child and os.waitpid(child, 0)") == (0, b"", b"")
    assert ask(MODULE, b"print('here')") == (0, b"here\n", b"")


@pytest.mark.parametrize("times", [1, 2])
def test_a_module_of_ansible_is_unpacked_once(ask: Ask, times: int) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("ansible/__init__.py", "")
        file.writestr("ansible/modules/__init__.py", "")
        tell = "from ansible.module_utils import basic; print(basic._ANSIBLE_ARGS.decode())"
        file.writestr("ansible/modules/tell.py", tell)
    words = {"ansible_module": "tell", "module_fqn": "ansible.modules.tell", "profile": "legacy", "params": "{'a': 1}"}
    words |= {"rlimit_nofile": 0, "extensions": {}, "zip_data": base64.b64encode(archive.getvalue()).decode()}
    lines = [f"{name}={value!r}," for name, value in words.items()] + ["date_time=datetime.datetime(2026, 1, 1),", ")"]
    program = "\n".join(["if __name__ == '__main__':", "    _ansiballz_main(", *lines, ""]).encode()
    for _each in range(times):
        code, out, _errors = ask(MODULE, program)
        assert out.startswith(b"{'a': 1}\n")
        assert code == 1
        assert b"did not handle its own exit" in out


def test_ansible_is_there_before_the_module(ask: Ask) -> None:
    program = b"import sys; print('ansible.module_utils.basic' in sys.modules, 'ansible.modules' in sys.modules)"
    assert ask(MODULE, program) == (0, b"True False\n", b"")


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (MODULE, {}),
        (MODULE.replace(" && sleep 0", ""), {}),
        (MODULE.replace("-c '", '-c \'LANG=C X="a b" '), {"LANG": "C", "X": "a b"}),
        ("/bin/sh -c 'echo ~root && sleep 0'", None),
        ("/bin/sh -c '/usr/bin/perl && sleep 0'", None),
        (MODULE.replace("sleep 0", "reboot"), None),
        ("/bin/sh -c LANG=C", None),
        ("true", None),
    ],
)
def test_only_python_that_reads_a_module_is_replaced(command: str, settings: dict[str, str] | None) -> None:
    assert agent.environment_of_module(command) == settings
