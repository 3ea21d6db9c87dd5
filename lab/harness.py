# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive a cluster of containers: make it, break it, and see what clients saw. Tests, demo and benchmarks use this.

Power is cut as on a machine: the links first, then the kill. A plain `docker kill` leaves the network namespace
forwarding for half a second, which flatters every figure.
"""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from doors import run_on

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT / "molecule" / "shared"
EVENT_LIMIT = 300.0  # s that something may take while a client watches
# The shell prints its process id, which the program behind it keeps when it takes the shell's place.
SAY_PROCESS = ("sh", "-c", 'echo $$ && exec "$@"', "sh")


class HarnessError(RuntimeError):
    """A condition was not met in time, or a command failed; the text says which. output: all that it printed."""

    def __init__(self, text: str, output: str = "") -> None:
        super().__init__(text)
        self.output = output


@dataclass(frozen=True)
class Attempt:
    """One request of a client: when it began (s since the epoch), whether it got an answer, and by whom or why not."""

    at: float
    ok: bool
    body: str


def outages(attempts: list[Attempt]) -> list[float]:
    """Return each outage (s): the time between two good attempts with failures between them."""
    if not any(attempt.ok for attempt in attempts):
        raise HarnessError("the client was not served at all")
    found, last_good, failed = [], None, False
    for attempt in attempts:
        if not attempt.ok:
            failed = True
            continue
        if failed and last_good is not None:
            found.append(attempt.at - last_good)
        last_good, failed = attempt.at, False
    if failed and last_good is not None:
        raise HarnessError("the service did not come back while the client was asking")
    return found


def longest_outage(attempts: list[Attempt]) -> float:
    """Return the longest outage (s), as outages() has them; 0 for none."""
    return max(outages(attempts), default=0.0)


def is_full(table: str, real_servers: int) -> bool:
    """Return whether a table (of ipvsadm --save) sends the connections of every service to so many real servers."""
    alive = len(re.findall(r"^-a (?!.* -w 0\b)", table, re.MULTILINE))
    return alive > 0 and alive == table.count("-A ") * real_servers


@dataclass
class Kept:
    """What became of connections: {kind: {"opened": n, "survived": n}}, and why the others ended."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


class Cluster:
    """A cluster of containers that an inventory describes."""

    def __init__(self, inventory: Path, extra_vars: dict[str, Any] | None = None) -> None:
        self.inventory = inventory
        self.extra_vars = extra_vars or {}

    @cached_property
    def _listing(self) -> dict[str, Any]:
        return json.loads(run("ansible-inventory", "-i", str(self.inventory), "--list"))

    def group(self, name: str) -> list[str]:
        """Return the hosts of a group, in the inventory's order."""
        return list(self._listing[name]["hosts"])

    def variables(self, host: str) -> dict[str, Any]:
        """Return a host's variables as the inventory has them."""
        return self._listing["_meta"]["hostvars"][host]

    @property
    def vip(self) -> str:
        """Return the VIP of the first virtual service."""
        return self.variables(self.group("directors")[0])["ha_virtual_services"][0]["vip"]

    @property
    def inventories(self) -> list[str]:
        """Return the options for the inventory and for the file that says how to reach its hosts as containers."""
        return ["-i", str(self.inventory), "-i", str(SHARED / "inventory" / "docker.yml")]

    def command(self, playbook: str | Path) -> list[str]:
        """Return the command that runs a playbook on the containers."""
        command = ["ansible-playbook", *self.inventories, str(playbook)]
        return command + (["--extra-vars", json.dumps(self.extra_vars)] if self.extra_vars else [])

    def playbook(self, playbook: str | Path, *arguments: str, log: Path | None = None) -> str:
        """Run a playbook on the containers and return its output; a failure raises with the output's end."""
        # Wait, because a container's systemd empties /tmp as it boots, and Ansible puts its modules there.
        for host in (*self.group("directors"), *self.group("real_servers")):
            wait_for(f"{host} has booted", partial(booted, host))
        return run(*self.command(playbook), *arguments, log=log)

    @property
    def hot_standby(self) -> bool:
        """Return whether both directors balance all the time."""
        variables = {**self.variables(self.group("directors")[0]), **self.extra_vars}
        return variables.get("ha_standby") != "cold"

    def holders(self) -> list[str]:
        """Return the living directors that hold the VIP."""
        show = ("ip", "-oneline", "address", "show", "to", self.vip)
        return [name for name in self.group("directors") if ask(name, *show).strip()]

    def balancing(self) -> list[str]:
        """Return the living directors that send the connections of every service to every real server."""
        first = self.variables(self.group("directors")[0])["ha_virtual_services"][0]
        real_servers = len(first.get("real_servers") or self.group("real_servers"))  # of every service as many
        tables = {name: ask(name, "ipvsadm", "--save", "--numeric") for name in self.group("directors")}
        return [name for name, table in tables.items() if is_full(table, real_servers)]

    def cut_power(self, host: str) -> None:
        """Take a machine's links down, then kill it."""
        links = " && ".join(f"ip link set {name} down" for name in self.variables(host)["ha_interfaces"])
        run("docker", "exec", host, "sh", "-c", links)
        run("docker", "kill", host)

    def power_on(self, host: str) -> None:
        """Start a machine that has lost power."""
        run("docker", "start", host)

    def poll(self, seconds: float, interval: float = 0.05, limit: float = 0.4) -> Generator[Attempt]:
        """Let the client ask the VIP for a page for some seconds; yield each attempt as it comes. close() ends it.

        limit: s that an answer may take; less than TCP's first repetition (1 s), which would hide an outage.
        """
        name = self.group("clients")[0]
        command = ["docker", "exec", name, *SAY_PROCESS, "poll.py", self.vip]
        command += ["--seconds", str(seconds), "--interval", str(interval), "--limit", str(limit)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            process = client.stdout.readline().strip()
            try:
                for line in client.stdout:
                    yield Attempt(**json.loads(line))
            except GeneratorExit:
                ask(name, "kill", process)
                raise
        if client.returncode:
            raise HarnessError(f"the polling client ended with {client.returncode}")

    @contextmanager
    def connections(self, each: int, seconds: float, longer_than_block: bool = True) -> Iterator[Kept]:
        """Let the client keep connections of four kinds open for some seconds, and tell what became of them.

        longer_than_block: False ends them with the block, if their time is not over by then.
        """
        name = self.group("clients")[0]
        command = ["docker", "exec", name, *SAY_PROCESS, "connections.py", self.vip]
        command += ["--each", str(each), "--seconds", str(seconds)]
        kept = Kept()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            process = client.stdout.readline().strip()
            if client.stdout.readline() != "ready\n":
                raise HarnessError("the client could not open its connections")
            try:
                yield kept
            finally:
                if not longer_than_block:
                    ask(name, "kill", "-USR1", process)
            *reasons, last = client.stdout.read().splitlines()
            kept.counts, kept.reasons = json.loads(last), reasons

    def poll_through_power_cut(
        self, host: str, before: float, after: float, interval: float = 0.05
    ) -> Iterator[Attempt]:
        """Let the client ask before, during and after a machine's loss of power; yield each attempt."""
        yield from self.poll_through(lambda: self.cut_power(host), before, after, interval)

    def poll_through(
        self,
        event: Callable[[], object],
        before: float,
        after: float,
        interval: float = 0.05,
        event_limit: float = EVENT_LIMIT,
    ) -> Iterator[Attempt]:
        """Let the client ask before, during and after an event (a function); yield each attempt."""
        with (
            ThreadPoolExecutor(max_workers=1) as pool,
            closing(self.poll(before + event_limit + after, interval)) as attempts,
        ):
            happening = pool.submit(self._later, event, before)
            for attempt in attempts:
                yield attempt
                if happening.done() and time.monotonic() >= happening.result() + after:
                    return
        raise HarnessError(f"what the client watched was not over after {event_limit:.0f} s")

    @staticmethod
    def _later(event: Callable[[], object], seconds: float) -> float:
        time.sleep(seconds)
        event()
        return time.monotonic()

    def wait_whole(self) -> None:
        """Wait until verify.yml succeeds, and every director that should balance sends to every real server."""
        self.playbook("codalvs.ha.verify")
        wait_for("all real servers take connections", self.all_balance)

    def all_balance(self) -> bool:
        """Return whether every director that should balance (both, or the VIP's holder) sends to every real server."""
        return self.balancing() == (self.group("directors") if self.hot_standby else self.holders())


def run(*command: str, log: Path | None = None) -> str:
    """Run a command and return what it printed; a failure raises HarnessError with its beginning and the last lines."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr)
    return printed(done, " ".join(command[:6]))


def printed(done: subprocess.CompletedProcess[str], name: str) -> str:
    """Return what a command printed; raise HarnessError if it failed."""
    output = done.stdout + done.stderr
    if done.returncode:
        raise HarnessError(f"{name} … ended with {done.returncode}:\n{excerpt(output)}", output)
    return done.stdout


def excerpt(text: str, begin: int = 12, end: int = 40) -> str:
    """Return the end of what a command printed, preceded by a playbook's first failure if that is not in the end."""
    lines = text.strip().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(("fatal: ", "[ERROR]: "))), len(lines))
    last = lines[-end:]
    return "\n".join([*lines[first : first + begin], "[…]", *last] if first + begin < len(lines) - end else last)


def shell(host: str, command: str, check: bool = True) -> str:
    """Run a shell command on a machine; return what it printed."""
    done = run_on(host, "sh", "-c", command)
    return printed(done, f"{host}: {command}") if check else done.stdout


def ask(host: str, *command: str) -> str:
    """Run a command on a machine and return what it printed, also when it fails or the machine is off."""
    return run_on(host, *command).stdout


def look_up(host: str, server: str, name: str, kind: str) -> list[list[Any]]:
    """Ask a DNS server from a machine; return [TTL, value] of each record, sorted. The server must have authority."""
    program = (SHARED / "look_up.py").read_text()
    done = run_on(host, "python3", "-c", program, server, name, kind)
    code, has_authority, found = json.loads(printed(done, f"{host}: look_up.py {server} {name} {kind}"))
    if (code, has_authority) != (0, True):
        raise HarnessError(f"{server} answers with code {code}, authority: {has_authority}, when asked for {name}")
    return sorted(found)


def booted(host: str) -> bool:
    """Return whether a machine has emptied its /tmp at boot; true for one that is off, or not made yet."""
    command = ["docker", "inspect", "--format", "{{.State.Running}}", host]
    running = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "true"
    return not running or ask(host, "systemctl", "is-active", "systemd-tmpfiles-setup.service").strip() == "active"


def lose_packets(host: str, seconds: float, percent: int, links: Iterable[str]) -> float:
    """Lose packets that a machine sends on its links, for some time; return for how long it was (s)."""
    add = "; ".join(f"tc qdisc add dev {name} root netem loss {percent}%" for name in links)
    end = "; ".join(f"tc qdisc del dev {name} root" for name in links)
    clock = "read {} rest </proc/uptime"
    command = f"{clock.format('begin')}; {add}; sleep {seconds}; {end}; {clock.format('end')}; echo $begin $end"
    # Not by the shell that stays: that one is given up when the machine is paused meanwhile.
    began, ended = map(float, run("docker", "exec", host, "sh", "-c", command).split())
    return ended - began


def recap(output: str) -> dict[str, dict[str, int]]:
    """Return the counts of a playbook's recap: {host: {"ok": 12, "changed": 0, …}}. Molecule has Ansible colour it."""
    lines = re.findall(r"^(\S+) +: (ok=.*)$", re.sub(r"\x1b\[[0-9;]*m", "", output), re.MULTILINE)
    return {host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in lines}


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 60, pause: float = 0.2) -> None:
    """Wait until a condition (a function) is true; raise HarnessError when the time is over.

    pause: s between two looks.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise HarnessError(f"{what}: not after {seconds:.0f} s")
        time.sleep(pause)


def install_modules(host: str, place: str) -> None:
    """Put the collection's modules, what they import of Ansible, and serve.py on a machine."""
    found = find_spec("ansible")
    if found is None or not found.submodule_search_locations:
        raise HarnessError("Ansible is not in this Python's environment")
    package = Path(found.submodule_search_locations[0])
    collection = Path("ansible_collections/codalvs/ha/plugins")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for source, target in (
            (package / "release.py", Path("ansible/release.py")),
            (package / "module_utils", Path("ansible/module_utils")),
            (ROOT / "plugins" / "modules", collection / "modules"),
            (ROOT / "plugins" / "module_utils", collection / "module_utils"),
            (ROOT / "lab" / "serve.py", Path("serve.py")),
        ):
            archive.add(source, target, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    command = ["docker", "exec", "--interactive", host, "sh", "-c"]
    command.append(f"mkdir -p {place}/ansible && touch {place}/ansible/__init__.py && tar -xz -C {place}")
    subprocess.run(command, input=data.getvalue(), check=True)


class Machine:
    """Modules and programs on a machine, in one process there, after install_modules().

    inside: a command before it, such as `ip netns exec NAME`.
    """

    def __init__(self, name: str, place: str, inside: Iterable[str] = ()) -> None:
        self.name = name
        command = ["docker", "exec", "--interactive", name, *inside, "python3", f"{place}/serve.py"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):  # the missing answer is reported below
            self.process.stdin.write(json.dumps(request) + "\n")
        answer = self.process.stdout.readline()
        if not answer:
            raise HarnessError(f"the process on {self.name} has ended")
        return json.loads(answer)

    def module(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run a module, which must not fail."""
        result = self.ask({"module": name, "arguments": arguments})
        if result["failed"]:
            raise HarnessError(f"{name} on {self.name} failed: {result['msg']}")
        return result

    def refused(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run a module, which must fail."""
        result = self.ask({"module": name, "arguments": arguments})
        if not result["failed"]:
            raise HarnessError(f"{name} on {self.name} did not fail: {result}")
        return result

    def run(self, *words: str) -> str:
        """Run a program, which must not fail."""
        result = self.ask({"command": list(words)})
        if result["code"]:
            raise HarnessError(f"{' '.join(words)} on {self.name} ended with {result['code']}: {result['out']}")
        return result["out"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with suppress(BrokenPipeError), self.process:  # closes what it reads from and waits for it
            pass


def keep(name: str, figures: Any) -> None:
    """Write a benchmark's figures to build/bench/NAME.json."""
    path = ROOT / "build" / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")


def kept(name: str) -> dict[str, Any]:
    """Return the figures that a benchmark has kept, including those of an earlier run; {} if there are none."""
    path = ROOT / "build" / "bench" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


class Rounds:
    """Counts the rounds of a benchmark, so that it can say which ones are lost if it fails or is ended."""

    lost = ""

    @classmethod
    def of(cls, what: str, count: int) -> Iterator[int]:
        """Yield 0, 1, … count - 1, and note which ones are not over."""
        for number in range(count):
            rest = f"round {count}" if number + 1 == count else f"rounds {number + 1} to {count}"
            cls.lost = f"{rest} of {what}"
            yield number
        cls.lost = ""


def start(main: Callable[[], None]) -> None:
    """Run a program's main function; an error becomes one sentence and exit code 1.

    `lab watch` ends a program whose lab has gone, by SIGTERM.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("ended"))
    try:
        main()
    except HarnessError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the cluster is left as it is")
    finally:
        if Rounds.lost:
            print(f"{Path(sys.argv[0]).name}: lost, and not measured: {Rounds.lost}", file=sys.stderr, flush=True)


def quickstart(**extra_vars: Any) -> Cluster:
    """Return the quickstart cluster."""
    return Cluster(ROOT / "inventories" / "quickstart", extra_vars)
