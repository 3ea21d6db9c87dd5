"""NFS: the addresses that follow from the inventory, and what preflight says of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.nfs import nfs
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import check

SPECS = read_specs()
GROUPS = {"nfs_server": ["files"], "nfs_clients": ["one", "two"]}
HOSTS: dict[str, dict[str, Any]] = {
    "files": {"ha_interfaces": {"eth0": "192.0.2.10/24", "eth1": ["10.0.0.10/24", "2001:db8::10/64"]}},
    "one": {"ha_interfaces": {"eth0": "10.0.0.1/24", "eth1": "172.16.0.1/24"}},
    "two": {"ha_interfaces": {"eth0": "2001:db8::2/64"}},
}


def found(hosts: dict[str, dict[str, Any]], groups: dict[str, list[str]]) -> set[tuple[str, str, str]]:
    return {(finding.rule, finding.host, finding.variable) for finding in check(hosts, groups, SPECS)}


def test_the_server_is_reached_in_a_shared_network() -> None:
    assert nfs(HOSTS, GROUPS) == {
        "clients": ["10.0.0.1", "172.16.0.1", "2001:db8::2"],
        "servers": {"one": "10.0.0.10", "two": "2001:db8::10"},
    }


def test_without_a_shared_network_it_is_the_first_address_of_the_family() -> None:
    far = {**HOSTS, "one": {"ha_interfaces": {"eth0": "203.0.113.1/24"}}}
    assert nfs(far, GROUPS)["servers"]["one"] == "192.0.2.10"


def test_without_a_shared_family_there_is_no_way() -> None:
    far = {**HOSTS, "files": {"ha_interfaces": {"eth0": "192.0.2.10/24"}}}
    with pytest.raises(ClusterError, match="host two"):
        nfs(far, GROUPS)
    assert found(far, GROUPS) == {("nfs_hosts", "two", "ha_interfaces")}


def test_an_address_of_a_link_alone_is_none() -> None:
    links = {"files": ["fe80::10/64", "192.0.2.10/24"], "one": ["fe80::1/64", "192.0.2.1/24"]}
    hosts = {name: {"ha_interfaces": {"eth0": own}} for name, own in links.items()}
    groups = {"nfs_server": ["files"], "nfs_clients": ["one"]}
    assert nfs(hosts, groups) == {"clients": ["192.0.2.1"], "servers": {"one": "192.0.2.10"}}


def test_no_server_no_clients() -> None:
    assert nfs({}, {}) == {"clients": [], "servers": {}}


def test_nfs_alone_is_a_good_inventory() -> None:
    assert found(HOSTS, GROUPS) == set()


@pytest.mark.parametrize(
    ("kind", "groups", "wrong"),
    [
        ("nfs", GROUPS, set()),
        ("none", {"all": ["one"]}, {"missing_group", "no_services"}),
        ("coda", GROUPS, {"shared_storage"}),
        ("none", GROUPS, {"shared_storage"}),
        ("zfs", GROUPS, {"wrong_choice"}),
        (None, {**GROUPS, "nfs_server": []}, {"nfs_hosts"}),
        (None, {**GROUPS, "nfs_clients": []}, {"nfs_hosts"}),
        (None, {**GROUPS, "nfs_clients": ["files", "one"]}, {"nfs_hosts"}),
    ],
)
def test_kind_and_hosts_have_to_agree(kind: str | None, groups: dict[str, list[str]], wrong: set[str]) -> None:
    hosts = {name: {**own, **({"ha_shared_storage": kind} if kind else {})} for name, own in HOSTS.items()}
    assert {rule for rule, _host, _variable in found(hosts, groups)} == wrong


@pytest.mark.parametrize(
    ("host", "name", "value", "wrong"),
    [
        ("files", "nfs_server_clients", [], True),
        ("files", "nfs_server_clients", ["10.0.0.0/24"], False),
        ("one", "nfs_client_server", "files.example.net", True),
        ("one", "nfs_client_server", "2001:db8::10", False),
        ("one", "ha_shared_folder", "shared", True),
        ("one", "nfs_client_options", ["hard,ro"], True),
        ("one", "nfs_client_options", ["hard", "x-systemd.automount", "x-systemd.idle-timeout=60"], False),
    ],
)
def test_settings(host: str, name: str, value: object, wrong: bool) -> None:
    hosts = {**HOSTS, host: {**HOSTS[host], name: value}}
    assert {rule for rule, _host, _variable in found(hosts, GROUPS)} == ({"nfs_settings"} if wrong else set())


@pytest.mark.parametrize("folder", ["/", "srv", "/srv/a b", "/srv/", "/srv/../etc"])
def test_folders_are_words(folder: str) -> None:
    hosts = {**HOSTS, "files": {**HOSTS["files"], "nfs_server_folder": folder}}
    assert found(hosts, GROUPS) == {("nfs_settings", "files", "nfs_server_folder")}


@pytest.mark.parametrize(
    ("folder", "wrong"),
    [
        ({"path": "www"}, None),
        ({"path": "www/.well-known/a b", "mode": "2770"}, None),
        ({"path": "..www", "mode": "750"}, None),
        ({"path": "www", "mode": 0o770}, "mode"),
        ({"path": "www", "mode": 755}, "mode"),
        ({"path": "www", "mode": "u=rwx,g=rX,o="}, None),
        ({"path": "www", "mode": "rwx"}, "mode"),
        ({"path": "www", "mode": "0o770"}, "mode"),
        ({"path": ""}, "path"),
        ({"path": "/www"}, "path"),
        ({"path": "../../etc"}, "path"),
        ({"path": "www/.."}, "path"),
        ({"path": "www/./a"}, "path"),
        ({"path": "."}, "path"),
        ({"path": "www/"}, None),
    ],
)
def test_folders_in_the_folder(folder: dict[str, Any], wrong: str | None) -> None:
    hosts = {**HOSTS, "files": {**HOSTS["files"], "nfs_server_folders": [{"path": "first"}, folder]}}
    expected = {("nfs_folders", "files", f"nfs_server_folders[1].{wrong}")} if wrong else set()
    assert found(hosts, GROUPS) == expected
