"""Inventories that a hostile review tried: wrong ones that once passed, and right ones that were once refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory import cluster as plan
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import parse
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import options_of, read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import Finding, check

SPECS = read_specs()
GROUPS = {"directors": ["dir1", "dir2"], "real_servers": ["real1", "real2"]}
ADDRESSES: dict[str, Any] = {
    "dir1": {"eth0": "198.18.20.11/24", "eth1": "198.18.21.11/24"},
    "dir2": {"eth0": "198.18.20.12/24", "eth1": "198.18.21.12/24"},
    "real1": {"eth0": "198.18.20.21/24"},
    "real2": {"eth0": "198.18.20.22/24"},
}
WEB: dict[str, Any] = {"name": "web", "vip": "198.18.20.30", "port": 80, "check": {"service": "http"}}

Hosts = dict[str, dict[str, Any]]
Found = set[tuple[str, str, str]]


def trial(service: dict[str, Any] | None = None, interfaces: dict[str, Any] | None = None, **shared: Any) -> Hosts:
    """Return a good inventory with a service changed, some hosts' interfaces replaced, and variables for all hosts."""
    own = {**ADDRESSES, **(interfaces or {})}
    shared = {"ha_virtual_services": [{**WEB, **(service or {})}], **shared}
    return {host: {"ha_interfaces": dict(own[host]), **copy.deepcopy(shared)} for host in own}


def findings(hosts: Hosts, groups: dict[str, list[str]] | None = None) -> list[Finding]:
    return check(hosts, groups or GROUPS, SPECS)


def found(hosts: Hosts, groups: dict[str, list[str]] | None = None) -> Found:
    return {(each.rule, each.host, each.variable) for each in findings(hosts, groups)}


def planned(hosts: Hosts, groups: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Return the plan of an inventory that preflight accepts."""
    assert found(hosts, groups) == set()
    return plan.cluster(parse(hosts, groups or GROUPS, options_of(plan.VARIABLES)))


def test_the_trial_itself_is_right() -> None:
    assert planned(trial())["vips"] == [{"address": "198.18.20.30", "prefix": 24, "interface": "eth0", "node": "dir1"}]


S = "ha_virtual_services[0]"


# Where an address lives: an interface that both directors have in its network, by the smallest network.


def test_an_address_lives_where_both_directors_can_hold_it() -> None:
    hosts = trial(interfaces={"dir1": {"eth2": "198.18.20.13/24", **ADDRESSES["dir1"]}})
    assert planned(hosts)["vips"][0]["interface"] == "eth0"
    hosts = trial(
        {"forwarding": "nat"},
        {
            "dir1": {"eth3": "198.18.22.13/24", **ADDRESSES["dir1"], "eth2": "198.18.22.11/24"},
            "dir2": {**ADDRESSES["dir2"], "eth2": "198.18.22.12/24"},
            "real1": {"eth0": "198.18.22.21/24"},
            "real2": {"eth0": "198.18.22.22/24"},
        },
        ha_gateway_vips=["198.18.22.1"],
    )
    assert [each["interface"] for each in planned(hosts)["vips"]] == ["eth0", "eth2"]


def test_of_overlapping_networks_an_address_lives_in_the_smallest() -> None:
    hosts = trial(
        interfaces={
            "dir1": {"eth1": "198.18.21.11/16", "eth0": "198.18.20.11/24"},
            "dir2": {"eth1": "198.18.21.12/16", "eth0": "198.18.20.12/24"},
        }
    )
    assert planned(hosts)["vips"] == [{"address": "198.18.20.30", "prefix": 24, "interface": "eth0", "node": "dir1"}]
    # Of two networks, the one that both have, even if one director alone has a smaller one beside it.
    hosts["dir1"]["ha_interfaces"]["eth0"] = ["198.18.20.11/24", "198.18.20.13/25"]
    assert planned(hosts)["vips"][0]["prefix"] == 24


def test_connections_are_synchronised_where_no_vip_lives() -> None:
    """The wider network holds the VIP's address as well, but the VIP is not there."""
    hosts = trial(
        interfaces={
            "dir1": {"eth1": "198.18.21.11/16", "eth0": "198.18.20.11/24"},
            "dir2": {"eth1": "198.18.21.12/16", "eth0": "198.18.20.12/24"},
        },
        lvs_director_sync_interface="eth1",
    )
    assert found(hosts) == set()


# Names of groups.


@pytest.mark.parametrize(
    "name",
    [
        *("mail_servers", "media_servers", "relay_servers", "read_servers", "data_servers", "code_servers"),
        *("ntp_clients", "vpn_clients", "dns_clients", "db_clients", "eu_clients", "clients_eu", "client"),
        *("nfs_servers", "nfs_client", "coda_server", "dns_server", "redirectors", "old-directors", "real_servers_eu"),
    ],
)
def test_groups_of_ones_own_have_ordinary_names(name: str) -> None:
    hosts = trial(interfaces={"other": {"eth0": "198.18.20.50/24"}})
    assert found(hosts, {**GROUPS, name: ["other"]}) == set()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *((name, "directors") for name in ("director", "Directors", "direktors", "direcotrs", "redirectors")),
        *((name, "real_servers") for name in ("real_server", "realservers", "real-servers", "rael_servers")),
        *((name, "real_servers") for name in ("real_severs", "realserver", "RealServers")),
    ],
)
def test_a_group_that_has_no_hosts_is_missed_where_one_is_misspelt(name: str, meant: str) -> None:
    groups = {name if known == meant else known: hosts for known, hosts in GROUPS.items()}
    assert ("unknown_group", "inventory", f"groups.{name}") in found(trial(), groups)


@pytest.mark.parametrize(
    ("variables", "groups", "name"),
    [
        ({"nfs_client_folder": "/srv"}, {"nfs_clients": ["real1"]}, "nfs_servers"),
        ({"coda_server_id": 7}, {"coda_scm": ["real1"]}, "coda-server"),
        ({"dns_zone_origin": "lb.example.org"}, {}, "dns_server"),
    ],
)
def test_groups_of_a_kind_are_looked_at_where_the_kind_is_used(
    variables: dict[str, Any], groups: dict[str, list[str]], name: str
) -> None:
    hosts = trial(interfaces={"other": {"eth0": "198.18.20.50/24"}})
    hosts["other"] |= variables
    wrong = found(hosts, {**GROUPS, **groups, name: ["other"]})
    assert ("unknown_group", "inventory", f"groups.{name}") in wrong


# Hosts without addresses, and faults that no rule has foreseen.


def test_an_empty_interface_is_no_address() -> None:
    for host in ("real1", "dir2"):
        hosts = trial(interfaces={host: {"eth0": [], "eth1": []}})
        assert found(hosts) == {("missing_interfaces", host, "ha_interfaces.eth0")}
    # Beside addresses of others it does no harm.
    assert found(trial(interfaces={"real1": {"eth0": "198.18.20.21/24", "eth1": []}})) == set()


@pytest.mark.parametrize("own", [{"eth0": []}, {"eth0": "2001:db8::21/64"}])
def test_a_coda_server_needs_an_ipv4_address(own: dict[str, Any]) -> None:
    hosts = trial(interfaces={"files": own})
    assert ("coda_address", "files", "ha_interfaces") in found(hosts, {**GROUPS, "coda_scm": ["files"]})


def test_what_the_plan_cannot_go_on_with_is_a_finding() -> None:
    """Rules know no NFS client with an address of its link alone."""
    hosts = trial(
        interfaces={"files": {"eth0": "2001:db8::20/64"}, "real1": {"eth0": ["198.18.20.21/24", "fe80::21/64"]}}
    )
    groups = {**GROUPS, "nfs_server": ["files"], "nfs_clients": ["real1"]}
    (finding,) = findings(hosts, groups)
    assert (finding.rule, finding.severity, finding.variable) == ("no_plan", "error", "plan of NFS")
    assert "no address of a family that files has as well" in finding.problem


# Real servers of a service.


@pytest.mark.parametrize("given", [[], None])
def test_an_empty_list_of_real_servers_is_not_all_of_them(given: Any) -> None:
    hosts = trial({"real_servers": given})
    assert found(hosts) == {("empty_real_servers", "all hosts", f"{S}.real_servers")}
    marked = {
        "fwmark": 1,
        "vips": ["198.18.20.30", "198.18.20.31"],
        "ports": [80],
        "check": {"type": "connect", "port": 80},
    }
    assert found(trial({"vip": None, "port": None, **marked, "real_servers": given})) == found(hosts)


# Addresses of a link alone, which each interface has.


def linked(**own: list[str]) -> Hosts:
    """Return a cluster of IPv6 alone whose hosts have an address of their link beside those that are given."""
    interfaces = {host: {"eth0": [address, f"fe80::{n}/64"]} for n, (host, (address,)) in enumerate(own.items(), 1)}
    for number, host in enumerate(("dir1", "dir2"), 11):
        interfaces[host]["eth1"] = [f"fd02::{number}/64", f"fe80::1:{number}/64"]
    return trial({"vip": "fd00::30", "forwarding": "tunnel"}, interfaces)


def test_addresses_of_a_link_are_no_network() -> None:
    hosts = linked(dir1=["fd00::11/64"], dir2=["fd00::12/64"], real1=["fd01::21/64"], real2=["fd01::22/64"])
    made = planned(hosts)
    assert [server["address"] for server in made["services"][0]["real_servers"]] == ["fd01::21", "fd01::22"]
    assert made["tunnel_sources"] == ["fd00::11", "fd02::11", "fd00::12", "fd02::12"]
    assert [link["peers"] for link in made["links"]] == [["fd00::11", "fd00::12"], ["fd02::11", "fd02::12"]]
    hosts["real1"]["ha_interfaces"] = {"eth0": "fe80::21/64"}
    assert found(hosts) == {("wrong_family", "all hosts", f"{S}.real_servers")}


def test_a_network_of_links_alone_is_no_link_for_heartbeats() -> None:
    both = {f"dir{n}": {**ADDRESSES[f"dir{n}"], "eth1": f"fe80::{n}/64"} for n in (1, 2)}
    assert ("single_link", "all hosts", "heartbeat_links") in found(trial(interfaces=both))


def test_one_address_of_a_link_may_be_on_several() -> None:
    vlans = {"dir1": {"eth0": "198.18.20.11/24", "eth1": ["198.18.21.11/24", "fe80::1/64"], "eth2": "fe80::1/64"}}
    assert found(trial(interfaces=vlans)) == set()
    vlans["real1"] = {"eth0": ["198.18.20.21/24", "fe80::1/64"]}
    assert found(trial(interfaces=vlans)) == set()
    vlans["real2"] = {"eth0": ["198.18.20.22/24", "fe80::1/64"]}
    assert found(trial(interfaces=vlans)) == {("duplicate_address", "real2", "ha_interfaces.eth0[1]")}


# Single values.


def test_a_secret_is_no_number() -> None:
    key = {"id": 1, "method": "sha1", "secret": 5744368105847}
    hosts = trial(heartbeat_authkeys={"active": 1, "keys": [key]})
    (finding,) = findings(hosts)
    assert (finding.rule, finding.variable) == ("wrong_type", "heartbeat_authkeys.keys[0].secret")
    assert finding.value == "(hidden)"
    assert finding.remedy.startswith("put it in quotes: YAML reads it as a number")
    check = {"service": "mysql", "login": "me", "password": 83, "database": "a", "request": "select 1"}
    assert ("wrong_type", "all hosts", f"{S}.check.password") in found(trial({"check": check, "port": 3306}))
    assert found(trial({"port": "80"}, heartbeat_keepalive=1, heartbeat_warntime=1.5, heartbeat_deadtime=4)) == set()


@pytest.mark.parametrize(
    "unit", ["ldirectord", "heartbeat-vips.service", "ipvs-guard", "lvs-packet-marks.service", "lvs-masquerade"]
)
def test_directors_need_their_own_units(unit: str) -> None:
    assert found(trial(lvs_director_disabled_units=[unit])) == {
        ("bad_word", "all hosts", "lvs_director_disabled_units[0]")
    }
    assert found(trial(lvs_director_disabled_units=["nginx", "keepalived.service", "heartbeat-exporter"])) == set()


# Names of variables whose beginning is misspelt.


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ldirector_fork", "ldirectord_fork"),
        ("lvs_directors_sync", "lvs_director_sync"),
        ("real_servers_device", "real_server_device"),
        ("realserver_default_route", "real_server_default_route"),
        ("hearbeat_auto_failback", "heartbeat_auto_failback"),
        ("heart_beat_ping", "heartbeat_ping"),
        ("Heartbeat_profile", "heartbeat_profile"),
        ("nfsserver_folder", "nfs_server_folder"),
    ],
)
def test_a_misspelt_beginning(name: str, meant: str) -> None:
    (finding,) = findings(trial(**{name: None}))
    assert (finding.rule, finding.variable) == ("unknown_variable", name)
    assert finding.remedy.startswith(f"did you mean {meant!r}?")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "web_server_device",
            "haproxy_fork",
            "director_sync",
            "server_folders",
            "dns_zones_file",
            "my_heartbeat_ping",
        ),
        *("keepalived_auto_failback", "ping", "realm", "nfs_folders", "codalvs", "lvs", "hb_profile", "proxy_hook"),
    ],
)
def test_variables_of_ones_own(name: str) -> None:
    assert found(trial(None, None, **{name: "x"})) == set()


# NFS.


def files(**variables: Any) -> Hosts:
    """Return a cluster with an NFS server, and variables for it and its client real1."""
    hosts = trial(interfaces={"files": {"eth0": "198.18.20.50/24"}})
    for name, value in variables.items():
        hosts["files" if name.startswith("nfs_server_") else "real1"][name] = value
    return hosts


WITH_NFS = {**GROUPS, "nfs_server": ["files"], "nfs_clients": ["real1"]}


@pytest.mark.parametrize("client", ["", "a b", "real1 #old", "real1(rw)", '"real1"', "-rw"])
def test_a_client_of_nfs_is_one_word(client: str) -> None:
    wanted = {("nfs_settings", "files", "nfs_server_clients[1]")}
    assert found(files(nfs_server_clients=["198.18.20.21", client]), WITH_NFS) == wanted


def test_everybody_may_mount_it_only_if_that_is_accepted() -> None:
    fine = [
        "198.18.20.0/24",
        "2001:db8::/64",
        "real1.example.org",
        "*.example.org",
        "@web",
        "198.18.20.0/255.255.255.0",
    ]
    assert found(files(nfs_server_clients=fine), WITH_NFS) == set()
    for wide in ("*", "0.0.0.0/0", "::/0"):
        wanted = {("open_export", "files", "nfs_server_clients[0]")}
        assert found(files(nfs_server_clients=[wide]), WITH_NFS) == wanted


@pytest.mark.parametrize("server", ["0.0.0.0", "127.0.0.1", "fe80::1", "224.0.0.1", "198.18.20.30"])
def test_the_server_of_nfs_is_a_host(server: str) -> None:
    assert found(files(nfs_client_server=server), WITH_NFS) == {("nfs_settings", "real1", "nfs_client_server")}
    for fine in ("198.18.20.50", "169.254.7.1", "203.0.113.9"):
        assert found(files(nfs_client_server=fine), WITH_NFS) == set()


# Smaller ones.


@pytest.mark.parametrize("address", ["255.255.255.255", "240.0.0.1", "fe80::1", "::ffff:8.8.8.8", "0.1.2.3"])
def test_nodes_to_ping_are_hosts(address: str) -> None:
    assert found(trial(heartbeat_ping=[address])) == {("bad_ping", "all hosts", "heartbeat_ping[0]")}
    assert found(trial(heartbeat_ping=["169.254.7.1", "198.18.20.1", "2001:db8::1"])) == set()


def test_a_witness_is_a_host() -> None:
    wrong = {("bad_witness", "all hosts", "heartbeat_witnesses.eth0[0]")}
    assert found(trial(heartbeat_witnesses={"eth0": ["198.18.20.255"]})) == wrong
    assert found(trial(heartbeat_witnesses={"eth0": ["198.18.20.254"]})) == set()


def test_what_ip_link_shows_is_more_than_a_name() -> None:
    hosts = trial(interfaces={"real2": {"eth0.100@eth0": "198.18.20.22/24"}})
    (finding,) = findings(hosts)
    assert (finding.rule, finding.host, finding.remedy) == ("bad_interface", "real2", "write eth0.100")


def test_files_and_programs_are_what_they_are_called() -> None:
    assert found(trial(heartbeat_log="/var/log/")) == {("bad_path", "all hosts", "heartbeat_log")}
    assert found(trial(ha_hook=["/usr/local/sbin/tell --loud"])) == {("bad_word", "all hosts", "ha_hook[0]")}
    assert found(trial(ha_hook=["/usr/local/sbin/tell all", "--loud"], heartbeat_log="/var/log/ha")) == set()


# Links.


@pytest.mark.parametrize("director", ["dir1", "dir2"])
@pytest.mark.parametrize("interface", ["eth0", "eth1"])
def test_a_director_with_two_addresses_in_a_network_has_a_link_there(director: str, interface: str) -> None:
    """Once, the network then had no heartbeats, and no warning said so."""
    address = ADDRESSES[director][interface]
    other = address.replace(".11/", ".13/").replace(".12/", ".13/")
    plain = planned(trial())
    plan = planned(trial(interfaces={director: {**ADDRESSES[director], interface: [address, other]}}))
    assert plan["links"] == plain["links"]
    assert plan["sync_interface"] == plain["sync_interface"] == "eth1"
    assert plan["witnesses"] == plain["witnesses"]


def test_a_director_with_two_interfaces_in_a_network_of_another_name_has_no_link_there() -> None:
    """Nobody knows which of the two the other director's heartbeats should go to."""
    hosts = trial(
        interfaces={
            "dir1": {"eth0": "198.18.20.11/24", "eth1": "198.18.21.11/24", "eth2": "198.18.21.13/24"},
            "dir2": {"eth0": "198.18.20.12/24", "ens5": "198.18.21.12/24"},
        }
    )
    assert ("single_link", "", "heartbeat_links") in {(each.rule, "", each.variable) for each in findings(hosts)}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("eth0@dir1,eth0@dir2", ""),
        ("eth0@dir1,ens33@dir2", "no such network interface ens33 on dir2, which has eth0, eth1"),
        ("eth0@dir1,eth0@dir3", "names no interface of dir2"),
    ],
)
def test_a_resource_by_node_names_an_interface_of_each_director(names: str, problem: str) -> None:
    """Else it starts on one director, and the other one gives up the whole line when it takes over."""
    groups = [{"node": "dir1", "resources": [f"VIPaddr2::198.18.20.30/24/{names}"]}]
    told = findings(trial(heartbeat_resource_groups=groups))
    expected = [("bad_resource", "heartbeat_resource_groups[0].resources[0]", problem)] if problem else []
    assert [(each.rule, each.variable, each.problem) for each in told] == expected


@pytest.mark.parametrize(
    ("second", "vip", "problem"),
    [
        ("198.18.50.12/24", "198.18.50.30", ""),
        ("198.18.50.12/24", "203.0.113.30", ""),
        ("198.18.60.12/24", "198.18.50.30", "the address is in a network of dir1 and in none of dir2"),
        ("198.18.60.12/24", "203.0.113.30", "there, the directors are in different networks"),
    ],
)
def test_a_place_is_one_network_for_both_directors(second: str, vip: str, problem: str) -> None:
    """After a takeover nobody would find the VIP in another one."""
    hosts = trial(
        {"vip": vip, "forwarding": "nat"},
        {
            "dir1": {**ADDRESSES["dir1"], "eth3": "198.18.50.11/24"},
            "dir2": {**ADDRESSES["dir2"], "eth3": second},
        },
        ha_vip_places=[{"address": vip, "interface": "eth3"}],
        ha_gateway_vips=["198.18.20.1"],
    )
    told = [(each.rule, each.problem) for each in findings(hosts) if each.rule != "single_gateway"]
    assert [rule for rule, _problem in told] == ["bad_vip_place"] * bool(problem)
    assert all(text.startswith(problem) for _rule, text in told)


# Real servers that nobody manages.


def test_a_cluster_of_appliances_needs_no_real_servers_of_its_own() -> None:
    groups = {"directors": GROUPS["directors"]}
    hosts = {host: own for host, own in trial({"real_servers": [{"address": "198.18.20.50"}]}).items() if "dir" in host}
    assert planned(hosts, groups)["services"][0]["real_servers"][0]["address"] == "198.18.20.50"
    hosts["dir1"]["ha_virtual_services"].append({**WEB, "name": "mail", "port": 25})
    hosts["dir2"]["ha_virtual_services"].append({**WEB, "name": "mail", "port": 25})
    assert ("missing_group", "inventory", "groups.real_servers") in found(hosts, groups)


@pytest.mark.parametrize("address", ["198.18.20.0", "198.18.20.255", "198.18.20.30"])
def test_what_no_machine_can_have_is_no_real_server(address: str) -> None:
    hosts = trial({"real_servers": [{"host": "real1"}, {"address": address}]})
    assert ("bad_real_server", f"{S}.real_servers[1].address") in {each[::2] for each in found(hosts)}


def test_a_service_of_both_families_has_no_real_server_by_one_address() -> None:
    """The plan said that a host of that name lacks an address."""
    hosts = trial(
        {
            "vip": None,
            "port": None,
            "fwmark": 5,
            "vips": ["198.18.20.30", "fd00:20::30"],
            "mark": [{"protocol": "tcp", "ports": [80]}],
            "real_servers": [{"host": "real1"}, {"address": "198.18.20.50"}],
        },
        {
            host: {**own, "eth0": [own["eth0"], own["eth0"].replace("198.18.20.", "fd00:20::").replace("/24", "/64")]}
            for host, own in ADDRESSES.items()
        },
    )
    told = {(each.rule, each.variable, each.problem) for each in findings(hosts) if each.severity == "error"}
    problem = "is IPv4, and the service has VIPs of both families"
    assert ("bad_real_server", f"{S}.real_servers[1].address", problem) in told
    assert "no_plan" not in {rule for rule, _variable, _problem in told}


@pytest.mark.parametrize("forwarding", ["direct", "nat", "tunnel"])
def test_a_service_lists_a_host_that_is_gone(forwarding: str) -> None:
    """With tunnels, preflight ended with the host's bare name."""
    told = found(trial({"forwarding": forwarding, "real_servers": [{"host": "real1"}, {"host": "gone"}]}))
    assert ("unknown_real_server", f"{S}.real_servers[1].host") in {each[::2] for each in told}


@pytest.mark.parametrize("others", [[], [{"host": "real1"}]])
def test_an_empty_name_is_none(others: list[dict[str, str]]) -> None:
    told = found(trial({"real_servers": [*others, {"host": ""}]}))
    assert ("bad_real_server", f"{S}.real_servers[{len(others)}]") in {each[::2] for each in told}


# Variables in the wrong place.


@pytest.mark.parametrize("hosts", [("real1",), ("real1", "real2"), ("dir1", "dir2")])
def test_who_is_absent_is_the_same_for_all(hosts: tuple[str, ...]) -> None:
    """Each play asks its own hosts, so what the directors alone know, the real servers' plays don't."""
    inventory = trial()
    for host in hosts:
        inventory[host]["ha_absent"] = ["real2"]
    (only,) = findings(inventory)
    assert (only.rule, only.severity, only.variable) == ("values_differ", "error", "ha_absent")
    assert "the group all" in only.remedy
    assert found(trial(ha_absent=["real2"])) == set()


@pytest.mark.parametrize("values", [(0, False), (False, 0), (1, True), (True, 1)])
def test_a_boolean_is_no_number_beside_an_equal_one(values: tuple[object, object]) -> None:
    hosts = trial()
    for host, value in zip(("real1", "real2"), values, strict=True):
        hosts[host]["real_server_mss"] = value
    wrong = "real1" if isinstance(values[0], bool) else "real2"
    told = [(each.host, each.problem) for each in findings(hosts) if "whole number" in each.problem]
    assert [host for host, _problem in told] == [wrong]


@pytest.mark.parametrize(("forwarding", "refused"), [("direct", True), ("nat", False)])
def test_a_director_that_is_a_real_server_tells_a_vip_by_its_prefix(forwarding: str, refused: bool) -> None:
    """The role would have taken Heartbeat's address for a stray one of its own."""
    both = ["dir1", "dir2"]
    place = {"address": "198.18.20.30", "interface": "eth0", "prefix": 32}
    hosts = {
        host: own
        for host, own in trial({"forwarding": forwarding}, ha_standby="cold", ha_vip_places=[place]).items()
        if host in both
    }
    told = {each[::2] for each in found(hosts, {"directors": both, "real_servers": both})}
    assert (("bad_vip_place", "ha_vip_places[0]") in told) == refused
    for own in hosts.values():
        del own["ha_vip_places"][0]["prefix"]
    assert ("bad_vip_place", "ha_vip_places[0]") not in {
        each[::2] for each in found(hosts, {"directors": both, "real_servers": both})
    }
