"""Preflight's rules about a Coda cell: what is found, and what is fine."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory import coda_cell
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.coda_cell import (
    RIGHTS,
    RVM_SIZES,
    SERVICES,
    TREES,
    VARIABLES,
    rvm_data_size,
    unsaid,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError, Values
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import options_of, read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import check

Hosts = dict[str, dict[str, Any]]

SPECS = read_specs()
ONE, TWO, THREE = "coda1.example.net", "coda2.example.net", "coda3.example.net"
CELL = {"coda_scm": [ONE], "coda_servers": [TWO, THREE]}
ROOT = {"name": "/", "replicas": [{"server": ONE}]}
BOTH = {"name": "www", "replicas": [{"server": ONE}, {"server": TWO}]}


def coda(changes: dict[str, dict[str, Any]] | None = None, **shared: Any) -> Hosts:
    """Return a good cell of three, with some variables of one host or of all changed; None removes one."""
    hosts: Hosts = {}
    for number, name in enumerate((ONE, TWO, THREE), 1):
        own = {"ha_interfaces": {"eth0": f"10.98.20.1{number}/24"}, "coda_server_id": number}
        mixed = {"coda_packages": ["coda-server"], **own, **shared, **(changes or {}).get(name, {})}
        hosts[name] = {key: copy.deepcopy(value) for key, value in mixed.items() if value is not None}
    return hosts


def apt(uri: str) -> Hosts:
    """Return what the SCM has with an apt repository at this address."""
    return {ONE: {"coda_apt_repository": {"uris": [uri], "suites": ["trixie"], "signed_by": "coda.asc"}}}


def cell(hosts: Hosts, groups: dict[str, list[str]]) -> dict[str, Any]:
    """Return the plan of an inventory's cell."""
    return coda_cell.cell(Values(hosts, options_of(VARIABLES)), groups)


def found(hosts: Hosts, groups: Any = None) -> set[tuple[str, str, str]]:
    findings = check(hosts, CELL if groups is None else groups, SPECS)
    return {(finding.rule, finding.host, finding.variable) for finding in findings if finding.rule != "coda_replicas"}


def test_replicas_have_to_be_accepted() -> None:
    hosts = coda({ONE: {"coda_scm_volumes": [ROOT, BOTH]}})
    accepted = coda({ONE: {"coda_scm_volumes": [ROOT, BOTH]}}, ha_acknowledged=["coda_replicas"])
    for found_in, severity in ((hosts, "warning"), (accepted, "acknowledged")):
        (finding,) = check(found_in, CELL, SPECS)
        assert (finding.rule, finding.variable) == ("coda_replicas", "coda_scm_volumes[1].replicas")
        assert finding.severity == severity


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(coda(), id="plain"),
        pytest.param(coda({THREE: {"coda_server_services": ["auth"], "coda_server_id": None}}), id="auth alone"),
        pytest.param(coda({ONE: {"coda_scm_volumes": [ROOT, BOTH]}}), id="replicas"),
        pytest.param(coda({TWO: {"ha_interfaces": {"eth0": "192.0.2.12/24"}}}), id="a high address without replicas"),
        pytest.param(
            coda(
                {
                    TWO: {
                        "ha_interfaces": {"eth0": "192.0.2.12/24", "eth1": "10.98.20.12/24"},
                        "coda_server_address": "10.98.20.12",
                    },
                    ONE: {"coda_scm_volumes": [ROOT, BOTH]},
                }
            ),
            id="a low address beside a high one",
        ),
        pytest.param(coda({ONE: {"coda_scm_admin": {"password": "12345678"}}}), id="eight bytes"),
        *(
            pytest.param(coda({ONE: {"coda_scm_groups": [group]}}), id=f"{group['name']} of {group['owner']}")
            for group in (
                {"name": "System:Administrators", "owner": "codaadmin", "members": ["System"]},
                {"name": "System:Administrators", "owner": "System", "members": ["codaadmin"]},
                {"name": "a:b", "owner": "codaadmin", "members": ["a:b", "System:AnyUser"]},
            )
        ),
        pytest.param(coda(apt("https://a.test/@coda:1/x@y")), id="an address without a password"),
        pytest.param(coda(apt("file:/srv/coda@1")), id="a file"),
        pytest.param(coda({TWO: {"coda_server_file_space": 500, "coda_server_rvm_data_size": 1024}}), id="large files"),
    ],
)
def test_good_cell(hosts: Hosts) -> None:
    assert found(hosts) == set()


def test_beside_a_cluster() -> None:
    groups = {"directors": ["dir1", "dir2"], "real_servers": [ONE, TWO]}
    service = {"name": "web", "vip": "10.98.20.30", "port": 80, "check": {"type": "connect"}}
    hosts = coda(ha_virtual_services=[service])
    for number, name in enumerate(groups["directors"], 8):
        hosts[name] = {"ha_interfaces": {"eth0": f"10.98.20.{number}/24"}, "ha_virtual_services": [service]}
    assert found(hosts, {**groups, **CELL}) == {
        ("single_link", "all hosts", "heartbeat_links"),
        ("open_sync", "all hosts", "lvs_director_sync_interface"),
    }


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (coda({TWO: {"coda_server_id": 0}}), ("coda_server_id", TWO, "coda_server_id")),
        (coda({TWO: {"coda_server_id": 255}}), ("coda_server_id", TWO, "coda_server_id")),
        (coda({TWO: {"coda_server_id": 127}}), ("coda_server_id", TWO, "coda_server_id")),
        (coda({TWO: {"coda_server_id": 1}}), ("coda_server_id", TWO, "coda_server_id")),
        (coda({TWO: {"coda_server_id": None}}), ("coda_server_id", TWO, "coda_server_id")),
        (coda({TWO: {"coda_server_name": "x" * 64}}), ("coda_server_name", TWO, "coda_server_name")),
        (coda({TWO: {"coda_server_name": "10.98.20.12"}}), ("coda_server_name", TWO, "coda_server_name")),
        (coda({TWO: {"coda_server_name": "localhost"}}), ("coda_server_name", TWO, "coda_server_name")),
        (coda({TWO: {"coda_server_name": ONE.upper()}}), ("coda_server_name", TWO, "coda_server_name")),
        (coda({TWO: {"coda_server_address": "10.1.1.1"}}), ("coda_address", TWO, "coda_server_address")),
        (coda({TWO: {"ha_interfaces": None}}), ("coda_address", TWO, "ha_interfaces")),
        (
            coda({TWO: {"ha_interfaces": {"eth0": "192.0.2.1/24"}}, ONE: {"coda_scm_volumes": [ROOT, BOTH]}}),
            ("coda_address", TWO, "ha_interfaces.eth0"),
        ),
        (coda({ONE: {"coda_server_services": ["files"]}}), ("coda_scm_services", ONE, "coda_server_services")),
        (coda({TWO: {"coda_server_services": []}}), ("coda_scm_services", TWO, "coda_server_services")),
        (coda({TWO: {"coda_packages": []}}), ("coda_packages", TWO, "coda_packages")),
        (coda({TWO: {"coda_server_partitions": []}}), ("coda_partition", TWO, "coda_server_partitions")),
        (
            coda({TWO: {"coda_server_partitions": [{"path": "/a b"}]}}),
            ("coda_partition", TWO, "coda_server_partitions[0].path"),
        ),
        (
            coda({TWO: {"coda_server_partitions": [{"path": "/a"}, {"path": "/a"}]}}),
            ("coda_partition", TWO, "coda_server_partitions[1].path"),
        ),
        (coda({TWO: {"coda_server_file_space": 26}}), ("coda_rvm_size", TWO, "coda_server_file_space")),
        (coda({TWO: {"coda_server_file_space": 0}}), ("coda_rvm_size", TWO, "coda_server_file_space")),
        (coda({TWO: {"coda_server_rvm_log_size": 1}}), ("coda_rvm_size", TWO, "coda_server_rvm_log_size")),
        (coda({ONE: {"coda_scm_volumes": [BOTH]}}), ("coda_volume", ONE, "coda_scm_volumes")),
        (coda({ONE: {"coda_scm_volumes": [ROOT, ROOT]}}), ("coda_volume", ONE, "coda_scm_volumes[1].name")),
        (
            coda({ONE: {"coda_scm_volumes": [ROOT, {"name": "a"}]}}),
            ("coda_volume", ONE, "coda_scm_volumes[1].replicas"),
        ),
        (
            coda({ONE: {"coda_scm_volumes": [{"name": "/", "replicas": [{"server": "coda1"}]}]}}),
            ("coda_volume", ONE, "coda_scm_volumes[0].replicas[0].server"),
        ),
        (
            coda({ONE: {"coda_scm_users": [{"name": "a", "uid": 9, "password": "123456789"}]}}),
            ("coda_password", ONE, "coda_scm_users[0].password"),
        ),
        (
            coda({ONE: {"coda_scm_admin": {"password": ""}}}),
            ("coda_password", ONE, "coda_scm_admin.password"),
        ),
        (coda({ONE: {"coda_scm_tokens": {"update": "short"}}}), ("coda_password", ONE, "coda_scm_tokens.update")),
        (coda({ONE: {"coda_scm_users": [{"name": "a", "uid": 500}]}}), ("coda_user", ONE, "coda_scm_users")),
        *(
            (coda({ONE: {"coda_scm_users": [{"name": "bob", "uid": 501}, user]}}), ("coda_user", ONE, "coda_scm_users"))
            for user in ({"name": "Bob", "uid": 502}, {"name": "bob", "uid": 501}, {"name": "system", "uid": 502})
        ),
        (
            coda({ONE: {"coda_scm_groups": [{"name": "CodaAdmin", "owner": "codaadmin"}]}}),
            ("coda_user", ONE, "coda_scm_groups"),
        ),
        (coda({ONE: {"coda_scm_admin": {"name": "1st", "uid": 500}}}), ("coda_user", ONE, "coda_scm_admin")),
        (coda({ONE: {"coda_scm_groups": [{"name": "9", "owner": "System"}]}}), ("coda_user", ONE, "coda_scm_groups")),
        *(
            (coda({ONE: {"coda_scm_groups": [group]}}), ("coda_user", ONE, f"coda_scm_groups{where}"))
            for group, where in (
                ({"name": "system:administrators", "owner": "codaadmin"}, ""),
                ({"name": "SYSTEM:AnyUser", "owner": "System"}, ""),
                ({"name": "a:b", "owner": "anna"}, "[0].owner"),
                ({"name": "a:b", "owner": "CodaAdmin"}, "[0].owner"),  # pdbtool knows it only as it is written
                ({"name": "a:b", "owner": "System", "members": ["codaadmin", "bbo"]}, "[0].members[1]"),
                ({"name": "System:Administrators", "owner": "System"}, "[0].members"),
            )
        ),
        *(
            (coda(apt(uri)), ("coda_apt_password", ONE, "coda_apt_repository.uris[0]"))
            for uri in ("https://eve:secret@a.test/coda", "https://eve@a.test", "mirror+https://eve:a@a.test/")
        ),
    ],
)
def test_one_mistake(hosts: Hosts, expected: tuple[str, str, str]) -> None:
    assert found(hosts) == {expected}


@pytest.mark.parametrize(
    "variables",
    [
        {"coda_scm_users": [{"name": ["anna"], "uid": 1001}]},
        {"coda_scm_users": ["anna"]},
        {"coda_scm_users": 7},
        {"coda_scm_admin": {"name": ["anna"], "uid": 500}},
        {"coda_scm_admin": 7},
    ],
)
def test_of_people_that_cannot_be_read_nobody_says_that_they_are_not_there(variables: dict[str, Any]) -> None:
    group = {"name": "anna:authors", "owner": "anna", "members": ["bob"]}
    rules = {rule for rule, _host, _variable in found(coda({ONE: {**variables, "coda_scm_groups": [group]}}))}
    assert rules
    assert "coda_user" not in rules


def desk(**own: Any) -> Hosts:
    return {"desk": {"coda_packages": ["coda-client"], **own}}


@pytest.mark.parametrize(
    ("paths", "wrong"),
    [
        (["/vicepa", "/vicepa/b"], 1),
        (["/vicepa/b/c", "/vicepa"], 0),
        (["/vicepa", "/./vicepa/b"], 1),
        (["/vicepa", "/dev/sdb1"], 1),
        (["/vicepa", "/dev"], 1),
        (["/vicepa", "/vicepab"], None),
        (["/vicepa", "/devices"], None),
    ],
)
def test_partitions_beside_each_other(paths: list[str], wrong: int | None) -> None:
    hosts = coda({TWO: {"coda_server_partitions": [{"path": path} for path in paths]}})
    expected = set() if wrong is None else {("coda_partition", TWO, f"coda_server_partitions[{wrong}].path")}
    assert found(hosts) == expected


@pytest.mark.parametrize("name", ["coda_server_rvm_data", "coda_server_rvm_log"])
def test_rvm_is_in_files(name: str) -> None:
    assert found(coda({TWO: {name: "/dev/sda"}})) == {("coda_partition", TWO, name)}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"coda_scm_admin": {"name": "root", "uid": 9}, "coda_scm_users": [{"name": "a", "uid": 9}]},
            "coda_scm_users[0], a: uid 9 is that of root (coda_scm_admin)",
        ),
        (
            {"coda_scm_users": [{"name": "a", "uid": 500}]},
            "coda_scm_users[0], a: uid 500 is that of codaadmin (coda_scm_admin, by default)",
        ),
        (
            {"coda_scm_users": [{"name": "a", "uid": 9}, {"uid": 9}, {"name": "b", "uid": 9}]},
            "coda_scm_users[2], b: uid 9 is that of a (coda_scm_users[0])",
        ),
    ],
)
def test_a_clash_of_numbers_names_both_places(variables: dict[str, Any], words: str) -> None:
    assert words in {finding.problem for finding in check(coda({ONE: variables}), CELL, SPECS)}


@pytest.mark.parametrize(
    ("own", "variable"),
    [
        ({}, None),
        *(
            ({"coda_client_hoard": [{"path": "www"}, {"path": path}]}, "coda_client_hoard[1].path")
            for path in ("", "a b", "..", "../x", "www/../../x", "/coda/example.net/www", "/srv/shared/www")
        ),
        *(
            ({"coda_client_hoard": [{"path": path}]}, None)
            for path in ("/www", "www/", "www//static", ".", "/", "coda/x", "a:b", "größe", "a/..b")
        ),
        ({"coda_client_link": "/shared", "coda_client_hoard": [{"path": "/srv/shared/www"}]}, None),
        *(
            ({"coda_client_servers": [ONE, server]}, "coda_client_servers[1]")
            for server in ("x y;", "", "a,b", "-x", "2001:db8::11", "0.0.0.0", "127.0.0.1", "10.0.20.256")
        ),
        *(({"coda_client_servers": [server]}, None) for server in ("10.98.20.11", "coda1", "coda1.x.", "coda_1")),
        ({"coda_client_servers": []}, "coda_client_servers"),
        *(
            ({"coda_client_link": link}, "coda_client_link")
            for link in ("srv/shared", "/a b", "/", "/srv/shared/", "/coda", "/coda/x", "//coda", "/srv/../coda/x")
        ),
        *(({"coda_client_link": link}, None) for link in ("", "/codax", "/srv/.shared", "/srv/größe")),
        ({"ha_shared_folder": "/coda/x"}, "ha_shared_folder"),
        ({"ha_shared_folder": "/coda/x", "coda_client_link": ""}, None),
        ({"coda_client_cache_size": 1}, "coda_client_cache_size"),
        ({"coda_client_reintegration_time": -1}, "coda_client_reintegration_time"),
        ({"coda_client_realm": "a/b"}, "coda_client_realm"),
        ({"coda_client_folder": "/a b"}, "coda_client_folder"),
        ({"coda_client_folder": "/home"}, "coda_client_folder"),
        ({"coda_client_folder": "/var/cache"}, "coda_client_folder"),
        ({"coda_client_folder": "/codacache"}, None),
        ({"coda_client_folder": "/var/lib/.."}, "coda_client_folder"),
        ({"coda_client_folder": "/./home"}, "coda_client_folder"),
        ({"coda_client_folder": "/data/..coda"}, None),
        ({"coda_client_primary_user": 0}, "coda_client_primary_user"),
        ({"coda_client_hoard": [{"path": "www", "priority": 1001}]}, "coda_client_hoard[0].priority"),
    ],
)
def test_client(own: dict[str, Any], variable: str | None) -> None:
    expected = {("coda_client", "desk", variable)} if variable else set()
    assert found({**coda(), **desk(**own)}, {**CELL, "coda_clients": ["desk"]}) == expected


@pytest.mark.parametrize(
    ("folder", "other", "bad"),
    [
        ("/srv/coda", {"coda_server_rvm_data": "/srv/coda/DATA"}, True),
        ("/srv/coda", {"coda_server_rvm_log": "/srv/coda/rvm/LOG"}, True),
        ("/vice/rvm", {}, True),
        ("/vicepa", {}, True),
        ("/vicepa/cache", {}, True),
        ("/srv/coda", {"coda_server_partitions": [{"path": "/srv/coda/vicepb"}]}, True),
        (
            "/srv/coda",
            {"coda_server_rvm_data": "/srv/DATA", "coda_server_partitions": [{"path": "/srv/vicepb"}]},
            False,
        ),
        ("/var/lib/coda", {"coda_server_rvm_data": "/var/lib/coda2/DATA"}, False),
        ("/vicepa2", {}, False),
    ],
)
def test_a_client_beside_a_server_has_a_folder_of_its_own(folder: str, other: dict[str, Any], bad: bool) -> None:
    hosts = coda({TWO: {"coda_client_folder": folder, **other}})
    expected = {("coda_client", TWO, "coda_client_folder")} if bad else set()
    assert found(hosts, {**CELL, "coda_clients": [TWO]}) == expected


@pytest.mark.parametrize(
    ("login", "option"),
    [
        ({"user": "www-data", "name": "anna"}, None),
        ({"user": "www-data", "name": "codaadmin", "password": "geheim"}, None),
        ({"user": "33", "name": "anna"}, "user"),
        ({"user": "www-data", "name": "nosuch", "password": "geheim"}, "name"),
        ({"user": "www-data", "name": "ben"}, "password"),
        ({"user": "www-data", "name": "codaadmin"}, "password"),
        ({"user": "www-data", "name": "anna", "password": "too long a one"}, "password"),
    ],
)
def test_login(login: dict[str, Any], option: str | None) -> None:
    users = [{"name": "anna", "uid": 1001, "password": "geheim"}, {"name": "ben", "uid": 1002}]
    hosts = {**coda({ONE: {"coda_scm_users": users}}), **desk(coda_client_logins=[login])}
    expected = {("coda_login", "desk", f"coda_client_logins[0].{option}")} if option else set()
    assert found(hosts, {**CELL, "coda_clients": ["desk"]}) == expected


def test_one_login_a_user() -> None:
    logins = [{"user": "www-data", "name": name, "password": "geheim"} for name in ("anna", "ben")]
    hosts = desk(coda_client_realm="example.net", coda_client_servers=["a.example.net"], coda_client_logins=logins)
    assert found(hosts, {"coda_clients": ["desk"]}) == {("coda_login", "desk", "coda_client_logins[1].user")}


def test_client_of_a_cell_elsewhere() -> None:
    groups = {"coda_clients": ["desk"]}
    assert found(desk(), groups) == {("coda_client", "desk", "coda_client_realm")}
    assert found(desk(coda_client_realm="example.net", coda_client_servers=["a.example.net"]), groups) == set()


@pytest.mark.parametrize(
    ("root", "www", "expected"),
    [
        ({}, {"mount": "pub/www", "rights": {"System:AnyUser": "read", "CODAADMIN": "all"}}, None),
        ({"mount": "x"}, {}, ("coda_mount", "coda_scm_volumes[0].mount")),
        ({}, {"mount": "../x"}, ("coda_mount", "coda_scm_volumes[1].mount")),
        ({}, {"rights": {"nosuch": "rl", "codaadmin": "all"}}, ("coda_rights", "coda_scm_volumes[1].rights.nosuch")),
        ({}, {"rights": {"codaadmin": "allx"}}, ("coda_rights", "coda_scm_volumes[1].rights.codaadmin")),
        ({}, {"denied": {"nosuch": "w"}}, ("coda_rights", "coda_scm_volumes[1].denied.nosuch")),
    ],
)
def test_tree(root: dict[str, Any], www: dict[str, Any], expected: tuple[str, str] | None) -> None:
    hosts = {**coda({ONE: {"coda_scm_volumes": [{**ROOT, **root}, {**BOTH, **www}]}}), **desk()}
    wanted = {(expected[0], ONE, expected[1])} if expected else set()
    assert found(hosts, {**CELL, "coda_clients": ["desk"]}) == wanted


def test_two_mounts_in_one_place_and_none_without_a_client() -> None:
    volumes = [ROOT, {**BOTH, "mount": "www"}, {**BOTH, "name": "two", "mount": "www"}]
    hosts = {**coda({ONE: {"coda_scm_volumes": volumes}}), **desk()}
    assert found(hosts, {**CELL, "coda_clients": ["desk"]}) == {("coda_mount", ONE, "coda_scm_volumes[2].mount")}
    del hosts["desk"]
    assert found(hosts) == {("coda_mount", ONE, f"coda_scm_volumes[{index}].mount") for index in (1, 2)}


def test_what_clients_see() -> None:
    volumes = [
        BOTH | {"mount": "www", "rights": {"codaadmin": "all"}},
        ROOT,
        BOTH | {"name": "gone", "state": "destroyed", "mount": "x"},
    ]
    made = cell(coda({ONE: {"coda_scm_volumes": volumes}}), CELL)
    assert made["realm"] == "example.net"
    assert made["mounts"] == [{"path": "x", "state": "absent"}, {"path": "www", "volume": "www"}]
    assert made["folders"] == [
        {"path": "", "rights": RIGHTS, "denied": {}},
        {"path": "www", "rights": {"codaadmin": "all"}, "denied": {}},
    ]


@pytest.mark.parametrize("scm", [[], [ONE, TWO]])
def test_one_master(scm: list[str]) -> None:
    groups = {"coda_scm": scm, "coda_servers": [ONE, TWO, THREE]}
    assert found(coda(), groups) == {("coda_scm_count", "inventory", "groups.coda_scm")}


@pytest.mark.parametrize("connection", ["community.docker.docker", "lxc"])
def test_no_client_in_a_container(connection: str) -> None:
    hosts = {**coda(), "desk": {"ansible_connection": connection, "coda_packages": ["coda-client"]}}
    groups = {**CELL, "coda_clients": ["desk"]}
    assert found(hosts, groups) == {("coda_client_in_container", "desk", "ansible_connection")}
    assert found({**hosts, "desk": {**hosts["desk"], "ansible_connection": "ssh"}}, groups) == set()


def test_choices_are_those_of_the_roles() -> None:
    options = SPECS["coda_server"]
    assert options["coda_server_services"]["choices"] == list(SERVICES)
    assert options["coda_server_rvm_data_size"]["choices"] == list(RVM_SIZES)
    assert options["coda_server_partitions"]["options"]["files"]["choices"] == list(TREES)


def test_files_of_the_cell() -> None:
    hosts = coda(
        {THREE: {"coda_server_services": ["auth"]}, TWO: {"coda_server_partitions": [{"path": "/b", "files": "16M"}]}}
    )
    made = cell(hosts, CELL)
    assert made["scm"]["name"] == ONE
    assert made["file_servers"] == [ONE, TWO]
    assert made["files"]["servers"] == f"{ONE}\t1\n{TWO}\t2\n"
    assert made["files"]["vicetab"] == f"{ONE} /vicepa ftree width=64,depth=3\n{TWO} /b ftree width=256,depth=3\n"
    assert made["files"]["files.export"].startswith("db\ndb/auth2.pw\n")
    assert cell({}, {})["servers"] == {}


@pytest.mark.parametrize(("space", "size"), [(0.5, 32), (1, 64), (6, 256), (25, 1024), (25.1, None)])
def test_rvm_is_four_percent(space: float, size: int | None) -> None:
    assert rvm_data_size(space) == size


@pytest.mark.parametrize("name", [name for name in VARIABLES if name.startswith("coda_")])
def test_null_is_not_given_to_the_plan(name: str) -> None:
    absent = coda({TWO: {name: None}})
    null = {**absent, TWO: {**absent[TWO], name: None}}
    assert cell(null, CELL) == cell(absent, CELL)


def test_defaults_are_those_of_argument_specs() -> None:
    options = copy.deepcopy(options_of(VARIABLES))
    options["coda_server_file_space"]["default"] = 25
    options["coda_server_services"]["default"] = ["auth"]
    options["coda_server_partitions"]["options"]["files"]["default"] = "1M"
    hosts = coda({ONE: {"coda_server_services": ["files"], "coda_server_partitions": [{"path": "/b", "files": None}]}})
    made = coda_cell.cell(Values(hosts, options), CELL)
    assert [entry["rvm_data_size"] for entry in made["servers"].values()] == [1024] * 3
    assert made["file_servers"] == [ONE]
    assert made["files"]["vicetab"] == f"{ONE} /b ftree width=32,depth=4\n"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"coda_server_id": "one"}, "coda_server_id = one: must be a whole number"),
        ({"coda_server_services": ["mail"]}, "coda_server_services[0] = mail: must be one of files, auth"),
        ({"ha_interfaces": {"eth0": "10.98.20.12"}}, "ha_interfaces.eth0 = 10.98.20.12: must be an address with its"),
    ],
)
def test_what_is_malformed_is_named(own: dict[str, Any], said: str) -> None:
    with pytest.raises(ClusterError) as error:
        cell(coda({TWO: own}), CELL)
    assert str(error.value).startswith(f"host {TWO}: {said}")


VICETAB = "one /vicepa ftree width=64,depth=3\ntwo /vicepa ftree width=64,depth=3\n"


@pytest.mark.parametrize(
    ("text", "servers", "expected"),
    [
        ("", None, []),
        (VICETAB, None, []),
        ("\n  one\t/vicepa  ftree width=64,depth=3 \n", None, []),
        ("one /vicepa ftree width=32,depth=4\n" * 2, ["one"], ["one /vicepa ftree width=32,depth=4"]),
        ("gone  /vicepa ftree width=32,depth=4\n\n", ["one", "two"], []),
        ("gone\t/vicepa ftree width=32,depth=4\n", None, ["gone /vicepa ftree width=32,depth=4"]),
    ],
)
def test_what_a_server_knows_and_the_inventory_does_not_say(
    text: str, servers: list[str] | None, expected: list[str]
) -> None:
    assert unsaid(text, VICETAB, servers) == expected


def test_a_replica_is_in_a_partition_of_its_server() -> None:
    there = [{"path": "/vicepa"}, {"path": "/vicepb"}]
    for partition, is_wrong in ((None, False), ("/vicepb", False), ("/vicepz", True)):
        replica = {"server": ONE, **({"partition": partition} if partition else {})}
        hosts = coda({ONE: {"coda_scm_volumes": [{**ROOT, "replicas": [replica]}], "coda_server_partitions": there}})
        wrong = {("coda_volume", ONE, "coda_scm_volumes[0].replicas[0].partition")}
        assert found(hosts) == (wrong if is_wrong else set())


def test_archives_are_kept() -> None:
    for name, wrong, right in (("coda_backup_keep", 0, 1), ("coda_backup_increments", -1, 0)):
        assert found(coda({ONE: {name: wrong}})) == {("out_of_range", ONE, name)}
        assert found(coda({ONE: {name: right}})) == set()
