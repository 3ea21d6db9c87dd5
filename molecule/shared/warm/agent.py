"""Runs commands and Ansible's modules on a test machine; relay.py sends it there and speaks to it.

With pipelining, Ansible sends a module as a program for Python's standard input. Such a module runs in a copy (fork) of
this process, which has already imported what nearly every module imports. A shell runs everything else.

Requests come on standard input: id, lengths of command and data, command, data. Answers go to standard output: id, exit
code, lengths of output and errors, output, errors. Numbers are signed, of four bytes, most significant first.
"""

import atexit
import contextlib
import gc
import importlib
import io
import os
import select
import shlex
import struct
import subprocess
import sys
import tarfile
import traceback
import types

REQUEST, ANSWER = struct.Struct(">iii"), struct.Struct(">iiii")
# Not in /tmp, which systemd empties as it boots, even if an agent already has files there.
FOLDER = f"/var/tmp/ansible-warm-{os.getpid()}"
USED_BY_MOST = (
    "base64",
    "runpy",
    "zipfile",
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils.basic",
    "ansible.module_utils.common.file",
    "ansible.module_utils.common.respawn",
)


class Path(list):
    """Where the package `ansible` is: in the archive that was sent once, and in the zip file of the running module."""

    def __iter__(self):
        yield from super().__iter__()
        yield from (os.path.join(entry, "ansible") for entry in sys.path if entry.endswith(".zip"))


WHERE_THERE_IS_ONE = ("requests",)  # for the modules that speak to Docker


def warm_up(archive):
    """Import what most modules import, from an archive of Ansible's module_utils."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(FOLDER)
    sys.path.insert(0, FOLDER)
    for name in USED_BY_MOST:
        importlib.import_module(name)
    for name in WHERE_THERE_IS_ONE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.path.remove(FOLDER)
    sys.modules["ansible"].__path__ = Path(sys.modules["ansible"].__path__)
    gc.freeze()


def environment_of_module(command):
    """Return the variables set for a module, if the command is Python with the module as its input; else None."""
    words = shlex.split(command)
    if words[:2] != ["/bin/sh", "-c"] or len(words) != 3:
        return None
    words = shlex.split(words[2])
    settings = {}
    while words and "=" in words[0]:
        name, _, settings[name] = words.pop(0).partition("=")
    if words[1:] != ["&&", "sleep", "0"] or os.path.realpath(words[0]) != os.path.realpath(sys.executable):
        return None
    return settings


def start(command, data):
    """Start a command; return its process id, and the files that have its output and its errors."""
    streams = [os.memfd_create(name) for name in ("in", "out", "err")]
    with open(streams[0], "wb", closefd=False) as file:
        file.write(data)
    os.lseek(streams[0], 0, os.SEEK_SET)
    settings = environment_of_module(command) if data else None
    if settings is None:
        child = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=streams[0], stdout=streams[1], stderr=streams[2], start_new_session=True
        )
        child.returncode = 0  # waited for by its id
        pid = child.pid
    else:
        pid = os.fork()
        if not pid:
            os.setsid()
            os.environ.update(settings)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            run(data)
    os.close(streams[0])
    return pid, streams[1:]


def run(program):
    """Run a program as Python runs its standard input, and end."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [""]
    os.lseek(0, 0, os.SEEK_END)  # it has been read
    code: str | int | None = 0
    try:
        exec(compile(program, "<stdin>", "exec"), main.__dict__)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    # Skip Python's own ending, which frees each object: most are shared with the agent, and would first be copied.
    atexit._run_exitfuncs()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


def read(count):
    """Read so many bytes; if there are fewer, the other side has gone."""
    data = sys.stdin.buffer.read(count)
    if len(data) < count:
        os._exit(0)
    return data


def contents(stream):
    """Return what a file has, and close it."""
    with open(stream, "rb") as file:
        file.seek(0)
        return file.read()


def main():
    """Serve requests until standard input ends."""
    warm_up(read(struct.unpack(">i", read(4))[0]))
    sys.stdout.buffer.write(b"warm")
    sys.stdout.buffer.flush()
    running = {}
    waiting = select.poll()
    waiting.register(0, select.POLLIN)
    while True:
        for ready, _ in waiting.poll():
            if ready == 0:
                number, *sizes = REQUEST.unpack(read(REQUEST.size))
                command, data = map(read, sizes)
                pid, streams = start(command.decode(), data)
                handle = os.pidfd_open(pid)
                running[handle] = number, pid, streams
                waiting.register(handle, select.POLLIN)
                continue
            number, pid, streams = running.pop(ready)
            waiting.unregister(ready)
            os.close(ready)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            out, err = map(contents, streams)
            sys.stdout.buffer.write(ANSWER.pack(number, code, len(out), len(err)) + out + err)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
