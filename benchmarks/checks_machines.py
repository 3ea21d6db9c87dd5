# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of benchmarks/checks: a director with a checker on it, and four real servers that can be made to die."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from harness import ROOT, SHARED, Cluster, HarnessError, run, wait_for

HERE = Path(__file__).resolve().parent
PLACE = "/opt/bench-checks"  # of the programs and files on machines
DIRECTOR, REAL = "dir1", {f"real{number}": f"198.18.20.{20 + number}" for number in range(1, 5)}
INTERFACE, PORT = "eth0", 8001
MOST = 200  # services of an inventory
ANSWERS = 120.0  # s in which a machine must have done what it was asked for
DEFAULTS = yaml.safe_load((ROOT / "roles/ldirectord/defaults/main.yml").read_text())


@dataclass(frozen=True)
class Checker:
    """A program that checks real servers, and how it is set; what is None is the role's default.

    one_port: the services have one port and many VIPs, in place of one VIP and many ports. filled: ldirectord begins
    with a full table, as the role's drop-in has it.
    """

    program: str = "ldirectord"
    fork: bool = True  # as the role has it with several services
    limit: int | None = None  # s until a check has failed
    connects: int | None = None
    one_port: bool = False
    filled: bool = True

    @property
    def unit(self) -> str:
        """Return the unit that runs it."""
        return f"{self.program}.service"

    def settings(self, name: str, services: int) -> dict[str, Any]:
        """Return what the playbook is told of it."""
        return {
            "program": self.program,
            "file": f"{name}-{services}.conf",
            "first": MOST if self.one_port else 0,
            "services": services,
            "fork": self.fork,
            "timeout": self.limit or DEFAULTS["ldirectord_check_timeout"],
            "negotiate_timeout": self.limit or DEFAULTS["ldirectord_negotiate_timeout"],
            "check": {"connects": self.connects} if self.connects else {},
        }

    def rows(self, services: int) -> dict[str, set[str]]:
        """Return the rows of the table that each real server has, as checks_watch.py names them."""
        entries = range(MOST, MOST + services) if self.one_port else range(services)
        return {host: {f"{vip(n)}:{port(n)}>{address}" for n in entries} for host, address in REAL.items()}


def vip(number: int) -> str:
    """Return the VIP of a service: one for those of many ports, one each for those of one port."""
    return "198.18.20.30" if number < MOST else f"198.18.20.{40 + number - MOST}"


def port(number: int) -> int:
    """Return the port of a service."""
    return PORT + number if number < MOST else PORT


def inventory() -> dict[str, Any]:
    """Return the inventory of the machines."""
    services = [
        {"name": f"s{n}", "vip": vip(n), "port": port(n), "scheduler": "wrr", "check": {"service": "http"}}
        for n in range(2 * MOST)
    ]
    hosts = {name: {"ha_interfaces": {INTERFACE: f"{address}/24"}} for name, address in REAL.items()}
    director = {DIRECTOR: {"ha_interfaces": {INTERFACE: "198.18.20.11/24"}}}
    groups = {"directors": {"hosts": director}, "real_servers": {"hosts": hosts}}
    return {"all": {"vars": {"ha_virtual_services": services}, "children": groups}}


def prepare(checkers: Iterable[tuple[str, Checker]], sizes: list[int], again: bool) -> dict[str, str]:
    """Make the machines, put programs and files on them; return the versions of what is compared.

    again: on the machines of an earlier run.
    """
    path = ROOT / "build" / "bench" / "checks" / "hosts.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(inventory()))
    cluster = Cluster(path)
    listed = (ROOT / "lab" / "packages.txt").read_text().splitlines()
    packages = " ".join([*(line.partition("#")[0].strip() for line in listed), "keepalived"]).split()
    machines = [DIRECTOR, *REAL]
    if not again:
        run("docker", "rm", "--force", "--volumes", *machines)
    cluster.playbook(SHARED / "create.yml", "--extra-vars", json.dumps({"packages": " ".join(packages)}))
    for host in machines:
        run("docker", "exec", host, "mkdir", "-p", PLACE)
        for name in ("checks_watch.py", "checks_answer.py"):
            run("docker", "cp", str(HERE / name), f"{host}:{PLACE}/")
    settings = [checker.settings(name, size) for name, checker in checkers for size in sizes]
    told = json.dumps({"folder": PLACE, "checkers": settings})
    cluster.playbook(HERE / "peers" / "checks.yml", "--extra-vars", told)
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", "ldirectord", "keepalived"]
    versions = dict(line.split(" ", 1) for line in run("docker", "exec", DIRECTOR, *query).splitlines())
    return {**versions, "linux": run("docker", "exec", DIRECTOR, "uname", "-r").strip()}


class Agent:
    """A program on a machine that answers lines of JSON."""

    def __init__(self, host: str, program: str, *arguments: object) -> None:
        self.host = host
        command = ["docker", "exec", "--interactive", host, "python3", f"{PLACE}/{program}", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.hear(json.loads(line))
        self.answers.put(None)

    def hear(self, said: dict[str, Any]) -> None:
        """Take what the program has printed."""
        self.answers.put(said)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to one request, which must not fail."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # then there is no answer, either
            self.process.stdin.write(json.dumps(request) + "\n")
        try:
            answer = self.answers.get(timeout=ANSWERS)
        except queue.Empty:
            raise HarnessError(f"{self.host} did not answer to {request}") from None
        if answer is None:
            raise HarnessError(f"the program on {self.host} has ended")
        if answer.get("code"):
            raise HarnessError(f"{request} on {self.host}: {answer['out']}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class RealServer(Agent):
    """A host that answers on the ports of all services."""

    def __init__(self, host: str, services: int) -> None:
        super().__init__(host, "checks_answer.py", INTERFACE, PORT, services)

    def do(self, word: str) -> dict[str, Any]:
        """Let it refuse, be silent, return, forget or tell who has asked."""
        return self.ask(do=word)


class Director(Agent):
    """The host whose table is watched, with one checker at a time."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.changed: dict[str, float] = {}  # when each row got its weight, or lost it, last
        super().__init__(DIRECTOR, "checks_watch.py")

    def hear(self, said: dict[str, Any]) -> None:
        """Take an answer, or a change of the table."""
        if "answer" in said:
            self.answers.put(said["answer"])
            return
        self.changed |= dict.fromkeys([*said["in"], *said["out"]], said["at"])
        self.alive = (self.alive | set(said["in"])) - set(said["out"])

    def start(self, checker: Checker, file: str) -> float:
        """Start a checker with its file; return when."""
        target = "/etc/keepalived/keepalived.conf" if checker.program == "keepalived" else "/etc/ha.d/ldirectord.cf"
        folder = f"/run/systemd/system/{checker.unit}.d"
        # An empty setting takes back what was set before it; unfilled.conf is read after restart.conf.
        text = "" if checker.filled else "[Service]\\nExecStartPre=\\n"
        steps = f"cp {PLACE}/{file} {target} && mkdir -p {folder} && printf '{text}' >{folder}/unfilled.conf"
        self.ask(run=["sh", "-c", f"{steps} && systemctl daemon-reload"])
        return self.ask(start=checker.unit)["at"]

    def stop(self, checker: Checker) -> None:
        """Stop a checker; the table is empty afterwards."""
        self.ask(stop=checker.unit)
        wait_for("the table is empty", lambda: not self.alive)

    def until(self, condition: Callable[[set[str]], bool], seconds: float) -> bool:
        """Wait until the rows with a weight are as they should be; return whether they are in time."""
        end = time.monotonic() + seconds
        while not condition(self.alive):
            if time.monotonic() > end or self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return True
