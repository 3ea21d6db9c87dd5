# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""heartbeat_check without Ansible, for a host that exists as a description only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.codalvs.ha.plugins.modules import heartbeat_check
from ansible_collections.codalvs.ha.plugins.modules.heartbeat_check import (
    Host,
    Lookup,
    find_problems,
    read_by_heartbeat,
    result,
    this_host,
)

FILES = {
    "ha_cf": """\
logfile /var/log/ha-log
keepalive 200ms
deadtime 1
initdead 12
bcast eth1
auto_failback off
node dir1 dir2
ping 192.0.2.254
respawn hacluster /usr/libexec/heartbeat/ipfail
""",
    "haresources": "dir1 IPaddr2::192.0.2.10/24/eth0 ldirectord\n",
    "authkeys": "auth 1\n1 sha1 sesame\n",
}
INTERFACES = frozenset(("eth0", "eth1", "lo"))
READY = Host("dir1", INTERFACES, {"hacluster"}, {"/usr/libexec/heartbeat/ipfail"}, {"IPaddr2", "ldirectord"})
BARE = Host("dir1", INTERFACES, {"root"}, (), ())


def test_good_files_on_a_ready_host() -> None:
    assert result(find_problems(FILES, READY), check_mode=False) == ({"changed": False, "problems": []}, [], [])


def test_a_bare_host_lacks_everything_but_its_interfaces() -> None:
    found = find_problems(FILES, BARE)
    outcome, failures, warnings = result(found, check_mode=False)
    assert failures == [
        "ha.cf:9: respawn /usr/libexec/heartbeat/ipfail: no such executable file on this host",
        "ha.cf:9: respawn hacluster: no such user on this host",
        "haresources:1: dir1 IPaddr2::192.0.2.10/24/eth0: no executable file IPaddr2 in /etc/ha.d/resource.d or "
        "/etc/init.d on this host",
        "haresources:1: dir1 ldirectord: no executable file ldirectord in /etc/ha.d/resource.d or "
        "/etc/init.d on this host",
    ]
    assert warnings == []
    assert outcome["problems"][1] == {
        "file": "ha.cf",
        "line": 9,
        "directive": "respawn",
        "value": "hacluster",
        "problem": "no such user on this host",
        "level": "missing",
    }
    # The package may be about to be installed.
    assert result(found, check_mode=True)[1:] == ([], failures)


def test_all_files_are_checked_together() -> None:
    bad = {
        "ha_cf": FILES["ha_cf"].replace("eth1", "eth7").replace("node dir1", "node dir3"),
        "haresources": "dir1 IPaddr2::192.0.2.10/24/eth9\n",
        "authkeys": "auth 2\n1 sha1 sesame\n",
    }
    _outcome, failures, _warnings = result(find_problems(bad, READY), check_mode=True)
    assert [line.split(": ")[0] for line in failures] == [
        "ha.cf:5",
        "ha.cf:7",
        "haresources:1",
        "haresources:1",
        "authkeys",
    ]
    assert "sesame" not in "".join(failures)


def test_each_file_is_optional() -> None:
    assert find_problems({"haresources": "anywhere ldirectord\n"}, READY) == []
    assert find_problems({"authkeys": FILES["authkeys"], "ha_cf": None}, BARE) == []
    # An empty file is a file.
    assert find_problems({"authkeys": ""}, READY) != []


def test_warnings_do_not_fail() -> None:
    _outcome, failures, warnings = result(find_problems({"authkeys": "auth 1\n1 crc\n"}, READY), check_mode=False)
    assert failures == []
    assert len(warnings) == 1


def test_the_host_is_read_without_help() -> None:
    host = this_host()
    assert "lo" in host.interfaces
    assert "root" in host.users
    assert "no such user" not in host.users
    assert "/bin/sh" in host.executables
    assert "/bin" not in host.executables
    assert "../../bin/sh" not in Lookup(lambda _name: False)
    assert "no such script" not in host.scripts


def test_what_the_running_heartbeat_has_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid, installed, loaded = (tmp_path / name for name in ("pid", "installed", "loaded"))
    monkeypatch.setattr(heartbeat_check, "PID", str(pid))
    monkeypatch.setattr(heartbeat_check, "FILES", str(installed))
    installed.mkdir()
    loaded.mkdir()
    (installed / "ha.cf").write_text("deadtime 3\n")
    assert read_by_heartbeat(str(loaded), "ha.cf") is None
    pid.write_text(f"{2**22 + 1:>10}\n")  # of a Heartbeat that was killed: no process can have that number
    assert read_by_heartbeat(str(loaded), "ha.cf") is None
    pid.write_text(f"{os.getpid():>10}\n")
    assert read_by_heartbeat(str(loaded), "ha.cf") == "deadtime 3\n"
    (loaded / "ha.cf").write_text("deadtime 20\n")
    assert read_by_heartbeat(str(loaded), "ha.cf") == "deadtime 20\n"
    assert read_by_heartbeat(str(loaded), "authkeys") is None
