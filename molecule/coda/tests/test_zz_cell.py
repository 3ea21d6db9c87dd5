"""What must be true on the machines of a Coda cell, as its own programs and files have it.

The last file, after all accidents. First every server restarts; the other tests stand alone.
"""

from __future__ import annotations

import re
from functools import partial

import cell
import pytest
from cell import INVENTORY, ONE, PLACE, THREE, TWO
from harness import HarnessError, Machine, ask, run, wait_for
from testinfra.utils.ansible_runner import AnsibleRunner

RUNNER = AnsibleRunner(str(INVENTORY))
SERVERS = {name: RUNNER.get_host(name) for name in cell.SERVERS}
UNITS = {
    ONE: {"coda-auth2", "coda-update-master", "coda-update-slave", "coda-server"},
    TWO: {"coda-auth2", "coda-update-slave", "coda-server"},
    THREE: {"coda-auth2", "coda-update-slave"},
}


def authentication(server: str, user: str, password: str) -> str:
    """Return what auth2 answers to an administrator who sets anna's password to what it is."""
    given = f"{user}\n{password}\nanna\ngeheim"
    done = SERVERS[ONE].run(f"printf '%s\\n' '{given}' | timeout 60 au -h {server} cp")
    found = re.findall(r"AUTH_\w+", done.stdout + done.stderr)
    return found[-1] if found else done.stdout + done.stderr


def all_is_there() -> bool:
    """Return whether the SCM hears both file servers, and finds all replicas on them."""
    try:
        with Machine(ONE, PLACE) as scm:  # which may have restarted
            told = scm.module("coda_volume_info")
    except HarnessError:
        return False
    partitions = [replica["partition"] for volume in told["volumes"] for replica in volume["replicas"]]
    up = [server["name"] for server in told["servers"] if server["up"]]
    return len(up) == 2 and sorted(partitions) == ["/srv/vicepb", "/vicepa", "/vicepa"]


@pytest.mark.parametrize("server", [ONE, TWO, THREE])
def test_all_volumes_are_there_after_a_server_restarted(server: str) -> None:
    run("docker", "restart", server)
    running = ("systemctl", "is-system-running", "--wait")
    wait_for("it has booted", lambda: ask(server, *running).strip() in ("running", "degraded"), 240)
    wait_for("all volumes are there", all_is_there, 240)


def test_each_server_runs_its_services_and_no_others() -> None:
    def run_alone(name: str) -> bool:
        return {unit for unit in UNITS[ONE] if SERVERS[name].service(unit).is_running} == UNITS[name]

    for name, host in SERVERS.items():
        # One that has not found the SCM while that restarted begins again some seconds later.
        wait_for(f"{' '.join(UNITS[name])} run on {name}, and no others", partial(run_alone, name))
        assert {unit for unit in UNITS[ONE] if host.service(unit).is_enabled} == UNITS[name]


def test_volumes_are_where_the_inventory_has_them() -> None:
    assert cell.volumes(ONE, by=TWO) == {"/.0": "/vicepa", "www.0": "/vicepa"}
    assert cell.volumes(TWO, by=ONE) == {"www.1": "/srv/vicepb"}


def test_both_file_servers_know_the_replicated_volume() -> None:
    for name in (ONE, TWO):
        told = SERVERS[ONE].check_output(f"getvolinfo {name} www")
        assert "ServerCount 2" in told
        assert re.findall(r"Server[01] (\S+)", told) == ["10.98.20.11", "10.98.20.12"]


def test_partitions_hold_as_many_files_as_was_said() -> None:
    lines = SERVERS[THREE].file("/vice/db/vicetab").content_string.splitlines()
    assert f"{TWO} /srv/vicepb ftree width=128,depth=3" in lines


def test_secrets_are_the_same_to_the_byte_and_end_with_one_line_end() -> None:
    for name in ("auth2.tk", "auth2.tk.BAK", "update.tk", "volutil.tk"):
        contents = {host.file(f"/vice/db/{name}").content for host in SERVERS.values()}
        assert len(contents) == 1, name
        assert re.fullmatch(rb"[A-Za-z0-9]{8}([A-Za-z0-9]{24})?\n", contents.pop()), name


def test_nobody_but_root_reads_secrets() -> None:
    for host in SERVERS.values():
        assert host.file("/vice").mode == 0o700
        secrets = host.check_output("find /vice -name '*.tk*' -o -name 'auth2.pw*' -o -name admin-password").split()
        assert len(secrets) >= 4
        assert [path for path in secrets if host.file(path).mode != 0o600] == []


def is_the_same(path: str) -> bool:
    """Return whether a file is the same on all servers."""
    return len({host.file(path).sha256sum for host in SERVERS.values()}) == 1


def test_databases_arrive_on_all_servers() -> None:
    for name in ("auth2.pw", "prot_users.cdb", "servers", "vicetab", "VRList"):
        wait_for(f"{name} is the same everywhere", partial(is_the_same, f"/vice/db/{name}"))


@pytest.mark.parametrize("server", [ONE])
def test_the_generated_password_is_the_administrators(server: str) -> None:
    password = SERVERS[ONE].file("/vice/admin-password").content_string.strip()
    assert len(password) == 8
    assert authentication(server, "codaadmin", password) == "AUTH_SUCCESS"
    assert authentication(server, "codaadmin", "wrong") != "AUTH_SUCCESS"
    assert authentication(server, "anna", "geheim") == "AUTH_SUCCESS"


def test_users_and_groups() -> None:
    SERVERS[ONE].check_output("pdbtool export /tmp/users /tmp/groups")
    assert "anna:*:1001:" in SERVERS[ONE].file("/tmp/users").content_string
    groups = SERVERS[ONE].file("/tmp/groups").content_string
    assert re.search(r"^anna%authors:\*:-\d+:anna,codaadmin$", groups, re.MULTILINE)
    assert re.search(r"^System%Administrators:\*:-\d+:codaadmin$", groups, re.MULTILINE)
