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
