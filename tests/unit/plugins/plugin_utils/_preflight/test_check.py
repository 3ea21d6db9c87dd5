"""Whole inventories as plain data: what is found, what is not, and that nothing raises."""

from __future__ import annotations

import copy
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._schema import Unevaluated
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import Finding, check, render, stops, summary
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.checks import _never_matches, _pattern_fault
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import RULES
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.settings import RENAMED

ROOT = Path(__file__).parents[5]
SPECS = {
    path.parts[-3]: yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
}
OPTIONS = {name: option for role in SPECS.values() for name, option in role.items()}
GROUPS = {"directors": ["dir1", "dir2"], "real_servers": ["real1", "real2"], "clients": ["client1"]}
WEB = {
    "name": "web",
    "vip": "198.18.20.30",
    "port": 80,
    "check": {"service": "http", "request": "index.html", "receive": "happy"},
}
ADDRESSES: dict[str, dict[str, Any]] = {
    "dir1": {"eth0": "198.18.20.11/24", "eth1": "198.18.21.11/24"},
    "dir2": {"eth0": "198.18.20.12/24", "eth1": "198.18.21.12/24"},
    "real1": {"eth0": "198.18.20.21/24"},
    "real2": {"eth0": "198.18.20.22/24"},
    "client1": {"eth0": "198.18.20.100/24"},
}
SECRET = "hunter2"
KEY = {"id": 1, "method": "sha1", "secret": "a-long-random-secret"}

Hosts = dict[str, dict[str, Any]]


def inventory(*services: Any, **shared: Any) -> Hosts:
    """Return the quickstart cluster with these services (default: one) and variables on every host."""
    cluster_wide = {"ha_virtual_services": list(services) or [WEB], **shared}
    return {host: {"ha_interfaces": dict(own), **copy.deepcopy(cluster_wide)} for host, own in ADDRESSES.items()}


def web(**changes: Any) -> dict[str, Any]:
    """Return the good service with some keys changed; None removes one."""
    return {key: value for key, value in {**WEB, **changes}.items() if value is not None}


def elsewhere(address: str) -> dict[str, Any]:
    """Return the good service with a real server that nobody manages, and a host."""
    return web(real_servers=[{"address": address}, {"host": "real1"}])


OPEN_SYNC = ("open_sync", "all hosts", "lvs_director_sync_interface")
PEERS = ["198.18.20.11", "198.18.20.12"]


def held(resource: str) -> Hosts:
    return inventory(heartbeat_resource_groups=[{"node": "dir1", "resources": [resource]}])


def checked(**changes: Any) -> dict[str, Any]:
    """Return the good service with its check changed."""
    return web(check={**WEB["check"], **changes})  # type: ignore[dict-item]


VIPS = ("198.18.20.30", "198.18.20.31")
ON_THE_WAY = {**WEB["check"], "path": "vip"}  # type: ignore[dict-item]
SIGNED_ON = {"login": "me", "password": "x"}


def row(database: str) -> dict[str, Any]:
    """Return a check that asks a database for a row."""
    return {**SIGNED_ON, "request": "select 1", "database": database}


def pair(*checks: dict[str, Any]) -> Hosts:
    """Return two services of other VIPs, of the same real servers and port, with these checks."""
    return inventory(*(web(name=n, vip=v, check=c) for n, v, c in zip("ab", VIPS, checks, strict=True)))


def pair_of_servers(one: dict[str, Any], two: dict[str, Any]) -> Hosts:
    """Return two services that ask the same real server, each for a page of its own."""
    services = [
        web(
            name=name,
            vip=vip,
            check={"service": "http", **{key: value for key, value in own.items() if key == "http_method"}},
            real_servers=[{"host": "real1", "request": own["request"]}],
        )
        for name, vip, own in zip("ab", VIPS, (one, two), strict=True)
    ]
    return inventory(*services)


METHODS = ({"http_method": "GET"}, {"http_method": "HEAD"})
NO_PAIRS = (
    ({"service": "http", "connects": 2}, {"service": "http", "http_method": "HEAD"}),
    ({"service": "http", "http_method": "GET"}, {"service": "http"}),
    ({"service": "http", "request": "/alive"}, {"service": "http", "request": "//alive", "http_method": "HEAD"}),
)
PAIRS = (
    (*METHODS, "another request or receive or weight, or both the same http_method"),
    ({"request": "alive"}, {"request": "/alive", "http_method": "HEAD"}, "differ in http_method only"),
    ({"request": "/"}, {"http_method": "HEAD"}, "differ in http_method only"),
    ({"connects": 1}, {"connects": 2}, "differ in connects only"),
    ({"service": "pop", **SIGNED_ON}, {"service": "pop", **SIGNED_ON, "login": "you"}, "another weight, or both"),
    ({"service": "mysql", **row("a")}, {"service": "mysql", **row("b")}, "another request or weight, or both"),
)


def checking(**check: Any) -> dict[str, Any]:
    """Return the good service with another check."""
    return web(check=check)


def keys(*entries: dict[str, Any], active: int = 1) -> dict[str, Any]:
    return {"heartbeat_authkeys": {"active": active, "keys": list(entries)}}


def found(hosts: Hosts, groups: Any = None) -> set[tuple[str, str, str]]:
    findings = check(hosts, GROUPS if groups is None else groups, SPECS)
    return {(finding.rule, finding.host, finding.variable) for finding in findings}


def test_good_inventory() -> None:
    assert check(inventory(), GROUPS, SPECS) == []
    assert not stops([])
    assert render([]) == "Preflight found no mistakes."


def marked(**changes: Any) -> dict[str, Any]:
    """Return the good service with a mark in place of its address and port, and some keys changed."""
    check = {**WEB["check"], "port": 80}  # type: ignore[dict-item]
    return web(**{"vip": None, "port": None, "fwmark": 1, "vips": [VIPS[0]], "ports": [80], "check": check, **changes})


V6 = {"dir1": "2001:db8::11/64", "dir2": "2001:db8::12/64", "real1": "2001:db8::21/64", "real2": "2001:db8::22/64"}


def dual_stack(*services: Any) -> Hosts:
    hosts = inventory(*services)
    for host, address in V6.items():
        hosts[host]["ha_interfaces"]["eth0"] = [hosts[host]["ha_interfaces"]["eth0"], address]
    return hosts


def six_alone() -> Hosts:
    hosts = inventory(web(vip="2001:db8::30"))
    for host, own in {**V6, "client1": "2001:db8::100/64"}.items():
        hosts[host]["ha_interfaces"] = {"eth0": own}
    for number in (1, 2):
        hosts[f"dir{number}"]["ha_interfaces"]["eth1"] = f"2001:db8:1::{number}/64"
    return hosts


SERVERS = [{"host": "real1"}, {"host": "real2"}]
GATEWAY = "198.18.22.1"


def behind_nat(*services: Any, gateways: Any = None, **shared: Any) -> Hosts:
    """Return the quickstart cluster with its real servers in a network of their own."""
    given = {} if gateways is None else {"ha_gateway_vips": gateways}
    hosts = inventory(*services, **given, **shared)
    for number in (1, 2):
        hosts[f"dir{number}"]["ha_interfaces"]["eth2"] = f"198.18.22.{10 + number}/24"
        hosts[f"real{number}"]["ha_interfaces"] = {"eth0": f"198.18.22.{20 + number}/24"}
    # Read on the real servers alone.
    for name in [name for name in shared if name.startswith("real_server_")]:
        for host in set(hosts) - {"real1", "real2"}:
            del hosts[host][name]
    return hosts


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(inventory(web(port="80")), id="port as a string"),
        pytest.param(inventory(web(port=0, persistence={"timeout": 300})), id="every port"),
        pytest.param(inventory(web(fwmark=1, vip=None, port=None)), id="fwmark"),
        pytest.param(inventory(checked(port=8080), web(name="b", port=81, check={"type": "connect"})), id="connect"),
        *(
            pytest.param(inventory(checking(**check)), id=f"check {number}")
            for number, check in enumerate(
                [
                    {"service": "http"},
                    {"service": "http", "http_method": "HEAD"},
                    {"service": "http", "http_method": "HEAD", "receive": ".*"},
                    {"service": "http_proxy", "request": "http://www.example/", "receive": "ok"},
                    {"service": "dns", "request": "www.example", "receive": "192\\.0\\.2"},
                    {"service": "radius", "login": "me", "password": "x", "secret": "y"},
                    {"service": "mysql", "login": "me", "password": "x", "database": "d", "request": "select 1"},
                    {"service": "imaps", "port": 993, "login": "me", "password": "x"},
                    {"service": "ftp", "request": "alive.txt", "receive": "yes"},
                    {"service": "ldap", "request": "dc=example"},
                    {"service": "sip", "login": "me@example"},
                    *({"service": name} for name in ("smtp", "submission", "simpletcp", "ldaps")),
                    *(
                        {"service": "http", "receive": r}
                        for r in ("^ok$", "a$b?", "a?^b", "(a$b|c)", "\\^a\\$b", "[$^]a")
                    ),
                    {"type": "ping"},
                    {"type": "external", "command": "/usr/local/bin/look"},
                ]
            )
        ),
        pytest.param(
            inventory(*(web(name=n, vip=v, port=3306, check=row("a")) for n, v in zip("ab", VIPS, strict=True))),
            id="one check for two services, which is the same",
        ),
        *(pytest.param(pair(one, two), id=f"two checks that are no pair {one}") for one, two in NO_PAIRS),
        pytest.param(
            dual_stack(
                *(web(name=n, vip=v, check=c) for n, v, c in zip("ab", (VIPS[0], "2001:db8::30"), METHODS, strict=True))
            ),
            id="two checks of two families",
        ),
        pytest.param(inventory(checked(connects=3)), id="connects between two checks"),
        pytest.param(inventory(checking(service="nntp"), ha_detection_budget=0), id="no time limit, and no bound"),
        pytest.param(inventory(checking(type="ping", pings=3)), id="pings"),
        pytest.param(inventory(checked(receive='a", "b')), id="quotes in the check of all"),
        pytest.param(inventory(web(protocol="udp", check={"type": "connect", "pings": 3})), id="pings by udp"),
        *(
            pytest.param(
                inventory(web(real_servers=[{"host": "real1", **texts}, {"host": "real2"}])), id=f"own {texts}"
            )
            for texts in (
                {"request": "a"},
                {"receive": "b"},
                {"request": 'say "a", "b"', "receive": '"'},
                {"request": "a?b=http", "receive": 'a "b"c", d'},
            )
        ),
        pytest.param(
            inventory(
                web(
                    check={"service": "dns"},
                    real_servers=[{**one, "request": "www.example", "receive": "192.0.2"} for one in SERVERS],
                )
            ),
            id="what a check needs, from each real server",
        ),
        pytest.param(
            pair_of_servers({"request": "a"}, {"request": "b", "http_method": "HEAD"}),
            id="two checks of the same real server that differ in its own request",
        ),
        pytest.param(inventory(checked(connects=3, type="negotiate")), id="connects, and its type"),
        pytest.param(inventory(web(port=143, check=SIGNED_ON)), id="imap at its port"),
        pytest.param(
            inventory(web(port=1143, check={**SIGNED_ON, "service": "imap", "port": 143})), id="imap checked at it"
        ),
        pytest.param(
            behind_nat(
                web(
                    forwarding="nat",
                    check={**SIGNED_ON, "service": "imaps"},
                    real_servers=[{"host": "real1", "port": 993}],
                ),
                gateways=[GATEWAY],
            ),
            id="imaps at its port behind another",
        ),
        pytest.param(inventory(checking(service="simpletcp", request="hi\\n", receive="x")), id="a line break"),
        pytest.param(inventory(checking(service="ldap", receive=".*")), id="the root of a directory"),
        pytest.param(inventory(checked(receive='<a href="x">')), id="a double quote is fine in ldirectord.cf"),
        pytest.param(inventory(web(fallback="127.0.0.1:80")), id="fallback"),
        *(
            pytest.param(inventory(web(minimum_alive=text)), id=f"a minimum of {text}")
            for text in ("0", 1, 2, "1%", "50%", "100%", None)
        ),
        pytest.param(
            inventory(web(fallback="127.0.0.1:80", minimum_alive=0), ha_minimum_alive=1),
            id="a fallback, without a minimum",
        ),
        pytest.param(inventory(lvs_director_guard=False), id="no guard, without a minimum"),
        pytest.param(inventory(web(fallback="198.18.20.21")), id="a fallback that carries the VIP"),
        pytest.param(inventory(web(fallback="198.18.20.99:80")), id="a fallback that is not in the inventory"),
        *(
            pytest.param(inventory(checking(**check)), id=f"unusual check {number}")
            for number, check in enumerate(
                [
                    {"type": "external", "command": "/opt/my checks/look"},
                    {"service": "http", "virtualhost": "www.example.com:8080"},
                    {"service": "https", "virtualhost": "[2001:db8::1]"},
                    {"service": "dns", "request": "192.0.2.1", "receive": "www.example.com"},
                    {"service": "dns", "request": "www.example.com", "receive": "^\\d+"},
                    {"service": "http_proxy", "request": "/http://www.example.com/"},
                    {"service": "http", "receive": "(a)\\1"},
                    {"type": "connect", "port": 8080},
                ]
            )
        ),
        pytest.param(
            inventory(web(protocol="sctp", check=None), ha_checker="none", ha_acknowledged=["unwatched_table"]),
            id="sctp, without ldirectord and its checks",
        ),
        pytest.param(
            inventory(web(vip=None, port=None, fwmark=1, protocol="sctp")), id="a mark, whatever the protocol"
        ),
        pytest.param(
            inventory(marked(), web(name="b", port=81)), id="a mark of an address and ports, and another port of it"
        ),
        pytest.param(inventory(marked(ports=None), web(name="b")), id="a mark that somebody else sets"),
        pytest.param(
            dual_stack(marked(vips=["198.18.20.30", "2001:db8::30"], ports=[80, "443", "10-20/udp", "80"])),
            id="a mark of both families",
        ),
        pytest.param(
            dual_stack(marked(fallback="127.0.0.1"), marked(name="six", vips=["2001:db8::30"], fallback="[::1]")),
            id="one mark, a service for each family",
        ),
        pytest.param(
            dual_stack(marked(vips=["2001:db8::30"], protocol="udp", check={"type": "connect", "port": 80})),
            id="UDP by a mark, checked by TCP",
        ),
        pytest.param(inventory(marked(forwarding="tunnel", vips=[*VIPS])), id="a mark of one family in tunnels"),
        pytest.param(six_alone(), id="IPv6 alone"),
        pytest.param(
            inventory(
                ha_standby="cold",
                heartbeat_resource_groups=[
                    {"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0"]},
                    {"node": "dir1", "resources": ["Delay::1", "ldirectord"]},
                ],
            ),
            id="several lines of one director",
        ),
        pytest.param(dual_stack(web(vip="2001:db8::30", fallback="[::1]:80"), web(name="b")), id="IPv6 beside IPv4"),
        pytest.param(
            behind_nat(web(forwarding="nat", real_servers=[{"host": "real1", "port": 8080}]), gateways=[GATEWAY]),
            id="nat",
        ),
        pytest.param(
            behind_nat(
                web(forwarding="nat", real_servers=[{"host": "real1", "port": p} for p in (81, 82)]), gateways=[GATEWAY]
            ),
            id="nat, ports",
        ),
        pytest.param(
            behind_nat(
                web(forwarding="nat"),
                gateways=[GATEWAY],
                heartbeat_resource_groups=[
                    {"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0", "IPaddr2::198.18.22.1/24/eth2"]}
                ],
            ),
            id="nat, groups by hand",
        ),
        pytest.param(
            behind_nat(
                web(forwarding="nat"),
                heartbeat_resource_groups=[
                    {"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0", "IPaddr2::198.18.22.9/24/eth2"]}
                ],
            ),
            id="nat, a gateway in groups by hand alone",
        ),
        pytest.param(
            behind_nat(
                web(forwarding="nat", port=21, check={"type": "connect"}),
                gateways=[GATEWAY],
                lvs_director_modules=["ip_vs", "ip_vs_wrr", "ip_vs_ftp"],
            ),
            id="nat, ftp with its helper",
        ),
        pytest.param(
            behind_nat(web(forwarding="nat", port=21, check={"type": "connect"}), gateways=[GATEWAY]),
            id="nat, ftp with the helper that the role loads",
        ),
        pytest.param(
            behind_nat(
                web(forwarding="nat", real_servers=[{"host": "real1"}]),
                web(name="b", vip="198.18.20.31", real_servers=[{"host": "real2"}], preferred_director="dir2"),
                gateways=[GATEWAY],
                ha_acknowledged=["vip_off_link"],
            ),
            id="nat and direct, each real server one",
        ),
        pytest.param(
            behind_nat(web(forwarding="nat"), gateways=[GATEWAY], real_server_default_route=True),
            id="nat, the role sets the default route",
        ),
        pytest.param(
            behind_nat(web(forwarding="nat"), gateways=[GATEWAY], lvs_director_masquerade=True),
            id="nat, with a way out for the real servers",
        ),
        pytest.param(inventory(web(preferred_director="dir2"), web(name="b", vip="198.18.20.31")), id="active/active"),
        pytest.param(inventory(**keys(KEY, {"id": 2, "method": "crc"})), id="an inactive crc key"),
        pytest.param(inventory(heartbeat_keepalive=1, heartbeat_warntime="1500ms", heartbeat_deadtime=2.5), id="times"),
        pytest.param(inventory(heartbeat_ping=["198.18.20.1", "2001:db8::1"], heartbeat_ipfail=True), id="ipfail"),
        pytest.param(held("IPaddr2::198.18.20.30/24/eth0:vip/198.18.20.255"), id="label and broadcast address"),
        pytest.param(
            inventory(
                heartbeat_ping=["198.18.20.1"],
                heartbeat_ping_group=[{"name": "routers", "addresses": ["198.18.20.2", "198.18.20.3"]}],
            ),
            id="ping groups",
        ),
        pytest.param(
            inventory(heartbeat_ipfail=True, heartbeat_ping_group=[{"name": "routers", "addresses": ["198.18.20.2"]}]),
            id="ipfail with a group",
        ),
        pytest.param(
            inventory(
                heartbeat_stonith=[
                    {"host": "DIR1", "type": "apcmaster", "parameters": "192.0.2.9 admin a-long-secret"},
                    {"host": "dir2", "type": "external/ipmi", "parameters": "dir1 192.0.2.9 admin a-long-secret lan"},
                ]
            ),
            id="fencing",
        ),
        pytest.param(inventory(heartbeat_watchdog="/dev/watchdog0", heartbeat_watchdog_softdog=True), id="watchdog"),
        pytest.param(inventory(ha_acknowledged=["late_heartbeats"]), id="what the role finds"),
        pytest.param(inventory(ha_absent=["dir2", "real1"]), id="half of it is down"),
        pytest.param(
            inventory(heartbeat_links=[{"type": "bcast", "interface": name} for name in ("eth0", "eth1")]),
            id="two ways",
        ),
        pytest.param(
            inventory(
                heartbeat_links=[
                    {"type": "ucast", "interface": "eth0"},
                    {"type": "ucast", "interface": "eth1", "peers": ["198.18.21.11", "198.18.21.12"]},
                    {"type": "mcast", "interface": "eth1", "group": "239.0.0.1", "ttl": 1},
                    {"type": "mcast", "interface": "eth1", "group": "ff02::694", "ttl": 1},
                    {"type": "bcast", "interface": "eth1"},
                    {"type": "serial", "device": "/dev/ttyS0"},
                ]
            ),
            id="links",
        ),
        pytest.param(
            inventory(heartbeat_resource_groups=[{"node": "DIR1", "resources": ["IPaddr2::198.18.20.30/24/eth0"]}]),
            id="resource group, upper case",
        ),
        pytest.param(inventory(hadoop=1, ha_proxy_mode="x", other={"a": 1}), id="other people's variables"),
        pytest.param(inventory(heartbeat_authkeys={}), id="no keys"),
    ],
)
def test_good_variations(hosts: Hosts) -> None:
    assert [finding for finding in check(hosts, GROUPS, SPECS) if finding.severity != "acknowledged"] == []


S = "ha_virtual_services"
GROUP = {"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0"]}
MAIL = {"node": "dir2", "resources": ["MailTo::root"]}
TAKEN = {"node": "dir2", "resources": ["MailTo::root", "IPaddr2::198.18.20.30/24/eth0"]}
EMPTY = {"node": "dir2", "resources": []}


def link(**fields: Any) -> Hosts:
    return inventory(heartbeat_links=[fields, {"type": "serial", "device": "/dev/ttyS0"}])


def fencing(**changes: Any) -> dict[str, Any]:
    """Return a good fencing device with some keys changed."""
    return {"host": "*", "type": "external/ipmi", "parameters": "dir2 192.0.2.9 admin a-long-secret lan", **changes}


def pinging(*groups: tuple[str, list[str]]) -> list[dict[str, Any]]:
    return [{"name": name, "addresses": addresses} for name, addresses in groups]


def serving(*entries: dict[str, Any], **changes: Any) -> Hosts:
    return inventory(web(real_servers=list(entries), **changes))


def asking(*entries: dict[str, Any], **check: Any) -> Hosts:
    """Return a good service of another check with these real servers."""
    return inventory(web(real_servers=list(entries), check=check))


def resources(*names: str, node: str = "dir1") -> Hosts:
    """Return an inventory with one group of resources, to which the VIP belongs."""
    return inventory(heartbeat_resource_groups=[{"node": node, "resources": [*names, *GROUP["resources"]]}])


def times(keepalive: str, warntime: str, deadtime: str, initdead: str = "30") -> Hosts:
    given = {"keepalive": keepalive, "warntime": warntime, "deadtime": deadtime, "initdead": initdead}
    return inventory(**{f"heartbeat_{name}": value for name, value in given.items()})


def persistent(netmask: object) -> dict[str, Any]:
    return {"timeout": 300, "netmask": netmask}


def static(weight: int = 1, **changes: Any) -> Hosts:
    """Return an inventory with a table of its own."""
    server = {"address": "198.18.20.21", "weight": weight}
    service = {"vip": "198.18.20.30", "port": 80, "real_servers": [server], **changes}
    return inventory(ha_checker="none", lvs_director_table=[service])


STATIC = {"ha_checker": "none", "ha_acknowledged": ["unwatched_table"]}


def changed_networks(vip: str) -> Hosts:
    """Return an inventory with this VIP, and a network on all hosts that it is in."""
    hosts = inventory(web(vip=vip))
    for number, host in enumerate(hosts.values(), start=11):
        address = ip_address(vip)
        own = ip_interface((address + number, 24 if address.version == 4 else 64))
        host["ha_interfaces"]["eth0"] = [host["ha_interfaces"]["eth0"], str(own)]
    return hosts


@pytest.mark.parametrize(
    ("rule", "variable", "hosts"),
    [
        ("no_services", S, inventory(ha_virtual_services=[])),
        ("bad_service_name", f"{S}[0].name", inventory(web(name="a/b"))),
        ("duplicate_service_name", f"{S}[1].name", inventory(WEB, web(port=8080, check={"type": "connect"}))),
        ("vip_or_fwmark", f"{S}[0]", inventory(web(vip=None))),
        ("vip_or_fwmark", f"{S}[0]", inventory(web(fwmark=1))),
        ("missing_port", f"{S}[0].port", inventory(web(port=None))),
        ("port_zero", f"{S}[0].port", inventory(web(port=0))),
        ("out_of_range", f"{S}[0].port", inventory(web(port=65536))),
        ("out_of_range", f"{S}[0].fwmark", inventory(web(vip=None, port=None, fwmark=2**32))),
        ("out_of_range", f"{S}[0].persistence.timeout", inventory(web(persistence={"timeout": 2678401}))),
        ("out_of_range", f"{S}[0].real_servers[0].weight", serving({"host": "real1", "weight": -1})),
        ("out_of_range", f"{S}[0].check.negotiate_timeout", inventory(checked(negotiate_timeout=3601))),
        ("out_of_range", "ldirectord_check_interval", inventory(ldirectord_check_interval=0)),
        ("out_of_range", "heartbeat_udp_port", inventory(heartbeat_udp_port=70000)),
        ("duplicate_service", f"{S}[1]", inventory(WEB, web(name="b", vip="198.18.20.30"))),
        ("duplicate_service", f"{S}[1]", inventory(*(web(name=n, vip=None, port=None, fwmark=1) for n in "ab"))),
        ("unsupported_protocol", f"{S}[0].protocol", inventory(web(protocol="sctp"))),
        ("bad_vip", f"{S}[0].vip", inventory(web(vip="198.18.20.30/24"))),
        ("unusable_vip", f"{S}[0].vip", inventory(web(vip="198.18.20.0"))),
        ("unusable_vip", f"{S}[0].vip", inventory(web(vip="198.18.20.255"))),
        ("vip_is_host_address", f"{S}[0].vip", inventory(web(vip="198.18.20.100"))),
        ("vip_in_no_network", f"{S}[0].vip", inventory(web(vip="198.18.30.1"))),
        ("hash_without_fallback", f"{S}[0].scheduler", inventory(web(scheduler="sh"))),
        ("hash_without_fallback", f"{S}[0].scheduler", inventory(web(scheduler="mh", scheduler_flags=["mh-port"]))),
        ("hash_without_fallback", f"{S}[0].scheduler", inventory(web(scheduler="dh"))),
        ("bad_scheduler_flags", f"{S}[0].scheduler_flags[0]", inventory(web(scheduler_flags=["sh-port"]))),
        ("bad_scheduler_flags", f"{S}[0].one_packet", inventory(web(one_packet=True))),
        ("bad_real_server", f"{S}[0].real_servers[0]", inventory(web(real_servers=[{"weight": 2}, {"host": "real1"}]))),
        (
            "bad_real_server",
            f"{S}[0].real_servers[0].address",
            inventory(web(real_servers=[{"host": "real1", "address": "198.18.20.50"}])),
        ),
        ("bad_real_server", f"{S}[0].real_servers[0].address", inventory(elsewhere("198.18.20.500"))),
        ("bad_real_server", f"{S}[0].real_servers[0].address", inventory(elsewhere("198.18.20.50/24"))),
        ("bad_real_server", f"{S}[0].real_servers[0].address", inventory(elsewhere("198.18.20.21"))),
        ("bad_real_server", f"{S}[0].real_servers[0].address", inventory(elsewhere("198.18.20.30"))),
        ("bad_real_server", f"{S}[0].real_servers[0].address", inventory(elsewhere("127.0.0.1"))),
        ("bad_real_server", f"{S}[0].real_servers[0].address", inventory(elsewhere("fd00:18:20::50"))),
        (
            "duplicate_real_server",
            f"{S}[0].real_servers[1].address",
            inventory(web(real_servers=[{"address": "198.18.20.50"}, {"address": "198.18.20.50"}])),
        ),
        ("vip_off_link", f"{S}[0].vip", inventory(web(vip="198.18.21.30"))),
        (
            "vip_on_two_directors",
            f"{S}[1].preferred_director",
            inventory(WEB, web(name="b", port=443, preferred_director="dir2")),
        ),
        (
            "ldirectord_on_two_directors",
            "ha_standby",
            inventory(
                WEB,
                web(name="b", vip="198.18.20.31", preferred_director="dir2"),
                ha_standby="cold",
            ),
        ),
        ("unwatched_table", "ha_checker", inventory(ha_checker="none")),
        (
            "static_and_managed",
            "ha_standby",
            inventory(ha_checker="none", ha_standby="cold"),
        ),
        ("unknown_director", f"{S}[0].preferred_director", inventory(web(preferred_director="real1"))),
        ("unknown_real_server", f"{S}[0].real_servers[0].host", serving({"host": "reel1"})),
        ("unknown_real_server", f"{S}[0].real_servers[0].host", serving({"host": "client1"})),
        ("duplicate_real_server", f"{S}[0].real_servers[1].host", serving({"host": "real1"}, {"host": "real1"})),
        ("port_mapping", f"{S}[0].real_servers[0].port", serving({"host": "real1", "port": 81}, forwarding="tunnel")),
        ("no_weight", f"{S}[0].real_servers", serving({"host": "real1", "weight": 0})),
        ("bad_netmask", f"{S}[0].persistence.netmask", inventory(web(persistence=persistent("24")))),
        (
            "bad_netmask",
            f"{S}[0].persistence.netmask",
            dual_stack(web(vip="2001:db8::30", persistence=persistent(129))),
        ),
        *(
            ("bad_minimum", f"{S}[0].minimum_alive", inventory(web(minimum_alive=text)))
            for text in ("0%", "101%", "-1", "3", "50 %", "1.5", 0.5, "two", "%", "02", "")
        ),
        *(("bad_minimum", "ha_minimum_alive", inventory(ha_minimum_alive=text)) for text in ("50.0%", 3)),
        ("bad_minimum", f"{S}[0].minimum_alive", inventory(web(minimum_alive="none"), ha_minimum_alive=1)),
        ("bad_minimum", "ha_minimum_alive", inventory(web(real_servers=[{"host": "real1"}]), ha_minimum_alive=2)),
        (
            "bad_minimum",
            f"{S}[0].minimum_alive",
            dual_stack(marked(vips=[VIPS[0], "2001:db8::30"], minimum_alive=3)),
        ),
        ("minimum_conflict", f"{S}[0].fallback", inventory(web(fallback="127.0.0.1:80", minimum_alive=1))),
        ("minimum_conflict", f"{S}[0].fallback", inventory(web(fallback="127.0.0.1:80"), ha_minimum_alive="50%")),
        (
            "bad_minimum",
            f"{S}[0].minimum_alive",
            serving({"host": "real1"}, {"host": "real2", "weight": 0}, minimum_alive=2),
        ),
        ("bad_fallback", f"{S}[0].fallback", inventory(web(fallback="127.0.0.1:0"))),
        ("bad_fallback", f"{S}[0].fallback", inventory(web(fallback="[::1]:80"))),
        *(
            ("bad_fallback", f"{S}[0].fallback", inventory(web(fallback=text)))
            for text in ("198.18.20.255", "198.18.20.0:80", "198.18.20.12", "[198.18.20.21]:80")
        ),
        (
            "check_never_passes",
            f"{S}[0].check.receive",
            inventory(checking(service="dns", request="www.example.com", receive="www.example.com")),
        ),
        *(
            ("check_never_passes", f"{S}[0].check.virtualhost", inventory(checked(virtualhost=text)))
            for text in ("http://www.example.com", "www.example.com/a", "a b", "")
        ),
        ("bad_check_text", f"{S}[0].check.command", inventory(checking(type="external", command="/x\n"))),
        ("check_checks_nothing", f"{S}[0].check.command", inventory(checking(type="external", command="/bin/true"))),
        (
            "check_checks_nothing",
            f"{S}[0].check.request",
            inventory(checking(service="http_proxy", request="https://www.example.com/")),
        ),
        *(("bad_check_pattern", f"{S}[0].check.receive", inventory(checked(receive=p))) for p in ("\\1", "(?P<x")),
        ("not_read", f"{S}[0].check.receive", inventory(checking(type="connect", receive="happy"))),
        ("not_read", "lvs_director_timeouts", inventory(lvs_director_timeouts={"tcp": 900})),
        (
            "not_read",
            "lvs_director_table",
            inventory(lvs_director_table=static()["dir1"]["lvs_director_table"]),
        ),
        ("bad_word", "lvs_director_modules[0]", inventory(lvs_director_modules=["-r"])),
        *(
            ("bad_word", "lvs_director_disabled_units[0]", inventory(lvs_director_disabled_units=[text]))
            for text in ("-H", "heartbeat", "heartbeat.service")
        ),
        *(
            (
                "bad_word",
                "lvs_director_sysctls.net.ipv4.vs.conntrack",
                inventory(lvs_director_sysctls={"net.ipv4.vs.conntrack": value}),
            )
            for value in (True, None, [1], {"a": 1}, "")
        ),
        ("bad_log", "ldirectord_log", inventory(ldirectord_log="/var/log/")),
        ("ping_own_address", "heartbeat_ping[0]", inventory(heartbeat_ping=["127.0.0.1"])),
        *(
            ("bad_ping", "heartbeat_ping[0]", inventory(heartbeat_ping=[text]))
            for text in ("0.0.0.0", "224.0.0.1", "198.18.20.255")
        ),
        ("bad_ping", "heartbeat_ping[1]", inventory(heartbeat_ping=["2001:DB8::1", "2001:db8::1"])),
        ("bad_watchdog", "heartbeat_watchdog", inventory(heartbeat_watchdog="/dev/watchdog x")),
        (
            "bad_link",
            "heartbeat_links[0].device",
            inventory(
                heartbeat_links=[{"type": "serial", "device": "/dev/tty S0"}, {"type": "bcast", "interface": "eth1"}]
            ),
        ),
        (
            "wrong_choice",
            "heartbeat_links[0].type",
            inventory(heartbeat_links=[{"type": "udp", "interface": "eth0"}, {"type": "bcast", "interface": "eth1"}]),
        ),
        ("time_order", "heartbeat_warntime", inventory(heartbeat_keepalive="200")),
        ("time_order", "heartbeat_deadtime", inventory(heartbeat_deadtime="1")),
        ("unknown_option", "heartbeat_authkeys.secret", inventory(heartbeat_authkeys={"secret": SECRET})),
        ("unknown_option", f"{S}[0].real_servers[0].name", serving({"name": "real1"})),
        ("bad_resource", "heartbeat_resource_groups[0].resources[0]", held("IPaddr2::198.18.20.30/24/eth1")),
        ("bad_resource", "heartbeat_resource_groups[0].resources[0]", resources("IPaddr2::198.18.21.11/24/eth1")),
        (
            "wrong_family",
            f"{S}[0].real_servers[0]",
            dual_stack(web(vip="2001:db8::30", real_servers=[{"host": "client1"}])),
        ),
        ("missing_check_port", f"{S}[0].check.port", inventory(web(vip=None, port=None, fwmark=1, check={}))),
        (
            "missing_check_port",
            f"{S}[0].check.port",
            inventory(web(port=0, persistence={"timeout": 1}, check={"type": "connect"})),
        ),
        ("check_checks_nothing", f"{S}[0].check.service", inventory(web(port=8080, check={}))),
        ("check_checks_nothing", f"{S}[0].check.service", inventory(checked(service="none"))),
        ("check_checks_nothing", f"{S}[0].check.type", inventory(checked(type="on"))),
        ("missing_check_command", f"{S}[0].check.command", inventory(checked(type="external-perl"))),
        *(
            ("missing_check_command", f"{S}[0].check.command", inventory(checked(type="external", command=text)))
            for text in ("bin/x", "/usr/local/bin/", "/")
        ),
        *(
            ("check_path_unusable", f"{S}[0].check.path", inventory(service))
            for service in (
                checking(path="vip", type="ping"),
                checking(path="vip", type="external", command="/usr/local/bin/look"),
                checked(path="vip", connects=2),
                web(protocol="udp", port=5060, check={"path": "vip", "service": "sip"}),
                web(port=0, persistence={"timeout": 300}, check={"path": "vip", "service": "http"}),
                marked(ports=["80/udp"], check={**ON_THE_WAY, "port": 80}),
                marked(ports=["80-90"], check={**ON_THE_WAY, "port": None}),
                marked(ports=["80", "80-90"], check={**ON_THE_WAY, "port": None}),
                marked(vips=None, ports=None, check={**ON_THE_WAY, "port": 80}),
            )
        ),
        ("bad_ports", f"{S}[0].ports[0]", inventory(marked(ports=["x"], check={**ON_THE_WAY, "port": 80}))),
        ("bad_check_text", f"{S}[0].check.request", inventory(checked(request="a#b"))),
        ("bad_check_text", f"{S}[0].check.receive", inventory(checked(receive="a\nb"))),
        ("bad_check_text", f"{S}[0].check.request", inventory(checked(request=""))),
        ("bad_check_text", f"{S}[0].check.virtualhost", inventory(checked(virtualhost='a"b'))),
        ("bad_check_pattern", f"{S}[0].check.receive", inventory(checked(receive="[a"))),
        *(("bad_check_pattern", f"{S}[0].check.receive", inventory(checked(receive=p))) for p in ("[z-a]", "ok+++")),
        ("bad_mark", f"{S}[0].vips", inventory(web(vips=[VIPS[1]]))),
        ("bad_mark", f"{S}[0].ports", inventory(web(ports=[80]))),
        ("bad_mark", f"{S}[0].vips", inventory(marked(vips=None))),
        ("bad_mark", f"{S}[0].vips[1]", inventory(marked(vips=[VIPS[0]] * 2))),
        *(
            ("bad_ports", f"{S}[0].ports[1]", inventory(marked(ports=[80, text])))
            for text in (0, 65536, "90-80", "80,443", "http", "53/icmp", "-80", "")
        ),
        ("missing_check_port", f"{S}[0].check.port", inventory(marked(check={"type": "connect"}))),
        ("vip_or_fwmark", f"{S}[0]", inventory(marked(vip="198.18.20.33", port=80))),
        ("bad_vip", f"{S}[0].vips[1]", inventory(marked(vips=[VIPS[0], "198.18.20.300"]))),
        ("unusable_vip", f"{S}[0].vips[1]", inventory(marked(vips=[VIPS[0], "198.18.20.255"]))),
        ("vip_is_host_address", f"{S}[0].vips[0]", inventory(marked(vips=["198.18.20.21"]))),
        ("vip_in_no_network", f"{S}[0].vips[1]", inventory(marked(vips=[VIPS[0], "192.0.2.30"]))),
        ("marked_twice", f"{S}[1].port", inventory(marked(), web(name="b"))),
        ("marked_twice", f"{S}[1].ports", inventory(web(name="b"), marked(ports=["70-90"], vips=[VIPS[1], VIPS[0]]))),
        ("marked_twice", f"{S}[1].ports", inventory(marked(), marked(name="b", fwmark=2, ports=["80/tcp", "81/udp"]))),
        ("duplicate_service", f"{S}[1]", inventory(marked(), marked(name="b", vips=[VIPS[1]]))),
        (
            "mark_in_tunnels",
            f"{S}[0].fwmark",
            dual_stack(marked(vips=["2001:db8::30"], forwarding="tunnel"), marked(name="b")),
        ),
        ("bad_fallback", f"{S}[0].fallback", dual_stack(marked(vips=[VIPS[0], "2001:db8::30"], fallback="127.0.0.1"))),
        ("interval_without_fork", f"{S}[0].check.interval", inventory(checked(interval=2))),
        *(
            (rule, f"{S}[0].real_servers[0].{name}", serving({"host": "real1", name: text}))
            for rule, name, text in (
                ("bad_check_text", "request", "a#b"),
                ("bad_check_text", "request", ""),
                ("bad_check_text", "request", "a\nb"),
                ("bad_check_text", "receive", "a\tb"),
                ("bad_check_text", "receive", 'a", "b'),
                ("bad_check_text", "receive", 'a" "b'),
                ("bad_check_text", "receive", ',"b'),
                ("bad_check_text", "receive", ' "b'),
                ("bad_check_pattern", "receive", "[a"),
                ("check_never_passes", "receive", "a$b"),
                ("check_never_passes", "request", "http://198.18.20.21/"),
                ("check_never_passes", "request", "to?page=http://198.18.20.21/"),
                ("check_never_passes", "request", "//two"),
            )
        ),
        (
            "bad_check_text",
            f"{S}[0].check.receive",
            asking({"host": "real1", "request": "a"}, service="http", receive='a", "b'),
        ),
        *(
            ("not_read", f"{S}[0].real_servers[0].{name}", asking({"host": "real1", name: "x"}, **check))
            for name, check in (
                ("request", {"service": "smtp"}),
                ("receive", {"type": "connect"}),
                ("request", {"type": "external", "command": "/usr/local/bin/look"}),
            )
        ),
        (
            "check_never_passes",
            f"{S}[0].check.receive",
            asking({"host": "real1", "request": "www.example"}, service="dns"),
        ),
        ("check_shared", f"{S}[1].check", pair_of_servers({"request": "a"}, {"request": "/a", "http_method": "HEAD"})),
        *(
            ("not_read", f"{S}[0].check.pings", inventory(checking(pings=2, **check)))
            for check in (
                {"service": "http"},
                {"type": "connect"},
                {"type": "external", "command": "/usr/local/bin/look"},
            )
        ),
        ("out_of_range", f"{S}[0].check.pings", inventory(checking(type="ping", pings=0))),
        ("out_of_range", "ha_detection_budget", inventory(ha_detection_budget=-1)),
        ("slow_detection", "ha_detection_budget", inventory(checking(service="nntp"))),
        ("slow_detection", "ha_detection_budget", inventory(ha_detection_budget=5)),
        (
            "check_shared",
            f"{S}[1].check",
            inventory(*(web(name=n, vip=vip, port=3306, check=row(n)) for n, vip in zip("ab", VIPS, strict=True))),
        ),
        (
            "check_waits_for_ever",
            f"{S}[0].check.service",
            inventory(web(port=110, check=SIGNED_ON), web(name="b", port=81, check={"type": "connect"})),
        ),
        *(
            ("connects_without_negotiate", f"{S}[0].check.connects", inventory(checking(connects=2, **check)))
            for check in ({"type": "connect"}, {"type": "external", "command": "/usr/local/bin/look"})
        ),
        *(
            ("check_never_passes", f"{S}[0].check.port", inventory(web(port=port, check={**SIGNED_ON, **check})))
            for port, check in (
                (143, {"port": 1143}),
                (1143, {"service": "imap"}),
                (993, {"port": 143}),
                (143, {"service": "imaps"}),
            )
        ),
        (
            "check_never_passes",
            f"{S}[0].check.port",
            behind_nat(
                web(forwarding="nat", port=143, check=SIGNED_ON, real_servers=[{"host": "real1", "port": 1143}]),
                gateways=[GATEWAY],
            ),
        ),
        (
            "check_never_passes",
            f"{S}[0].check.database",
            inventory(checking(service="pgsql", login="me", request="select 1")),
        ),
        ("not_read", f"{S}[0].check.receive", inventory(checking(service="smtp", receive="220"))),
        ("not_read", f"{S}[0].check.secret", inventory(checked(secret="x"))),
        ("check_never_passes", f"{S}[0].check.request", inventory(checking(service="ldap", receive="^cn=x"))),
        ("check_never_passes", f"{S}[0].check.receive", inventory(checking(service="simpletcp", request="hi\\n"))),
        ("out_of_range", f"{S}[0].check.connects", inventory(checked(connects=0))),
        ("fwmark_port", f"{S}[0].port", inventory(web(vip=None, fwmark=1))),
        *(
            ("bad_fallback", f"{S}[0].fallback", inventory(web(fallback=text)))
            for text in (
                "127.0.0.1:8080",
                "198.18.20.30",
                "198.18.20.30:80",
                "0.0.0.0",
                "224.0.0.1",
                "192.0.2.1",
                "240.0.0.1:80",
            )
        ),
        *(
            ("bad_fallback", f"{S}[0].fallback", dual_stack(web(vip="2001:db8::30", fallback=text)))
            for text in ("::1", "[::1]:81", "[ff02::1]", "[::]", "2001:db8::21", "[2001:db8::30]:80")
        ),
        *(("unusable_vip", f"{S}[0].vip", changed_networks(vip)) for vip in ("169.254.20.30", "fe80::30")),
        ("bad_table", "lvs_director_table[0].scheduler", static(scheduler="wlrr")),
        ("bad_table", "lvs_director_table[0].real_servers[0].weight", static(weight=-1)),
        ("out_of_range", "lvs_director_timeouts.tcp", inventory(lvs_director_timeouts={"tcp": -1})),
        ("out_of_range", "lvs_director_reserved_ports[1]", inventory(lvs_director_reserved_ports=[80, 99999])),
        *(
            ("bad_time", name, inventory(**{name: "1000000000"}))
            for name in ("heartbeat_initdead", "heartbeat_deadtime", "heartbeat_keepalive")
        ),
        ("many_media", "heartbeat_ping", inventory(heartbeat_ping=[f"198.18.20.{last}" for last in range(150, 220)])),
        ("bad_witness", "heartbeat_witnesses.eth7", inventory(heartbeat_witnesses={"eth7": ["198.18.20.21"]})),
        *(
            ("bad_witness", "heartbeat_witnesses.eth0[0]", inventory(heartbeat_witnesses={"eth0": [text]}))
            for text in ("198.18.20.12", "198.18.20.30", "198.18.21.9", "real1", "198.18.20.21/24")
        ),
        ("bad_witness", "heartbeat_witnesses.eth0", inventory(heartbeat_witnesses={"eth0": "198.18.20.21"})),
        ("bad_sync", "lvs_director_sync_group", inventory(lvs_director_sync_group="198.18.21.81")),
        *(
            ("bad_log", "ldirectord_log", inventory(ldirectord_log=text))
            for text in ("var/log/x", "local8", "/a b", '/a"b', "/var/log/x\nfork = yes")
        ),
        *(
            ("bad_email", "ldirectord_email_alert", inventory(ldirectord_email_alert=text))
            for text in ('a"b@example.com', "a@b, ", "a@b c", "a@b\nautoreload = no")
        ),
        *(
            ("bad_path", name, inventory(**{name: text}))
            for name in ("heartbeat_log", "heartbeat_debug_log")
            for text in ("ha-log", "/var/log/ha log", "/var/log/x\ncrm yes", "")
        ),
        ("bad_word", "lvs_director_modules[0]", inventory(lvs_director_modules=["ip_vs; reboot"])),
        ("bad_word", "lvs_director_disabled_units[0]", inventory(lvs_director_disabled_units=["nginx; reboot"])),
        ("bad_word", "lvs_director_sysctls.conntrack", inventory(lvs_director_sysctls={"conntrack": 1})),
        (
            "bad_word",
            "lvs_director_sysctls.net.ipv4.vs.conntrack",
            inventory(lvs_director_sysctls={"net.ipv4.vs.conntrack": "1\nkernel.panic=1"}),
        ),
        *(
            ("bad_word", "heartbeat_peer_returned[0]", inventory(heartbeat_peer_returned=[text]))
            for text in ("ipvs-resync", "/usr/local/sbin/tell --loud")
        ),
        *(
            ("bad_word", "ha_hook[0]", inventory(ha_hook=[text, "-x"]))
            for text in ("tell", "/usr/local/sbin/", "", "/", "/usr/local/sbin/tell --loud", "/usr/bin/perl /root/tell")
        ),
        ("bad_word", "ha_hook[0]", inventory(ha_hook=["/usr/local/sbin/tell us"])),
        *(("out_of_range", "ha_hook_timeout", inventory(ha_hook_timeout=seconds)) for seconds in (0, 3601)),
        *(
            ("bad_email", "ha_hook_mail_to[0]", inventory(ha_hook_mail_to=[text], ha_hook_mail_relay="mail"))
            for text in ("", "a b@example.com", "a@b, c@d", "a@b\nBcc: c@d")
        ),
        ("bad_email", "ha_hook_mail_from", inventory(ha_hook_mail_from="Ops <ops@example.com>")),
        ("bad_mail_relay", "ha_hook_mail_relay", inventory(ha_hook_mail_to=["ops@example.com"])),
        *(
            ("bad_mail_relay", "ha_hook_mail_relay", inventory(ha_hook_mail_relay=text))
            for text in ("mail:25", "[198.18.20.9]", "198.18.20.999", "-x", "mail.", " mail")
        ),
        *(
            ("bad_mail_relay", "ha_hook_mail_repeat", inventory(ha_hook_mail_repeat=seconds))
            for seconds in (-1, 59, 604801)
        ),
        *(("out_of_range", "ha_hook_mail_port", inventory(ha_hook_mail_port=port)) for port in (0, 65536)),
        ("control_character", "coda_client_cell", inventory(coda_client_cell="a\nb"))
        if "coda_client_cell" in OPTIONS
        else ("control_character", "heartbeat_peer_returned[1]", inventory(heartbeat_peer_returned=["/bin/x", "a\tb"])),
        *(
            ("empty_value", name, inventory(**{name: None}))
            for name in (
                "heartbeat_links",
                "heartbeat_authkeys",
                "heartbeat_deadtime",
                "ldirectord_quiescent",
                "ha_absent",
            )
        ),
        ("check_checks_nothing", f"{S}[0].check.type", inventory(checking(type="off"))),
        *(("check_checks_nothing", f"{S}[0].check.login", inventory(web(port=p, check={}))) for p in (995, 143)),
        ("check_checks_nothing", f"{S}[0].check.receive", inventory(checking(service="ftp", request="a.txt"))),
        ("check_never_passes", f"{S}[0].check.request", inventory(checking(service="dns", receive="192.0.2"))),
        ("check_never_passes", f"{S}[0].check.receive", inventory(checking(service="dns", request="www.example"))),
        (
            "check_never_passes",
            f"{S}[0].check.receive",
            inventory(checking(service="dns", request="www.example", receive="2001:db8::1")),
        ),
        (
            "check_never_passes",
            f"{S}[0].check.secret",
            inventory(checking(service="radius", login="me", password="x")),
        ),
        *(
            ("check_never_passes", f"{S}[0].check.{missing}", inventory(checking(service=s, database="a", **given)))
            for s in ("mysql", "pgsql")
            for missing, given in (("login", {"request": "select 1"}), ("request", {"login": "me"}))
        ),
        ("check_never_passes", f"{S}[0].check.request", inventory(checking(service="http_proxy"))),
        ("check_never_passes", f"{S}[0].check.request", inventory(checking(service="http_proxy", request="/a"))),
        ("check_never_passes", f"{S}[0].check.request", inventory(checked(request="http://www.example/a"))),
        ("check_never_passes", f"{S}[0].check.receive", inventory(checked(http_method="HEAD"))),
        ("check_never_passes", f"{S}[0].check.request", inventory(checking(service="ftp", receive="ok"))),
        *(
            ("check_never_passes", f"{S}[0].check.receive", inventory(checked(receive=p)))
            for p in ("happy$too", "too^happy", "a{3,2}")
        ),
        (
            "check_never_passes",
            f"{S}[0].check.command",
            inventory(checking(type="external", command="/usr/local/bin/look --deep")),
        ),
        ("check_never_passes", f"{S}[0].check.type", dual_stack(web(vip="2001:db8::30", check={"type": "ping"}))),
        (
            "check_without_ipv6",
            f"{S}[0].check.service",
            dual_stack(web(vip="2001:db8::30", port=25, check={"service": "smtp"})),
        ),
        (
            "check_needs_driver",
            f"{S}[0].check.service",
            inventory(checking(service="oracle", login="me", request="select 1 from dual")),
        ),
        ("bad_time", "heartbeat_deadtime", inventory(heartbeat_deadtime="2s")),
        ("bad_time", "heartbeat_keepalive", inventory(heartbeat_keepalive="499us")),
        ("time_order", "heartbeat_deadtime", times("200ms", "500ms", "500ms")),
        ("time_order", "heartbeat_deadtime", times("490ms", "500ms", "980ms")),
        ("time_order", "heartbeat_initdead", times("1", "2", "31", "30")),
        ("bad_silence", "heartbeat_silence", inventory(heartbeat_silence="3")),
        ("bad_silence", "heartbeat_silence", inventory(heartbeat_silence="40ms")),
        ("bad_silence", "heartbeat_silence", inventory(heartbeat_silence="soon")),
        ("short_initdead", "heartbeat_initdead", times("1", "2", "7", "13")),
        ("short_initdead", "heartbeat_initdead", times("1", "2", "3", "9")),
        ("bad_authkeys", "heartbeat_authkeys.active", inventory(**keys(KEY, active=2))),
        ("bad_authkeys", "heartbeat_authkeys.active", inventory(heartbeat_authkeys={"active": 1})),
        ("bad_authkeys", "heartbeat_authkeys.keys[1].id", inventory(**keys(KEY, KEY))),
        ("bad_authkeys", "heartbeat_authkeys.keys[0].id", inventory(**keys({**KEY, "id": 16}, active=16))),
        ("bad_authkeys", "heartbeat_authkeys.keys[0].secret", inventory(**keys({"id": 1}))),
        ("bad_authkeys", "heartbeat_authkeys.keys[0].secret", inventory(**keys({**KEY, "secret": "a long secret"}))),
        (
            "bad_authkeys",
            "heartbeat_authkeys.keys[1].secret",
            inventory(**keys(KEY, {**KEY, "id": 2, "method": "crc"})),
        ),
        (
            "heartbeat_weak_secret",
            "heartbeat_authkeys.keys[0].secret",
            inventory(**keys({**KEY, "secret": "ChangeMe"})),
        ),
        ("heartbeat_crc", "heartbeat_authkeys.keys[0].method", inventory(**keys({"id": 1, "method": "crc"}))),
        ("ping_own_vip", "heartbeat_ping[0]", inventory(heartbeat_ping=["198.18.20.30"])),
        (
            "ping_own_vip",
            "heartbeat_ping_group[0].addresses[1]",
            inventory(heartbeat_ping_group=pinging(("routers", ["198.18.20.1", "198.18.20.30"]))),
        ),
        (
            "ping_own_address",
            "heartbeat_ping_group[0].addresses[0]",
            inventory(heartbeat_ping_group=pinging(("routers", ["198.18.20.11"]))),
        ),
        (
            "bad_ping",
            "heartbeat_ping_group[1].addresses[0]",
            inventory(heartbeat_ping_group=pinging(("a", ["198.18.20.1"]), ("b", ["198.18.20.1"]))),
        ),
        (
            "bad_ping_group",
            "heartbeat_ping_group[0].addresses",
            inventory(heartbeat_ping_group=pinging(("routers", [])), heartbeat_ping=["198.18.20.1"]),
        ),
        (
            "bad_ping_group",
            "heartbeat_ping_group[0].name",
            inventory(heartbeat_ping_group=pinging(("my routers", ["198.18.20.1"]))),
        ),
        (
            "bad_ping_group",
            "heartbeat_ping_group[0].name",
            inventory(heartbeat_ping_group=pinging(("Dir1", ["198.18.20.1"]))),
        ),
        (
            "bad_ping_group",
            "heartbeat_ping_group[1].name",
            inventory(heartbeat_ping_group=pinging(("a", ["198.18.20.1"]), ("A", ["198.18.20.2"]))),
        ),
        ("unknown_node", "heartbeat_stonith[0].host", inventory(heartbeat_stonith=[fencing(host="dir3")])),
        ("bad_stonith", "heartbeat_stonith[0].type", inventory(heartbeat_stonith=[fencing(type="")])),
        ("bad_stonith", "heartbeat_stonith[0].type", inventory(heartbeat_stonith=[fencing(type="ipmi lan")])),
        ("bad_stonith", "heartbeat_stonith[0].parameters", inventory(heartbeat_stonith=[fencing(parameters="a #b")])),
        ("bad_stonith", "heartbeat_stonith[0].parameters", inventory(heartbeat_stonith=[fencing(parameters="a\nb")])),
        (
            "bad_stonith",
            "heartbeat_stonith[1].host",
            inventory(heartbeat_stonith=[fencing(host="dir2"), fencing()]),
        ),
        (
            "bad_stonith",
            "heartbeat_stonith[1].host",
            inventory(heartbeat_stonith=[fencing(host="dir1"), fencing(host="DIR1")]),
        ),
        ("unsafe_stonith", "heartbeat_stonith[0].type", inventory(heartbeat_stonith=[fencing(type="null")])),
        ("missing_option", "heartbeat_stonith[0].host", inventory(heartbeat_stonith=[{"type": "external/ipmi"}])),
        ("bad_watchdog", "heartbeat_watchdog", inventory(heartbeat_watchdog="softdog")),
        ("bad_watchdog", "heartbeat_watchdog_softdog", inventory(heartbeat_watchdog_softdog=True)),
        (
            "single_link",
            "heartbeat_links",
            inventory(heartbeat_links=[{"type": kind, "interface": "eth1"} for kind in ("ucast", "bcast")]),
        ),
        ("ping_own_address", "heartbeat_ping[0]", inventory(heartbeat_ping=["198.18.21.12"])),
        ("bad_ping", "heartbeat_ping[0]", inventory(heartbeat_ping=["router"])),
        ("bad_ping", "heartbeat_ping[1]", inventory(heartbeat_ping=["198.18.20.1"] * 2)),
        ("ipfail_without_ping", "heartbeat_ipfail", inventory(heartbeat_ipfail="yes")),
        ("bad_link", "heartbeat_links[0].interface", link(type="bcast", interface="eth2")),
        ("bad_link", "heartbeat_links[0].interface", link(type="ucast")),
        ("bad_link", "heartbeat_links[0].peers[0]", link(type="ucast", interface="eth0", peers=["198.18.20.99"])),
        (
            "bad_link",
            "heartbeat_links[0].peers[1]",
            link(type="ucast", interface="eth1", peers=["198.18.21.11", "198.18.20.12"]),
        ),
        ("bad_link", "heartbeat_links[0].group", link(type="mcast", interface="eth0", group="192.0.2.1")),
        ("bad_link", "heartbeat_links[0].ttl", link(type="mcast", interface="eth0", group="239.0.0.1", ttl=0)),
        ("bad_link", "heartbeat_links[0].ttl", link(type="bcast", interface="eth0", ttl=1)),
        ("bad_link", "heartbeat_links[0].device", link(type="serial", device="ttyS0")),
        ("unknown_node", "heartbeat_nodes[1]", inventory(heartbeat_nodes=["dir1", "dir3", "dir2"])),
        ("unknown_node", "heartbeat_nodes", inventory(heartbeat_nodes=["dir1"])),
        ("unknown_node", "heartbeat_nodes[1]", inventory(heartbeat_nodes=["dir1", "dri2"])),
        ("unknown_node", "heartbeat_resource_groups[0].node", resources("MailTo::root", node="x")),
        (
            "duplicate_resource_group",
            "heartbeat_resource_groups[1].resources[0]",
            inventory(heartbeat_resource_groups=[MAIL, {**GROUP, "resources": MAIL["resources"] + GROUP["resources"]}]),
        ),
        ("bad_resource", "heartbeat_resource_groups[0].resources[0]", resources("192.0.2.1")),
        ("bad_resource", "heartbeat_resource_groups[0].resources[0]", resources("IPaddr::192.0.2.1")),
        ("bad_resource", "heartbeat_resource_groups[0].resources[0]", resources("a b")),
        *(
            ("bad_resource", "heartbeat_resource_groups[0].resources[0]", held(other_form))
            for other_form in (
                "198.18.20.30",
                "IPaddr2::198.18.20.30",
                "IPaddr2::198.18.20.30/24",
                "IPaddr2::198.18.20.30/255.255.255.0/eth0",
                "IPaddr2::198.18.20.30/24/eth7",
                "IPaddr2::198.18.20.30/24/198.18.20.255",
                "IPv6addr2::198.18.20.30/24/eth0",
            )
        ),
        (
            "bad_resource",
            "heartbeat_resource_groups[0].resources[0]",
            inventory(
                ha_standby="cold",
                heartbeat_resource_groups=[{"node": "dir1", "resources": ["ldirectord::web.cf", *GROUP["resources"]]}],
            ),
        ),
        ("bad_resource", "heartbeat_resource_groups[0].resources[0]", resources("MailTo::root;reboot")),
        ("bad_resource", "heartbeat_resource_groups[0].resources", resources(*(f"Delay::{n:05}" for n in range(400)))),
        (
            "bad_resource",
            "heartbeat_resource_groups[0].resources[2]",
            resources("Delay::1", "IPaddr2::198.18.20.99/24/eth0", "IPaddr2::198.18.20.99/24/eth1"),
        ),
        ("bad_resource", "heartbeat_resource_groups[1].resources", inventory(heartbeat_resource_groups=[GROUP, EMPTY])),
        ("vip_without_holder", "heartbeat_resource_groups", inventory(heartbeat_resource_groups=[MAIL])),
        ("vip_without_holder", "heartbeat_resource_groups", inventory(heartbeat_resource_groups=[GROUP, TAKEN])),
        ("ldirectord_unstarted", "heartbeat_resource_groups[0].resources", resources("ldirectord")),
        (
            "ldirectord_unstarted",
            "heartbeat_resource_groups[0].resources",
            inventory(ha_standby="cold", heartbeat_resource_groups=[GROUP]),
        ),
        (
            "bad_link",
            "heartbeat_links[0].peers",
            link(type="ucast", interface="eth0", peers=["198.18.20.11"]),
        ),
        ("bad_link", "heartbeat_links[0].group", link(type="mcast", interface="eth0", group="2001:db8::1")),
        (
            "bad_link",
            "heartbeat_links[0].peers[0]",
            link(type="ucast", interface="eth0", peers=["2001:db8::1", *PEERS]),
        ),
        (
            "bad_ping",
            "heartbeat_ping_group[0].addresses[0]",
            inventory(heartbeat_ping_group=[{"name": "routers", "addresses": ["2001:db8::1"]}]),
        ),
        ("unknown_variable", "heartbeat_deadtme", inventory(heartbeat_deadtme=1)),
        ("unknown_variable", "real_server_x", inventory(real_server_x=1)),
        ("unknown_variable", "ha_virtual_service", inventory(ha_virtual_service=[])),
        ("unknown_acknowledgement", "ha_acknowledged[0]", inventory(ha_acknowledged=["heartbeat_crk"])),
        ("unknown_acknowledgement", "ha_acknowledged[0]", inventory(ha_acknowledged=["bad_vip"])),
        ("unknown_absent", "ha_absent[1]", inventory(ha_absent=["dir2", "dir3"])),
        ("all_absent", "ha_absent", inventory(ha_absent=["dir2", "dir1"])),
        ("cannot_evaluate", f"{S}[0].vip", inventory(web(vip=Unevaluated("x is undefined")))),
        ("cannot_evaluate", S, inventory(ha_virtual_services=Unevaluated("x is undefined"))),
        ("wrong_type", "heartbeat_ping", inventory(heartbeat_ping="198.18.20.1")),
        ("wrong_choice", f"{S}[0].scheduler", inventory(web(scheduler="wlrr"))),
        ("wrong_choice", "ha_standby", inventory(ha_standby="Cold")),
        ("wrong_choice", "ha_checker", inventory(ha_checker="ldirectrod")),
    ],
)
def test_one_mistake_is_one_finding(rule: str, variable: str, hosts: Hosts) -> None:
    everywhere = {(rule, "all hosts", variable)}
    extra = {
        # A host outside of real_servers is a mistake of its own.
        "wrong_family": {("unknown_real_server", "all hosts", f"{S}[0].real_servers[0].host")},
        # The other network is that of the VIP then, and this one that of the clients.
        "vip_off_link": {OPEN_SYNC},
        # Whoever writes a table by hand has nobody who checks the real servers.
        "bad_table": {("unwatched_table", "all hosts", "ha_checker")},
        # What no driver is packaged for has no time limit of its own.
        "check_needs_driver": {("slow_detection", "all hosts", "ha_detection_budget")},
    }
    assert found(hosts) == everywhere | extra.get(rule, set())


@pytest.mark.parametrize("vip", ["240.0.0.30", "0.1.2.3", "::ffff:198.18.20.30"])
def test_a_network_of_which_no_address_is_usable(vip: str) -> None:
    everywhere = {("unusable_address", host, "ha_interfaces.eth0[1]") for host in ADDRESSES}
    assert found(changed_networks(vip)) == {("unusable_vip", "all hosts", f"{S}[0].vip"), *everywhere}


@pytest.mark.parametrize(("table", "place"), [(["web"], 0), ([{"vip": "198.18.20.30", "port": 80}, None], 1)])
def test_what_is_no_entry_of_a_table_is_one_finding(table: list[object], place: int) -> None:
    findings = check(inventory(lvs_director_table=table, **STATIC), GROUPS, SPECS)
    assert [each.variable for each in findings if each.severity == "error"] == [f"lvs_director_table[{place}]"]


def changed(host: str, **variables: Any) -> Hosts:
    hosts = inventory()
    hosts[host].update(variables)
    return hosts


@pytest.mark.parametrize(
    ("rule", "variable", "hosts"),
    [
        ("minimum_conflict", f"{S}[0].check.type", inventory(web(check={"type": "off"}, minimum_alive=1))),
        ("not_read", f"{S}[0].minimum_alive", inventory(web(minimum_alive=1), ha_checker="none")),
        ("not_read", "ha_minimum_alive", inventory(ha_minimum_alive="50%", ha_checker="none")),
        ("minimum_conflict", "lvs_director_guard", inventory(ha_minimum_alive=1, lvs_director_guard=False)),
    ],
)
def test_who_does_not_check_keeps_nobody_in(rule: str, variable: str, hosts: Hosts) -> None:
    assert (rule, variable) in {(each[0], each[2]) for each in found(hosts)}


@pytest.mark.parametrize(
    ("rule", "host", "variable", "hosts"),
    [
        ("missing_interfaces", "real1", "ha_interfaces", changed("real1", ha_interfaces=None)),
        ("bad_interface", "real1", "ha_interfaces.eth0", changed("real1", ha_interfaces={"eth0": "198.18.20.21"})),
        (
            "bad_interface",
            "real1",
            "ha_interfaces.eth0[1]",
            changed("real1", ha_interfaces={"eth0": ["198.18.20.21/24", 7]}),
        ),
        (
            "bad_interface",
            "client1",
            "ha_interfaces.a-name-too-long-",
            changed("client1", ha_interfaces={"a-name-too-long-": []}),
        ),
        ("unusable_address", "client1", "ha_interfaces.lo", changed("client1", ha_interfaces={"lo": "127.0.0.1/8"})),
        *(
            ("unusable_address", "client1", "ha_interfaces.eth0", changed("client1", ha_interfaces={"eth0": text}))
            for text in ("198.18.20.0/24", "240.1.1.1/24", "0.1.2.3/8", "255.255.255.255/32", "::ffff:198.18.20.22/120")
        ),
        (
            "duplicate_address",
            "real2",
            "ha_interfaces.eth0",
            changed("real2", ha_interfaces={"eth0": "198.18.20.21/24"}),
        ),
        ("single_link", "all hosts", "heartbeat_links", changed("dir1", ha_interfaces={"eth0": "198.18.20.11/24"})),
        ("bad_node_name", "dir1", "heartbeat_node_name", changed("dir1", heartbeat_node_name="dir_1")),
        ("wrong_type", "real1", "ha_interfaces", changed("real1", ha_interfaces="198.18.20.21/24")),
        ("cannot_evaluate", "real1", "ha_interfaces.eth0", changed("real1", ha_interfaces={"eth0": Unevaluated("x")})),
    ],
)
def test_mistakes_of_one_host(rule: str, host: str, variable: str, hosts: Hosts) -> None:
    extra = {OPEN_SYNC} if rule == "single_link" else set()
    assert found(hosts) == {(rule, host, variable)} | extra


@pytest.mark.parametrize(("name", "other"), [("198.18.20.11", "198.18.20.12"), ("2001:db8::11", "2001:db8::12")])
def test_a_director_named_by_address_has_another_node_name(name: str, other: str) -> None:
    hosts = inventory()
    hosts = {name: hosts.pop("dir1"), other: hosts.pop("dir2"), **hosts}
    groups = {**GROUPS, "directors": [name, other]}
    assert found(hosts, groups) == {("bad_node_name", host, "heartbeat_node_name") for host in (name, other)}
    for number, host in enumerate((name, other), start=1):
        hosts[host]["heartbeat_node_name"] = f"dir{number}"
    assert found(hosts, groups) == set()


@pytest.mark.parametrize(
    ("own", "peers"),
    [
        pytest.param("198.18.21.12/24", ["198.18.20.11", "198.18.21.12"], id="through a router"),
        pytest.param("198.18.20.212/24", ["198.18.20.11", "198.18.20.12"], id="two interfaces in one network"),
    ],
)
def test_peers_of_a_link_in_networks_of_its_interface(own: str, peers: list[str]) -> None:
    links = [{"type": "ucast", "interface": "eth0", "peers": peers}, {"type": "serial", "device": "/dev/ttyS0"}]
    hosts = inventory(web(real_servers=[{"host": "real1"}]), heartbeat_links=links)
    hosts["dir2"]["ha_interfaces"] = {"eth0": own, "eth1": ["198.18.20.12/24", "198.18.22.12/24"]}
    assert not [each for each in found(hosts) if each[0] == "bad_link"]


def test_peers_of_a_link_that_any_interface_may_lead_to() -> None:
    """Addresses of loopback, which routers know by the directors' own word."""
    peers = ["198.18.29.11", "198.18.29.12"]
    links = [{"type": "ucast", "interface": name, "peers": peers} for name in ("eth0", "eth1")]
    hosts = inventory(heartbeat_links=links)
    for host, address in zip(("dir1", "dir2"), peers, strict=True):
        hosts[host]["ha_interfaces"]["dummy0"] = f"{address}/32"
    assert found(hosts) == set()


def test_node_names_are_compared_as_heartbeat_folds_them() -> None:
    assert found(changed("dir1", heartbeat_node_name="DIR2")) == {
        ("duplicate_node_name", "dir1, dir2", "heartbeat_node_name"),
    }


def test_directors_must_agree() -> None:
    assert found(changed("dir2", heartbeat_deadtime="4")) == {("values_differ", "all hosts", "heartbeat_deadtime")}
    different = changed("dir2", heartbeat_authkeys={"keys": [KEY]})
    assert [rule for rule, _host, _variable in found(different)] == ["authkeys_differ"]
    # The same in other words is no difference.
    assert found(changed("dir2", heartbeat_udp_port="694")) == set()


def test_each_director_is_checked_by_its_own_values() -> None:
    hosts = changed("dir2", heartbeat_initdead="5")
    assert ("short_initdead", "dir2", "heartbeat_initdead") in found(hosts)


@pytest.mark.parametrize(
    ("host", "variables", "expected"),
    [
        ("dir2", {"lvs_director_sync_id": 7}, {("values_differ", "all hosts", "lvs_director_sync_id")}),
        ("dir1", {"lvs_director_sync": False}, {("values_differ", "all hosts", "lvs_director_sync"), OPEN_SYNC}),
        ("dir2", {"ldirectord_quiescent": False}, {("values_differ", "all hosts", "ldirectord_quiescent")}),
        ("dir2", {"ldirectord_email_alert": "root"}, set()),
        ("dir2", {"ha_checker": "none"}, {("values_differ", "all hosts", "ha_checker")}),
        ("dir2", {"ha_standby": "cold"}, {("values_differ", "all hosts", "ha_standby")}),
        ("real1", {"ha_standby": "cold"}, {("not_read", "real1", "ha_standby")}),
        # One ha.cf for both, whose lines name the director that they are about.
        *(
            ("dir2", {name: value}, {("values_differ", "all hosts", name)})
            for name, value in (
                ("heartbeat_watchdog", "/dev/watchdog1"),
                ("heartbeat_log", "/var/log/ha2"),
                ("heartbeat_debug_log", "/var/log/ha2-debug"),
                ("heartbeat_log_facility", "local0"),
                ("heartbeat_stonith", [fencing(host="dir2")]),
            )
        ),
        *(("real1", {"real_server_device": name}, set()) for name in ("dummy0", "kube-ipvs0", "enable", "web0")),
        ("real1", {"ha_virtual_services": [web(port=81)]}, {("not_read", "real1", "ha_virtual_services")}),
        ("real1", {"heartbeat_deadtime": "5"}, {("not_read", "real1", "heartbeat_deadtime")}),
        ("dir1", {"real_server_device": "lvs0"}, {("not_read", "dir1", "real_server_device")}),
        ("real2", {"real_server_device": "lvs0"}, set()),
        *(
            ("real1", {"real_server_device": device}, {("bad_device", "real1", "real_server_device")})
            for device in (
                *("eth0", "eth1", "enp3s0", "tunl0", "a device", "abcdefghijklmnop", "a/b", ""),
                *("br-lan", "vlan10", "em1", "p1p1", "ib0", "docker0", "virbr0", "wg0", "vxlan1", "ip_vti0"),
            )
        ),
        *(
            (
                "real1",
                {"real_server_vips": [{"address": "198.18.20.30"}, {"address": address}]},
                {("bad_real_server_vips", "real1", "real_server_vips[1].address")},
            )
            for address in ("198.18.20.31/32", "198.18.20.22", "127.0.0.1", "FD00:18:20::30")
        ),
        (
            "real1",
            {"real_server_vips": [{"address": "198.18.20.31"}]},
            {("vip_not_carried", "real1", "real_server_vips")},
        ),
        ("real1", {"real_server_vips": []}, {("vip_not_carried", "real1", "real_server_vips")}),
        (
            "real1",
            {"real_server_vips": [{"address": "198.18.20.30", "forwarding": "tunnel"}]},
            {("vip_not_carried", "real1", "real_server_vips")},
        ),
        ("real1", {"real_server_vips": [{"address": "198.18.20.30"}, {"address": "198.18.20.31"}]}, set()),
    ],
)
def test_one_host_alone(host: str, variables: dict[str, Any], expected: set[tuple[str, str, str]]) -> None:
    hosts = inventory()
    hosts[host].update(variables)
    found_there = found(hosts)
    assert {finding for finding in found_there if finding != OPEN_SYNC} == {
        each for each in expected if each != OPEN_SYNC
    }


def test_what_is_set_for_all_and_again_for_the_directors_is_read() -> None:
    hosts = inventory(heartbeat_deadtime="5")
    for host in ("dir1", "dir2"):
        hosts[host]["heartbeat_deadtime"] = "4"
    assert found(hosts) == set()
    hosts["real1"]["heartbeat_deadtime"] = "6"
    assert ("not_read", "real1", "heartbeat_deadtime") in found(hosts)


def test_a_lone_real_server_may_have_what_is_set_for_all() -> None:
    hosts = {host: own for host, own in inventory(heartbeat_deadtime="5").items() if host not in ("real2", "client1")}
    for host in ("dir1", "dir2"):
        hosts[host]["heartbeat_deadtime"] = "4"
    assert found(hosts, {"directors": ["dir1", "dir2"], "real_servers": ["real1"]}) == set()


def test_a_fallback_needs_the_vip() -> None:
    hosts = inventory(web(real_servers=SERVERS[:1], fallback="198.18.20.22"))
    assert found(hosts) == {("vip_not_carried", "all hosts", f"{S}[0].fallback")}
    hosts["real2"]["real_server_vips"] = [{"address": "198.18.20.30"}]
    assert found(hosts) == set()
    groups = {**GROUPS, "real_servers": ["real1", "dir2"]}
    cold = inventory(web(fallback="198.18.20.12"), ha_standby="cold")
    assert found(cold, groups) == set()


@pytest.mark.parametrize("text", ["198.18.20.11", None, Unevaluated("x is undefined"), "dhcp"])
def test_what_an_unreadable_address_brings_with_it_is_not_reported(text: object) -> None:
    hosts = changed("dir1", ha_interfaces={"eth0": text, "eth1": "198.18.21.11/24"})
    ((_rule, host, variable),) = found(hosts)
    assert (host, variable) == ("dir1", "ha_interfaces.eth0")
    # What is wrong with the others is.
    hosts["dir2"]["ha_interfaces"]["eth1"] = "198.18.21.11/24"
    assert ("duplicate_address", "dir2", "ha_interfaces.eth1") in found(hosts)


def test_a_director_in_another_network_is_not_all_that_it_lacks() -> None:
    hosts = changed("dir1", ha_interfaces={"eth0": "198.18.2.11/24", "eth1": "198.18.21.11/24"})
    assert found(hosts) == {("vip_in_no_network", "all hosts", f"{S}[0].vip")}
    hosts = changed("dir1", ha_interfaces={"eth0": "198.18.20.11/25", "eth1": "198.18.21.11/24"})
    (far,) = (each for each in check(hosts, GROUPS, SPECS) if each.rule == "unreachable_real_server")
    assert far.problem == "real servers real1, real2 share no network with dir1"


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (inventory(web(real_servers=["real1"])), "write a dictionary, such as {host: real1}"),
        (inventory(web(persistence=300)), "write a dictionary, such as {timeout: 300}"),
        (changed("dir1", ha_interfaces=["198.18.20.11/24"]), "write a dictionary, such as {eth0: 192.0.2.11/24}"),
        (inventory(heartbeat_keepalive="200"), "must be longer than heartbeat_keepalive (200 s)"),
        (inventory(heartbeat_authkeys=SECRET), "must be a dictionary"),
        (held("IPaddr2::198.18.20.30/24/eth0::x"), "must be written IPaddr2::ADDRESS/PREFIX/INTERFACE[:LABEL]"),
        (inventory(web(vip="0.0.0.0")), "is the unspecified address, which no host has"),
        (inventory(ha_absent="real1"), """on the command line, -e '{"ha_absent": ["real1"]}'"""),
        (inventory(ha_absent="[real1, real2]"), """-e '{"ha_absent": ["real1", "real2"]}'"""),
        (inventory(ha_absent=" "), """-e '{"ha_absent": ["item", "item"]}'"""),
        (inventory(lvs_director_table=["web"], **STATIC), "write a dictionary, such as {vip: 192.0.2.30, port: 80}"),
        (
            link(type="ucast", interface="eth1", peers=PEERS),
            "is on eth0 of dir1, in no network of eth1: nothing would arrive  [bad_link]\n"
            "       -> name 198.18.21.11 and 198.18.21.12, or leave peers out",
        ),
    ],
)
def test_messages_tell_what_to_write(hosts: Hosts, words: str) -> None:
    assert words in render(check(hosts, GROUPS, SPECS))


@pytest.mark.parametrize(
    "service",
    [
        checked(path="vip"),
        checked(path="server"),
        checking(path="vip", type="connect"),
        web(port=0, persistence={"timeout": 300}, check={**ON_THE_WAY, "port": 80}),
        marked(check={**ON_THE_WAY, "port": 80}),
        marked(ports=["21", "80", "10000-10100", "53/udp"], check={**ON_THE_WAY, "port": 80}),
        marked(ports=["80-90"], check={**ON_THE_WAY, "port": 80}),
    ],
)
def test_who_can_be_asked_on_the_clients_way(service: dict[str, Any]) -> None:
    assert not [each for each in found(inventory(service)) if each[2].endswith("check.path")]
    assert "check_path_unusable" not in {rule for rule, _host, _variable in found(inventory(service))}


def test_behind_nat_every_check_goes_the_clients_way() -> None:
    hosts = inventory(web(check=ON_THE_WAY, forwarding="nat"))
    assert ("not_read", "all hosts", f"{S}[0].check.path") in found(hosts)
    mixed = web(check=ON_THE_WAY, real_servers=[{"host": "real1", "forwarding": "nat"}, {"host": "real2"}])
    assert ("not_read", "all hosts", f"{S}[0].check.path") not in found(inventory(mixed))


def test_checks_at_two_vips_are_two_checks() -> None:
    """What they ask is a part of what ldirectord tells them apart by."""
    head = {"service": "http", "path": "vip", "http_method": "HEAD"}
    assert "check_shared" not in {rule for rule, _host, _variable in found(pair({**head, "http_method": "GET"}, head))}


@pytest.mark.parametrize(("one", "two", "words"), PAIRS)
def test_two_checks_that_ldirectord_takes_for_one(one: dict[str, Any], two: dict[str, Any], words: str) -> None:
    hosts = pair(one, two)
    assert ("check_shared", "all hosts", f"{S}[1].check") in found(hosts)
    assert words in render(check(hosts, GROUPS, SPECS))


def test_what_a_check_does_not_read_makes_no_other_check_of_it() -> None:
    hosts = pair({"service": "http", "login": "a"}, {"service": "http", "login": "b"})
    assert {rule for rule, _host, _variable in found(hosts)} == {"not_read"}


@pytest.mark.parametrize(("port", "waits"), [(110, True), (995, True), (143, False), (993, False)])
def test_which_check_waits_without_a_login(port: int, waits: bool) -> None:
    hosts = inventory(web(port=port, check={}), web(name="b", port=81, check={"type": "connect"}))
    assert ("check_waits_for_ever" in {rule for rule, _host, _variable in found(hosts)}) == waits


def test_a_blank_in_an_address_is_one_finding() -> None:
    for text in ("198.18.20.11 /24", " 198.18.20.11/24", "198.18.20. 11/24"):
        hosts = changed("dir1", ha_interfaces={"eth0": text, "eth1": "198.18.21.11/24"})
        assert found(hosts) == {("bad_interface", "dir1", "ha_interfaces.eth0")}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"directors": ["dir1", "dir2"]}, {("missing_group", "inventory", "groups.real_servers")}),
        ({**GROUPS, "real_servers": []}, {("missing_group", "inventory", "groups.real_servers")}),
        ({**GROUPS, "directors": ["dir1"]}, {("director_count", "inventory", "groups.directors")}),
        ({**GROUPS, "real_server": ["client1"]}, {("unknown_group", "inventory", "groups.real_server")}),
        ({**GROUPS, "real_servers_web": ["real1"]}, set()),
        ({**GROUPS, "webservers": ["client1"]}, set()),
        ({**GROUPS, "real_servers_old": ["client1"], "new-directors": ["client1"]}, set()),
        (
            {"director": ["dir1", "dir2"], "real_servers": ["real1"]},
            {("unknown_group", "inventory", "groups.director")},
        ),
    ],
)
def test_groups(groups: dict[str, list[str]], expected: set[tuple[str, str, str]]) -> None:
    assert found(inventory(), groups) == expected


@pytest.mark.parametrize("name", ["heartbeat_manages_ldirectord", "ldirectord_managed_by_heartbeat"])
@pytest.mark.parametrize(
    ("value", "shown", "written"),
    [
        (True, "true", "ha_standby: cold"),
        (False, "false", "ha_standby: hot"),
        ("yes", "yes", "ha_standby: cold"),
        ("no", "no", "ha_standby: hot"),
        ("maybe", "maybe", "ha_standby: hot or cold"),
        (None, "empty", "ha_standby: hot or cold"),
        (Unevaluated("x is undefined"), "", "ha_standby: hot or cold"),
    ],
)
def test_an_old_name_is_refused_with_what_to_write(name: str, value: object, shown: str, written: str) -> None:
    (finding,) = check(inventory(**{name: value}), GROUPS, SPECS)
    assert (finding.rule, finding.severity) == ("renamed_variable", "error")
    assert (finding.variable, finding.value) == (name, shown)
    assert finding.remedy == f"write {written} in its place"


@pytest.mark.parametrize(("value", "written"), [(True, "ha_checker: none"), (False, "ha_checker: ldirectord")])
def test_the_old_name_of_a_table_without_ldirectord_is_refused(value: bool, written: str) -> None:
    hosts = inventory(ha_acknowledged=["unwatched_table"])
    hosts["dir2"]["lvs_director_static"] = value
    (finding,) = (each for each in check(hosts, GROUPS, SPECS) if each.rule == "renamed_variable")
    assert (finding.host, finding.variable, finding.value) == ("dir2", "lvs_director_static", str(value).lower())
    assert finding.remedy == f"write {written} in its place"


def test_old_names_mean_for_the_other_rules_what_they_meant() -> None:
    """Otherwise the findings would be about a mode that nobody wants."""
    groups = {**GROUPS, "real_servers": ["real1", "dir2"]}
    old = ("renamed_variable", "all hosts", "heartbeat_manages_ldirectord")
    there = ("director_is_real_server", "all hosts", f"{S}[0].real_servers")
    assert found(inventory(heartbeat_manages_ldirectord=True), groups) == {old}
    assert found(inventory(heartbeat_manages_ldirectord=False), groups) == {old, there}
    both = inventory(heartbeat_manages_ldirectord=True, ldirectord_managed_by_heartbeat=False)
    assert found(both, groups) == {old, ("renamed_variable", "all hosts", "ldirectord_managed_by_heartbeat")}
    # The new name, where it is given, is the one that counts.
    assert found(inventory(heartbeat_manages_ldirectord=True, ha_standby="hot"), groups) == {old, there}
    assert found(inventory(lvs_director_static=True)) == {
        ("renamed_variable", "all hosts", "lvs_director_static"),
        ("unwatched_table", "all hosts", "ha_checker"),
    }


def test_each_renamed_variable_has_words_that_are_allowed() -> None:
    options = {name: option for role in SPECS.values() for name, option in role.items()}
    for old, (new, words) in RENAMED.items():
        assert old not in options
        assert old.startswith(tuple(f"{role}_" for role in SPECS))  # else preflight is not shown it
        assert {*words.values()} <= {*options[new]["choices"]}


@pytest.mark.parametrize("folder", ["benchmarks", "docs", "inventories", "lab", "molecule", "playbooks", "roles"])
def test_nobody_reads_an_old_name(folder: str) -> None:
    """A variable that no role has any more is undefined, and `default` would hide that."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name]
    texts = {name: (ROOT / name).read_bytes().decode(errors="replace") for name in names if (ROOT / name).is_file()}
    assert texts
    assert [(name, old) for name, text in texts.items() for old in RENAMED if old in text] == []


def test_standby_director_as_real_server() -> None:
    groups = {**GROUPS, "real_servers": ["real1", "dir2"]}
    assert found(inventory(), groups) == {("director_is_real_server", "all hosts", f"{S}[0].real_servers")}
    assert found(inventory(ha_standby="cold"), groups) == set()
    nat = found(behind_nat(web(forwarding="nat"), gateways=[GATEWAY]), groups)
    assert nat == {("director_is_real_server", "all hosts", f"{S}[0].real_servers")}
    nat = found(behind_nat(web(forwarding="nat"), gateways=[GATEWAY], ha_standby="cold"), groups)
    assert nat == {("director_is_real_server", "all hosts", f"{S}[0].real_servers")}


NAT = web(forwarding="nat")
NAT_B = web(name="b", vip="198.18.20.31", forwarding="nat")
G = "ha_gateway_vips"


@pytest.mark.parametrize(
    ("gateways", "problem"),
    [
        ([f"{GATEWAY}/24"], "without prefix length"),
        (["gateway"], "without prefix length"),
        (["224.0.0.1"], "a multicast address"),
        (["fe80::1"], "link-local"),
        (["198.18.22.255"], "the broadcast address"),
        (["198.18.22.21"], "the address of real1"),
        (["198.18.22.12"], "the address of dir2"),
        (["198.18.20.30"], "a VIP of a service"),
        ([GATEWAY, GATEWAY], "as well"),
        ([GATEWAY, "198.18.22.2"], "in the network of 198.18.22.1"),
        (["192.0.2.1"], "in no network of dir1 and dir2"),
        ([GATEWAY, "198.18.21.1"], "no real server that is reached by NAT"),
    ],
)
def test_gateways_that_directors_could_not_hold(gateways: list[str], problem: str) -> None:
    findings = [each for each in check(behind_nat(NAT, gateways=gateways), GROUPS, SPECS) if each.rule == "bad_gateway"]
    assert [(each.severity, each.variable) for each in findings] == [("error", f"{G}[{len(gateways) - 1}]")]
    assert problem in findings[0].problem


def test_a_gateway_whose_interface_has_two_names() -> None:
    hosts = behind_nat(NAT, gateways=[GATEWAY])
    hosts["dir2"]["ha_interfaces"]["eth3"] = hosts["dir2"]["ha_interfaces"].pop("eth2")
    assert found(hosts) == set()
    hosts["dir2"]["ha_interfaces"]["eth3"] = "198.18.22.12/25"
    assert ("bad_gateway", "all hosts", f"{G}[0]") in found(hosts)


@pytest.mark.parametrize(
    ("rule", "variable", "hosts"),
    [
        ("missing_gateway", G, behind_nat(NAT)),
        ("idle_masquerade", "lvs_director_masquerade", inventory(lvs_director_masquerade=True)),
        ("missing_gateway", G, behind_nat(NAT, gateways=[])),
        ("bad_gateway", f"{G}[0]", behind_nat(gateways=["198.18.21.1"])),
        (
            "gateway_on_two_directors",
            f"{S}[1].preferred_director",
            behind_nat(NAT, {**NAT_B, "preferred_director": "dir2"}, gateways=[GATEWAY]),
        ),
        (
            "gateway_alone",
            f"{G}[0]",
            behind_nat(web(vip=None, port=None, fwmark=7, forwarding="nat"), gateways=[GATEWAY]),
        ),
        (
            "vip_without_holder",
            "heartbeat_resource_groups",
            behind_nat(
                NAT,
                gateways=[GATEWAY],
                heartbeat_resource_groups=[{"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0"]}],
            ),
        ),
        (
            "gateway_on_two_directors",
            "heartbeat_resource_groups",
            behind_nat(
                NAT,
                gateways=[GATEWAY],
                heartbeat_resource_groups=[
                    {"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0"]},
                    {"node": "dir2", "resources": ["IPaddr2::198.18.22.1/24/eth2"]},
                ],
            ),
        ),
        (
            "bad_resource",
            "heartbeat_resource_groups[0].resources[1]",
            behind_nat(
                NAT,
                gateways=[GATEWAY],
                heartbeat_resource_groups=[
                    {"node": "dir1", "resources": ["IPaddr2::198.18.20.30/24/eth0", "IPaddr2::198.18.22.1/24/eth0"]}
                ],
            ),
        ),
        ("ping_own_vip", "heartbeat_ping[0]", behind_nat(NAT, gateways=[GATEWAY], heartbeat_ping=[GATEWAY])),
        (
            "bad_witness",
            "heartbeat_witnesses.eth2[0]",
            behind_nat(NAT, gateways=[GATEWAY], heartbeat_witnesses={"eth2": [GATEWAY]}),
        ),
        (
            "ftp_without_helper",
            f"{S}[0].port",
            behind_nat(
                web(forwarding="nat", port=21, check={"type": "connect"}),
                gateways=[GATEWAY],
                lvs_director_modules=["ip_vs", "ip_vs_wrr"],
            ),
        ),
        (
            "ftp_without_helper",
            f"{S}[0].ports",
            behind_nat(marked(forwarding="nat", ports=[21, "1024-65535"]), gateways=[GATEWAY]),
        ),
        (
            "port_mapping",
            f"{S}[0].real_servers[0].port",
            inventory(web(real_servers=[{"host": "real1", "port": 8080}])),
        ),
    ],
)
def test_what_is_wrong_with_nat(rule: str, variable: str, hosts: Hosts) -> None:
    # What the network or the mark of such a case has by itself.
    beside = {"open_sync", "unreachable_real_server", "vip_off_link"}
    assert {(name, place) for name, _host, place in found(hosts) if name not in beside} == {(rule, variable)}


def test_clients_that_would_be_answered_past_the_directors() -> None:
    """Where the VIP is in the real servers' network, or a host of the group clients."""
    one_arm = inventory(NAT, ha_gateway_vips=["198.18.20.1"])
    assert found(one_arm) == {("nat_past_directors", "all hosts", f"{S}[0].forwarding")}
    without_clients = {name: hosts for name, hosts in GROUPS.items() if name != "clients"}
    assert found(one_arm, without_clients) == {("nat_past_directors", "all hosts", f"{S}[0].forwarding")}
    hosts = behind_nat(NAT, gateways=[GATEWAY])
    hosts["client1"]["ha_interfaces"]["eth1"] = "198.18.22.100/24"
    assert ("nat_past_directors", "all hosts", f"{S}[0].forwarding") in found(hosts)


def test_a_way_out_by_the_interface_that_real_servers_come_by() -> None:
    """Also where that interface has two networks; one that has no gateway is translated."""
    rule = ("one_armed_masquerade", "all hosts", "lvs_director_masquerade")
    assert rule in found(inventory(NAT, ha_gateway_vips=["198.18.20.1"], lvs_director_masquerade=True))
    hosts = behind_nat(NAT, gateways=[GATEWAY], lvs_director_masquerade=True)
    assert rule not in found(hosts)
    for name in ("dir1", "dir2"):
        own = hosts[name]["ha_interfaces"]
        own["eth0"] = [own["eth0"], own.pop("eth2")]
    assert rule in found(hosts)
    for host in hosts.values():
        host["lvs_director_masquerade"] = False
    assert rule not in found(hosts)


def test_a_real_server_of_two_ways_of_forwarding() -> None:
    hosts = behind_nat(NAT, web(name="b", port=81), gateways=[GATEWAY])
    assert ("mixed_forwarding", "all hosts", f"{S}[1].real_servers") in found(hosts)


def test_a_default_route_needs_a_gateway_in_reach() -> None:
    place = "real_server_default_route"
    assert ("bad_default_route", "real1, real2", place) in found(behind_nat(NAT, real_server_default_route=True))
    two = behind_nat(NAT, gateways=[GATEWAY, "198.18.23.1"], real_server_default_route=True)
    for name, number in (("dir1", 11), ("dir2", 12), ("real1", 21)):
        two[name]["ha_interfaces"]["eth3"] = f"198.18.23.{number}/24"
    assert found(two) == {("bad_default_route", "real1", place)}
    direct = behind_nat(web(), real_server_default_route=True)
    assert ("bad_default_route", "real1, real2", place) in found(direct)

    def given(*gateways: str) -> set[tuple[str, str, str]]:
        shared = {"real_server_default_route": True, "real_server_gateways": list(gateways)}
        return found(behind_nat(NAT, gateways=[GATEWAY], **shared))

    assert given(GATEWAY) == set()
    for wrong in ("x", "192.0.2.1", "2001:DB8::FF"):
        assert given(wrong) == {("bad_default_route", "real1, real2", "real_server_gateways[0]")}
    assert given(GATEWAY, "198.18.22.2") == {("bad_default_route", "real1, real2", "real_server_gateways[1]")}


def through_tunnels(**own: Any) -> set[tuple[str, str, str]]:
    """Return what is found where real1 and real2 are behind a router, with these variables of real1."""
    hosts = inventory(web(forwarding="tunnel"))
    for number in (1, 2):
        hosts[f"real{number}"]["ha_interfaces"] = {"eth0": f"198.18.23.{20 + number}/24"}
    hosts["real1"].update(own)
    return found(hosts)


def test_real_servers_behind_a_router_need_nothing_but_tunnels() -> None:
    assert through_tunnels() == set()
    route = {"real_server_default_route": True, "real_server_gateways": ["198.18.23.1"]}
    assert through_tunnels(**route, real_server_mss=1440) == through_tunnels(**route, real_server_mss=0) == set()


def test_packets_in_tunnels_come_from_directors() -> None:
    name = "real_server_tunnel_sources"

    def given(*sources: str) -> set[tuple[str, str, str]]:
        return through_tunnels(real_server_tunnel_sources=list(sources))

    assert given("198.18.20.11", "198.18.20.12") == given("198.18.20.11", "198.18.21.12", "192.0.2.1") == set()
    for wrong in ("x", "198.18.20.0/24", "2001:DB8::1", "127.0.0.1", "198.18.20.30", "198.18.23.22", "198.18.20.11"):
        assert ("bad_tunnel_source", "real1", f"{name}[2]") in given("198.18.20.11", "198.18.20.12", wrong)
    assert given("198.18.20.11") == {("tunnel_source_missing", "real1", name)}
    assert given() == given("2001:db8::1") == {("open_tunnel", "real1", name)}


def test_the_size_of_segments() -> None:
    route = {"real_server_default_route": True, "real_server_gateways": ["198.18.23.1"]}
    for wrong in (-1, 144, 515, 65476):
        assert through_tunnels(**route, real_server_mss=wrong) == {("bad_mss", "real1", "real_server_mss")}
    assert through_tunnels(real_server_mss=1440) == {("not_read", "real1", "real_server_mss")}


def test_interfaces_of_different_names() -> None:
    """The network tells which is which, if it is one."""
    hosts = changed("dir2", ha_interfaces={"ens3": "198.18.20.12/24", "ens4": "198.18.21.12/24"})
    assert found(hosts) == set()
    hosts = changed("dir2", ha_interfaces={"ens3": "198.18.20.12/25", "ens4": "198.18.21.12/25"})
    assert found(hosts) == {
        ("vip_interfaces_differ", "all hosts", f"{S}[0].vip"),
        ("no_link", "all hosts", "heartbeat_links"),
    }


def test_connections_are_told_in_one_network_whatever_its_interfaces_are_called() -> None:
    """The clients' network has the name here that the directors' own has there."""
    hosts = changed("dir2", ha_interfaces={"eth1": "198.18.20.12/24", "eth0": "198.18.21.12/24"})
    assert found(hosts) == set()
    hosts["dir1"]["ha_interfaces"] = {"eth0": "198.18.20.11/24"}
    hosts["dir2"]["ha_interfaces"] = {"ens3": "198.18.20.12/24"}
    assert found(hosts) == {OPEN_SYNC, ("single_link", "all hosts", "heartbeat_links")}


P = "ha_vip_places"
FAR = "203.0.113.30"


def placed(*places: Any, vip: str = FAR, **hosts: Any) -> Hosts:
    """Return the quickstart cluster with places, and with the interfaces of some hosts."""
    found = inventory(web(vip=vip), ha_vip_places=list(places))
    for host, own in hosts.items():
        found[host]["ha_interfaces"] = own
    return found


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(placed({"address": FAR, "interface": "eth0"}), id="outside of all networks"),
        pytest.param(placed({"address": FAR, "interface": "eth0", "prefix": 24}), id="with a network of its own"),
        pytest.param(placed({"address": VIPS[0], "interface": "eth0", "prefix": 32}, vip=VIPS[0]), id="in a network"),
        pytest.param(
            placed({"address": FAR, "interface": "eth0"}, dir2={"ens3": "198.18.20.12/24", "ens4": "198.18.21.12/24"}),
            id="by interfaces of different names",
        ),
    ],
)
def test_places_of_vips(hosts: Hosts) -> None:
    assert found(hosts) == set()


@pytest.mark.parametrize(
    ("places", "variable", "problem"),
    [
        ([{"address": f"{FAR}/32", "interface": "eth0"}], "[0].address", "without prefix length"),
        ([{"address": "203.0.113.31", "interface": "eth0"}], "[0].address", "is no VIP"),
        ([{"address": FAR, "interface": "eth0"}] * 2, "[1].address", "ha_vip_places[0] as well"),
        ([{"address": FAR, "interface": "eth2"}], "[0].interface", "dir1 and dir2 have no such interface"),
        ([{"address": FAR, "interface": "eth0", "prefix": 0}], "[0].prefix", "from 1 to 32"),
        ([{"address": FAR, "interface": "eth0", "prefix": 33}], "[0].prefix", "from 1 to 32"),
        ([{"address": FAR, "interface": "eth0", "prefix": 30}], "[0].prefix", ""),
    ],
)
def test_places_that_nobody_could_take(places: list[Any], variable: str, problem: str) -> None:
    findings = check(placed(*places), GROUPS, SPECS)
    findings = [each for each in findings if each.rule == "bad_vip_place"]
    if not problem:  # 203.0.113.30 is one of 203.0.113.28/30
        assert findings == []
        return
    assert [(each.severity, each.variable) for each in findings] == [("error", f"{P}{variable}")]
    assert problem in findings[0].problem


def test_a_place_where_nobody_looks_for_the_address() -> None:
    other = placed({"address": VIPS[0], "interface": "eth1"}, vip=VIPS[0])
    assert ("bad_vip_place", "all hosts", f"{P}[0].interface") in found(other)
    last = placed({"address": "203.0.113.31", "interface": "eth0", "prefix": 28}, vip="203.0.113.31")
    assert found(last) == {("bad_vip_place", "all hosts", f"{P}[0].prefix")}


def test_the_other_rules_go_by_the_place() -> None:
    """Whose network the real servers should be in, and whether directors and clients share the way of connections."""
    hosts = placed({"address": FAR, "interface": "eth1"})
    assert found(hosts) == {OPEN_SYNC, ("vip_off_link", "all hosts", f"{S}[0].vip")}
    lone = placed(
        {"address": FAR, "interface": "eth0"}, dir1={"eth0": "198.18.20.11/24"}, dir2={"eth0": "198.18.20.12/24"}
    )
    assert OPEN_SYNC in found(lone)
    hosts = placed({"address": FAR, "interface": "eth0"}, dir2={"eth0": "198.18.22.12/24", "eth1": "198.18.21.12/24"})
    assert ("unreachable_real_server", "all hosts", f"{S}[0].real_servers") in found(hosts)


def test_a_gateway_may_have_a_place_but_no_prefix_of_its_own() -> None:
    hosts = behind_nat(NAT, gateways=[GATEWAY], ha_vip_places=[{"address": GATEWAY, "interface": "eth2", "prefix": 24}])
    assert found(hosts) == set()
    hosts = behind_nat(NAT, gateways=[GATEWAY], ha_vip_places=[{"address": GATEWAY, "interface": "eth2", "prefix": 32}])
    assert found(hosts) == {("bad_vip_place", "all hosts", f"{P}[0].prefix")}


def test_directors_have_one_place_for_an_address() -> None:
    hosts = placed({"address": FAR, "interface": "eth0"})
    hosts["dir2"][P] = [{"address": FAR, "interface": "eth1"}]
    assert ("values_differ", "all hosts", P) in found(hosts)


def test_real_server_behind_a_router() -> None:
    hosts = changed("real2", ha_interfaces={"eth0": "198.18.22.22/24"})
    assert found(hosts) == {
        ("unreachable_real_server", "all hosts", f"{S}[0].real_servers"),
        ("vip_off_link", "all hosts", f"{S}[0].vip"),
    }
    for host in hosts.values():
        host[S][0]["forwarding"] = "tunnel"
    assert found(hosts) == set()


def test_acknowledged_warning_does_not_stop() -> None:
    hosts = inventory(**keys({"id": 1, "method": "crc"}))
    warning = check(hosts, GROUPS, SPECS)
    assert [finding.severity for finding in warning] == ["warning"]
    assert warning[0].remedy.endswith('or accept it: add "heartbeat_crc" to ha_acknowledged')
    assert stops(warning)
    for host in hosts.values():
        host["ha_acknowledged"] = ["heartbeat_crc"]
    accepted = check(hosts, GROUPS, SPECS)
    assert [finding.severity for finding in accepted] == ["acknowledged"]
    assert not stops(accepted)


def test_render() -> None:
    findings = [
        Finding("bad_vip", "error", "all hosts", "v[10].vip", "x", "is wrong", "mend it"),
        Finding("bad_vip", "error", "all hosts", "v[2].vip", "y", "is wrong", "mend it"),
        Finding("no_weight", "warning", "dir1", "v[2]", "", "is odd", "change it"),
        Finding("heartbeat_crc", "acknowledged", "dir1", "k", "crc", "signs nothing", "use sha1"),
    ]
    assert render(findings).splitlines() == [
        "Preflight: 2 errors, 1 warning, 1 acknowledged. No host was touched.",
        "",
        "ERROR         all hosts: v[2].vip = y",
        "              is wrong  [bad_vip]",
        "              -> mend it",
        "",
        "ERROR         all hosts: v[10].vip = x",
        "              is wrong  [bad_vip]",
        "              -> mend it",
        "",
        "WARNING       dir1: v[2]",
        "              is odd  [no_weight]",
        "              -> change it",
        "",
        "ACKNOWLEDGED  dir1: k = crc",
        "              signs nothing  [heartbeat_crc]",
    ]


def test_every_rule_says_where_it_comes_from() -> None:
    assert all(rule.find.__doc__ for rule in RULES)
    assert {rule.severity for rule in RULES} == {"error", "warning"}


# Arbitrary data, with a good chance of nearly right data: names, words and numbers that rules look at.
WORDS = st.sampled_from(
    [
        *(
            "web",
            "198.18.20.30",
            "198.18.20.11/24",
            "2001:db8::1/64",
            "fe80::1%eth0",
            "real1",
            "dir1",
            "eth0",
            "on",
            "",
        ),
        *("(", "#", "2", "500ms", "1.", "IPaddr::1.2.3.4", "tcp", "nat", "direct", "negotiate", "external", "none"),
        *("sha1", "crc", "mcast"),
    ]
)
NUMBERS = st.integers() | st.sampled_from([0, 1, 2, 15, 53, 80, 65535, 65536]) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8) | st.just(Unevaluated("x is undefined"))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def nearly(option: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that mostly have the shape that an option wants."""
    kind = option.get("type", "str")
    if kind == "list":
        element = {**option, "type": option.get("elements", "raw")}
        right: st.SearchStrategy[Any] = st.lists(nearly(element), max_size=3)
    elif kind == "dict" and "options" in option:
        right = st.fixed_dictionaries({}, optional={name: nearly(inner) for name, inner in option["options"].items()})
    elif kind == "dict":
        right = st.dictionaries(WORDS, WORDS | st.lists(WORDS, max_size=2) | ANYTHING, max_size=3)
    elif "choices" in option:
        right = st.sampled_from(option["choices"])
    else:
        right = {"int": NUMBERS, "bool": st.booleans()}.get(kind, WORDS)
    return st.one_of(right, right, right, LEAVES, ANYTHING)


VARIABLES = st.fixed_dictionaries({}, optional={name: nearly(option) for name, option in OPTIONS.items()})
NAMES = st.sampled_from([*ADDRESSES, "x"])
SOME_GROUPS = st.dictionaries(
    st.sampled_from(["directors", "real_servers", "dns_servers", "all", "director", "x"]),
    st.lists(NAMES, max_size=3),
    max_size=4,
)


@settings(max_examples=3 * settings().max_examples)
@given(st.dictionaries(NAMES, VARIABLES, max_size=4), SOME_GROUPS | st.just(GROUPS))
def test_never_raises_on_nearly_right_inventories(hosts: Hosts, groups: dict[str, list[str]]) -> None:
    findings = check(hosts, groups, SPECS)
    assert all(len(block.splitlines()) <= 4 for block in render(findings).split("\n\n"))


@settings(max_examples=2 * settings().max_examples)
@given(
    st.dictionaries(NAMES, st.dictionaries(st.sampled_from([*OPTIONS, "ha_x", "heartbeat_x"]), ANYTHING), max_size=4)
)
def test_never_raises_on_garbage(hosts: Hosts) -> None:
    render(check(hosts, GROUPS, SPECS))


@given(VARIABLES, st.randoms(use_true_random=False))
def test_order_of_variables_and_hosts_does_not_matter(variables: dict[str, Any], chance: random.Random) -> None:
    hosts = {host: {"ha_interfaces": own, **variables} for host, own in ADDRESSES.items()}
    names = [*hosts]
    chance.shuffle(names)
    shuffled = {name: dict(chance.sample([*hosts[name].items()], len(hosts[name]))) for name in names}
    wanted = render(check(hosts, GROUPS, SPECS))
    # Which of two hosts with one address is the first does depend on their order.
    if "duplicate_address" not in wanted:
        assert render(check(shuffled, GROUPS, SPECS)) == wanted


PLACES: list[Callable[[Any], Hosts]] = [
    lambda secret: inventory(checked(password=secret)),
    lambda secret: inventory(checked(secret=secret)),
    lambda secret: inventory(checked(pasword=secret)),
    lambda secret: inventory(web(check=secret)),
    lambda secret: inventory(web(chekc=secret)),
    inventory,
    lambda secret: inventory(heartbeat_authkeys=secret),
    lambda secret: inventory(heartbeat_authkey=secret),
    lambda secret: inventory(**keys({"id": 1, "secret": secret})),
    lambda secret: inventory(**keys({"id": 1, "key": secret})),
    lambda secret: inventory(**keys({"id": 1, "method": "crc", "secret": secret})),
    lambda secret: inventory(**keys(secret)),
    lambda secret: changed("dir1", **keys({**KEY, "secret": secret})),
    lambda secret: inventory(heartbeat_stonith=secret),
    lambda secret: inventory(heartbeat_stonith=[fencing(parameters=secret)]),
    lambda secret: inventory(heartbeat_stonith=[fencing(parameter=secret)]),
    lambda secret: changed("dir1", heartbeat_stonith=[fencing(parameters=secret)]),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "secret",
    [SECRET, f"{SECRET} #\n", [SECRET], {SECRET: 1}, [{"a": SECRET}], Unevaluated("it failed", SECRET)],
    ids=["word", "odd", "list", "key", "nested", "template"],
)
def test_secrets_are_never_shown(place: Callable[[Any], Hosts], secret: Any) -> None:
    findings = check(place(secret), GROUPS, SPECS)
    if secret == {SECRET: 1}:
        return  # the name of an option is no secret; only that this does not raise is of interest
    assert SECRET not in render(findings)
    assert SECRET not in repr(findings)


@pytest.mark.skipif(shutil.which("perl") is None, reason="compares with Perl")
def test_patterns_that_perl_takes_are_never_refused() -> None:
    chance = random.Random(1)
    pieces = [
        *"()[]{}*+?^$|\\.ab1:-#",
        "(?:",
        "(?<n>",
        "[:alpha:]",
        "\\z",
        "\\h",
        "{2,}",
        "(*FAIL)",
        "(?|",
        "\\x{28}",
        "(?i)",
    ]
    patterns = ["".join(chance.choices(pieces, k=chance.randint(1, 8))) for _number in range(20000)]
    program = "no warnings; $/ = qq(\\0); while (<STDIN>) { chomp; print eval { qr/$_/; 1 } ? 1 : 0 }"
    answer = subprocess.run(
        ["perl", "-e", program], input="\0".join(patterns), capture_output=True, text=True, check=True
    )
    refused = [pattern for pattern in patterns if _pattern_fault(pattern)]
    wrong = [
        pattern
        for pattern, taken in zip(patterns, answer.stdout, strict=True)
        if taken == "1" and _pattern_fault(pattern)
    ]
    assert len(refused) > 1000
    assert wrong == []


@pytest.mark.skipif(shutil.which("perl") is None, reason="compares with Perl")
def test_patterns_that_match_something_in_perl_are_never_taken_for_others() -> None:
    chance = random.Random(2)
    patterns = ["".join(chance.choices([*"ab$^*?.\\[]", "{2,1}"], k=chance.randint(1, 6))) for _number in range(20000)]
    texts = [
        "",
        "a",
        "b",
        "ab",
        "ba",
        "aa",
        "bb",
        "aba",
        "$",
        "^",
        "a$b",
        "a^b",
        "\\",
        "[",
        "]",
        "$a",
        "^b",
        "a\n",
        "\na",
    ]
    program = r"""no warnings; $/ = qq(\0); @texts = split /\x01/, shift, -1;
        while (<STDIN>) { chomp; $p = $_; print eval { grep { /$p/ } @texts } ? 1 : 0 }"""
    answer = subprocess.run(
        ["perl", "-e", program, "\x01".join(texts)],
        input="\0".join(patterns),
        capture_output=True,
        text=True,
        check=True,
    )
    hopeless = [pattern for pattern in patterns if _never_matches(pattern)]
    wrong = [p for p, matched in zip(patterns, answer.stdout, strict=True) if matched == "1" and _never_matches(p)]
    assert len(hopeless) > 500
    assert wrong == []


class Counted(list[Any]):
    """A list that knows how often somebody went through it."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        self.times += 1
        return super().__iter__()


def test_a_value_of_many_hosts_is_not_looked_at_once_more_for_each() -> None:
    services = Counted([WEB])
    hosts = inventory()
    hosts.update({f"x{number}": {} for number in range(500)})
    for own in hosts.values():
        own["ha_virtual_services"] = services
    check(hosts, GROUPS, SPECS)
    assert services.times < 50


def test_success_says_what_was_checked() -> None:
    hosts = inventory(WEB, web(name="b", port=81, check={"type": "connect"}))
    assert summary(hosts, GROUPS, []) == "Checked: 5 hosts, 2 virtual services, 2 directors, 2 real servers."
    crc = check(inventory(**keys({"id": 1, "method": "crc"}), ha_acknowledged=["heartbeat_crc"]), GROUPS, SPECS)
    assert summary(hosts, {"nfs_server": ["a"]}, crc) == "Checked: 5 hosts, 1 NFS server. Accepted: heartbeat_crc."


@pytest.mark.parametrize("name", ["packages_here", "packages", "cluster_plan", "plan_b"])
def test_common_names_are_left_to_users(name: str) -> None:
    """A role's name claims all variables that begin with it, so no role has a name that everybody needs."""
    assert found(inventory(**{name: ["vim"]})) == set()


@pytest.mark.parametrize("forwarding", ["direct", "tunnel"])
def test_a_real_server_may_be_elsewhere(forwarding: str) -> None:
    hosts = inventory({**elsewhere("198.18.20.50"), "forwarding": forwarding})
    assert check(hosts, GROUPS, SPECS) == []


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hash_schedulers_may_have_a_fallback(scheduler: str) -> None:
    flags = [f"{scheduler}-fallback", f"{scheduler}-port"]
    assert check(inventory(web(scheduler=scheduler, scheduler_flags=flags)), GROUPS, SPECS) == []
