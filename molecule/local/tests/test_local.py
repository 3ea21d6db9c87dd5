"""Two directors in cold standby that are real servers, too: each serves half, and one alone serves all."""

from __future__ import annotations

import json
from functools import partial

import pytest
from harness import ROOT, Cluster, HarnessError, ask, longest_outage, recap, shell, wait_for

INVENTORY = ROOT / "inventories/two-machines/hosts.yml"
TAKEN_OVER = 15.0  # s in which clients are served again after their director has died: cold standby takes its time
NOTICED = 60.0  # s in which a real server without a service is out of the table, or back, on a slow machine
BOOTED = 240.0  # s in which a machine that was off takes part again, there
MOVED = 120.0  # s in which a planned handover in cold standby is over, there


class Local(Cluster):
    """The cluster whose standby has the VIP as well, on lo."""

    def holders(self) -> list[str]:
        """Return the living directors that have the VIP on the clients' network."""
        show = ("ip", "-oneline", "address", "show", "dev", PUBLIC, "to", self.vip)
        return [name for name in DIRECTORS if ask(name, *show).strip()]

    def is_held_by(self, director: str) -> bool:
        """Return whether a director alone has the VIP there."""
        return self.holders() == [director]


CLUSTER = Local(INVENTORY)
DIRECTORS, CLIENT = CLUSTER.group("directors"), CLUSTER.group("clients")[0]
PUBLIC, _ = CLUSTER.variables(DIRECTORS[0])["ha_interfaces"]
VIP = CLUSTER.vip


def other(director: str) -> str:
    return next(name for name in DIRECTORS if name != director)


def places(host: str) -> list[str]:
    """Return the devices of a living machine that have the VIP."""
    links = json.loads(ask(host, "ip", "-json", "address", "show") or "[]")
    return [link["ifname"] for link in links if VIP in [address.get("local") for address in link["addr_info"]]]


def served(seconds: float) -> set[str]:
    """Ask the VIP for some seconds, without one failure; return who answered."""
    attempts = list(CLUSTER.poll(seconds, limit=0.9))
    assert attempts
    assert [attempt for attempt in attempts if not attempt.ok] == []
    return {attempt.body.removeprefix("happy ").strip() for attempt in attempts}


def wait_served_by(*names: str, seconds: float = NOTICED) -> None:
    """Wait until exactly these machines answer, without one failure."""

    def only() -> bool:
        try:
            return served(1) == {*names}
        except (AssertionError, HarnessError):
            return False

    wait_for(f"only {' and '.join(names)} answers", only, seconds)


def settled(director: str) -> bool:
    """Return whether a director's Heartbeat sees the other one, and moves nothing; else it ignores a request."""
    words = ask(director, "sh", "-c", f"cl_status nodestatus {other(director)}; cl_status rscstatus").split()
    return words[:1] == ["active"] and words[1:] not in ([], ["transition"])


def in_order() -> bool:
    """Return whether one director holds the VIP and has a table, and the other one has neither."""
    holders = CLUSTER.holders()
    if len(holders) != 1 or CLUSTER.balancing() != holders:
        return False
    standby = other(holders[0])
    return places(standby) == ["lo"] and shell(standby, "ipvsadm --save --numeric") == ""


@pytest.fixture
def active() -> str:
    """Return the director that holds the VIP of a whole cluster."""
    wait_for("one director balances, and the other one is a real server only", in_order, BOOTED)
    wait_served_by(*DIRECTORS)
    return CLUSTER.holders()[0]


def test_each_machine_serves_and_one_answers_for_the_vip(active: str) -> None:
    assert served(3) == {*DIRECTORS}
    # The standby has the address, too, and says nothing of it.
    answer = shell(CLIENT, f"arping -c 3 -w 5 -I {PUBLIC} {VIP}")
    macs = {word.strip("[]").lower() for word in answer.split() if word.startswith("[")}
    assert macs == {json.loads(shell(active, f"ip -json link show dev {PUBLIC}"))[0]["address"]}


def test_a_web_server_stops_and_its_director_goes_on(active: str) -> None:
    for host in DIRECTORS:
        shell(host, "systemctl stop nginx")
        try:
            wait_served_by(other(host))
            assert CLUSTER.holders() == [active]
        finally:
            shell(host, "systemctl start nginx")
        wait_served_by(*DIRECTORS)


def test_ldirectord_is_killed_and_comes_back_on_the_holder_alone(active: str) -> None:
    """Heartbeat has started it, and does not notice. A second time, systemd restarts it."""
    file = "/run/ldirectord.ldirectord.pid"

    def others_than(killed: str) -> bool:
        return ask(active, "cat", file).strip() not in ("", killed)

    for killed in (shell(active, f"cat {file}").strip() for _time in range(2)):
        shell(active, f"kill -KILL {killed}")
        wait_for("another ldirectord runs", partial(others_than, killed), NOTICED)
        shell(other(active), "systemctl stop nginx")
        try:
            wait_served_by(active)
        finally:
            shell(other(active), "systemctl start nginx")
        wait_served_by(*DIRECTORS)
        assert in_order()


def test_the_vip_is_handed_over_and_back(active: str) -> None:
    for giver, taker in ((active, other(active)), (other(active), active)):
        wait_for("Heartbeat has settled", lambda: all(settled(name) for name in DIRECTORS), MOVED)
        shell(giver, "$(ls /usr/share/heartbeat/hb_standby /usr/lib/heartbeat/hb_standby 2>/dev/null | head -n 1) all")
        wait_for(f"{taker} holds the VIP", partial(CLUSTER.is_held_by, taker), MOVED)
        wait_for(f"{giver} is a real server only", in_order, MOVED)
        wait_served_by(*DIRECTORS)


def test_the_active_director_loses_power_and_comes_back(active: str) -> None:
    outage = longest_outage(list(CLUSTER.poll_through_power_cut(active, before=2, after=20)))
    assert outage < TAKEN_OVER
    wait_served_by(other(active))
    CLUSTER.power_on(active)
    wait_for("it is a real server again", lambda: places(active) == ["lo"], BOOTED)
    wait_served_by(*DIRECTORS, seconds=BOOTED)
    CLUSTER.wait_whole()


def test_the_standby_loses_power_and_comes_back(active: str) -> None:
    standby = other(active)
    CLUSTER.cut_power(standby)
    wait_served_by(active)
    CLUSTER.power_on(standby)
    wait_served_by(*DIRECTORS, seconds=BOOTED)
    assert CLUSTER.holders() == [active]


def test_a_run_while_somebody_holds_the_vip_changes_nothing(active: str) -> None:
    before = {name: places(name) for name in DIRECTORS}
    counts = recap(CLUSTER.playbook("codalvs.ha.site"))
    assert {name: counts[name]["changed"] for name in DIRECTORS} == dict.fromkeys(DIRECTORS, 0)
    assert {name: places(name) for name in DIRECTORS} == before
    assert before[active] == [PUBLIC]
