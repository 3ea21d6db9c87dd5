"""The longest time until ldirectord notices a dead real server: the formula of docs/checks.md, case by case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import parse
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import options_of, read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import Finding, check, render, summary
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.detection import (
    KERNELS_LIMIT,
    Detection,
    detections,
    slowest,
)

ROOT = Path(__file__).parents[5]
GROUPS = {"directors": ["dir1", "dir2"], "real_servers": ["real1", "real2"]}
OWN = {"dir1": "192.0.2.11/24", "dir2": "192.0.2.12/24", "real1": "192.0.2.21/24", "real2": "192.0.2.22/24"}
OPTIONS = options_of(
    [name for name in read_specs()["ldirectord"] if name.startswith("ldirectord_")]
    + [*read_specs()["preflight"], "heartbeat_node_name"]
)


def hosts(*services: dict[str, Any], **variables: Any) -> dict[str, dict[str, Any]]:
    """Return the hosts of services that are of http at port 80 of VIPs of their own, unless they say otherwise."""
    named = [
        {"name": f"s{number}", "vip": f"192.0.2.{number + 100}", "port": 80, **service}
        for number, service in enumerate(services)
    ]
    return {
        host: {"ha_interfaces": {"eth0": own}, "ha_virtual_services": named, **variables} for host, own in OWN.items()
    }


def computed(*services: dict[str, Any], **variables: Any) -> list[tuple[int | None, int | None]]:
    """Return the two times of each service."""
    return [(each.silent, each.refused) for each in found(*services, **variables)]


def found(*services: dict[str, Any], **variables: Any) -> list[Detection]:
    """Return what is computed, for one process if nothing else is said."""
    return detections(parse(hosts(*services, **{"ldirectord_fork": False, **variables}), GROUPS, OPTIONS))


def many(number: int, **service: Any) -> list[dict[str, Any]]:
    """Return services of ports of their own, which ldirectord checks one by one."""
    return [{"port": 8000 + each, "check": {"service": "http"}, **service} for each in range(number)]


def test_one_service_is_out_after_its_limit_and_an_interval() -> None:
    assert computed({}) == [(6, 1)]
    assert computed({}, ldirectord_check_interval=10, ldirectord_negotiate_timeout=30) == [(40, 10)]


def test_one_process_waits_for_every_check_of_the_dead_host() -> None:
    assert computed(*many(20)) == [(101, 1)] * 20
    assert computed(*many(20), ldirectord_fork=True) == [(6, 1)] * 20


def test_several_services_have_processes_of_their_own_by_default() -> None:
    assert computed(*many(20), ldirectord_fork=None) == [(6, 1)] * 20
    assert not parse(hosts(*many(1)), GROUPS, OPTIONS).forks
    assert parse(hosts(*many(2)), GROUPS, OPTIONS).forks
    assert not parse(hosts(*many(2), ha_standby="cold"), GROUPS, OPTIONS).forks
    assert parse(hosts(*many(2), ha_standby="cold", ldirectord_fork=True), GROUPS, OPTIONS).forks
    external = {"check": {"type": "external", "command": "/usr/local/bin/look"}}
    assert not parse(hosts(*many(2), external), GROUPS, OPTIONS).forks
    for said in (False, "no"):
        assert not parse(hosts(*many(2), ldirectord_fork=said), GROUPS, OPTIONS).forks


def test_each_failure_in_a_row_takes_a_whole_round() -> None:
    services = [*many(3), {"check": {"failures": 2}}]
    assert computed(*services) == [(21, 1)] * 3 + [(42, 2)]
    assert computed(*services, ldirectord_fork=True) == [(6, 1)] * 3 + [(12, 2)]
    assert computed({}, ldirectord_failure_count=3) == [(18, 3)]


def test_hosts_are_dead_one_at_a_time() -> None:
    """The worst one counts for each service."""
    one = [{"host": "real1"}]
    connect = {"type": "connect"}
    all_three = found({"real_servers": one}, {"port": 81, "real_servers": one, "check": connect}, {"port": 25})
    assert [(each.host, each.checks, each.silent) for each in all_three] == [("real1", 3, 14)] * 3
    apart = ({"real_servers": one}, {"port": 81, "real_servers": [{"host": "real2"}], "check": connect})
    assert computed(*apart) == [(6, 1), (4, 1)]


def test_an_interval_of_its_own_counts_where_a_service_has_a_process() -> None:
    assert computed({"check": {"interval": 7}}, ldirectord_fork=True) == [(12, 7)]
    assert computed({"check": {"interval": 7}}) == [(6, 1)]


def test_what_ldirectord_takes_for_one_check_is_made_once() -> None:
    assert computed({}, {}) == [(6, 1)] * 2
    assert computed({}, {"check": {"request": "other"}}) == [(11, 1)] * 2
    own = [{"host": "real1", "request": "other"}, {"host": "real2"}]
    assert [each.checks for each in found({}, {"real_servers": own})] == [2, 2]
    assert computed({}, {"real_servers": [{"host": "real1", "weight": 2}]}) == [(11, 1)] * 2
    commands = [{"check": {"type": "external", "command": f"/{name}"}} for name in ("a", "a", "b")]
    assert computed(*commands) == [(7, 7)] * 3


@pytest.mark.parametrize(
    ("service", "silent", "refused"),
    [
        ({"check": {"type": "connect"}}, 4, 1),
        ({"check": {"type": "ping"}}, 4, None),
        ({"check": {"type": "ping", "pings": 3}}, 10, None),
        ({"protocol": "udp", "check": {"type": "connect", "pings": 2}}, 7, None),
        ({"check": {"type": "external", "command": "/x"}}, 4, 4),
        ({"check": {"type": "on"}}, None, None),
        ({"check": {"service": "none"}}, None, None),
        ({"port": 4711}, None, None),
        # The two limits are the defaults of each other.
        ({"check": {"timeout": 2}}, 3, 1),
        ({"check": {"type": "connect", "negotiate_timeout": 9}}, 10, 1),
        ({"check": {"timeout": 2, "negotiate_timeout": 9}}, 10, 1),
        # The lower of both, and the one of the kernel.
        ({"port": 389}, 4, 1),
        ({"port": 1812, "protocol": "udp"}, 4, 1),
        ({"port": 119}, KERNELS_LIMIT + 1, 1),
        # Net::IMAP::Simple tries again, 5 s later.
        ({"port": 143}, 16, 6),
        ({"port": 993, "check": {"negotiate_timeout": 2}}, 10, 6),
        ({"port": 53, "protocol": "udp"}, 6, 6),
        ({"port": 53}, 6, 1),
        # The role's own limit follows no other.
        ({"port": 3306, "check": {"timeout": 2}}, 6, 1),
        ({"port": 5432, "check": {"negotiate_timeout": 2}}, 3, 1),
        ({"check": {"connects": 3}}, 6, 1),
        ({"check": {"path": "vip"}}, 6, 1),
        ({"check": {"path": "vip", "timeout": 9, "negotiate_timeout": 5}}, 10, 1),
        ({"check": {"path": "vip", "type": "connect"}}, 4, 1),
        ({"check": {"connects": 3, "timeout": 9, "negotiate_timeout": 5}}, 10, 1),
        ({"protocol": "udp", "port": 5060, "check": {"connects": 2}}, 18, 3),
    ],
)
def test_how_long_a_check_takes(service: dict[str, Any], silent: int | None, refused: int | None) -> None:
    assert computed({**service, "real_servers": [{"host": "real1"}]}) == [(silent, refused)]


MAILBOX, NAMES = {"port": 143}, {"port": 53, "protocol": "udp"}
# The inventories that docs/checks.md names, in the order of its table.
MEASURED: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    (many(1), {}),
    ([*many(1), {"port": 7000, "check": {"type": "connect"}}, MAILBOX, NAMES], {}),
    (
        many(5),
        {"ldirectord_failure_count": 3, "ldirectord_check_interval": 2, "ldirectord_negotiate_timeout": 2},
    ),
    (many(20), {}),
    (many(20), {"ldirectord_fork": True}),
]


def test_what_the_documentation_predicts() -> None:
    page = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
    table = page.split("\n## Predicted and measured\n")[1].split("\n## ")[0]
    told = [re.split(r" *\| *", line)[2:6:2] for line in table.splitlines() if line.startswith("|")][2:]
    assert told == [
        [f"{time} s" for time in slowest(found(*services, **variables)) or ()] for services, variables in MEASURED
    ]


def test_slowest() -> None:
    assert slowest(found({}, {"check": {"type": "ping"}})) == (9, 1)
    assert slowest(found({"check": {"type": "on"}})) is None
    assert slowest(found({}, ha_checker="none")) is None
    assert slowest([]) is None


def test_a_time_out_of_range_is_another_rules() -> None:
    assert found({"check": {"timeout": 0}}) == []
    assert found({}, ldirectord_check_interval=100000) == []


def warned(*services: dict[str, Any], **variables: Any) -> list[Finding]:
    """Return what preflight says, but that these hosts have one network."""
    findings = check(hosts(*services, **variables), GROUPS, read_specs())
    return [each for each in findings if each.rule not in ("single_link", "open_sync")]


def test_what_preflight_says() -> None:
    one = {"ldirectord_fork": False}
    (finding,) = warned(*many(20), **one)
    assert (finding.rule, finding.severity, finding.host) == ("slow_detection", "warning", "all hosts")
    said = render([finding])
    assert "ha_detection_budget = 60" in said
    assert "may need 101 s to notice in s0 that real1 is silent (20 checks one after the other)" in said
    assert "so it is for 20 services" in said
    assert "set ldirectord_fork: true (6 s), or raise the bound, or accept it" in said
    for accepted in ({"ha_detection_budget": 101, **one}, {"ha_detection_budget": 0, **one}, {}):
        assert warned(*many(20), **accepted) == []
    (finding,) = warned(*many(20), **one, ha_acknowledged=["slow_detection"])
    assert finding.severity == "acknowledged"
    (finding,) = warned({"port": 119}, ldirectord_fork=True)
    assert "(one check)" in finding.problem
    assert finding.remedy.startswith("shorten the time limits of its check, use another check")
    (finding,) = warned({"port": 119})
    assert finding.remedy.startswith("shorten the time limits of its check, use another check")


def test_success_says_how_soon_a_silent_real_server_is_noticed() -> None:
    given = hosts({})
    assert summary(given, GROUPS, [], found({})).endswith(" A silent real server is noticed within 6 s.")
    assert summary(given, GROUPS, []).endswith(".")
    assert "noticed" not in summary(given, GROUPS, [])


def test_checks_at_two_vips_are_not_one() -> None:
    both = {"real_servers": [{"host": "real1"}], "check": {"service": "http", "path": "vip"}}
    assert computed(both, both) == [(11, 1)] * 2
    assert computed(*[{**both, "check": {"service": "http"}}] * 2) == [(6, 1)] * 2
