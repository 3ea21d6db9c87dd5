# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent that runs modules on the lab's machines: here, on this machine, by its own protocol."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from programs import load

relay = load("molecule/shared/warm/relay.py")
agent = load("molecule/shared/warm/agent.py")
MODULE = f"/bin/sh -c '{sys.executable} && sleep 0'"
Ask = Callable[[str, bytes], tuple[int, bytes, bytes]]


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

        def ask(command: str, data: bytes) -> tuple[int, bytes, bytes]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(relay.REQUEST.pack(7, len(command), len(data)) + command.encode() + data)
            process.stdin.flush()
            number, code, *sizes = relay.ANSWER.unpack(relay.receive(process.stdout, relay.ANSWER.size))
            assert number == 7
            out, err = (relay.receive(process.stdout, size) for size in sizes)
            return code, out, err

        yield ask
        process.stdin.close()


def test_a_command_has_its_input_its_output_and_its_code(ask: Ask) -> None:
    assert ask("cat; echo wrong >&2; exit 3", b"in") == (3, b"in", b"wrong\n")


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


def test_ansible_is_there_before_the_module(ask: Ask) -> None:
    program = b"import sys; print('ansible.module_utils.basic' in sys.modules, 'ansible.modules' in sys.modules)"
    assert ask(MODULE, program) == (0, b"True False\n", b"")


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (MODULE, {}),
        (MODULE.replace("-c '", '-c \'LANG=C X="a b" '), {"LANG": "C", "X": "a b"}),
        ("/bin/sh -c 'echo ~root && sleep 0'", None),
        ("/bin/sh -c '/usr/bin/perl && sleep 0'", None),
        ("true", None),
    ],
)
def test_only_python_that_reads_a_module_is_replaced(command: str, settings: dict[str, str] | None) -> None:
    assert agent.environment_of_module(command) == settings
