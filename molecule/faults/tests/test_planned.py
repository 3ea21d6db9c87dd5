# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned ends of the active director, and cold starts: more rows of the fault table.

When somebody stops, restarts or reboots the active director, or upgrades its Heartbeat, the other director has the VIP
before this one gives it up. So no request is lost, and no connection ends. If the other one can't take it, the end goes
on all the same, after a bounded time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from faults import (
    BY_CHANCE,
    CLUSTER,
    DIRECTORS,
    LIMIT,
    UNDER_WAY,
    WHOLE,
    assert_served,
    fit,
    other,
    shell,
    stays,
    wait_known,
    wait_one_holder,
    wait_whole,
    watched,
)
from harness import run, wait_for

KEPT = 10  # connections of each kind
COLD = 120.0  # s until clients are served: most of it for systemd and ldirectord, which start slowly in a busy lab
BOUNDED = 60.0  # s that a stop may take when the other director does not answer


@contextmanager
def unnoticed(seconds: float, may_fail: int = 0) -> Iterator[None]:
    """Let a client ask 20 times a second and keep connections open meanwhile. Only so many requests may fail."""
    with CLUSTER.connections(each=KEPT, seconds=seconds + 5) as kept:
        wait_known(4 * KEPT)  # of four kinds
        with watched(seconds) as seen:
            yield
    seen.assert_lost(may_fail)
    assert all(count["survived"] == KEPT for count in kept.counts.values()), kept


def descriptors(director: str) -> int:
    """Return how many files heartbeat-vips has open."""
    return int(shell(director, "ls /proc/$(systemctl show -P MainPID heartbeat-vips)/fd | wc -l"))


def test_heartbeat_is_stopped_and_started(active):
    with unnoticed(20, UNDER_WAY):
        shell(active, "systemctl stop heartbeat")
        wait_one_holder(other(active), 30)
        first = descriptors(active)
    assert descriptors(active) < first + 5, "each attempt to reach a Heartbeat that does not run costs one"
    with unnoticed(20, BY_CHANCE):
        shell(active, "systemctl start heartbeat")
        wait_for("it is fit", lambda: fit(active), WHOLE)
    assert wait_whole() == other(active)


def test_heartbeat_is_restarted(active):
    with unnoticed(25, UNDER_WAY + BY_CHANCE):
        shell(active, "systemctl restart heartbeat")
    assert wait_whole() == other(active)


def test_heartbeat_is_reloaded(active):
    """A reload ends nothing: the VIP stays where it is."""
    with unnoticed(15):
        shell(active, "systemctl reload heartbeat")
        time.sleep(10)
        assert CLUSTER.holders() == [active]
    assert wait_whole() == active


def test_the_package_is_installed_again(active):
    """Its scripts stop Heartbeat, start it and restart it, as at an upgrade."""
    with unnoticed(90, UNDER_WAY + BY_CHANCE):
        shell(active, "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --reinstall heartbeat")
    assert wait_whole() == other(active)


def test_a_director_reboots(active):
    with unnoticed(45, UNDER_WAY + BY_CHANCE):
        shell(active, "systemctl reboot", check=False)
        run("docker", "wait", active)
        assert CLUSTER.holders() == [other(active)]
        CLUSTER.power_on(active)
    assert wait_whole() == other(active)


def test_the_standby_reboots(active):
    with unnoticed(45, BY_CHANCE):
        shell(other(active), "systemctl reboot", check=False)
        run("docker", "wait", other(active))
        CLUSTER.power_on(other(active))
    assert wait_whole() == active


def test_a_director_stops_while_the_other_one_does_not_answer(active):
    """It gives the VIP up all the same, after a bounded time; the other one takes it when it goes on."""
    run("docker", "pause", other(active))
    try:
        began = time.monotonic()
        shell(active, "systemctl stop heartbeat")
        assert time.monotonic() - began < BOUNDED
        assert CLUSTER.holders() == []
    finally:
        run("docker", "unpause", other(active))
    try:
        # Its Heartbeat takes the VIP, finds that it was cut off from the other one, restarts, and takes the VIP again.
        # If it restarts twice, it is gone for a moment in between.
        wait_for(
            "it serves undisturbed",
            lambda: all(attempt.ok for attempt in CLUSTER.poll(10, limit=LIMIT)) and stays(other(active)),
            WHOLE,
        )
        # Its ldirectord stood still in the middle of its checks.
        wait_for("it balances", lambda: other(active) in CLUSTER.balancing())
        assert_served()
        assert CLUSTER.holders() == [other(active)]
    finally:
        shell(active, "systemctl start heartbeat")
    wait_whole()
    assert_served()


def seconds_until_served(directors: list[str]) -> float:
    """Start directors that have no power, at once; return the time from the last one's start to the first answer."""
    with ThreadPoolExecutor() as pool, closing(CLUSTER.poll(WHOLE, limit=LIMIT)) as attempts:
        asking = pool.submit(lambda: next(attempt.at for attempt in attempts if attempt.ok))
        list(pool.map(CLUSTER.power_on, directors))
        began = time.time()
        served = asking.result() - began
    print(f"served {served:.1f} s after the start")
    return served


def took_at_start() -> list[str]:
    """Return the directors whose heartbeat-vips took the VIP at this start, before Heartbeat said anything."""
    said = "journalctl --boot --unit heartbeat-vips --output cat"
    return [name for name in DIRECTORS if "nobody has it at this start" in shell(name, said, check=False)]


def test_both_directors_come_back_from_a_power_cut_at_once(active):
    for name in DIRECTORS:
        CLUSTER.cut_power(name)
    assert seconds_until_served(DIRECTORS) < COLD
    wait_whole()
    assert took_at_start()
    assert_served()


@pytest.mark.parametrize("comes_back", DIRECTORS)
def test_one_director_alone_comes_back_from_a_power_cut(active, comes_back):
    for name in DIRECTORS:
        CLUSTER.cut_power(name)
    assert seconds_until_served([comes_back]) < COLD
    wait_for("heartbeat-vips says so", lambda: took_at_start() == [comes_back], 20)
    CLUSTER.power_on(other(comes_back))
    wait_whole()
    assert_served()
