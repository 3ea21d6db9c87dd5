"""The IPVS modules against the kernel: random tables, drift made by hand, refusals, kills, and ldirectord beside them.

The modules run in a network namespace of their own on the machine lb1, in one process (lab/serve.py). Those beside
ldirectord run where it runs, on lb2.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from harness import HarnessError, Machine, install_modules, wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipvs_tables import tables

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table, print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import describe, read
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.plan import plan
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import Table

PLACE = "/opt/ipvs-tests"
TABLES = 200  # random tables in each of the two big properties

slow = settings(
    max_examples=TABLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Director(Machine):
    """A machine with a table, in a network namespace of its own or where ldirectord runs."""

    def __init__(self, name: str, namespace: str = "") -> None:
        super().__init__(name, PLACE, ("ip", "netns", "exec", namespace) if namespace else ())

    def make(self, table: Table) -> dict[str, Any]:
        """Make exactly this table."""
        return self.module("ipvs", services=describe(table), purge=True)

    def lines(self) -> list[str]:
        """Return the table, by ipvs_info, as lines."""
        return print_table(self.table())

    def table(self) -> Table:
        """Return the table as ipvs_info has it."""
        found, problems = read(self.module("ipvs_info")["services"])
        assert problems == []
        return found


def identities(table: Table) -> list[dict[str, Any]]:
    """Return the services of a table without their real servers."""
    return [{name: value for name, value in service.items() if name != "real_servers"} for service in describe(table)]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Director]:
    """Return an empty table in a network namespace of its own."""
    install_modules("lb1", PLACE)
    subprocess.run(["docker", "exec", "lb1", "ip", "netns", "add", "tables"], check=True)
    with Director("lb1", "tables") as machine:
        machine.run("ip", "link", "set", "lo", "up")
        machine.run("ip", "link", "add", "eth9", "type", "dummy")
        machine.run("ip", "link", "set", "eth9", "up")
        yield machine
    subprocess.run(["docker", "exec", "lb1", "ip", "netns", "delete", "tables"], check=True)


@pytest.fixture
def empty(kernel: Director) -> Director:
    """Return it emptied."""
    kernel.make({})
    kernel.module("ipvs_sync", role="none")
    return kernel


# --- random tables


@slow
@given(tables, tables)
def test_the_kernel_gives_back_what_was_asked(kernel: Director, first: Table, second: Table) -> None:
    """From any state to one table, and from that to another. Each is exact, and a second call changes nothing."""
    for wanted in (first, second):
        planned = kernel.module("ipvs", services=describe(wanted), purge=True, _ansible_check_mode=True)
        done = kernel.make(wanted)
        assert done["operations"] == planned["operations"]
        assert done["changed"] is bool(done["operations"])
        assert kernel.table() == wanted
        again = kernel.make(wanted)
        assert (again["changed"], again["operations"]) == (False, [])


@slow
@given(tables, tables)
def test_without_purge_the_rest_stays(kernel: Director, before: Table, wanted: Table) -> None:
    kernel.make(before)
    kernel.module("ipvs", services=describe(wanted))
    after = kernel.table()
    assert plan(after, wanted) == []
    assert {key: after[key] for key in before if key not in wanted} == {
        key: before[key] for key in before if key not in wanted
    }
    kernel.module("ipvs", services=identities(wanted), state="absent")
    assert set(kernel.table()) == set(before) - set(wanted)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables)
def test_ipvsadm_sees_the_same(empty: Director, table: Table) -> None:
    """ipvsadm -S leaves out the thresholds; all the rest must be there, in its own words."""
    empty.make(table)
    seen = parse_table(empty.run("ipvsadm", "--save", "--numeric").splitlines())
    plain = {
        key: service._replace(
            servers={place: server._replace(upper=0, lower=0) for place, server in service.servers.items()}
        )
        for key, service in table.items()
    }
    assert seen == plain


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables)
def test_what_ipvsadm_has_made_of_our_lines_needs_no_change(empty: Director, table: Table) -> None:
    """The lines that the boot script loads make the same table as the module."""
    for line in print_table(table):
        empty.run("ipvsadm", *line.split())
    assert empty.make(table)["changed"] is False
    empty.make({})


# --- by hand

WEB: dict[str, Any] = {
    "vip": "192.0.2.30",
    "port": 80,
    "scheduler": "wrr",
    "real_servers": [{"address": "198.51.100.1", "weight": 2, "upper_threshold": 9}, {"address": "198.51.100.2"}],
}
WEB6: dict[str, Any] = {
    "vip": "2001:db8::30",
    "port": 80,
    "scheduler": "wrr",
    "real_servers": [{"address": "2001:db8:1::1", "weight": 2}, {"address": "2001:db8:1::2"}],
}


@pytest.mark.parametrize(
    ("drift", "mended"),
    [
        (
            "-e -t 192.0.2.30:80 -r 198.51.100.1:80 -g -w 7 -x 9",
            ["-e -t 192.0.2.30:80 -r 198.51.100.1:80 -g -w 2 -x 9"],
        ),
        ("-e -t 192.0.2.30:80 -r 198.51.100.1:80 -g -w 2", ["-e -t 192.0.2.30:80 -r 198.51.100.1:80 -g -w 2 -x 9"]),
        ("-E -t 192.0.2.30:80 -s rr -p 60", ["-E -t 192.0.2.30:80 -s wrr"]),
        ("-d -t 192.0.2.30:80 -r 198.51.100.2:80", ["-a -t 192.0.2.30:80 -r 198.51.100.2:80 -g -w 1"]),
        ("-a -t 192.0.2.30:80 -r 203.0.113.9:80 -g", ["-d -t 192.0.2.30:80 -r 203.0.113.9:80"]),
        ("-A -u 192.0.2.30:80 -s rr", ["-D -u 192.0.2.30:80"]),
        (
            "-e -t [2001:db8::30]:80 -r [2001:db8:1::1]:80 -g -w 7",
            ["-e -t [2001:db8::30]:80 -r [2001:db8:1::1]:80 -g -w 2"],
        ),
        ("-D -t [2001:db8::30]:80", None),
    ],
)
def test_drift_is_corrected_in_place(empty: Director, drift: str, mended: list[str] | None) -> None:
    empty.module("ipvs", services=[WEB, WEB6], purge=True)
    whole = empty.lines()
    empty.run("ipvsadm", *drift.split())
    result = empty.module("ipvs", services=[WEB, WEB6], purge=True)
    assert empty.lines() == whole
    if mended is not None:
        assert result["operations"] == mended


def test_the_diff_is_the_table_as_a_person_writes_it(empty: Director) -> None:
    empty.module("ipvs", services=[WEB])
    lighter = {**WEB, "real_servers": [{"address": "198.51.100.2", "weight": 0}]}
    diff = empty.module(
        "ipvs", services=[lighter], timeouts={"udp": 100}, _ansible_diff=True, _ansible_check_mode=True
    )["diff"]
    assert (
        diff["before"].replace("100.2:80 -g -w 1", "100.2:80 -g -w 0").replace("120 300\n", "120 100\n")
        == diff["after"]
    )


def test_timeouts_are_set_and_read(empty: Director) -> None:
    try:
        assert empty.module("ipvs", timeouts={"tcp": 7200, "udp": 60})["operations"] == ["--set 7200 0 60"]
        assert empty.module("ipvs_info")["timeouts"] == {"tcp": 7200, "tcp_fin": 120, "udp": 60}
        assert empty.module("ipvs", timeouts={"tcp": 7200})["changed"] is False
    finally:
        empty.run("ipvsadm", "--set", "900", "120", "300")


def test_a_wrong_list_changes_nothing(empty: Director) -> None:
    wrong = [WEB, {**WEB, "port": 81, "scheduler": "twos"}, {**WEB6, "real_servers": [{"address": "x", "weight": -1}]}]
    result = empty.refused("ipvs", services=wrong)
    assert [problem["rule"] for problem in result["problems"]] == ["unknown_scheduler", "wrong_address", "out_of_range"]
    assert empty.lines() == []


def test_what_the_kernel_refuses_is_named_and_the_next_run_goes_on(empty: Director) -> None:
    """An address to which no packet can be sent passes every check except the kernel's."""
    bad = {**WEB, "port": 81, "real_servers": [{"address": "198.51.100.1"}, {"address": "224.0.0.9"}]}
    many = [{**WEB, "port": port} for port in range(1000, 1400)]
    result = empty.refused("ipvs", services=[WEB, bad, *many])
    assert len(result["refused"]) == 1
    assert result["refused"][0].startswith("-a -t 192.0.2.30:81 -r 224.0.0.9:81 -g -w 1: not accepted")
    assert len(result["operations"]) + 1 + len(result["untried"]) == 3 + 3 + 3 * 400
    assert result["untried"]
    assert len(empty.lines()) == len(result["operations"])
    # And nothing is removed that the refused one should have replaced.
    before = empty.lines()
    swapped = {**WEB, "real_servers": [{"address": "224.0.0.9"}]}
    assert empty.refused("ipvs", services=[swapped], purge=True)["operations"] == []
    assert empty.lines() == before
    good = [WEB, {**bad, "real_servers": bad["real_servers"][:1]}, *many]
    assert len(empty.module("ipvs", services=good)["operations"]) == len(result["untried"])


def test_a_killed_run_is_mended_by_the_next(empty: Director) -> None:
    """SIGKILL in the middle of an apply, at moments that differ; at least one must have hit the middle."""
    services = [{**WEB, "port": port} for port in range(1, 2001)]
    request = json.dumps({"module": "ipvs", "arguments": {"services": services, "purge": True}}) + "\n"
    inside = ["ip", "netns", "exec", "tables", "sh", "-c", f"echo $$ >{PLACE}/pid; exec python3 {PLACE}/serve.py"]
    halfway = 0
    for attempt in range(8):
        empty.make({})
        with subprocess.Popen(
            ["docker", "exec", "--interactive", "lb1", *inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdin
            process.stdin.write(request)
            process.stdin.flush()
            deadline = time.monotonic() + 120
            while (
                int(empty.run("sh", "-c", "wc -l </proc/net/ip_vs")) < 200 + 500 * attempt
                and time.monotonic() < deadline
            ):
                pass  # until it is writing
            empty.run("sh", "-c", f"kill -KILL $(cat {PLACE}/pid)")
        left = len(empty.lines())
        halfway += 0 < left < 6000
        result = empty.module("ipvs", services=services, purge=True)
        assert len(result["operations"]) == 6000 - left
        assert len(empty.lines()) == 6000
    assert halfway > 0, "no kill hit the middle"
    empty.make({})


# --- sync daemons


def test_sync_daemons_run_as_asked(empty: Director) -> None:
    both = empty.module(
        "ipvs_sync", role="both", interface="eth9", syncid=7, group="ff02::81", port=9000, ttl=2, maxlen=1400
    )
    assert both["operations"] == ["start backup", "start master"]
    assert "master sync daemon (mcast=eth9, syncid=7, maxlen=1400, group=ff02::81, port=9000, ttl=2)" in empty.run(
        "ipvsadm", "--list", "--daemon"
    )
    again = {"interface": "eth9", "syncid": 7, "group": "ff02::81", "port": 9000, "ttl": 2}
    assert empty.module("ipvs_sync", role="both", **again)["changed"] is False
    assert empty.module("ipvs_sync", role="master", **again)["operations"] == ["stop backup"]
    assert empty.module("ipvs_sync", role="master", **{**again, "syncid": 8})["operations"] == [
        "stop master",
        "start master",
    ]
    assert [daemon["syncid"] for daemon in empty.module("ipvs_info")["daemons"]] == [8]
    assert empty.module("ipvs_sync", role="none", _ansible_check_mode=True)["changed"] is True
    assert empty.module("ipvs_sync", role="none")["daemons"] == []
    assert empty.run("ipvsadm", "--list", "--daemon") == ""


def test_an_interface_that_is_not_there_is_named(empty: Director) -> None:
    """A module of tunnels, once loaded, adds its interface to every network namespace, this one too."""
    message = empty.refused("ipvs_sync", role="both", interface="eth8")["msg"]
    told = re.search("eth8: this host has no such interface; there are (.*)", message)
    assert told
    assert {"eth9", "lo"} <= set(told[1].split(", "))


def test_mixed_families_and_sync_daemons_do_not_mix(empty: Director) -> None:
    mixed = {**WEB, "forwarding": "tunnel", "real_servers": [{"address": "2001:db8:1::1"}]}
    empty.module("ipvs_sync", role="master", interface="eth9")
    assert "while a sync daemon runs" in empty.refused("ipvs", services=[mixed])["msg"]
    empty.module("ipvs_sync", role="none")
    empty.module("ipvs", services=[mixed], purge=True)
    assert "of another family" in empty.refused("ipvs_sync", role="master", interface="eth9")["msg"]


# --- draining


def test_a_server_is_drained_and_taken_in_again(empty: Director) -> None:
    empty.module("ipvs", services=[WEB, WEB6])
    drained = empty.module("ipvs_drain", real_server="198.51.100.1", timeout=5)
    assert (drained["changed"], drained["reached"], [entry["weight"] for entry in drained["services"]]) == (
        True,
        True,
        [0],
    )
    assert empty.module("ipvs_drain", real_server="198.51.100.1")["changed"] is False
    assert "is in no service" in empty.refused("ipvs_drain", real_server="198.51.100.11")["msg"]
    assert "no real server takes connections" in empty.refused("ipvs_drain", real_server="198.51.100.2")["msg"]
    assert empty.module("ipvs_drain", real_server="198.51.100.1", state="active", weight=2)["changed"] is True
    assert empty.module("ipvs", services=[WEB, WEB6], purge=True)["changed"] is False


# --- beside ldirectord


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(table=tables, restart=st.booleans())
def test_ldirectord_does_not_get_in_the_way(watched: Director, table: Table, restart: bool) -> None:
    """It starts, fills and empties its own service while the module works; neither touches what the other has made."""
    if restart:
        watched.run("systemctl", "--no-block", "restart", "ldirectord")
    watched.module("ipvs", services=describe(table), _ansible_diff=True)
    assert plan(watched.table(), table) == []
    watched.module("ipvs", services=identities(table), state="absent")


@pytest.fixture(scope="module")
def watched() -> Iterator[Director]:
    """Return the machine whose table ldirectord keeps."""
    install_modules("lb2", PLACE)
    with Director("lb2") as machine:
        yield machine
        own = ["-A -t 198.18.20.30:22 -s rr", "-a -t 198.18.20.30:22 -r 198.18.20.21:22 -g -w 3"]
        with suppress(HarnessError):  # the next line tells what there is
            wait_for("ldirectord's service is whole", lambda: machine.lines() == own, 240)
        assert machine.lines() == own
