# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The User-Mode Linux machine that is a lab: boot it in a sealed network, and run commands in it."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from codalab.common import CACHE, GIB, HERE, MIB, LabError, Progress, run, tail
from codalab.disk import Base
from codalab.host import apt_sources, free_port, install_tools, memory_free
from codalab.record import Record

BOOT_SECONDS = 180


def squid_config(port: int, hosts: list[str]) -> str:
    """A proxy for packages only: it lets through the hosts of this machine's apt sources and of LAB_PROXY_HOSTS."""
    allowed = " ".join([*hosts, *os.environ.get("LAB_PROXY_HOSTS", "").split()])
    lines = [
        f"http_port 127.0.0.1:{port}",
        f"acl packages dstdomain {allowed}",
        "http_access allow packages",
        "http_access deny all",
        "cache_dir ufs /var/spool/squid 2048 4 16",
        "maximum_object_size 512 MB",
        "cache_mem 64 MB",
        "refresh_pattern \\.deb$ 129600 100% 129600",
        "refresh_pattern . 0 20% 60",
        "access_log none",
        "cache_log /var/spool/squid/cache.log",
        "cache_store_log none",
        "coredump_dir none",
        "pid_filename none",
        "pinger_enable off",
        "max_filedescriptors 4096",
        "visible_hostname lab",
    ]
    upstream = run("apt-config", "shell", "proxy", "Acquire::http::Proxy", what="reading apt's proxy")
    if upstream:
        url = urlsplit(shlex.split(upstream)[0].partition("=")[2])
        lines += [f"cache_peer {url.hostname} parent {url.port or 80} 0 no-query default", "never_direct allow all"]
    return "\n".join(lines) + "\n"


def check_machine(memory: int) -> None:
    """Check all that a User-Mode Linux lab needs and can't install; each has a sentence of its own."""
    architecture = run("dpkg", "--print-architecture", what="asking dpkg for the architecture").strip()
    if architecture != "amd64":
        raise LabError(f"the User-Mode Linux lab needs an amd64 machine, and this one is {architecture}")
    if not Path("/dev/net/tun").exists():
        raise LabError("the lab needs /dev/net/tun; load the module tun")
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < 4 * GIB:
        raise LabError(f"the lab needs 4 GiB free under {CACHE}")
    available = memory_free() // MIB
    if available < memory + 512:
        raise LabError(
            f"the lab needs {memory + 512} MiB of free memory and {available} are free; set LAB_MEMORY_MB lower"
        )


def start_uml(record: Record, progress: Progress) -> None:
    setting = os.environ.get("LAB_MEMORY_MB", "6144")
    if not setting.isdigit() or int(setting) < 512:
        raise LabError(f"LAB_MEMORY_MB must be a number of at least 512, not {setting!r}")
    memory = int(setting)
    check_machine(memory)
    with progress.phase("this machine checked, tools present"):
        install_tools()
        mirror, hosts = apt_sources()
    base = Base(mirror)
    base.ensure(record, progress)

    netns, port = f"codalvs-{record.name}", free_port()
    state, spool = CACHE / "state" / record.name, CACHE / f"squid-{record.name}"
    with progress.phase("sealed network"):
        make_network(record, netns, state, spool)
        (record.run / "squid.conf").write_text(squid_config(port, hosts))
    with progress.phase("User-Mode Linux booted, engine answers"):
        settings = {
            "TREE": base.tree,
            "BASE": base.folder,
            "STATE": state,
            "RUN": record.run,
            "SPOOL": spool,
            "NETNS": netns,
            "PORT": port,
            "MEMORY": memory,
        }
        boot(record, {key: str(value) for key, value in settings.items()})
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                raise LabError(f"the package door does not answer: {tail(spool / 'cache.log')}")
    record.note(up=True)


def make_network(record: Record, netns: str, state: Path, spool: Path) -> None:
    """Make a namespace with a bridge for the lab's machines, and the folders that belong to it."""
    if Path("/run/netns", netns).exists():
        raise LabError(f"a network namespace {netns} exists already, and this lab did not make it")
    record.note(netns=netns, state=str(state))
    # After a restart of this machine the record is gone, but the disk is not.
    if state.exists():
        shutil.rmtree(state)
    for folder in (state, spool):
        folder.mkdir(parents=True, exist_ok=True)
    run("ip", "netns", "add", netns, what="making the network namespace")
    for words in (
        "link set lo up",
        "tuntap add tap0 mode tap",
        "link add lab0 type bridge",
        "link set tap0 master lab0 up",
        "address add 198.18.0.1/24 dev lab0",
        "link set lab0 up",
        "route add default via 198.18.0.2",  # the way back to the containers, whatever subnets they get
    ):
        run("ip", "-n", netns, *words.split(), what=f"ip {words}")


def boot(record: Record, settings: dict[str, str]) -> None:
    """Start the machine, and wait until its engine answers. settings: the variables of machine.sh."""
    environment = {**os.environ, **settings}
    record.spawn("machine", ["sh", str(HERE / "machine.sh")], record.run / "console.log", guest=True, env=environment)
    deadline = time.monotonic() + BOOT_SECONDS
    while not record.engine_answers():
        if not record.alive("machine"):
            raise LabError(f"the User-Mode Linux machine stopped while booting: {tail(record.run / 'console.log')}")
        if time.monotonic() > deadline:
            raise LabError(f"the engine in User-Mode Linux did not answer within {BOOT_SECONDS} s")
        time.sleep(0.2)


def guest(record: Record, script: str) -> int:
    """Run a shell script in the guest: its output, then a NUL and its exit status, come back on one connection."""
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(str(record.run / "exec.sock"))
        except OSError as error:
            raise LabError(f"the guest of lab {record.name} cannot be reached: {error}") from error
        door.sendall(script.encode())
        door.shutdown(socket.SHUT_WR)
        trailer = b""
        while data := door.recv(65536):
            text, mark, rest = (trailer + data).rpartition(b"\0")
            sys.stdout.buffer.write(text if mark else rest)
            sys.stdout.buffer.flush()
            trailer = mark + rest if mark else b""
    if not trailer[1:].isdigit():
        raise LabError("the command's connection to the guest broke")
    return int(trailer[1:])
