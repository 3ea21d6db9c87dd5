# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPVS table as data: check, print, parse, plan."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipvs_tables import tables

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table, print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import SCHEDULERS, describe, read
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.plan import apply, plan, plan_removal
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import Key, Operation, Table

WEB: dict[str, Any] = {"vip": "192.0.2.30", "port": 80, "real_servers": [{"address": "198.51.100.1"}]}


def table_of(*services: dict[str, Any]) -> Table:
    table, problems = read(services)
    assert problems == []
    return table


# --- properties of any table


@given(tables, tables)
def test_a_plan_makes_the_table(before: Table, wanted: Table) -> None:
    assert apply(before, plan(before, wanted, purge=True)) == wanted


@given(tables)
def test_nothing_is_planned_where_nothing_differs(table: Table) -> None:
    assert plan(table, table, purge=True) == []


@given(tables, tables)
def test_without_purge_everything_else_stays(before: Table, wanted: Table) -> None:
    after = apply(before, plan(before, wanted))
    assert plan(after, wanted) == []
    for key, service in before.items():
        if key not in wanted:
            assert after[key] == service
        else:
            assert after[key].servers == {**service.servers, **wanted[key].servers}


@given(tables, tables)
def test_no_service_is_ever_empty_in_between(before: Table, wanted: Table) -> None:
    table, watched = before, [key for key in wanted if wanted[key].servers and key in before and before[key].servers]
    for operation in plan(before, wanted, purge=True):
        table = apply(table, [operation])
        assert all(table[key].servers for key in watched), operation


@given(tables, tables)
def test_what_stays_is_never_removed_and_added_again(before: Table, wanted: Table) -> None:
    for kind, service, server in plan(before, wanted, purge=True):
        if kind == "delete_service":
            assert service.key not in wanted
        if kind == "delete_server":
            assert server is not None
            assert server[:2] not in wanted[service.key].servers


@given(tables, tables)
def test_what_is_unwanted_goes_and_nothing_else(before: Table, unwanted: Table) -> None:
    after = apply(before, plan_removal(before, unwanted))
    assert plan_removal(after, unwanted) == []
    for key, service in before.items():
        if key not in unwanted:
            assert after[key] == service
        elif unwanted[key].servers:
            assert set(after[key].servers) == set(service.servers) - set(unwanted[key].servers)
        else:
            assert key not in after


@given(tables)
def test_printed_lines_parse_back(table: Table) -> None:
    assert parse_table(print_table(table)) == table


@given(tables)
def test_a_described_table_reads_back(table: Table) -> None:
    assert read(describe(table)) == (table, [])


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.dictionaries(
                    st.sampled_from(
                        (
                            "vip",
                            "port",
                            "fwmark",
                            "persistence",
                            "real_servers",
                            "address",
                            "tunnel",
                            "timeout",
                            "weight",
                        )
                    ),
                    inner,
                )
                | st.lists(inner, max_size=3)
            ),
            max_leaves=12,
        ),
        max_size=3,
    )
)
def test_whatever_is_given_has_an_answer(services: list[Any]) -> None:
    table, problems = read(services, SCHEDULERS)
    if not problems:
        assert read(describe(table), SCHEDULERS) == (table, [])


# --- what people write


def test_defaults_are_those_of_ipvsadm() -> None:
    assert print_table(table_of(WEB)) == [
        "-A -t 192.0.2.30:80 -s wlc",
        "-a -t 192.0.2.30:80 -r 198.51.100.1:80 -g -w 1",
    ]


def test_addresses_are_spelt_as_the_kernel_does() -> None:
    table = table_of({"vip": "2001:DB8:0:0::30", "port": 443, "real_servers": [{"address": "2001:db8::0:1"}]})
    assert print_table(table)[1] == "-a -t [2001:db8::30]:443 -r [2001:db8::1]:443 -g -w 1"


def test_every_feature_has_its_words() -> None:
    gue = {"type": "gue", "port": 6080, "checksum": "remote"}
    table = table_of(
        {
            "fwmark": 7,
            "family": 6,
            "scheduler": "mh",
            "scheduler_flags": ["mh-port", "mh-fallback"],
            "one_packet": True,
            "persistence": {"timeout": 60, "netmask": 64, "engine": "sip"},
            "forwarding": "tunnel",
            "real_servers": [
                {"address": "198.51.100.1", "weight": 3, "upper_threshold": 9, "lower_threshold": 4, "tunnel": gue},
                {"address": "2001:db8::1", "tunnel": {"type": "gre"}},
            ],
        }
    )
    assert print_table(table) == [
        "-A -f 7 -6 -s mh -o -p 60 -M 64 --pe sip -b mh-fallback,mh-port",
        "-a -f 7 -6 -r 198.51.100.1:0 -i -w 3 -x 9 -y 4 --tun-type gue --tun-port 6080 --tun-remcsum",
        "-a -f 7 -6 -r [2001:db8::1]:0 -i -w 1 --tun-type gre --tun-nocsum",
    ]


def test_a_weight_is_changed_in_place() -> None:
    heavier = {**WEB, "real_servers": [{"address": "198.51.100.1", "weight": 5}]}
    assert list(map(str, plan(table_of(WEB), table_of(heavier), purge=True))) == [
        "-e -t 192.0.2.30:80 -r 198.51.100.1:80 -g -w 5"
    ]


def test_a_scheduler_is_changed_in_place() -> None:
    operations = plan(table_of(WEB), table_of({**WEB, "scheduler": "sh"}), purge=True)
    assert list(map(str, operations)) == ["-E -t 192.0.2.30:80 -s sh"]


def test_removals_come_last() -> None:
    other = {**WEB, "real_servers": [{"address": "198.51.100.2"}]}
    new = {**WEB, "port": 443}
    operations = plan(table_of(WEB, {**WEB, "port": 25}), table_of(other, new), purge=True)
    assert list(map(str, operations)) == [
        "-a -t 192.0.2.30:80 -r 198.51.100.2:80 -g -w 1",
        "-A -t 192.0.2.30:443 -s wlc",
        "-a -t 192.0.2.30:443 -r 198.51.100.1:443 -g -w 1",
        "-d -t 192.0.2.30:80 -r 198.51.100.1:80",
        "-D -t 192.0.2.30:25",
    ]


def test_for_removal_only_the_identity_counts() -> None:
    table, problems = read([{"vip": "192.0.2.30", "scheduler": "nonsense"}], SCHEDULERS, identify=True)
    assert list(table) == [Key(4, "tcp", "192.0.2.30", 0, 0)]
    assert problems == []


@pytest.mark.parametrize(
    "line",
    ["-C", "-A -t nowhere:80 -s rr", "-a -t 192.0.2.30:80 -r 198.51.100.1:80", "-A -t", "-A -t 192.0.2.30:80 -q"],
)
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=f"'{line}"):
        parse_table([line])


def test_an_empty_list_of_real_servers_to_remove_removes_nothing() -> None:
    current = table_of(WEB)
    nothing, problems = read([{**WEB, "real_servers": []}], identify=True)
    assert (plan_removal(current, nothing), problems) == ([], [])
    whole, problems = read([{"vip": "192.0.2.30", "port": 80}], identify=True)
    assert [operation.kind for operation in plan_removal(current, whole)] == ["delete_service"]


# --- what is refused


def server(**fields: object) -> dict[str, Any]:
    return {**WEB, "real_servers": [{"address": "198.51.100.1", **fields}]}


@pytest.mark.parametrize(
    ("service", "rule", "path"),
    [
        ({"port": 80}, "vip_or_fwmark", "services[0].vip"),
        ({"vip": "192.0.2.30", "port": 80, "fwmark": 1}, "vip_or_fwmark", "services[0].vip"),
        ({"vip": "192.0.2.30/24", "port": 80}, "wrong_address", "services[0].vip"),
        ({"vip": "web.example", "port": 80}, "wrong_address", "services[0].vip"),
        ({"vip": "192.0.2.30", "port": 80, "family": 6}, "wrong_family", "services[0].family"),
        ({"vip": "192.0.2.30", "port": 65536}, "out_of_range", "services[0].port"),
        ({"vip": "192.0.2.30", "port": 80, "protocol": "icmp"}, "wrong_choice", "services[0].protocol"),
        ({"fwmark": 0}, "out_of_range", "services[0].fwmark"),
        ({"fwmark": 2**32}, "out_of_range", "services[0].fwmark"),
        ({"fwmark": 1, "port": 80}, "fwmark_service", "services[0].port"),
        ({"fwmark": 1, "protocol": "tcp"}, "fwmark_service", "services[0].protocol"),
        ({"vip": "192.0.2.30"}, "zero_port", "services[0] (tcp 192.0.2.30:0).port"),
        ({**WEB, "scheduler": "wrt"}, "unknown_scheduler", "services[0] (tcp 192.0.2.30:80).scheduler"),
        ({**WEB, "scheduler": "twos"}, "unknown_scheduler", "services[0] (tcp 192.0.2.30:80).scheduler"),
        ({**WEB, "scheduler": "../x"}, "unknown_scheduler", "services[0] (tcp 192.0.2.30:80).scheduler"),
        ({**WEB, "scheduler_flags": ["sh-port"]}, "unknown_flag", "services[0] (tcp 192.0.2.30:80).scheduler_flags"),
        ({**WEB, "one_packet": True}, "one_packet", "services[0] (tcp 192.0.2.30:80).one_packet"),
        ({**WEB, "persistence": {"timeout": 0}}, "out_of_range", "services[0] (tcp 192.0.2.30:80).persistence.timeout"),
        (
            {**WEB, "persistence": {"netmask": "255.0.255.0"}},
            "wrong_netmask",
            "services[0] (tcp 192.0.2.30:80).persistence.netmask",
        ),
        (
            {**WEB, "persistence": {"netmask": "64"}},
            "wrong_netmask",
            "services[0] (tcp 192.0.2.30:80).persistence.netmask",
        ),
        (
            {**WEB, "persistence": {"engine": "sip"}},
            "wrong_engine",
            "services[0] (tcp 192.0.2.30:80).persistence.engine",
        ),
        ({**WEB, "weight": 2}, "unknown_option", "services[0].weight"),
        ({**WEB, "real_servers": [{"weight": 2}]}, "missing_option", "services[0].real_servers[0].address"),
        (server(address="real1"), "wrong_address", "services[0] (tcp 192.0.2.30:80).real_servers[0].address"),
        (server(address="2001:db8::1"), "mixed_families", "services[0] (tcp 192.0.2.30:80).real_servers[0].address"),
        (server(port=8080), "port_not_rewritten", "services[0] (tcp 192.0.2.30:80).real_servers[0].port"),
        (server(weight=-1), "out_of_range", "services[0] (tcp 192.0.2.30:80).real_servers[0].weight"),
        (server(weight=2**31), "out_of_range", "services[0] (tcp 192.0.2.30:80).real_servers[0].weight"),
        (
            server(upper_threshold=65536),
            "out_of_range",
            "services[0] (tcp 192.0.2.30:80).real_servers[0].upper_threshold",
        ),
        (
            server(lower_threshold=1),
            "lower_above_upper",
            "services[0] (tcp 192.0.2.30:80).real_servers[0].lower_threshold",
        ),
        (server(tunnel={}), "no_tunnel", "services[0] (tcp 192.0.2.30:80).real_servers[0].tunnel"),
        (
            server(forwarding="tunnel", tunnel={"type": "gue"}),
            "gue_port",
            "services[0] (tcp 192.0.2.30:80).real_servers[0].tunnel.port",
        ),
        (
            server(forwarding="tunnel", tunnel={"port": 1}),
            "gue_port",
            "services[0] (tcp 192.0.2.30:80).real_servers[0].tunnel.port",
        ),
        (
            server(forwarding="tunnel", tunnel={"type": "gre", "checksum": "remote"}),
            "tunnel_checksum",
            "services[0] (tcp 192.0.2.30:80).real_servers[0].tunnel.checksum",
        ),
    ],
)
def test_each_mistake_is_named(service: dict[str, Any], rule: str, path: str) -> None:
    _table, problems = read([service], set(SCHEDULERS) - {"twos"})
    assert [(problem.rule, problem.path) for problem in problems] == [(rule, path)]


def test_without_an_identity_the_rest_is_still_read() -> None:
    entry = {"vip": "x", "port": 81, "scheduler": "??", "real_servers": [{"address": "y", "weight": -1, "port": 82}]}
    _table, problems = read([entry])
    assert [problem.rule for problem in problems] == [
        "wrong_address",
        "unknown_scheduler",
        "wrong_address",
        "out_of_range",
    ]


@pytest.mark.parametrize("netmask", ["064", "0", "129", "1281", " 64", "6x"])
def test_a_prefix_length_has_one_spelling(netmask: str) -> None:
    _table, problems = read([{"vip": "2001:db8::30", "port": 80, "persistence": {"netmask": netmask}}])
    assert [problem.rule for problem in problems] == ["wrong_netmask"]


@pytest.mark.parametrize(
    ("vip", "allowed"),
    [
        ("192.0.2.30", "a netmask of four numbers, ones before zeros, such as 255.255.255.0 for /24"),
        ("2001:db8::30", "a prefix length, 1 to 128, such as 64"),
    ],
)
def test_who_writes_a_wrong_netmask_is_told_what_to_write(vip: str, allowed: str) -> None:
    _table, (problem,) = read([{"vip": vip, "port": 80, "persistence": {"netmask": "/24"}}])
    assert problem.path.endswith(".persistence.netmask")
    assert (problem.value, problem.problem) == ("/24", f"for IPv{6 if ':' in vip else 4}, must be {allowed}")
    assert problem.remedy == "write such a value, or remove it: then each client is one by itself"


def test_all_mistakes_are_named_at_once() -> None:
    twice = [{"address": "198.51.100.1"}, {"address": "198.51.100.1", "weight": -2}]
    _table, problems = read([{**WEB, "real_servers": twice}, WEB, {"vip": "x"}, "web", None])
    assert [problem.rule for problem in problems] == [
        "out_of_range",
        "duplicate_server",
        "duplicate_service",
        "wrong_address",
        "wrong_type",
        "wrong_type",
    ]


def test_an_address_family_that_the_kernel_has_not_is_named() -> None:
    services = [WEB, {"vip": "2001:db8::30", "port": 80}, {"fwmark": 1, "family": 6}]
    assert [problem.path for problem in read(services, families={4})[1]] == [
        "services[1] (tcp [2001:db8::30]:80)",
        "services[2] (fwmark 1 IPv6)",
    ]


def test_a_scheduler_of_ones_own_is_left_to_the_kernel() -> None:
    assert read([{**WEB, "scheduler": "my_own"}])[1] == []
    assert read([{**WEB, "scheduler": "my_own"}], {"my_own", "rr"})[1] == []


def test_an_operation_reads_as_ipvsadm_has_it() -> None:
    service = table_of(WEB)[Key(4, "tcp", "192.0.2.30", 80, 0)]
    assert str(Operation("delete_service", service)) == "-D -t 192.0.2.30:80"
