# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was cut short or lost on a server is repaired. Each test works alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cell import ONE, SERVERS, THREE, TWO, answers, run_roles, volumes, write_inventory
from harness import Machine, shell, wait_for

TRY = "/srv/try"
RVM: dict[str, Any] = {
    "log": f"{TRY}/LOG",
    "log_size": 2,
    "data": f"{TRY}/DATA",
    "data_size": 32,
    "partitions": [f"{TRY}/part"],
    "state_dir": TRY,
}


@pytest.fixture
def server(on: Callable[[str], Machine]) -> Iterator[Machine]:
    """Return a server without volumes, and RVM that was just initialised in a folder of its own."""
    machine = on(THREE)
    machine.run("mkdir", "--mode=0700", TRY)
    try:
        assert machine.module("coda_rvm", **RVM)["initialised"] is True
        yield machine
    finally:
        machine.run("rm", "-r", TRY)


def test_rvm_of_a_run_that_was_killed_is_initialised_anew_and_only_once(server: Machine) -> None:
    server.run("mv", f"{TRY}/rvm.json", f"{TRY}/rvm.begun")  # the last mark is missing
    assert server.module("coda_rvm", **RVM)["initialised"] is True
    third = server.module("coda_rvm", **RVM)
    assert (third["initialised"], third["changed"]) == (False, False)


def test_rvm_that_somebody_else_has_made_is_adopted_when_asked_and_not_initialised(server: Machine) -> None:
    server.run("rm", f"{TRY}/rvm.json")  # no mark, as on a server that was set up by hand
    assert "adopt" in server.refused("coda_rvm", **RVM)["msg"]
    adopted = server.module("coda_rvm", **RVM, adopt=True)
    assert (adopted["initialised"], adopted["changed"]) == (False, True)


def test_a_file_server_gets_its_line_in_vicetab_back() -> None:
    """Without the line it runs, and has no volumes."""
    shell(TWO, "sed --in-place /^coda2/d /vice/db/vicetab && systemctl restart coda-server.service")
    wait_for("the file server answers", lambda: answers(TWO), 240)
    assert volumes(TWO, by=TWO) == {}
    run_roles(TWO, "coda_common", "coda_server")
    assert volumes(TWO, by=TWO) == {"www.1": "/srv/vicepb"}


def test_a_former_scm_with_a_new_package_runs_the_new_programs_and_only_its_own() -> None:
    units = ("coda-auth2", "coda-update-slave", "coda-server")
    asked = "; ".join(f"systemctl show --property=MainPID --value {unit}" for unit in units)
    # As dpkg puts new files in place.
    for program in ("auth2", "codasrv"):
        shell(TWO, f"cd /usr/sbin && cp --preserve {program} {program}.new && mv {program}.new {program}")
    shell(TWO, f"systemctl start coda-update-master; echo {TWO} >/run/coda-update-slave.loaded")
    before = shell(TWO, asked).split()
    run_roles(TWO, "coda_server")
    after = shell(TWO, asked).split()
    assert not set(before) & set(after)
    assert shell(TWO, "systemctl is-active coda-update-master", check=False) != "active\n"
    assert shell(TWO, "cmp /vice/db/scm /run/coda-update-slave.loaded") == ""
    told = run_roles(TWO, "coda_server")
    assert "changed=0" in told, told
    assert volumes(TWO, by=TWO) == {"www.1": "/srv/vicepb"}


def keys(server: str) -> tuple[str, ...]:
    """Return what a server has in its two files of keys, and the time of the first."""
    look = "cd /vice/db && cat auth2.tk && cat auth2.tk.BAK && stat --format %Y auth2.tk"
    return tuple(shell(server, look, check=False).split())  # updateclnt may be renaming one


def all_have(*wanted: str) -> bool:
    """Return whether all servers have these two keys, and the time of the SCM's first, which has them read both."""
    return all(keys(server) == (*wanted, keys(ONE)[-1]) for server in SERVERS)


def test_an_empty_second_key_is_replaced_on_all_servers() -> None:
    """It counts as a key of zeros, which anybody can use to forge tokens."""
    for server in SERVERS:
        shell(server, ": >/vice/db/auth2.tk.BAK")
    (key, before) = keys(ONE)
    run_roles(ONE, "coda_scm")
    assert keys(ONE)[-1] != before
    wait_for("all servers have one key, twice", partial(all_have, key, key), 240)
    told = run_roles(ONE, "coda_scm")
    assert "changed=0" in told, told


def test_a_key_that_is_replaced_stays_as_the_second_one_until_the_next_change(tmp_path: Path) -> None:
    first = keys(ONE)[0]
    for key, former in (("Another1", first), (first, "Another1")):
        other = write_inventory(tmp_path / "other.yml", "coda_scm", ONE, coda_scm_tokens={"auth2": key})
        run_roles(ONE, "coda_scm", inventory=other)
        wait_for("all servers have the new key and the former one", partial(all_have, key, former), 240)
        told = run_roles(ONE, "coda_scm", inventory=other)
        assert "changed=0" in told, told
    # What docs/coda-cell.md says to do about a key that somebody else has.
    shell(ONE, "rm /vice/db/auth2.tk.BAK")
    run_roles(ONE, "coda_scm")
    wait_for("nobody takes the former key any more", partial(all_have, first, first), 240)


def test_a_server_that_gets_another_scm_takes_nothing_more_from_the_former_one() -> None:
    # Halted, so that it does not correct the file before the role sees it.
    shell(TWO, f"systemctl kill --signal=STOP coda-update-slave; echo {TWO} >/vice/db/scm")
    run_roles(TWO, "coda_common")
    assert shell(TWO, "systemctl is-active coda-update-slave", check=False) != "active\n"
    assert shell(TWO, "cat /vice/db/scm") == f"{ONE}\n"
    run_roles(TWO, "coda_server")
    assert shell(TWO, "systemctl is-active coda-update-slave") == "active\n"
