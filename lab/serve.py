#!/usr/bin/env python3
"""Run the collection's modules in this process, as often as asked: a line of JSON comes in, the result goes out.

Ansible starts a process for every run of a module, which takes a second in the lab. With this program, a test can try
hundreds of random inputs. harness.install_modules() puts it on a machine, beside what it imports.

A request is {module, arguments}, or {command}, a list of words for a program. The answer is the module's result with
failed set, or {code, out} of the program.
"""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ansible.module_utils import basic


def run_module(name: str, arguments: dict[str, object]) -> dict[str, object]:
    """Return what a module prints."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    module = importlib.import_module(f"ansible_collections.codalvs.ha.plugins.modules.{name}")
    output = io.StringIO()
    with redirect_stdout(output):
        try:
            module.main()
        except SystemExit as end:
            code = end.code
    return {"failed": bool(code), **json.loads(output.getvalue())}


def run_command(words: list[str]) -> dict[str, object]:
    """Return code and output of a program."""
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return {"code": done.returncode, "out": done.stdout}


for line in sys.stdin:
    request = json.loads(line)
    if "command" in request:
        answer = run_command(request["command"])
    else:
        answer = run_module(request["module"], request["arguments"])
    print(json.dumps(answer), flush=True)
