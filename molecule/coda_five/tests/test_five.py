"""What must be true of the thesis's example cell: each of its five servers does its part."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from testinfra.utils.ansible_runner import AnsibleRunner

RUNNER = AnsibleRunner(str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))
SERVERS = [f"coda{number}.example.net" for number in range(1, 6)]
SCM, AUTH_ONLY, FILES_ONLY = SERVERS[0], SERVERS[3], SERVERS[4]
VOLUMES = {SERVERS[0]: "/", SERVERS[1]: "www", SERVERS[2]: "mail", SERVERS[4]: "archive"}


@pytest.mark.parametrize("server", SERVERS)
def test_each_server_runs_its_services_and_no_others(server: str) -> None:
    wanted = {
        "coda-auth2": server != FILES_ONLY,
        "coda-server": server != AUTH_ONLY,
        "coda-update-master": server == SCM,
        "coda-update-slave": True,
    }
    host = RUNNER.get_host(server)
    assert {unit: host.service(unit).is_running for unit in wanted} == wanted
    assert {unit: host.service(unit).is_enabled for unit in wanted} == wanted


@pytest.mark.parametrize("server", VOLUMES)
def test_each_file_server_serves_its_volume_and_knows_those_of_others(server: str) -> None:
    scm = RUNNER.get_host(SCM)
    listed = scm.check_output(f"volutil -h {server} getvolumelist")
    assert re.findall(r"^W(\S+)\.0 ", listed, re.MULTILINE) == [VOLUMES[server]]
    for name in VOLUMES.values():
        assert "ServerCount 1" in scm.check_output(f"getvolinfo {server} {name}")


@pytest.mark.parametrize("server", [name for name in SERVERS if name != FILES_ONLY])
def test_each_authentication_server_knows_the_administrator(server: str) -> None:
    """Only the SCM changes passwords; the others tell that to anybody with the right password."""
    scm = RUNNER.get_host(SCM)
    password = scm.file("/vice/admin-password").content_string.strip()
    told = {}
    for given in (password, "wrong"):
        done = scm.run(f"printf '%s\\n' codaadmin {given} codaadmin {password} | timeout 60 au -h {server} cp")
        told[given == password] = re.findall(r"AUTH_\w+", done.stdout + done.stderr)
    assert told == {True: ["AUTH_SUCCESS" if server == SCM else "AUTH_READONLY"], False: []}
