# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the IPVS modules plan, without a kernel. The scenario ipvs tests them with one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.connections import (
    compare,
    fingerprints,
    parse_connections,
    sample,
    select,
)
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import (
    Counted,
    Daemon,
    Refused,
    decode_daemon,
    encode_daemon,
)
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import LONGEST, MOST_CONNECTIONS, OPTIONS
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import KEPT, MOST, Operation
from ansible_collections.codalvs.ha.plugins.modules import ipvs, ipvs_drain, ipvs_sync

LINES = [
    "-A -t 192.0.2.30:80 -s wrr",
    "-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 3",
    "-a -t 192.0.2.30:80 -r 192.0.2.22:80 -g -w 1",
    "-A -t 192.0.2.30:443 -s wrr",
    "-a -t 192.0.2.30:443 -r 192.0.2.21:443 -g -w 0",
    "-a -t 192.0.2.30:443 -r 192.0.2.22:443 -g -w 1",
]

SERVICES = yaml.safe_load(ipvs.DOCUMENTATION)["options"]["services"]["suboptions"]


def without_words(options: Any) -> dict[str, Any]:
    """Return options as a module's code or its documentation has them, without their descriptions."""
    return {
        name: {
            "options" if key == "suboptions" else key: without_words(value) if key.endswith("options") else value
            for key, value in option.items()
            if key != "description"
        }
        for name, option in options.items()
    }


def test_the_documentation_of_services_is_what_the_code_takes() -> None:
    assert without_words(SERVICES) == without_words(OPTIONS)


def test_the_documentation_of_services_has_the_limits_of_the_code() -> None:
    servers = SERVICES["real_servers"]["suboptions"]
    assert f"1 to {LONGEST}." in SERVICES["persistence"]["suboptions"]["timeout"]["description"]
    assert f"0 to {MOST_CONNECTIONS};" in servers["upper_threshold"]["description"]
    assert f"0 to {MOST};" in servers["weight"]["description"]


def counted(lines: list[str], **connections: tuple[int, int, int]) -> list[Any]:
    """Return a table as Kernel.counted() does; connections by the last part of a real server's address."""
    none = Counted((0,) * 5, (0,) * 5)
    return [
        (
            service,
            none,
            [
                (server, none._replace(connections=connections.get("of" + server.address.split(".")[-1], (0, 0, 0))))
                for server in service.servers.values()
            ],
        )
        for service in parse_table(lines).values()
    ]


# --- ipvs_drain


def test_a_drained_server_gets_weight_0_where_it_has_another() -> None:
    found = ipvs_drain.entries(counted(LINES), [("192.0.2.21", None)])
    assert list(map(str, ipvs_drain.plan(found, "drained", 1))) == ["-e -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 0"]
    assert list(map(str, ipvs_drain.plan(found, "active", 4))) == ["-e -t 192.0.2.30:443 -r 192.0.2.21:443 -g -w 4"]


def test_a_port_narrows_it_down() -> None:
    assert [entry.shown()["service"] for entry in ipvs_drain.entries(counted(LINES), [("192.0.2.21", 443)])] == [
        "tcp 192.0.2.30:443"
    ]


def test_the_last_that_takes_connections_is_seen() -> None:
    others = {entry.server.port: entry.others for entry in ipvs_drain.entries(counted(LINES), [("192.0.2.22", None)])}
    assert others == {80: 1, 443: 0}


def test_who_is_kept_in_does_not_count_as_the_last_one() -> None:
    """Nor is it refused to drain who is kept in: then another one is."""
    kept = [line + f" -x {KEPT}" if "-r 192.0.2.21:80" in line else line for line in LINES]
    given = {"state": "drained", "set_weight": False, "allow_last": False, "allow_missing": True}
    entry = ipvs_drain.entries(counted(kept), [("192.0.2.22", 80)])
    assert [each.others for each in entry] == [0]
    for name, refused in (("192.0.2.22", "192.0.2.30:80"), ("192.0.2.21", "")):
        why = ipvs_drain.refusal(ipvs_drain.entries(counted(kept), [(name, 80)]), [(name, 80)], given)
        assert bool(why) is bool(refused)
        assert refused in why


@pytest.mark.parametrize(
    ("connections", "limit", "count_inactive", "expected"),
    [
        ((0, 9, 9), 0, False, True),
        ((1, 0, 0), 0, False, False),
        ((1, 0, 0), 1, False, True),
        ((0, 9, 0), 8, True, False),
    ],
)
def test_drained_means_weight_0_and_few_connections(
    connections: tuple[int, int, int], limit: int, count_inactive: bool, expected: bool
) -> None:
    quiet = [line.replace("-w 3", "-w 0") for line in LINES]
    found = ipvs_drain.entries(counted(quiet, of21=connections), [("192.0.2.21", None)])
    assert ipvs_drain.reached(found, "drained", limit, count_inactive) is expected


def test_with_a_weight_it_is_not_drained() -> None:
    assert not ipvs_drain.reached(ipvs_drain.entries(counted(LINES), [("192.0.2.21", 80)]), "drained", 0, False)
    assert ipvs_drain.reached(ipvs_drain.entries(counted(LINES), [("192.0.2.21", 80)]), "active", 0, False)


@pytest.mark.parametrize(
    ("names", "port", "expected"),
    [
        (["192.0.2.21"], None, ["tcp 192.0.2.30:80", "tcp 192.0.2.30:443"]),
        (["192.0.2.21"], 443, ["tcp 192.0.2.30:443"]),
        (["192.0.2.21:80", "192.0.2.22:443"], None, ["tcp 192.0.2.30:80", "tcp 192.0.2.30:443"]),
        (["192.0.2.21:80"], 443, ["tcp 192.0.2.30:80"]),
        (["192.0.2.2"], None, []),
    ],
)
def test_several_places_are_looked_for_together(names: list[str], port: int | None, expected: list[str]) -> None:
    found = ipvs_drain.entries(counted(LINES), ipvs_drain.places(names, port))
    assert [entry.shown()["service"] for entry in found] == expected


@pytest.mark.parametrize(
    ("names", "missing", "expected"),
    [
        (["192.0.2.21:80"], False, True),
        (["192.0.2.21:80", "192.0.2.22"], False, True),
        (["192.0.2.21:80", "192.0.2.23"], False, False),
        (["192.0.2.21:80", "192.0.2.23"], True, True),
        (["192.0.2.21"], False, False),  # weight 0 at port 443
        ([], False, True),
    ],
)
def test_each_place_has_to_be_there_unless_it_may_be_missing(names: list[str], missing: bool, expected: bool) -> None:
    meant = ipvs_drain.places(names, None)
    given = {"allow_missing": missing, "state": "active", "connections": 0, "count_inactive": False}
    assert ipvs_drain.is_reached(ipvs_drain.entries(counted(LINES), meant), meant, given) is expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["192.0.2.21", "192.0.2.23"], "192.0.2.23 is in no service"),
        (["192.0.2.21:81", "192.0.2.22"], "192.0.2.21 at port 81 is in no service"),
        (["192.0.2.21:81", "192.0.2.23"], "192.0.2.21 at port 81, 192.0.2.23 are in no service"),
    ],
)
def test_an_address_that_is_in_no_service_is_refused_before_a_weight_is_set(names: list[str], expected: str) -> None:
    module = mock.Mock(
        params={"port": None, "state": "active", "weight": 1, "set_weight": True, "allow_missing": False}
    )
    module.params["real_server"] = names
    module.fail_json.side_effect = SystemExit
    kernel = mock.Mock()
    kernel.counted.return_value = counted(LINES)
    with pytest.raises(SystemExit):
        ipvs_drain.run(module, kernel)
    module.fail_json.assert_called_once_with(msg=f"Nothing was changed: {expected} of this director.")
    kernel.apply.assert_not_called()


# --- ipvs_sync

SYNC: dict[str, Any] = {
    "role": "both",
    "interface": "eth1",
    "syncid": 7,
    "group": "224.0.0.81",
    "port": 8848,
    "ttl": 1,
    "maxlen": None,
}
daemons = st.builds(
    Daemon,
    role=st.sampled_from(("master", "backup")),
    interface=st.sampled_from(("eth0", "eth1")),
    syncid=st.integers(0, 255),
    maxlen=st.integers(1024, 65487),
    group=st.sampled_from(("224.0.0.81", "ff02::81")),
    port=st.integers(1, 65535),
    ttl=st.integers(1, 255),
)


@given(daemons)
def test_a_daemon_on_the_wire_is_the_same(daemon: Daemon) -> None:
    data = encode_daemon(daemon, whole=True)
    assert decode_daemon(data, 0, len(data)) == daemon


@given(st.lists(daemons, unique_by=lambda daemon: daemon.role), st.sampled_from(("master", "backup", "both", "none")))
def test_after_the_plan_exactly_the_wanted_ones_run(running: list[Daemon], role: str) -> None:
    wanted = ipvs_sync.wanted_daemons({**SYNC, "role": role})
    stop, start = ipvs_sync.plan(running, wanted)
    after = [daemon for daemon in running if daemon not in stop] + [daemon._replace(maxlen=1472) for daemon in start]
    assert sorted(daemon.role for daemon in after) == sorted(daemon.role for daemon in wanted)
    assert ipvs_sync.plan(after, wanted) == ([], [])


class Kernel:
    """Sync daemons as the kernel has them: one of each role; some settings it refuses."""

    def __init__(self, running: list[Daemon], refused: Callable[[Daemon], bool]) -> None:
        self.running = {daemon.role: daemon for daemon in running}
        self.refused = refused
        self.fewest = len(running)

    def stop_daemon(self, daemon: Daemon) -> None:
        del self.running[daemon.role]
        self.fewest = min(self.fewest, len(self.running))

    def start_daemon(self, daemon: Daemon) -> None:
        assert daemon.role not in self.running
        if self.refused(daemon):
            raise OSError(errno.ENODEV, "No such device")
        self.running[daemon.role] = daemon


def two(**settings: Any) -> list[Daemon]:
    return ipvs_sync.wanted_daemons({**SYNC, "maxlen": 1472, **settings})


def change(kernel: Kernel, running: list[Daemon], wanted: list[Daemon]) -> list[str]:
    done: list[str] = []
    for _role, old, new in ipvs_sync.order(*ipvs_sync.plan(running, wanted)):
        ipvs_sync.replace(kernel, old, new, done)
    return done


def test_another_number_replaces_one_daemon_after_the_other() -> None:
    kernel = Kernel(two(syncid=1), lambda _daemon: False)
    assert change(kernel, two(syncid=1), two(syncid=31)) == [
        "stop backup",
        "start backup",
        "stop master",
        "start master",
    ]
    assert [daemon.syncid for daemon in kernel.running.values()] == [31, 31]
    assert kernel.fewest == 1


def test_a_daemon_whose_new_settings_are_refused_runs_with_the_old_ones() -> None:
    kernel = Kernel(two(), lambda daemon: daemon.interface == "eth9")
    with pytest.raises(OSError, match="No such device"):
        change(kernel, two(), two(interface="eth9"))
    assert sorted(kernel.running.values()) == sorted(two())


def test_the_settings_of_sync_daemons_are_checked_all_at_once() -> None:
    wrong = {**SYNC, "interface": None, "syncid": 256, "group": "192.0.2.1", "port": 0, "ttl": 0, "maxlen": 9}
    assert [problem.split(" ")[0].rstrip(":") for problem in ipvs_sync.check(wrong)] == [
        "syncid",
        "port",
        "ttl",
        "maxlen",
        "group",
        "interface",
    ]
    assert ipvs_sync.check(SYNC) == []


# --- ipvs


@pytest.mark.parametrize(
    ("kind", "error", "expected"),
    [
        ("add_service", errno.EEXIST, True),
        ("add_server", errno.ESRCH, True),
        ("delete_server", errno.ENOENT, True),
        ("add_service", errno.ENOENT, False),  # the scheduler is not there
        ("add_server", errno.EINVAL, False),
    ],
)
def test_only_what_another_program_did_first_is_tried_again(kind: str, error: int, expected: bool) -> None:
    service = next(iter(parse_table(LINES).values()))
    server = next(iter(service.servers.values())) if kind.endswith("server") else None
    assert ipvs.overtaken(Refused(Operation(kind, service, server), error)) is expected


def test_what_another_program_did_meanwhile_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It added the service between the look and the change; the module then added a real server only."""
    service = next(iter(parse_table(LINES[:2]).values()))
    (server,) = service.servers.values()
    ended: list[dict[str, Any]] = []
    parameters = {"services": [], "state": "present", "purge": False, "timeouts": None}
    module = SimpleNamespace(
        params=parameters, check_mode=False, _diff=False, exit_json=lambda **found: ended.append(found)
    )
    monkeypatch.setattr(ipvs, "AnsibleModule", lambda **_options: module)
    monkeypatch.setattr(ipvs, "open_kernel", lambda _module: SimpleNamespace(timeouts=dict))
    monkeypatch.setattr(ipvs, "converge", lambda *_all: ({}, [Operation("add_server", service, server)], [], []))
    ipvs.main()
    assert ended == [{"changed": True, "operations": [LINES[1]]}]


def test_timeouts_are_checked() -> None:
    assert [problem.path for problem in ipvs.check_timeouts({"tcp": 0, "tcp_fin": 1, "udp": None})] == ["timeouts.tcp"]


# --- ipvs_info

CONNECTIONS = """\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C6336407 9C40 C000021E 0050 C0000215 0050 ESTABLISHED     899
UDP C6336408 0000 C000021E 0035 C0000216 0035 UDP             299 sip call-id@example
TCP 2001:0db8:0000:0000:0000:0000:0000:0007 9C41 2001:0db8:0000:0000:0000:0000:0000:0030 0050 C0000215 0050 FIN_WAIT 12
"""


def test_connections_are_read() -> None:
    first, second, third = parse_connections(CONNECTIONS.splitlines())
    assert first == {
        "protocol": "tcp",
        "client": "198.51.100.7",
        "client_port": 40000,
        "vip": "192.0.2.30",
        "vport": 80,
        "real_server": "192.0.2.21",
        "real_port": 80,
        "state": "ESTABLISHED",
        "expires": 899,
    }
    assert (second["engine"], second["engine_data"]) == ("sip", "call-id@example")
    assert (third["client"], third["vip"], third["real_server"]) == ("2001:db8::7", "2001:db8::30", "192.0.2.21")


def test_connections_are_selected_up_to_a_limit() -> None:
    def connections() -> Any:
        return parse_connections(CONNECTIONS.splitlines())

    assert len(select(connections(), {}, 5)[0]) == 3
    assert select(connections(), {"protocol": "tcp"}, 1)[1] is True
    assert select(connections(), {"protocol": "tcp", "state": "FIN_WAIT"}, 1)[1] is False
    assert select(connections(), {}, 0) == ([], True)


TEMPLATE = "TCP C6336407 0000 C000021E 0050 C0000215 0050 NONE 299"
numbers = st.sets(st.integers(0, 10**6).map("{:012x}".format), max_size=60)


def test_a_fingerprint_is_of_client_service_and_real_server() -> None:
    lines = [*CONNECTIONS.splitlines(), TEMPLATE]
    found = fingerprints(lines)
    assert len(found) == 3  # the established one, and two without a port of the client: templates
    assert fingerprints(line.replace(" 899", " 12").replace(" NONE", " ASSURED") for line in lines) == found
    for was, now in (
        ("C6336407", "C6336408"),
        ("9C40", "9C41"),
        ("C000021E 0050", "C000021E 0051"),
        ("C0000215", "C0000216"),
    ):
        assert fingerprints(line.replace(was, now) for line in lines) != found


@given(numbers, numbers, numbers, numbers)
def test_a_whole_comparison_is_exact(first: set[str], second: set[str], third: set[str], fourth: set[str]) -> None:
    told = compare(sample(first, second), sample(third, fourth))
    assert told["count"] == len(first & second)
    assert told["unknown"] == len((first & second) - third - fourth)


@given(numbers, st.integers(1, 30))
def test_a_sample_of_equal_tables_has_nothing_unknown(table: set[str], most: int) -> None:
    told = sample(table, table, most)
    assert len(told["lasting"]) == min(most, len(table))
    assert compare(told, told) == {"count": len(table), "unknown": 0, "share": 1.0}


def test_a_sample_estimates_what_is_unknown() -> None:
    table = fingerprints(TEMPLATE.replace("C6336407", f"{client:08X}") for client in range(50_000))
    known = set(sorted(table, key=lambda each: each[::-1])[: len(table) * 9 // 10])  # sorted by what no sample sorts by
    stale = {each.replace("0", "1") + "x" for each in table}
    for other in (known, known | stale):
        told = compare(sample(table, table), sample(other, other))
        assert told["count"] == 50_000
        assert abs(told["share"] - 0.9) < 0.04
    assert compare(sample(table, table), sample((), ()))["unknown"] == 50_000
    assert compare(sample((), ()), sample((), ())) == {"count": 0, "unknown": 0, "share": 1.0}
