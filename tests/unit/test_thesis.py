"""The files rendered from inventories/thesis mean what the thesis's figures say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ldirectord_config
import pytest
import thesis_figures as figures

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat import authkeys, ha_cf, haresources

ROOT = Path(__file__).resolve().parents[2]
DIRECTORS = ("servidor", "cliente")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Render the four files of both directors; return a function from director and file name to text."""
    folder = tmp_path_factory.mktemp("thesis")
    subprocess.run(
        [
            "ansible-playbook",
            "-i",
            ROOT / "inventories/thesis",
            ROOT / "tests/unit/render.yml",
            "-e",
            f"folder={folder}",
        ],
        check=True,
        cwd=ROOT,
    )
    return lambda director, name: (folder / f"{director}.{name}").read_text()


@pytest.mark.parametrize("director", DIRECTORS)
def test_figure_4_8_ldirectord_cf(rendered, director):
    services = {
        service["port"]: service for service in ldirectord_config.parse(rendered(director, "ldirectord.cf"))["virtual"]
    }
    for expected in figures.LDIRECTORD_SERVICES:
        found = services[expected["port"]]
        got = {key: found[key] for key in expected if key != "real_servers"}
        assert got == {key: value for key, value in expected.items() if key != "real_servers"}
        reals = [
            {key: server[key] for key in ("address", "port", "forwarding", "weight")}
            for server in found["real_servers"]
        ]
        assert reals == expected["real_servers"]
    assert [(port, services[port]["scheduler"]) for port in (25, 110)] == figures.LDIRECTORD_TESTED
    assert len(services) == len(figures.LDIRECTORD_SERVICES) + len(figures.LDIRECTORD_TESTED)


@pytest.mark.parametrize("director", DIRECTORS)
def test_ldirectord_takes_its_table_with_it_where_heartbeat_stops_it(rendered, director):
    assert "\ncleanstop = yes\n" in rendered(director, "ldirectord.cf")


@pytest.mark.parametrize("director", DIRECTORS)
def test_figure_4_9_ha_cf(rendered, director):
    text = rendered(director, "ha.cf")
    parsed, problems = ha_cf.parse_ha_cf(text)
    assert not [problem for problem in problems if problem.level == "error"]
    wanted = {key: value for key, value in figures.HA_CF.items() if key not in figures.HA_CF_LEFT_OUT}
    assert parsed.meaning() == wanted | figures.HA_CF_ADDED


@pytest.mark.parametrize("director", DIRECTORS)
def test_figure_4_10_haresources(rendered, director):
    parsed, problems = haresources.parse_haresources(rendered(director, "haresources"))
    assert not problems
    found = [(group.node, [(one.script, one.arguments) for one in group.resources]) for group in parsed]
    assert found == figures.HARESOURCES


@pytest.mark.parametrize("director", DIRECTORS)
def test_figure_4_11_authkeys(rendered, director):
    parsed, problems = authkeys.parse_authkeys(rendered(director, "authkeys"))
    assert not problems
    assert parsed.active == figures.AUTHKEYS_ACTIVE
    assert {key: (entry.method, entry.secret) for key, entry in parsed.keys.items()} == figures.AUTHKEYS
