# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the inventory and shows in no rendered file."""

from __future__ import annotations

import copy
import json
import re
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template

from ansible_collections.codalvs.ha.plugins.filter.cluster import cluster_filter
from ansible_collections.codalvs.ha.plugins.filter.haresources import haresources
from ansible_collections.codalvs.ha.plugins.filter.ipvs_lines import ipvs_lines
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import check_haresources
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory import cluster as plan
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError, addresses, parse
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import options_of
from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import NAMED, SERVICE_PORTS

GROUPS = {"directors": ["dir1", "dir2"], "real_servers": ["real1", "dir2"]}
OWN = {
    "dir1": {"eth0": "192.0.2.11/24"},
    "dir2": {"eth0": ["192.0.2.12/24", "2001:DB8::12/64"]},
    "real1": {"eth0": "192.0.2.21/24"},
}


MARK: dict[str, Any] = {
    "vip": None,
    "fwmark": 7,
    "vips": ["192.0.2.30", "2001:db8::30"],
    "ports": [443, "80-90", "85-99/tcp", "53/udp"],
}


def cluster(known: dict[str, dict[str, Any]], groups: dict[str, list[str]]) -> dict[str, Any]:
    """Return the plan of an inventory."""
    return plan.cluster(parse(known, groups, options_of(plan.VARIABLES)))


def hosts(*services: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the hosts' variables; each service gets a name and a VIP."""
    named = [{"name": f"s{number}", "vip": "192.0.2.30", **service} for number, service in enumerate(services)]
    return {name: {"ha_interfaces": own, "ha_virtual_services": named} for name, own in OWN.items()}


def shown(*entries: tuple[str, str]) -> str:
    """Return what `ip -json address show` prints of these addresses."""
    links = []
    for name, text in entries:
        own = ip_interface(text)
        links.append({"ifname": name, "addr_info": [{"local": str(own.ip), "prefixlen": own.network.prefixlen}]})
    return json.dumps([*links, {"ifname": "tun0", "addr_info": [{"broadcast": "192.0.2.255"}]}, {}])


def test_addresses_of_inventory_and_kernel_have_one_spelling() -> None:
    said = addresses(OWN["dir2"])
    assert said == ["eth0: 192.0.2.12/24", "eth0: 2001:db8::12/64"]
    assert addresses(shown(("eth0", "192.0.2.12/24"), ("eth0", "2001:db8::12/64"))) == said


@given(st.lists(st.tuples(st.sampled_from(["lo", "eth0", "bond0.5"]), st.ip_addresses(), st.integers(0, 32))))
def test_every_address_of_the_kernel_is_listed(found: list[tuple[str, Any, int]]) -> None:
    entries = [(name, f"{ip}/{prefix}") for name, ip, prefix in found]
    assert addresses(shown(*entries)) == [f"{name}: {ip_interface(text)}" for name, text in entries]


def test_a_service_has_the_minimum_of_all_or_its_own() -> None:
    def minima(*services: dict[str, Any], **setting: Any) -> list[str]:
        known = {name: own | setting for name, own in hosts(*services).items()}
        return [service["minimum_alive"] for service in cluster(known, GROUPS)["services"]]

    three = ({}, {"port": 81, "minimum_alive": 0}, {"port": 82, "minimum_alive": "50%"})
    served = [{"vip": "192.0.2.30", "port": 80, **each} for each in three]
    assert minima(*served) == ["", "", "50%"]
    assert minima(*served, ha_minimum_alive=2) == ["2", "", "50%"]


def test_a_wrong_address_is_named() -> None:
    with pytest.raises(ClusterError, match=r"eth0.*192\.0\.2\.300"):
        addresses({"eth0": "192.0.2.300/24"})


@pytest.mark.parametrize(
    ("service", "dir1", "dir2"),
    [
        ({"port": 80}, [80], []),  # dir2 is a real server: the program there is the service itself
        ({"port": 80, "real_servers": [{"host": "real1"}]}, [80], [80]),
        ({"port": 80, "real_servers": [{"host": "real1"}], "fallback": "127.0.0.1:80"}, [], []),
        ({"port": 53, "protocol": "udp", "real_servers": [{"host": "real1"}]}, [], []),
        ({**MARK, "vips": ["192.0.2.30"], "ports": [80, "7-9", "53/udp"]}, [7, 8, 9, 80], []),
        ({"port": 0, "real_servers": [{"host": "real1"}]}, [], []),
    ],
)
def test_ports_that_directors_must_leave_alone(service: dict[str, Any], dir1: list[int], dir2: list[int]) -> None:
    assert cluster(hosts(service), GROUPS)["reserved_ports"] == {"dir1": dir1, "dir2": dir2}


def test_a_table_without_ldirectord_has_flags_and_single_packets() -> None:
    service = {"port": 53, "protocol": "udp", "scheduler": "sh", "scheduler_flags": ["sh-fallback"], "one_packet": True}
    (found,) = cluster(hosts({**service, "real_servers": [{"host": "real1"}]}), GROUPS)["table"]
    assert (found["scheduler_flags"], found["one_packet"]) == (["sh-fallback"], True)
    assert "one_packet" not in cluster(hosts({"port": 80}), GROUPS)["table"][0]


@pytest.mark.parametrize("forwarding", ["direct", "nat", "tunnel"])
def test_a_real_server_that_nobody_manages_is_its_address(forwarding: str) -> None:
    listed = [{"host": "real1"}, {"address": "192.0.2.50", "weight": 2, "forwarding": forwarding}]
    service = cluster(hosts({"port": 80, "real_servers": listed}), GROUPS)["services"][0]
    found = {"host": "192.0.2.50", "address": "192.0.2.50", "port": 80, "endpoint": "192.0.2.50:80"}
    assert service["real_servers"][1] == {**found, "weight": 2, "forwarding": forwarding}


def test_a_gateway_is_there_for_those_that_nobody_manages() -> None:
    known = hosts({"port": 80, "forwarding": "nat", "real_servers": [{"address": "198.51.100.50"}]})
    for number in (1, 2):
        known[f"dir{number}"]["ha_interfaces"] = {
            "eth0": f"192.0.2.1{number}/24",
            "eth1": f"198.51.100.1{number}/24",
        }
    for variables in known.values():
        variables["ha_gateway_vips"] = ["198.51.100.1"]
    found = cluster(known, {**GROUPS, "real_servers": ["real1"]})
    assert [gateway["address"] for gateway in found["gateways"]] == ["198.51.100.1"]
    assert found["nat_interfaces"] == {"dir1": ["eth1"], "dir2": ["eth1"]}


def test_a_real_server_that_is_neither_host_nor_address_is_left_to_preflight() -> None:
    known = hosts({"port": 80, "real_servers": [{"address": "192.0.2.500"}, {"weight": 2}, {"host": "real1"}]})
    with pytest.raises(ClusterError, match=r"real_servers\[0\].*192\.0\.2\.500"):
        cluster(known, GROUPS)


def test_a_real_server_without_an_address_of_the_family_is_named() -> None:
    with pytest.raises(ClusterError, match=r"real1.*IPv6"):
        cluster(hosts({"vip": "2001:db8::30", "port": 80, "real_servers": [{"host": "real1"}]}), GROUPS)


def test_resources_are_listed_with_their_nodes() -> None:
    text = "# all\nDIR1 IPaddr2::192.0.2.30/24/eth0 \\\n  ldirectord\ndir2 192.0.2.31\n"
    assert haresources(text) == [
        {"node": "dir1", "script": "IPaddr2", "arguments": ["192.0.2.30/24/eth0"]},
        {"node": "dir1", "script": "ldirectord", "arguments": []},
        {"node": "dir2", "script": "IPaddr", "arguments": ["192.0.2.31"]},
    ]


def test_the_table_without_checks_is_what_the_module_takes() -> None:
    found = cluster(
        hosts(
            {"port": 80, "persistence": {"timeout": 60}, "check": {"type": "on"}, "real_servers": [{"host": "real1"}]},
            {
                "vip": None,
                "fwmark": 7,
                "forwarding": "nat",
                "real_servers": [{"host": "real1", "weight": 0, "port": 81}],
            },
        ),
        GROUPS,
    )
    assert ipvs_lines(found["table"]) == [
        "-A -f 7 -s wrr",
        "-a -f 7 -r 192.0.2.21:81 -m -w 0",
        "-A -t 192.0.2.30:80 -s wrr -p 60",
        "-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1",
    ]


def with_both_families(*services: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of services whose real server has both families, as the directors have."""
    known = hosts(*({**service, "real_servers": [{"host": "dir2"}]} for service in services))
    known["dir1"]["ha_interfaces"] = {"eth0": ["192.0.2.11/24", "2001:db8::11/64"]}
    return cluster(known, GROUPS)


def test_a_mark_is_a_service_for_each_family() -> None:
    found = with_both_families(MARK, {"vip": "192.0.2.31", "port": 22})
    assert [line for line in ipvs_lines(found["table"]) if " -f " in line] == [
        "-A -f 7 -s wrr",
        "-a -f 7 -r 192.0.2.12:0 -g -w 1",
        "-A -f 7 -6 -s wrr",
        "-a -f 7 -6 -r [2001:db8::12]:0 -g -w 1",
    ]
    assert [(service["endpoint"], service["family"]) for service in found["services"][:2]] == [("7", 4), ("7", 6)]
    assert [service["vip"] for service in found["services"]] == [None, None, "192.0.2.31"]


def test_the_addresses_of_a_mark_are_held_and_carried() -> None:
    found = with_both_families(MARK)
    assert [vip["address"] for vip in found["vips"]] == MARK["vips"]
    assert [entry["address"] for entry in found["real_server_vips"]["dir2"]] == MARK["vips"]


def test_the_packets_of_a_mark_are_marked() -> None:
    service = {**MARK, "vips": ["192.0.2.30", "2001:db8::30", "192.0.2.33"]}
    tcp, udp, *six = with_both_families(service)["marks"]
    four = {"fwmark": 7, "family": 4, "addresses": ["192.0.2.30", "192.0.2.33"]}
    assert tcp == {**four, "protocol": "tcp", "ports": ["80-99", "443"]}
    assert udp == {**four, "protocol": "udp", "ports": ["53"]}
    assert [(each["family"], each["addresses"]) for each in six] == [(6, ["2001:db8::30"])] * 2
    assert with_both_families({**service, "ports": None})["marks"] == []


def test_clients_connect_to_single_ports_of_tcp() -> None:
    found = with_both_families(MARK, {"vip": "192.0.2.31", "port": 22})
    assert [(door["address"], door["port"]) for door in found["doors"]] == [
        ("192.0.2.30", 443),
        ("2001:db8::30", 443),
        ("192.0.2.31", 22),
    ]


def test_where_checks_on_the_clients_way_ask() -> None:
    check = {"path": "vip", "port": 81}

    def via(service: dict[str, Any], **changes: Any) -> list[list[str]]:
        services = with_both_families({**service, "check": {**check, **changes}})["services"]
        return [each["check"].get("via") for each in services]

    assert via({"vip": "192.0.2.31", "port": 22}) == [["192.0.2.31:22"]]
    assert via({"vip": "2001:db8::31", "port": 22}) == [["[2001:db8::31]:22"]]
    assert via({"vip": "192.0.2.31", "port": 0}) == [["192.0.2.31:81"]]
    both = {**MARK, "vips": ["192.0.2.30", "192.0.2.33", "2001:db8::30"]}
    assert via(both) == [["192.0.2.30:443", "192.0.2.33:443"], ["[2001:db8::30]:443"]]
    assert via({**both, "ports": ["80-99"]}) == [["192.0.2.30:81", "192.0.2.33:81"], ["[2001:db8::30]:81"]]
    assert via(both, path="server") == [None, None]


def behind_nat(gateways: list[str], **service: Any) -> dict[str, Any]:
    """Return the plan of two directors, and two real servers in a network of their own, with both families."""
    inner = {
        name: {"ha_interfaces": {"eth0": f"192.0.2.{number}/24", "eth1": f"198.51.100.{number}/24"}}
        for name, number in (("dir1", 11), ("dir2", 12))
    } | {
        "real1": {"ha_interfaces": {"eth0": "198.51.100.21/24"}},
        "real2": {"ha_interfaces": {"eth0": "192.0.2.22/24"}},
    }
    if any(":" in gateway for gateway in gateways):
        for number, own in enumerate(inner.values()):
            own["ha_interfaces"]["eth1"] = f"2001:db8::{number + 1}/64"
    services = [
        {"name": "a", "vip": "192.0.2.31", "port": 80, "real_servers": [{"host": "real2"}]},
        {"name": "web", "vip": "192.0.2.30", "port": 80, "forwarding": "nat", **service},
    ]
    for own in inner.values():
        own |= {"ha_virtual_services": services, "ha_gateway_vips": gateways}
    return cluster(inner, {"directors": ["dir1", "dir2"], "real_servers": ["real1", "real2"]})


@pytest.mark.parametrize("director", ["dir1", "dir2"])
def test_a_gateway_is_in_the_group_of_its_services_vip(director: str) -> None:
    servers = [{"host": "real1", "port": 8080}]
    plain = behind_nat([], real_servers=servers, preferred_director=director)
    found = behind_nat(["198.51.100.1"], real_servers=servers, preferred_director=director)
    gateway = {"address": "198.51.100.1", "prefix": 24, "interface": "eth1", "node": director}
    assert found["gateways"] == [gateway | {"vips": ["192.0.2.30", "198.51.100.1"]}]
    assert found["vips"] == [*plain["vips"], gateway]
    (group,) = [g["resources"] for g in found["resource_groups"] if "IPaddr2::198.51.100.1/24/eth1" in g["resources"]]
    assert "IPaddr2::192.0.2.30/24/eth0" in group
    assert ("IPaddr2::192.0.2.31/24/eth0" in group) is (director == "dir1")
    assert found["real_server_gateways"] == {"real1": ["198.51.100.1"]}
    assert found["nat_interfaces"] == {"dir1": ["eth1"], "dir2": ["eth1"]}
    # What else follows from the services does not change, the number of the connection sync above all.
    others = set(plain) - {"vips", "gateways", "resource_groups", "real_server_gateways"}
    assert {name: found[name] for name in others} == {name: plain[name] for name in others}
    assert [server["endpoint"] for server in found["services"][1]["real_servers"]] == ["198.51.100.21:8080"]
    assert found["table"][1]["real_servers"][0]["port"] == 8080


@pytest.mark.parametrize(
    ("port", "forwarding", "helper"), [(21, "nat", ["ip_vs_ftp"]), (21, "direct", []), (22, "nat", [])]
)
def test_ftp_through_nat_has_its_helper(port: int, forwarding: str, helper: list[str]) -> None:
    service = {"port": port, "forwarding": forwarding, "check": {"type": "connect"}}
    assert cluster(hosts(service), GROUPS)["modules"] == ["ip_vs", "ip_vs_wrr", *helper]


def test_ftp_by_ipv6_has_the_same_helper() -> None:
    service = {"vip": "2001:db8::30", "port": 21, "check": {"type": "connect"}, "real_servers": [{"host": "real1"}]}
    assert behind_nat(["2001:db8::ff"], **service)["modules"] == ["ip_vs", "ip_vs_wrr", "ip_vs_ftp"]


def test_an_ipv6_gateway_is_held_by_the_script_for_ipv6() -> None:
    found = behind_nat(["2001:db8::ff"], vip="2001:db8::30", real_servers=[{"host": "real1"}])
    assert found["resource_groups"][0]["resources"][0] == f"IPv6addr2::2001:0db8:{'0000:' * 5}00ff/64/eth1"
    assert found["real_server_gateways"] == {"real1": ["2001:db8::ff"]}


@pytest.mark.parametrize("gateway", ["192.0.2.1", "203.0.113.1", "none"])
def test_a_gateway_that_nobody_is_behind_is_named(gateway: str) -> None:
    with pytest.raises(ClusterError, match=rf"ha_gateway_vips\[0\].*{re.escape(gateway)}"):
        behind_nat([gateway], real_servers=[{"host": "real1"}])


def test_without_nat_there_is_nothing_of_it() -> None:
    found = cluster(hosts({"port": 80}), GROUPS)
    assert (found["gateways"], found["real_server_gateways"]) == ([], {})
    assert found["nat_interfaces"] == {"dir1": [], "dir2": []}


def directors_with(**own: Any) -> dict[str, dict[str, Any]]:
    """Return two directors with these interfaces; '#' stands for the director's number."""
    return {
        f"dir{number}": {"ha_interfaces": json.loads(json.dumps(own).replace("#", str(number)))} for number in (1, 2)
    }


@pytest.mark.parametrize("standby", ["hot", "cold"])
@pytest.mark.parametrize("services", [1, 150, 200, 900])
@pytest.mark.parametrize("family", [4, 6])
def test_any_number_of_vips_makes_lines_that_heartbeat_reads(family: int, services: int, standby: str) -> None:
    own = {"eth0": "10.0.0.#/8"} if family == 4 else {"eth0": "2001:db8::#/64"}
    known = directors_with(**own)
    vips = [str(ip_address("10.1.0.0" if family == 4 else "2001:db8::1:0") + number) for number in range(services)]
    entries = [
        {
            "name": f"s{number}",
            "vip": vip,
            "port": 80,
            "real_servers": [],
            "preferred_director": f"dir{number % 3 // 2 + 1}",
        }
        for number, vip in enumerate(vips)
    ]
    for variables in known.values():
        variables |= {"ha_virtual_services": entries, "ha_standby": standby}
    groups = cluster(known, {"directors": ["dir1", "dir2"]})["resource_groups"]
    template = Path(__file__).parents[5] / "roles/heartbeat/templates/haresources.j2"
    text = Template(template.read_text(encoding="utf-8"), trim_blocks=True).render(heartbeat_resource_groups=groups)
    scripts = ("IPaddr2", "IPv6addr2", "ldirectord")
    assert check_haresources(text, ("dir1", "dir2"), scripts=scripts, interfaces=("eth0",)) == []
    found = haresources(text)
    moved = [str(ip_address(each["arguments"][0].split("/")[0])) for each in found if each["arguments"]]
    assert sorted(moved) == sorted(vips)
    # Once a director that has anything, with addresses before it.
    nodes = {each["node"] for each in found}
    assert sorted(each["node"] for each in found if each["script"] == "ldirectord") == (
        sorted(nodes) if standby == "cold" else []
    )
    assert all(group["resources"][0] != "ldirectord" for group in groups)


def test_ipv4_resources_are_spelt_as_they_always_were() -> None:
    """Another spelling would release every address of a running cluster at its upgrade."""
    both = cluster(hosts({"port": 80}), GROUPS)
    assert both["resource_groups"] == [{"node": "dir1", "resources": ["IPaddr2::192.0.2.30/24/eth0"]}]


def test_links_are_ipv4_where_there_is_any() -> None:
    known = directors_with(eth0=["192.0.2.#/24", "2001:db8::#/64"], eth1="2001:db8:1::#/64", eth2="2001:db8:#::1/64")
    found = cluster(known, {"directors": ["dir1", "dir2"], "real_servers": []})
    assert found["links"] == [
        {"type": "ucast", "interface": "eth0", "peers": ["192.0.2.1", "192.0.2.2"]},
        {"type": "ucast", "interface": "eth1", "peers": ["2001:db8:1::1", "2001:db8:1::2"]},
    ]
    assert (found["sync_interface"], found["sync_group"]) == ("eth0", "224.0.0.81")


TWO: dict[str, Any] = {
    "dir1": {"ha_interfaces": {"eth0": "192.0.2.1/24", "eth1": "198.51.100.1/24"}},
    "dir2": {"ha_interfaces": {"eth1": "192.0.2.2/24", "ens4": "198.51.100.2/24"}},
    "real1": {"ha_interfaces": {"eth0": "192.0.2.9/24"}},
}
TWO_GROUPS = {"directors": ["dir1", "dir2"], "real_servers": ["real1"]}


def seen_by(here: str, *vips: str, places: Any = (), **shared: Any) -> dict[str, Any]:
    """Return the plan of two directors that call their interfaces by different names."""
    services = [{"name": f"s{number}", "vip": vip, "port": 80} for number, vip in enumerate(vips)]
    services[-1]["preferred_director"] = "dir2"
    known = {
        host: own | {"ha_virtual_services": services, "ha_vip_places": places} | shared for host, own in TWO.items()
    }
    return plan.cluster(parse(known, TWO_GROUPS, options_of(plan.VARIABLES)), here)


def test_each_director_has_its_own_names_of_interfaces() -> None:
    """One of them is the name of another network on the other director."""
    one, two, real = (seen_by(name, "192.0.2.30", "192.0.2.31") for name in ("dir1", "dir2", "real1"))
    assert real == one
    assert [vip["interface"] for vip in one["vips"]] == ["eth0", "eth0"]
    assert [vip["interface"] for vip in two["vips"]] == ["eth1", "eth1"]
    peers = {"192": ["192.0.2.1", "192.0.2.2"], "198": ["198.51.100.1", "198.51.100.2"]}
    assert [(link["interface"], link["peers"]) for link in one["links"]] == [
        ("eth0", peers["192"]),
        ("eth1", peers["198"]),
    ]
    assert [(link["interface"], link["peers"]) for link in two["links"]] == [
        ("eth1", peers["192"]),
        ("ens4", peers["198"]),
    ]
    assert (one["interfaces"], two["interfaces"]) == (
        {"eth0": "eth1", "eth1": "ens4"},
        {"eth1": "eth0", "ens4": "eth1"},
    )
    assert (one["witnesses"], two["witnesses"]) == ({"eth0": ["192.0.2.9"]}, {"eth1": ["192.0.2.9"]})
    assert (one["sync_interface"], two["sync_interface"]) == ("eth1", "ens4")
    assert one["resource_groups"] == [
        {"node": f"dir{number}", "resources": [f"VIPaddr2::192.0.2.3{number - 1}/24/eth0@dir1,eth1@dir2"]}
        for number in (1, 2)
    ]
    own = {"vips", "links", "interfaces", "witnesses", "sync_interface"}
    assert {name: one[name] for name in set(one) - own} == {name: two[name] for name in set(two) - own}


def test_where_names_agree_every_view_is_the_same() -> None:
    known = hosts({"port": 80})
    views = [plan.cluster(parse(known, GROUPS, options_of(plan.VARIABLES)), here) for here in ("", "dir1", "dir2")]
    assert views == [views[0]] * 3
    assert views[0]["interfaces"] == {}


@pytest.mark.parametrize(
    ("place", "resource"),
    [
        ({"address": "203.0.113.30", "interface": "eth0"}, "VIPaddr2::203.0.113.30/32/eth0@dir1,eth1@dir2"),
        (
            {"address": "203.0.113.30", "interface": "eth1", "prefix": 28},
            "VIPaddr2::203.0.113.30/28/eth1@dir1,ens4@dir2",
        ),
        ({"address": "192.0.2.30", "interface": "eth0"}, "VIPaddr2::192.0.2.30/24/eth0@dir1,eth1@dir2"),
        ({"address": "192.0.2.30", "interface": "eth0", "prefix": 32}, "VIPaddr2::192.0.2.30/32/eth0@dir1,eth1@dir2"),
    ],
)
def test_a_vip_with_a_place_of_its_own(place: dict[str, Any], resource: str) -> None:
    assert seen_by("dir1", place["address"], places=[place])["resource_groups"][0]["resources"] == [resource]


def test_a_place_on_interfaces_of_one_name() -> None:
    known = hosts({"port": 80, "vip": "203.0.113.30"})
    known["dir1"]["ha_vip_places"] = [{"address": "203.0.113.30", "interface": "eth0"}]
    found = cluster(known, GROUPS)
    assert found["vips"] == [{"address": "203.0.113.30", "prefix": 32, "interface": "eth0", "node": "dir1"}]
    assert found["resource_groups"] == [{"node": "dir1", "resources": ["IPaddr2::203.0.113.30/32/eth0"]}]
    known = hosts({"port": 80, "vip": "2001:db8:f::30", "real_servers": [{"host": "dir2"}]})
    known["dir1"]["ha_vip_places"] = [{"address": "2001:db8:f::30", "interface": "eth0"}]
    assert cluster(known, GROUPS)["vips"][0]["prefix"] == 128


def test_a_place_that_a_director_lacks_is_named() -> None:
    with pytest.raises(ClusterError, match=r"203\.0\.113\.30 has no interface of dir2: ha_vip_places\[0\]"):
        seen_by("dir1", "203.0.113.30", places=[{"address": "203.0.113.30", "interface": "eth7"}])


NETS = ("192.0.2", "198.51.100", "203.0.113")


@given(st.permutations(["a", "b", "c"]), st.permutations(["a", "b", "c"]), st.integers(0, 2))
def test_whatever_interfaces_are_called_both_directors_mean_the_same_networks(
    one: list[str], two: list[str], where: int
) -> None:
    """The names tell which interfaces belong together only if they agree."""
    known: dict[str, Any] = {
        host: {"ha_interfaces": {name: f"{net}.{number}/24" for name, net in zip(names, NETS, strict=True)}}
        for number, (host, names) in enumerate((("dir1", one), ("dir2", two)), 1)
    }
    service = {"name": "web", "vip": f"{NETS[where]}.30", "port": 80, "real_servers": []}
    known["dir1"]["ha_virtual_services"] = [service]
    groups = {"directors": ["dir1", "dir2"], "real_servers": []}
    for host, names in (("dir1", one), ("dir2", two)):
        found = plan.cluster(parse(known, groups, options_of(plan.VARIABLES)), host)
        networks = dict(zip(names, NETS, strict=True))
        assert [networks[vip["interface"]] for vip in found["vips"]] == [NETS[where]]
        assert len(found["links"]) == 3
        for link in found["links"]:
            assert all(peer.startswith(f"{networks[link['interface']]}.") for peer in link["peers"])
        assert networks[found["sync_interface"]] != NETS[where]
        resource = found["resource_groups"][0]["resources"][0]
        assert resource.startswith("IPaddr2::" if one[where] == two[where] else "VIPaddr2::")


def test_connections_are_told_where_nobody_else_is() -> None:
    known = directors_with(eth0="192.0.2.#/24", eth1="198.51.100.#/24", eth2="2001:db8:1::#/64")
    known["real1"] = {"ha_interfaces": {"eth0": "198.51.100.9/24"}}
    groups = {"directors": ["dir1", "dir2"], "real_servers": ["real1"]}
    known["dir1"]["ha_virtual_services"] = [{"name": "web", "vip": "192.0.2.30", "port": 80}]
    assert [cluster(known, groups)[name] for name in ("sync_interface", "sync_group")] == ["eth2", "ff02::81"]
    for variables in known.values():
        variables["ha_interfaces"].pop("eth2", None)
    assert cluster(known, groups)["sync_interface"] == "eth1"


def sync_id(vip: str) -> int:
    known = directors_with(eth0=["192.0.2.#/24", "2001:db8::#/64"])
    known["dir1"]["ha_virtual_services"] = [{"name": "web", "vip": vip, "port": 80, "real_servers": []}]
    return int(cluster(known, {"directors": ["dir1", "dir2"]})["sync_id"])


@given(st.sampled_from(["192.0.2.0", "2001:db8::ff00"]), st.integers(1, 254), st.integers(1, 254))
def test_clusters_of_one_network_have_different_sync_ids(network: str, one: int, other: int) -> None:
    first, second = (sync_id(str(ip_address(network) + number)) for number in (one, other))
    assert 1 <= first <= 255
    assert (first == second) == (one == other)


def with_all(known: dict[str, dict[str, Any]], **shared: Any) -> dict[str, dict[str, Any]]:
    """Return the hosts with further variables, the same on all."""
    return {name: {**variables, **shared} for name, variables in known.items()}


WEB = {"port": 80}
ON_REAL1 = {**WEB, "real_servers": [{"host": "real1"}]}


@pytest.mark.parametrize(
    ("null", "absent"),
    [
        ({**WEB, "check": None}, WEB),
        ({**WEB, "check": {"request": None, "type": None}}, WEB),
        ({**WEB, "check": {"request": "/", "receive": None}}, {**WEB, "check": {"request": "/"}}),
        ({**WEB, "persistence": None}, WEB),
        ({**WEB, "persistence": {"timeout": 300, "netmask": None}}, {**WEB, "persistence": {"timeout": 300}}),
        ({**WEB, "real_servers": None}, WEB),
        ({**WEB, "real_servers": [{"host": "real1", "port": None, "weight": None, "forwarding": None}]}, ON_REAL1),
        ({**WEB, "fallback": None}, WEB),
        ({**WEB, "fwmark": None, "protocol": None, "scheduler": None, "forwarding": None}, WEB),
        ({**WEB, "preferred_director": None}, WEB),
        ({"vip": None, "port": None, "fwmark": 7}, {"vip": None, "fwmark": 7}),
    ],
)
def test_null_is_not_given(null: dict[str, Any], absent: dict[str, Any]) -> None:
    assert cluster(hosts(null), GROUPS) == cluster(hosts(absent), GROUPS)


@pytest.mark.parametrize("name", ["heartbeat_profile", "heartbeat_node_name", "ha_checker", "ha_standby"])
def test_a_variable_that_is_null_is_not_given(name: str) -> None:
    assert cluster(with_all(hosts(WEB), **{name: None}), GROUPS) == cluster(hosts(WEB), GROUPS)


def test_templates_see_of_a_check_and_of_persistence_only_what_is_written() -> None:
    """They write each option that is defined: a default in ldirectord.cf would change it on every cluster."""
    check = {"service": "http", "request": None, "port": "8080", "password": None}
    services = cluster(hosts({**WEB, "check": check, "persistence": {"timeout": "60", "netmask": None}}), GROUPS)[
        "services"
    ]
    assert services[0]["check"] == {"service": "http", "port": 8080}
    assert services[0]["persistence"] == {"timeout": 60}
    assert cluster(hosts({**WEB, "check": {"type": "negotiate"}}), GROUPS)["services"][0]["check"] == {
        "type": "negotiate"
    }


def test_a_check_of_sip_names_its_protocol() -> None:
    """ldirectord takes a user of its own for it, but only at the line `service = sip`."""
    wanted = {"port": 5060, "protocol": "udp"}
    checks = [{}, {"service": None}, {"service": "none"}, {"type": "ping"}]
    made = cluster(
        hosts(*({**WEB, **wanted, "vip": f"192.0.2.{30 + n}", "check": c} for n, c in enumerate(checks))), GROUPS
    )
    assert [service["check"] for service in made["services"]] == [
        {"service": "sip"},
        {"service": "sip"},
        {"service": "none"},
        {"type": "ping"},
    ]


@pytest.mark.parametrize("name", NAMED)
def test_the_file_names_the_protocols_that_it_has_to(name: str) -> None:
    made = cluster(hosts({**WEB, "port": SERVICE_PORTS[name], "check": {}}), GROUPS)
    assert made["services"][0]["check"] == {"service": name}


def test_the_words_of_the_mode_are_in_the_plan() -> None:
    made = cluster(hosts(WEB), GROUPS)
    assert (made["checker"], made["standby"]) == ("ldirectord", "hot")
    assert cluster(with_all(hosts(WEB), ha_checker="none"), GROUPS)["checker"] == "none"
    assert cluster(with_all(hosts(WEB), ha_standby="cold"), GROUPS)["standby"] == "cold"
    alone = cluster({"lb1": {}}, {})  # a role by itself
    assert (alone["checker"], alone["standby"]) == ("ldirectord", "hot")


def test_defaults_are_those_of_argument_specs() -> None:
    options = copy.deepcopy(options_of(plan.VARIABLES))
    service = options["ha_virtual_services"]["options"]
    service["scheduler"]["default"], service["protocol"]["default"] = "rr", "udp"
    service["forwarding"]["default"], service["real_servers"]["options"]["weight"]["default"] = "tunnel", 3
    options["heartbeat_profile"]["default"] = "fast"
    options["ha_checker"]["default"], options["ha_standby"]["default"] = "none", "cold"
    made = plan.cluster(parse(hosts(WEB, ON_REAL1), GROUPS, options))
    assert [(each["scheduler"], each["protocol"], each["forwarding"]) for each in made["services"]] == [
        ("rr", "udp", "tunnel")
    ] * 2
    servers = [server for each in made["services"] for server in each["real_servers"]]
    assert {(server["weight"], server["forwarding"]) for server in servers} == {(3, "tunnel")}
    assert made["times"] == plan.PROFILES["fast"]
    assert (made["checker"], made["standby"]) == ("none", "cold")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (hosts({"port": "http"}), "host dir1: ha_virtual_services[0].port = http: must be a whole number"),
        (
            hosts(WEB, {**WEB, "real_servers": [{"host": "real1", "weight": True}]}),
            "host dir1: ha_virtual_services[1].real_servers[0].weight = true: must be a whole number",
        ),
        (hosts({**WEB, "check": {"interval": "5s"}}), "host dir1: ha_virtual_services[0].check.interval = 5s: "),
        (hosts({**WEB, "check": {"password": ["a"]}}), "host dir1: ha_virtual_services[0].check.password = (hidden): "),
        (hosts({**WEB, "chek": {}}), "host dir1: ha_virtual_services[0].chek: there is no such option"),
        (hosts({**WEB, "vip": "192.0.2.300"}), "host dir1: ha_virtual_services[0].vip = 192.0.2.300: is no address"),
        (hosts({**WEB, "vip": None}), "host dir1: ha_virtual_services[0]: has neither vip nor fwmark"),
        (hosts({**MARK, "fwmark": None}), "host dir1: ha_virtual_services[0]: has neither vip nor fwmark"),
        (hosts({**MARK, "vips": ["x"]}), "host dir1: ha_virtual_services[0].vips[0] = x: is no address"),
        (hosts({**MARK, "vips": ["192.0.2.30"], "ports": [0]}), "host dir1: ha_virtual_services[0].ports: must be "),
        (hosts({**WEB, "real_servers": [{"host": "real9"}]}), "host real9: is not in the inventory"),
        (
            hosts({**WEB, "preferred_director": "real1"}),
            "host dir1: ha_virtual_services[0].preferred_director = real1: is no",
        ),
        (with_all(hosts(WEB), ha_virtual_services="web"), "host dir1: ha_virtual_services = (hidden): must be a list"),
        (with_all(hosts(WEB), heartbeat_profile="fats"), "host dir1: heartbeat_profile = fats: must be one of thesis"),
        (with_all(hosts(WEB), ha_standby="Cold"), "host dir1: ha_standby = Cold: must be one of hot, cold; did you"),
        (with_all(hosts(WEB), ha_interfaces={"eth0": None}), "host dir1: ha_interfaces.eth0 = empty: must be an addr"),
        (with_all(hosts(WEB), ha_interfaces=["x"]), "host dir1: ha_interfaces = a list: must be a dictionary"),
    ],
)
def test_what_is_malformed_is_named(known: dict[str, dict[str, Any]], said: str) -> None:
    with pytest.raises(ClusterError) as error:
        cluster(known, GROUPS)
    assert str(error.value).startswith(said)


class Watched(dict[str, Any]):
    """A host's variables that note which of them are looked up."""

    def __init__(self, variables: dict[str, Any]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)


class Hostvars(dict[str, Any]):
    """Hosts with their variables, none of which is a template."""

    raw_get = dict.__getitem__


def test_the_filter_evaluates_what_it_needs_and_nothing_else() -> None:
    known = with_all(hosts(ON_REAL1), heartbeat_node_name=None, heartbeat_profile="fast", coda_realm="{{ nowhere }}")
    everybody = {**known, "client1": known["real1"]}
    hostvars = Hostvars({name: Watched(variables) for name, variables in everybody.items()})
    groups = {**GROUPS, "clients": ["client1"]}
    assert cluster_filter(hostvars, groups) == cluster(known, groups)
    own = {"ha_interfaces", "heartbeat_node_name"}
    assert hostvars["dir1"].asked == own | {"ha_virtual_services", "heartbeat_profile"}
    assert hostvars["dir2"].asked | hostvars["real1"].asked == own
    assert hostvars["client1"].asked == set()


def test_a_vip_that_comes_both_ways_is_where_packets_are_unwrapped() -> None:
    for order in (("tunnel", "direct"), ("direct", "tunnel")):
        services = [{"port": 80 + index, "forwarding": each} for index, each in enumerate(order)]
        found = cluster(hosts(*services), GROUPS)
        assert {name: [vip["forwarding"] for vip in vips] for name, vips in found["real_server_vips"].items()} == {
            name: ["tunnel"] for name in GROUPS["real_servers"]
        }


def test_packets_in_tunnels_come_from_every_address_of_the_directors() -> None:
    found = cluster(hosts({"port": 80}), GROUPS)["tunnel_sources"]
    assert {"192.0.2.11", "192.0.2.12", "2001:db8::12"} <= set(found)  # as the kernel writes them
