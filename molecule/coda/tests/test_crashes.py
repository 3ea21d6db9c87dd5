# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the cell crash: they serve again, or somebody is told why they don't. Each test stands alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cell import ONE, TWO, refusal, run_roles, serves, volumes
from harness import shell, wait_for

LIMIT = "/run/systemd/system/coda-server.service.d"
CRASH = 'kill -SEGV "$(cat /vice/srv/pid)"'
OTHERS = ("coda-auth2", "coda-update-master", "coda-update-slave")


def test_a_file_server_that_crashed_serves_again_by_itself_and_the_mark_is_kept() -> None:
    shell(TWO, f"rm --force /vice/srv/CRASH.last; {CRASH}")
    wait_for("the mark is kept", lambda: shell(TWO, "ls /vice/srv/CRASH.last", check=False) != "")
    wait_for("the file server serves again", lambda: serves(TWO, "www.1"), 240)


def test_a_role_says_that_upstreams_mark_keeps_a_file_server_from_starting() -> None:
    """Upstream's unit leaves the mark there; systemd then reports a start, and starts nothing."""
    shell(TWO, "systemctl stop coda-server.service && touch /vice/srv/CRASH && systemctl start coda-server.service")
    try:
        assert "has crashed and left /vice/srv/CRASH" in refusal(TWO, "coda_server")
    finally:
        shell(TWO, "rm /vice/srv/CRASH && systemctl start coda-server.service")
    run_roles(TWO, "coda_server")


@pytest.fixture
def _three_starts() -> Iterator[None]:
    """Lower the limit from thirty starts to three."""
    lowered = f"mkdir {LIMIT} && printf '[Unit]\\nStartLimitBurst=3\\n' >{LIMIT}/few.conf"
    shell(TWO, f"{lowered} && systemctl daemon-reload")
    yield
    shell(TWO, f"rm -r {LIMIT} && systemctl daemon-reload")


@pytest.mark.usefixtures("_three_starts")
def test_a_file_server_that_crashes_too_often_waits_for_a_role() -> None:
    crash = f"{CRASH}; systemctl show --property=ActiveState coda-server.service"

    def given_up() -> bool:
        time.sleep(1)
        return "ActiveState=failed" in shell(TWO, crash, check=False)

    wait_for("systemd no longer starts the file server", given_up, 240)
    time.sleep(10)  # nothing must happen, which is no condition to wait for; RestartSec is 5 s
    assert shell(TWO, "systemctl is-active coda-server.service", check=False) == "failed\n"
    run_roles(TWO, "coda_server")
    assert volumes(TWO, by=TWO) == {"www.1": "/srv/vicepb"}


def test_the_only_file_server_that_serves_a_volume_is_not_restarted() -> None:
    """Both have a replica of www."""
    asked = "systemctl show --property=MainPID --value coda-server"
    before = shell(ONE, asked)
    shell(TWO, "systemctl stop coda-server.service")
    # As dpkg puts a new file in place.
    shell(ONE, "cd /usr/sbin && cp --preserve codasrv codasrv.new && mv codasrv.new codasrv")
    try:
        said = refusal(ONE, "coda_server")
        assert "But now nobody else serves" in said, said
        assert f"www (on {TWO})" in said
        assert shell(ONE, asked) == before
    finally:
        shell(TWO, "systemctl start coda-server.service")
    wait_for("the file server serves again", lambda: serves(TWO, "www.1"), 240)
    run_roles(ONE, "coda_server")
    assert shell(ONE, asked) != before
    assert volumes(ONE, by=ONE).keys() >= {"www.0"}


def test_other_programs_run_again_after_a_crash() -> None:
    def processes() -> dict[str, str]:
        """Return the id of each program's process; those that don't run are not in it."""
        asked = "systemctl is-active --quiet $unit && echo $unit $(systemctl show --property=MainPID --value $unit)"
        told = shell(ONE, f"for unit in {' '.join(OTHERS)}; do {asked}; done", check=False)
        return {unit: process for unit, process in map(str.split, told.splitlines()) if process != "0"}

    before = processes()
    assert before.keys() == set(OTHERS)
    shell(ONE, f"kill -SEGV {' '.join(before.values())}")

    def all_run_again() -> bool:
        now = processes()
        return now.keys() == set(OTHERS) and not now.items() & before.items()

    wait_for("each program runs again, as another process", all_run_again, 240)
