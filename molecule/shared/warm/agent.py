"""Runs commands and Ansible's modules on a test machine; relay.py sends it there and speaks to it.

With pipelining, Ansible sends a module as a program for Python's standard input. Such a program goes to a worker: a
copy (fork) of this process, which has already imported what nearly every module imports. A worker runs one module after
the other, and puts back in between what a module can change in its process; see Before. A copy for each module would
take most of the time: User-Mode Linux has to map each page anew that a copy uses. A shell runs everything else.

Requests come on standard input: id, lengths of command and data, command, data. Answers go to standard output: id, exit
code, lengths of output and errors, output, errors. Numbers are signed, of four bytes, most significant first.
"""

import ast
import atexit
import base64
import contextlib
import functools
import gc
import hashlib
import importlib
import io
import json
import os
import platform
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import traceback
import types
import weakref
import zipfile
from typing import ClassVar

REQUEST, ANSWER = struct.Struct(">iii"), struct.Struct(">iiii")
DONE = struct.Struct(">i?")  # what a worker says of a module: its exit code, and whether the worker runs another one
SETTINGS = 1 << 16  # bytes that a module's environment may have
# Not in /tmp, which systemd empties as it boots, even if an agent already has files there.
FOLDER = f"/var/tmp/ansible-warm-{os.getpid()}"
LIBRARY = "ansible.module_utils."
STDLIB = os.path.join(sysconfig.get_path("stdlib"), "")
WRAPPED = b"\n    _ansiballz_main(\n"  # the last statement of what Ansible sends: a call with literal arguments
USED_BY_MOST = (
    "runpy",
    "ansible.module_utils._internal._ansiballz._loader",
    "ansible.module_utils.basic",
    "ansible.module_utils.common.file",
    "ansible.module_utils.common.respawn",
)


class Path(list):
    """Where the package `ansible` is: in the archive that was sent once, and beside the running module."""

    def __iter__(self):
        yield from super().__iter__()
        beside = (entry for entry in sys.path if entry.endswith(".zip") or entry.startswith(FOLDER))
        yield from (os.path.join(entry, "ansible") for entry in beside)


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
    # Python restores signals by itself, and starts a process many times as fast if it has no function to call there.
    sys.modules["ansible.module_utils.basic"].AnsibleModule._restore_signal_handlers = None
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
    program, *then = words or [""]
    # ansible-core 2.21 no longer sleeps after a module.
    this_python = os.path.realpath(program) == os.path.realpath(sys.executable)
    return settings if this_python and then in ([], ["&&", "sleep", "0"]) else None


def files(data):
    """Return files for a program's input, which has the data, its output and its errors."""
    streams = [os.memfd_create(name) for name in ("in", "out", "err")]
    with open(streams[0], "wb", closefd=False) as file:
        file.write(data)
    os.lseek(streams[0], 0, os.SEEK_SET)
    return streams


class Shell:
    """A command that a shell runs."""

    def __init__(self, command, streams):
        stdin, stdout, stderr = streams
        command = ["/bin/sh", "-c", command]
        child = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)
        child.returncode = 0  # waited for by its id
        self.pid, self.handle = child.pid, os.pidfd_open(child.pid)

    def fileno(self):
        return self.handle

    def code(self):
        """Return the exit code."""
        os.close(self.handle)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Worker:
    """A copy of this process that runs modules."""

    idle: ClassVar[list["Worker"]] = []

    def __init__(self):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if not self.pid:
            self.socket.close()
            os.setsid()
            work(other)
        other.close()

    @classmethod
    def begin(cls, settings, streams):
        """Have a worker run the module that the first of the files contains; return the worker."""
        while True:
            worker = cls.idle.pop() if cls.idle else cls()
            try:
                socket.send_fds(worker.socket, [json.dumps(settings).encode()], streams)
            except OSError:  # somebody has killed it
                worker.ended()
            else:
                return worker

    def fileno(self):
        return self.socket.fileno()

    def code(self):
        """Return the module's exit code."""
        said = b""
        with contextlib.suppress(OSError):
            said = self.socket.recv(DONE.size)
        code, stays = DONE.unpack(said) if said else (None, False)
        if stays:
            self.idle.append(self)
            return code
        ended = self.ended()
        return ended if code is None else code

    def ended(self):
        """Return the exit code of a worker that ends."""
        self.socket.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def work(agent):
    """Run the modules that the agent asks for, one after the other, and end."""
    atexit._clear()
    os.register_at_fork(after_in_child=agent.close)  # else nobody would learn of the worker's end while its child runs
    before = Before()
    stays = True
    while stays:
        settings, streams, _, _ = socket.recv_fds(agent, SETTINGS, 3)
        if not settings:
            break
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        pid = os.getpid()
        code = run(json.loads(settings))
        if os.getpid() != pid:  # a child of the module's, which returned from it
            os._exit(code)
        stays = before.put_back()
        agent.send(DONE.pack(code, stays))
    # Skip Python's own ending, which frees each object.
    os._exit(0)


class Before:
    """What a worker was like before it ran a module."""

    SIGNALS = (signal.SIGALRM, signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM)

    def __init__(self):
        self.environ, self.path, self.folder = dict(os.environ), list(sys.path), os.getcwd()
        os.umask(mask := os.umask(0))
        self.mask = mask
        self.signals = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.streams = sys.stdin, sys.stdout, sys.stderr
        self.files = open_files()
        self.names = set(sys.modules)
        # Ansible's library keeps warnings and arguments in variables of its modules.
        self.state = {name: state(name) for name in self.names if name.startswith(LIBRARY)}

    def put_back(self):
        """Make the process as it was; return whether that is possible."""
        sys.modules.pop("__mp_main__", None)  # multiprocessing's word for the program, which is the module
        new = set(sys.modules) - self.names
        others = {name for name in new if not is_standard(name)}
        foreign = {name for name in others if name.partition(".")[0] not in ("ansible", "ansible_collections")}
        if foreign or threading.active_count() > 1:
            return False
        for name in others:
            del sys.modules[name]
        for name in sorted(others):
            if name.startswith(LIBRARY):
                importlib.import_module(name)  # afresh, for the next one
        for name in set(sys.modules) - self.names:
            if name.startswith(LIBRARY):
                self.state[name] = state(name)
        self.names = set(sys.modules)
        for name, (variables, containers) in self.state.items():
            restore(name, variables, containers)
        os.environ.clear()
        os.environ.update(self.environ)
        sys.path[:] = self.path
        os.chdir(self.folder)
        os.umask(self.mask)
        signal.alarm(0)
        for number, handler in self.signals.items():
            signal.signal(number, handler)
        sys.stdin, sys.stdout, sys.stderr = self.streams
        socket.setdefaulttimeout(None)
        # What these keep for later, and what the end of a module, which is not the program's, has told them.
        platform._uname_cache = tempfile.tempdir = None
        weakref.finalize._shutdown = weakref.finalize._registered_with_atexit = False
        if processes := sys.modules.get("multiprocessing.util"):
            processes._exiting = False
        gc.collect()
        return open_files() <= self.files


def open_files():
    """Return the files that this process has open, except for its own input, output and errors."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the folder itself
            place = os.readlink(f"/proc/self/fd/{number}")
            if int(number) > 2 and place.startswith("/"):  # syslog's socket may stay
                found.add((number, place))
    return found


def is_standard(name):
    """Return whether a module is of Python's own library."""
    file = getattr(sys.modules[name], "__file__", None) or ""
    return name in sys.builtin_module_names or (file.startswith(STDLIB) and "-packages/" not in file)


def state(name):
    """Return a module's variables, and the contents of those that can be changed in place."""
    variables = {key: value for key, value in vars(sys.modules[name]).items() if key != "__builtins__"}
    return variables, {key: value.copy() for key, value in variables.items() if type(value) in (dict, list, set)}


def restore(name, variables, containers):
    """Give a module its variables and their contents back."""
    now = vars(sys.modules[name])
    for key in set(now) - set(variables) - {"__builtins__"}:
        if not isinstance(now[key], types.ModuleType):  # a part of the package, imported since
            del now[key]
    now.update(variables)
    for key, contents in containers.items():
        if now[key] != contents:
            now[key].clear()
            (now[key].extend if isinstance(contents, list) else now[key].update)(contents)


def unpack(program):
    """Return the arguments of a module as Ansible sends it, unpacked into a folder; None for any other program."""
    _, wrapped, arguments = program.rpartition(WRAPPED)
    if not wrapped:
        return None
    call = ast.parse(b"wrapped(" + arguments).body[0].value
    found = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg != "date_time"}
    return found | {"modlib_path": folder_of(found.pop("zip_data"))}


@functools.lru_cache(maxsize=32)  # each run of Ansible makes new archives, of 200 kB each
def folder_of(archive):
    """Return the folder that has what an archive (base64) contains; archives differ in their times only."""
    unzipped = zipfile.ZipFile(io.BytesIO(base64.b64decode(archive)))
    contents = repr([(entry.filename, entry.CRC) for entry in unzipped.infolist()])
    folder = os.path.join(FOLDER, hashlib.sha1(contents.encode()).hexdigest())
    if not os.path.exists(folder):
        part = f"{folder}.{os.getpid()}"
        unzipped.extractall(part)
        with contextlib.suppress(OSError):  # another worker was quicker
            os.rename(part, folder)
    return folder


def run_module(module_fqn, params, profile, extensions, modlib_path, **_others):
    """Run an unpacked module, as the program that Ansible sends with it would."""
    sys.path.insert(0, modlib_path)
    loader = sys.modules["ansible.module_utils._internal._ansiballz._loader"]
    loader.run_module(
        json_params=params.encode(),
        profile=profile,
        module_fqn=module_fqn,
        modlib_path=modlib_path,
        extensions=extensions,
    )


def run(settings):
    """Run the program on standard input as Python would, to its end, and return its exit code."""
    program = contents(0, closefd=False)
    main, sys.argv = sys.modules["__main__"], [""]
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.stdin, sys.stdout, sys.stderr = map(stream, range(3), "rww")
    os.environ.update(settings)
    code: str | int | None = 0
    try:
        if module := unpack(program):
            run_module(**module)
        else:
            exec(compile(program, "<stdin>", "exec"), sys.modules["__main__"].__dict__)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.modules["__main__"] = main
    return code & 255 if isinstance(code, int) else bool(code)


def stream(number, mode):
    """Return a text file of an open one."""
    return io.TextIOWrapper(io.FileIO(number, mode, closefd=False), errors="backslashreplace" if number == 2 else None)


def read(count):
    """Read so many bytes; if there are fewer, the other side has gone."""
    data = b""
    while len(data) < count:
        # read() would read the next request in advance, of which poll() would say nothing.
        if not (part := sys.stdin.buffer.read1(count - len(data))):
            shutil.rmtree(FOLDER, ignore_errors=True)  # a worker may still write there
            os._exit(0)
        data += part
    return data


def contents(stream, closefd=True):
    """Return what a file has, and close it."""
    with open(stream, "rb", closefd=closefd) as file:
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
                streams = files(data)
                settings = environment_of_module(command.decode()) if data else None
                runner = Shell(command.decode(), streams) if settings is None else Worker.begin(settings, streams)
                os.close(streams[0])
                running[runner.fileno()] = number, runner, streams[1:]
                waiting.register(runner, select.POLLIN)
                continue
            number, runner, streams = running.pop(ready)
            waiting.unregister(ready)
            code = runner.code()
            out, err = map(contents, streams)
            sys.stdout.buffer.write(ANSWER.pack(number, code, len(out), len(err)) + out + err)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
