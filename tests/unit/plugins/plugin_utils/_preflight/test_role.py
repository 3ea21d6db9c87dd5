"""What roles refuse where preflight has not run."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import read_role, read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import check
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.role import old_names, refused
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.settings import RENAMED

SPECS = read_specs()
MODE = {name: SPECS["preflight"][name] for name in ("ha_checker", "ha_standby")}
NULL = "has no value (null), which is not the same as leaving it out; remove the line for the default, or write a value"
EVERY = [(role, name) for role, options in SPECS.items() for name in options]


@pytest.mark.parametrize(("role", "name"), EVERY)
def test_a_role_refuses_every_variable_that_is_null(role: str, name: str) -> None:
    assert refused({name: None}, SPECS[role], MODE) == [f"{name}: {NULL}"]


@pytest.mark.parametrize(("role", "name"), EVERY)
def test_preflight_refuses_every_variable_that_is_null(role: str, name: str) -> None:
    """It refuses them in the same words, and on each host, whether a role reads the variable there or not."""
    others = ("coda_scm", "coda_clients", "nfs_server", "dns_servers")
    groups = {group: [group] for group in ("directors", "real_servers", *others)}
    hosts: dict[str, dict[str, Any]] = {host: {"dns_zone_ttl": 60} if host == "dns_servers" else {} for host in groups}
    before, after = (
        {(each.rule, each.host, each.problem) for each in check(found, groups, SPECS) if each.variable == name}
        for found in (hosts, {host: given | {name: None} for host, given in hosts.items()})
    )
    if SPECS[role][name].get("required"):
        assert after == before != set()  # it says that they are missing
    else:
        assert after - before == {("empty_value", "all hosts", NULL.partition(";")[0])}


@pytest.mark.parametrize("old", RENAMED)
@pytest.mark.parametrize("value", [True, False, "yes", None])
def test_a_role_refuses_the_old_names_of_what_it_reads(old: str, value: object) -> None:
    new = RENAMED[old][0]
    assert old in old_names({new: MODE[new]})
    assert old not in old_names({})
    [said] = refused({old: value}, {}, MODE)
    assert f"is called {new} now; write {new}: " in said


def test_an_old_name_is_told_in_the_new_words() -> None:
    said = refused({"lvs_director_static": True}, {}, MODE)
    assert said == ["lvs_director_static = true: is called ha_checker now; write ha_checker: none in its place"]


def test_a_role_refuses_a_word_that_is_no_choice() -> None:
    assert refused({"ha_standby": "warm", "ha_checker": "none"}, {}, MODE) == [
        "ha_standby = warm: must be one of hot, cold; choose one of them"
    ]


def test_a_role_leaves_the_rest_to_ansible_and_to_preflight() -> None:
    given: dict[str, Any] = {"heartbeat_baud": "x", "heartbeat_links": [], "ha_standby": "cold", "somebody_elses": None}
    assert refused(given, SPECS["heartbeat"], MODE) == []


@pytest.mark.parametrize("role", SPECS)
def test_one_role_is_read_as_all_are(role: str) -> None:
    assert read_role(role) == SPECS[role]
