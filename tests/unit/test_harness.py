# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of demo and benchmarks are what the client saw."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness import Attempt, Cluster, HarnessError, Rounds, excerpt, is_full, longest_outage, recap, wait_for
from programs import load

poll = load("molecule/shared/poll.py")


@pytest.mark.parametrize(
    ("attempts", "outage"),
    [
        ("0+ 1+ 2+", 0),
        ("0+ 1- 2+", 2),
        ("0- 1+ 2+", 0),  # before the first good answer nothing is known
        ("0+ 1- 2- 4+ 5+ 6- 7+", 4),
        ("0+ 9+", 0),  # slow, but nobody was refused
    ],
)
def test_the_outage_is_the_longest_time_between_good_answers(attempts: str, outage: float) -> None:
    found = [Attempt(float(text[:-1]), text[-1] == "+", "") for text in attempts.split()]
    assert longest_outage(found) == outage


@pytest.mark.parametrize("attempts", ["", "0- 1-", "0+ 1-"])
def test_a_service_that_does_not_come_back_is_no_short_outage(attempts: str) -> None:
    found = [Attempt(float(text[:-1]), text[-1] == "+", "") for text in attempts.split()]
    with pytest.raises(HarnessError):
        longest_outage(found)


def test_a_recap_is_read() -> None:
    output = "PLAY RECAP ****\ndir1  : ok=25   changed=2    unreachable=0    failed=0\nreal1 : ok=9    changed=0\n"
    assert recap(output) == {
        "dir1": {"ok": 25, "changed": 2, "unreachable": 0, "failed": 0},
        "real1": {"ok": 9, "changed": 0},
    }
    assert recap("\x1b[0;33mdir1\x1b[0m  : \x1b[0;32mok=25  \x1b[0m \x1b[0;33mchanged=2\x1b[0m\n") == {
        "dir1": {"ok": 25, "changed": 2}
    }


@pytest.mark.parametrize(
    ("table", "full"),
    [
        ("", False),
        ("-A -t 192.0.2.30:80 -s wrr", False),
        ("-A -t 192.0.2.30:80 -s wrr\n-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1", False),
        (
            "-A -t 192.0.2.30:80 -s wrr\n-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1"
            "\n-a -t 192.0.2.30:80 -r 192.0.2.22:80 -g -w 0",
            False,
        ),
        (
            "-A -t 192.0.2.30:80 -s wrr\n-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1"
            "\n-a -t 192.0.2.30:80 -r 192.0.2.22:80 -g -w 10",
            True,
        ),
    ],
)
def test_a_table_is_full_when_every_real_server_takes_connections(table: str, full: bool) -> None:
    assert is_full(table, real_servers=2) is full


def test_rounds_that_were_not_finished_are_lost() -> None:
    lost = [(number, Rounds.lost) for number in Rounds.of("cuts", 3)]
    assert lost == [(0, "rounds 1 to 3 of cuts"), (1, "rounds 2 to 3 of cuts"), (2, "round 3 of cuts")]
    assert Rounds.lost == ""


def test_a_failed_playbook_is_told_from_its_first_failure() -> None:
    text = "\n".join(["PLAY", "fatal: [dir1]: FAILED!", "  msg: why", *map(str, range(60)), "fatal: [dir2]: then"])
    told = excerpt(text, begin=2, end=5)
    assert told == "fatal: [dir1]: FAILED!\n  msg: why\n[…]\n56\n57\n58\n59\nfatal: [dir2]: then"
    assert excerpt("a\nb\nfatal: c", end=2) == "b\nfatal: c"


@pytest.mark.parametrize(
    ("inventory", "extra_vars", "hot"),
    [
        ("quickstart", {}, True),
        ("thesis", {}, False),
        ("thesis", {"ha_standby": "hot"}, True),
        ("quickstart", {"ha_standby": "cold"}, False),
    ],
)
def test_a_cluster_is_in_cold_standby_where_its_variables_say_so(
    inventory: str, extra_vars: dict[str, str], hot: bool
) -> None:
    cluster = Cluster(Path(__file__).resolve().parents[2] / "inventories" / inventory, extra_vars)
    assert cluster.hot_standby == hot


def polled(
    monkeypatch: pytest.MonkeyPatch, answers_after: float, standstill: float = 0, repeated: bool = False
) -> dict[str, Any]:
    """Return what is told of an attempt with a limit of 0.3 s that an answer and a standstill may meet; {}: nothing."""

    async def ask(*_where: object) -> str:
        for _piece in range(3):
            await asyncio.sleep(answers_after / 3)
        return "answered"

    async def once() -> dict[str, Any]:
        still = poll.Standstill()
        watching = asyncio.create_task(still.watch())
        asking = asyncio.create_task(poll.attempt(options, still))
        await asyncio.sleep(0.05)
        time.sleep(standstill)  # noqa: ASYNC251 - a process that stands still does not wait
        told = await asking
        watching.cancel()
        return told or {}

    options = SimpleNamespace(address="", port=0, path="", limit=0.3)
    monkeypatch.setattr(poll, "ask", ask)
    monkeypatch.setattr(poll, "SLOW", 1.5)
    monkeypatch.setattr(poll, "JITTER", 0.4)  # so that this machine, beside others, does not stand still by chance
    monkeypatch.setattr(poll.Connection, "repeated", lambda connection: repeated)
    return asyncio.run(once())


def test_what_a_standstill_of_the_client_hides_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert polled(monkeypatch, 0.15)["ok"]
    assert not polled(monkeypatch, 30)["ok"]
    assert polled(monkeypatch, 30, standstill=0.6) == {}


def test_an_answer_is_late_or_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert polled(monkeypatch, 0.6)["ok"], "the machine was slow"
    assert polled(monkeypatch, 0.6, repeated=True)["body"] == "timed out", "TCP brought it after an outage"
    assert polled(monkeypatch, 0.03, repeated=True)["ok"]


def test_the_kernel_counts_what_it_repeats() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as open_ones:
        found = []
        for _each in range(3):  # the queue has room for fewer, and the kernel drops what does not fit
            connection = poll.Connection("127.0.0.1")
            open_ones.enter_context(connection.socket)
            with suppress(BlockingIOError):
                connection.socket.connect(server.getsockname())
            found.append(connection)
        assert not found[0].repeated()
        wait_for("the last SYN is repeated", found[-1].repeated, 60)
        assert not found[0].repeated()
