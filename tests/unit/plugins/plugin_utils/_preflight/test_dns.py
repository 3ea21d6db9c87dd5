"""Preflight's rules about DNS in front; tests/inventories_wrong/58-dns.yml has an example of each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._schema import Unevaluated
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import check

SPECS = read_specs()
WWW = {"name": "www", "services": ["berlin/web"]}
GOOD: dict[str, Any] = {
    "dns_zone_origin": "lb.example.org",
    "dns_zone_nameservers": ["ns1.example.net"],
    "dns_zone_clusters": {"berlin": [{"name": "web", "vip": "203.0.113.30"}]},
    "dns_zone_names": [WWW],
}


def found(**changes: Any) -> set[tuple[str, str]]:
    """Return rule and variable of each finding about a DNS server that is alone in its inventory."""
    given_ = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return {(each.rule, each.variable) for each in check({"ns1": given_}, {"dns_servers": ["ns1"]}, SPECS)}


def test_a_dns_server_may_be_alone_in_its_inventory() -> None:
    assert found() == set()


@pytest.mark.parametrize("name", ["dns_zone_origin", "dns_zone_nameservers", "dns_zone_names"])
def test_what_is_required_is_missed(name: str) -> None:
    assert found(**{name: None}) == {("dns_missing", name)}


def test_a_malformed_value_is_one_finding() -> None:
    assert found(dns_zone_origin=["x"]) == {("wrong_type", "dns_zone_origin")}
    assert found(dns_zone_clusters={"berlin": 7}) == {("bad_dns_address", "dns_zone_clusters.berlin")}
    broken = Unevaluated("it failed")
    assert found(dns_zone_clusters={"berlin": broken}) == {("cannot_evaluate", "dns_zone_clusters.berlin")}


def test_a_group_of_this_name_may_be_somebody_elses() -> None:
    assert check({"ns1": {}, "ns2": {}}, {"dns_servers": ["ns1", "ns2"]}, SPECS) == []
    others = {"dns_server": ["ns1"], "dns_servers": ["ns1"]}  # no hosts but ours
    assert check({"ns1": {"dns_zone_of_others": 1}}, {"dns_server": ["ns1"]}, SPECS) == check(
        {"ns1": {}}, {"x": ["ns1"]}, SPECS
    )
    assert [each.rule for each in check({"ns1": GOOD}, others, SPECS)] == []


def test_a_mark_has_the_vips_that_it_says() -> None:
    hosts: dict[str, dict[str, Any]] = {
        name: {"ha_interfaces": {"eth0": [f"198.18.20.1{number}/24", f"fd00::{number}/64"]}}
        for number, name in enumerate(("dir1", "dir2", "real1"))
    }
    marked = {"name": "shop", "fwmark": 1, "vips": ["198.18.20.30", "fd00::30"], "ports": [80], "check": {"port": 80}}
    everywhere = {**GOOD, "dns_zone_names": [{"name": "shop", "services": ["shop"]}], "ha_virtual_services": [marked]}
    hosts |= {"ns1": {"ha_interfaces": {}}}
    groups = {"directors": ["dir1", "dir2"], "real_servers": ["real1"], "dns_servers": ["ns1"]}
    findings = check({host: {**everywhere, **given_} for host, given_ in hosts.items()}, groups, SPECS)
    assert [each for each in findings if "dns" in each.rule] == []


def test_a_second_server_would_count_for_itself() -> None:
    hosts = {"ns1": GOOD, "ns2": GOOD}
    (finding,) = check(hosts, {"dns_servers": ["ns1", "ns2"]}, SPECS)
    assert finding.rule == "dns_hosts"


@pytest.mark.parametrize(
    ("changes", "rule", "variable"),
    [
        ({"dns_zone_origin": "lb_example.org"}, "bad_dns_name", "dns_zone_origin"),
        ({"dns_zone_contact": "me@"}, "bad_dns_name", "dns_zone_contact"),
        ({"dns_zone_nameservers": ["ns1.lb.example.org"]}, "bad_dns_name", "dns_zone_nameservers[0]"),
        ({"dns_zone_names": [WWW, WWW]}, "bad_dns_name", "dns_zone_names[1].name"),
        ({"dns_zone_names": [{"name": "www"}]}, "bad_dns_address", "dns_zone_names[0]"),
        (
            {"dns_zone_names": [{"name": "www", "services": ["web"]}]},
            "bad_dns_address",
            "dns_zone_names[0].services[0]",
        ),
        ({"dns_zone_secondaries": ["ns2.example.net"]}, "bad_dns_address", "dns_zone_secondaries[0]"),
        ({"dns_zone_ttl": 0}, "bad_dns_ttl", "dns_zone_ttl"),
        ({"dns_zone_names": [{**WWW, "ttl": 604801}]}, "bad_dns_ttl", "dns_zone_names[0].ttl"),
        ({"dns_zone_file": "db.example"}, "bad_path", "dns_zone_file"),
        ({"dns_zone_includes": ["/etc/bind/a", "b"]}, "bad_path", "dns_zone_includes[1]"),
    ],
)
def test_what_is_wrong_is_one_finding(changes: dict[str, Any], rule: str, variable: str) -> None:
    assert found(**changes) == {(rule, variable)}


@pytest.mark.parametrize(
    "changes",
    [
        {"dns_zone_nameservers": ["ns1.lb.example.org"], "dns_zone_includes": ["/etc/bind/others"]},
        {"dns_zone_nameservers": ["www.lb.example.org."]},
        {"dns_zone_names": [WWW, {"name": "www.a", "addresses": ["2001:db8::1"], "ttl": 1}]},
    ],
)
def test_what_is_right_is_no_finding(changes: dict[str, Any]) -> None:
    assert found(**changes) == set()


NAMES = sorted(name for name in SPECS["dns_zone"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just(Unevaluated("it failed"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(), st.sampled_from(["name", "services", "addresses", "ttl", "vip"])), inner),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_nothing_raises(changes: dict[str, Any]) -> None:
    check({"ns1": {**GOOD, **changes}}, {"dns_servers": ["ns1"]}, SPECS)
