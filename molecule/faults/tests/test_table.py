"""Rows of the fault table: somebody changes the active director's IPVS table by hand, and ipvs-guard puts it back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from faults import CLUSTER, LIMIT, REAL_SERVERS, assert_served, other, shell, wait_whole
from harness import Attempt, longest_outage, wait_for

INTERVAL = 0.05  # s between two requests
MENDED = 3.0  # s until clients are served again
VIP = "198.18.20.30:80"
REAL = CLUSTER.variables(REAL_SERVERS[0])["ha_interfaces"]["eth0"].split("/")[0] + ":80"
TABLE = "ipvsadm --save --numeric"


@contextmanager
def unserved(at_most: float) -> Iterator[None]:
    """Let the client ask, begin once it gets answers, and assert that it was unserved for at most some seconds."""
    attempts: list[Attempt] = []

    def ask() -> None:
        for attempt in CLUSTER.poll(15, INTERVAL, LIMIT):
            attempts.append(attempt)  # noqa: PERF402  one by one, as they come

    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(ask)
        wait_for("the client is answered", lambda: len(attempts) > 10, 30)
        yield
        asking.result()
    assert attempts[0].ok
    lost = sum(not attempt.ok for attempt in attempts)
    print(f"outage {longest_outage(attempts):.2f} s, {lost} of {len(attempts)} requests lost")
    assert lost * INTERVAL < at_most


def journal(director: str, since: str) -> str:
    """Return what the guard has said since a time of the director's clock."""
    return shell(director, f"journalctl --unit ipvs-guard --output cat --since '@{since}'")


def weights(director: str) -> list[str]:
    """Return the weights in a director's table."""
    return re.findall(" -w [0-9]+", shell(director, TABLE))


def now(director: str) -> str:
    return shell(director, "date +%s").strip()


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("ipvsadm --clear", f"-A -t {VIP} "),
        (f"ipvsadm --delete-service --tcp-service {VIP}", f"-A -t {VIP} "),
        (f"ipvsadm --delete-server -t {VIP} -r {REAL}", f"-a -t {VIP} -r {REAL} -g -w 1"),
        (f"ipvsadm --edit-server -t {VIP} -r {REAL} --masquerading", f"-e -t {VIP} -r {REAL} -g -w 1"),
    ],
    ids=["emptied", "service-deleted", "real-server-deleted", "forwarded-in-another-way"],
)
def test_the_table_is_changed_by_hand(active, command, line):
    before, start = shell(active, TABLE), now(active)
    with unserved(MENDED):
        shell(active, command)
        wait_for("the table is as before", lambda: shell(active, TABLE) == before, 30)
    assert line in journal(active, start)
    assert_served()
    assert wait_whole() == active


def test_connections_of_the_former_method_do_no_harm(active):
    """A repeated SYN of theirs can make the kernel look for the VIP in the network, in place of the real server.

    Nobody else asks, so it comes first after the row is written. TCP repeats it after 1, 3 and 7 s.
    """
    shell(active, f"ipvsadm --edit-server -t {VIP} -r {REAL} --masquerading")
    for _each in range(2 * len(REAL_SERVERS)):
        shell("client1", f"curl --silent --max-time 10 http://{VIP}/ >/dev/null 2>&1 &")
    time.sleep(8)
    wait_for("every request is answered", lambda: all(attempt.ok for attempt in CLUSTER.poll(1, limit=LIMIT)), 60)
    assert_served()
    assert wait_whole() == active


def test_a_failed_real_server_stays_out_of_a_table_that_was_emptied(active):
    shell(REAL_SERVERS[0], "systemctl stop nginx")
    try:
        wait_for("it has weight 0", lambda: " -w 0" in shell(active, TABLE) and " -w 0" in shell(other(active), TABLE))
        start = now(active)
        with unserved(MENDED):
            shell(active, "ipvsadm --clear")
        assert " -w 0" in journal(active, start)
        wait_for("it has weight 0 again", lambda: " -w 0" in shell(active, TABLE))
        assert_served(REAL_SERVERS[1:])
    finally:
        shell(REAL_SERVERS[0], "systemctl start nginx")
    assert wait_whole() == active


def test_a_real_server_that_fails_while_the_table_is_empty_gets_no_weight(active):
    """ldirectord forgets the failure of one that it does not find in the table."""
    shell(active, f"systemctl kill --signal STOP ipvs-guard; {TABLE} > /run/before; ipvsadm --clear")
    try:
        shell(REAL_SERVERS[0], "systemctl stop nginx; sleep 8")
        shell(active, "systemctl kill --signal CONT ipvs-guard")
        wait_for("it is back, with weight 0", lambda: {" -w 0", " -w 1"} <= set(weights(active)))
        assert_served(REAL_SERVERS[1:])
    finally:
        shell(active, "systemctl kill --signal CONT ipvs-guard")
        shell(REAL_SERVERS[0], "systemctl start nginx")
    assert wait_whole() == active


def test_a_guard_that_finds_an_empty_table_lets_ldirectord_fill_it(active):
    start = now(active)
    shell(active, "systemctl stop ipvs-guard; ipvsadm --clear; systemctl start ipvs-guard")
    wait_whole()
    assert "gone from the table, or changed: TCP " + VIP in journal(active, start)
    assert wait_whole() == active
    assert_served()


def test_nobody_puts_anything_back_where_ldirectord_does_not_run(active):
    standby = other(active)
    shell(standby, "systemctl stop ldirectord")
    try:
        wait_for("it has ended", lambda: shell(standby, "ls /run/ldirectord.ldirectord.pid", check=False) == "")
        shell(standby, "ipvsadm --clear; sleep 4")
        assert shell(standby, TABLE) == ""
    finally:
        shell(standby, "systemctl start ldirectord")
    assert wait_whole() == active
