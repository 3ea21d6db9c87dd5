# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the processes of several hosts look together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.action import directors_wait
from ansible_collections.codalvs.ha.plugins.action.directors_wait import Meeting, planned, refusal, returned

HOSTS = ["dir1", "dir2/with a path", "dir3"]


def test_all_see_the_same_at_each_look(tmp_path: Path) -> None:
    def attend(host: str) -> list[dict[str, Any]]:
        meeting = Meeting(tmp_path / "meeting", HOSTS, host)
        return [meeting.exchange(number, lambda number=number: {"saw": f"{host} {number}"}) for number in range(1, 9)]

    with ThreadPoolExecutor(len(HOSTS)) as pool:
        seen = list(pool.map(attend, HOSTS))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0] == [{host: {"saw": f"{host} {number}"} for host in HOSTS} for number in range(1, 9)]


def test_a_task_that_runs_again_looks_again(tmp_path: Path) -> None:
    """Like a handler that is flushed twice. A host may have failed meanwhile."""

    def attend(time: int, host: str) -> list[dict[str, Any]]:
        meeting = Meeting(tmp_path, HOSTS[time:], host)
        return [meeting.exchange(number, lambda: {"saw": f"{host} {time}"}) for number in (1, 2)]

    for time in (0, 1, 1):
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            seen = list(pool.map(lambda host, time=time: attend(time, host), HOSTS[time:]))
        assert seen == [[{host: {"saw": f"{host} {time}"} for host in HOSTS[time:]}] * 2] * len(HOSTS[time:])


@pytest.mark.parametrize(
    ("batch", "forks", "expected"),
    [
        (HOSTS, 3, None),
        (HOSTS[::-1], 5, None),
        (HOSTS, 2, "The 3 hosts of this play are looked at together: run it with --forks 3."),
        (HOSTS[:1], 5, "The 3 hosts of this play are looked at together: run it without serial."),
    ],
)
def test_what_can_t_run_together_is_refused(batch: list[str], forks: int, expected: str | None) -> None:
    assert refusal(HOSTS, batch, forks) == expected


def test_a_failure_returns_no_tables() -> None:
    look: dict[str, Any] = {"heartbeat": {"held": []}, "ipvs": {"services": [], "fingerprints": {}}}
    assert returned(look, failed=False) == look
    assert returned(look, failed=True) == {"heartbeat": {"held": []}}


def test_who_cannot_look_says_so_and_is_not_waited_for(tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        Meeting(tmp_path, HOSTS[:2], "dir2/with a path").exchange(1, fail)
    assert Meeting(tmp_path, HOSTS[:2], "dir1").exchange(1, lambda: {"saw": 1}) == {
        "dir1": {"saw": 1},
        "dir2/with a path": {"failed": "no route"},
    }


def test_who_says_nothing_is_not_waited_for_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directors_wait, "PATIENCE", 0.2)
    seen = Meeting(tmp_path, HOSTS[:2], "dir1").exchange(1, dict)
    assert seen["dir2/with a path"] == {"failed": "did not say within 0 s what it saw"}


@pytest.mark.parametrize("own", ["lvs_director_table", "ldirectord_virtual_services"])
def test_a_table_of_the_users_own_is_not_compared_with_the_plans(own: str) -> None:
    cluster = {"services": ["web"], "table": ["web"]}
    assert planned(cluster, {"ha_checker": "none"}) == cluster
    assert planned(cluster, {own: []}) == {"services": [], "table": ["web"]}
