# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables of faults share: the quickstart cluster, when it counts as whole, and a client that watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from harness import Attempt, HarnessError, longest_outage, lose_packets, quickstart, shell, wait_for

CLUSTER = quickstart()
DIRECTORS = CLUSTER.group("directors")
REAL_SERVERS = CLUSTER.group("real_servers")
PUBLIC, DEDICATED = CLUSTER.variables(DIRECTORS[0])["ha_interfaces"]
DEADTIME = 3.0  # s, of the default profile
TAKEN_OVER = 6.0  # s after which clients must be served again, whatever has happened to a director
LIMIT = 0.9  # s that an answer may take: machines that share a processor with other tests are slow at times
STILL = 3.0  # s of undisturbed requests that prove a service
# The kernel tells the other director of a new connection up to two seconds later, so the other director resets one that
# is just under way at a handover: at 20 a second, that is one at most, unless a late client has begun several at once.
UNDER_WAY = 1
AT_ONCE = 0.3  # s within which the beginnings of such connections count as one
RESET = "[Errno 104]"
# Seen once: a request got no answer at the moment at which the standby's Heartbeat started. Nobody knows why.
# And for a minute after a row was changed to NAT by hand and put back, a new connection from the port of one that began
# meanwhile goes by NAT as well, and is lost (seen by binding to these ports).
BY_CHANCE = 1
WHOLE = 240.0  # s after which the cluster must be whole: a restarted Heartbeat waits 30 s, and then for the other one


def other(director: str) -> str:
    """Return the other director."""
    return next(name for name in DIRECTORS if name != director)


# Prints 1 if the running Heartbeat is about to end. A Heartbeat that sees the other director return after a partition
# restarts itself two seconds later. One that was told twice to restart says so, goes on for seconds, and ends.
ENDS_SOON = (
    "awk '/Starting heartbeat/ { ends = 0 } /returning after partition|Shutdown delayed/ { ends = 1 }"
    " END { print ends + 0 }' /var/log/ha-log"
)


def stays(director: str) -> bool:
    """Return whether the Heartbeat on a director will go on running."""
    return shell(director, ENDS_SOON, check=False) == "0\n"


def fit(director: str) -> bool:
    """Return whether a director sees both as active, balances to all real servers, exchanges connections, and stays."""
    asked = [f"cl_status nodestatus {name}" for name in DIRECTORS]
    asked += [
        "cl_status rscstatus",
        "ipvsadm --save --numeric | grep -c ' -w 1$'",
        "ipvsadm --list --daemon | grep -c sync",
        ENDS_SOON,
    ]
    *states, word, real_servers, daemons, ends = (shell(director, "; ".join(asked), check=False).split() + [""] * 6)[:6]
    return (
        states == ["active"] * 2
        and word != "transition"
        and (real_servers, daemons, ends) == (str(len(REAL_SERVERS)), "2", "0")
    )


def wait_one_holder(expected: str | None = None, seconds: float = 30.0) -> str:
    """Wait until exactly one director holds the VIP, and the expected one; return it."""
    found: list[str] = []

    def one() -> bool:
        found[:] = CLUSTER.holders()
        return len(found) == 1 and expected in (None, *found)

    try:
        wait_for(f"the VIP is on {expected or 'one director'} alone", one, seconds)
    except HarnessError as error:
        raise HarnessError("\n".join([f"{error}; on {found}", *map(said, DIRECTORS)])) from error
    return found[0]


def said(director: str) -> str:
    """Return what a director's programs said last, for the reader of a failure."""
    units = "--unit heartbeat-vips --unit heartbeat"
    lines = shell(director, f"journalctl {units} --lines 12 --output short-iso --no-hostname", check=False)
    return f"{director} at {time.strftime('%T')}, resources {held(director)}:\n{lines}"


def held(director: str) -> str:
    """Return the resources that Heartbeat believes to hold: all, local, foreign, none or transition."""
    return shell(director, "cl_status rscstatus", check=False).strip()


def claims(director: str) -> bool:
    """Return whether Heartbeat believes that a director holds the VIP, which prefers the first one."""
    return held(director) in ("all", "local" if director == DIRECTORS[0] else "foreign")


def wait_whole() -> str:
    """Wait until both directors are fit, one of them holds the VIP, and both Heartbeats agree; return it."""
    wait_for("both directors are fit", lambda: all(fit(name) for name in DIRECTORS), WHOLE, pause=2)
    wait_one_holder()
    # If the Heartbeats don't agree, heartbeat-vips mends that some seconds later, when the next test expects peace.
    # After a partition the VIP may move once more, to the director whose Heartbeat claims it.
    try:
        wait_for("Heartbeat agrees", agreed, 180, pause=1)
    except HarnessError as error:
        raise HarnessError("\n".join([f"{error}; {CLUSTER.holders()} have the VIP", *map(said, DIRECTORS)])) from error
    return wait_one_holder()


def agreed() -> bool:
    """Return whether one director holds the VIP, and both Heartbeats believe that it does."""
    holders = CLUSTER.holders()
    return len(holders) == 1 and all(claims(name) == (name in holders) for name in DIRECTORS)


COUNT_KNOWN = r"""awk '$1 == "->" && $4 ~ /^[0-9]+$/ {sum += $5} END {print sum + 0}' /proc/net/ip_vs"""


def wait_known(connections: int) -> None:
    """Wait until the director without the VIP knows so many connections; after three seconds the kernel has told it."""
    standby = other(CLUSTER.holders()[0])
    with suppress(HarnessError):  # then what becomes of the connections tells
        wait_for(
            f"{standby} knows the connections",
            lambda: int(shell(standby, COUNT_KNOWN, check=False) or 0) >= connections,
            3,
        )


@dataclass(repr=False)
class Seen:
    """What the client has seen during a fault."""

    attempts: list[Attempt]

    def __repr__(self) -> str:
        """Return what a failed assertion should show, in one line."""
        return f"Seen({len(self.attempts)} requests; lost {self.lost[:3]})"

    @property
    def outage(self) -> float:
        return longest_outage(self.attempts)

    @property
    def lost(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.ok]

    def assert_lost(self, at_most: int = 0) -> None:
        """Assert that at most so many requests were lost; resets that fell together count as one."""
        lost: list[Attempt] = []
        for attempt in self.lost:
            with_last = lost and attempt.at < lost[-1].at + AT_ONCE and RESET in attempt.body and RESET in lost[-1].body
            if not with_last:
                lost.append(attempt)
        if len(lost) > at_most:
            print(*map(said, DIRECTORS), sep="\n")
            first = self.attempts[0].at
            told = [f"after {attempt.at - first:.2f} s: {attempt.body}" for attempt in lost[:8]]
            raise AssertionError(f"{len(lost)} of {len(self.attempts)} requests lost, {'; '.join(told)}")


@contextmanager
def watched(seconds: float, limit: float = LIMIT) -> Iterator[Seen]:
    """Let the client ask for some seconds, and wait for each answer until a limit (s).

    The body runs once the client gets answers. Ends when both have ended.
    """
    seen = Seen([])

    def ask() -> None:
        for attempt in CLUSTER.poll(seconds, limit=limit):
            seen.attempts.append(attempt)  # one by one, as they come

    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(ask)
        wait_for("the client asks", lambda: len(seen.attempts) > 10, 30)
        yield seen
        asking.result()
    print(f"outage {seen.outage:.2f} s, {len(seen.lost)} of {len(seen.attempts)} requests lost")


def assert_served(by: list[str] = REAL_SERVERS) -> None:
    """Assert that the real servers answer each request of some seconds; after one lost by chance, of twice as many."""
    seen = Seen(list(CLUSTER.poll(STILL, limit=LIMIT)))
    if 0 < len(seen.lost) <= BY_CHANCE:
        print(f"lost when the service should be steady: {seen.lost}")
        seen = Seen(list(CLUSTER.poll(2 * STILL, limit=LIMIT)))
    seen.assert_lost()
    assert {attempt.body.split()[-1] for attempt in seen.attempts} == set(by)


@contextmanager
def links_cut(director: str, *names: str) -> Iterator[None]:
    """Cut links of a director, and mend them at the end."""
    shell(director, " && ".join(f"ip link set {name} down" for name in names))
    try:
        yield
    finally:
        shell(director, " && ".join(f"ip link set {name} up" for name in names))


def mac(host: str) -> str:
    """Return the MAC of a host on the public network."""
    return shell(host, f"cat /sys/class/net/{PUBLIC}/address").strip()


def misled(holder: str) -> list[str]:
    """Return the neighbours that would send the VIP's packets to somebody other than its holder."""
    own, found = mac(holder), []
    for name in (*CLUSTER.group("clients"), *REAL_SERVERS):
        words = shell(name, f"ip neigh show {CLUSTER.vip} dev {PUBLIC}").split()
        if "lladdr" in words and words[words.index("lladdr") + 1] != own:
            found.append(name)
    return found


def silence(director: str, seconds: float, percent: int = 100, links: tuple[str, ...] = (PUBLIC, DEDICATED)) -> float:
    """Lose packets that a director sends on its links, for some time; return for how long it was (s).

    Its kernel then neither asks nor answers.
    """
    return lose_packets(director, seconds, percent, links)
