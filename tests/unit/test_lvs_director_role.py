# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which the roles of directors do what depends on order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule as Core
from ansible.plugins.filter.mathstuff import FilterModule as Sets
from jinja2.nativetypes import NativeEnvironment
from refusals import read_task

from ansible_collections.codalvs.ha.plugins.plugin_utils._directors import unwanted
from ansible_collections.codalvs.ha.plugins.plugin_utils._pending import pending

ROLES = Path(__file__).resolve().parents[2] / "roles"


def tasks(role: str, file: str = "main") -> list[str]:
    """Return the names of a role's tasks, those of other files in their place."""
    found: list[str] = []
    tree: list[dict[str, Any]] = yaml.safe_load((ROLES / role / f"tasks/{file}.yml").read_text(encoding="utf-8"))
    for task in tree:
        imported = task.get("ansible.builtin.import_tasks")
        included = task.get("ansible.builtin.include_role", {})
        if imported:
            found += tasks(role, imported.removesuffix(".yml"))
        elif "tasks_from" in included:
            found += tasks(included["name"].rpartition(".")[2], included["tasks_from"].removesuffix(".yml"))
        else:
            found.append(task["name"])
    return found


def assert_order(found: list[str], *names: str) -> None:
    assert [name for name in found if name in names] == [*names]


def test_the_guard_never_follows_an_old_table() -> None:
    assert_order(
        tasks("lvs_director"),
        "Write the table that is loaded at boot",
        "Load a table at boot only where ldirectord does not keep it",
        "Run or stop ipvs-guard",
        "Set the kernel's IPVS table",
    )


def test_a_new_heartbeat_vips_finds_its_new_unit() -> None:
    """It restarts by itself when its program or its VIPs change, with the unit that systemd has read."""
    unit = "Write the unit of heartbeat-vips"
    assert_order(
        tasks("heartbeat", "fast_takeover"),
        unit,
        "Let systemd read the new unit",
        "Install heartbeat-vips",
        "Write the VIPs of heartbeat-vips",
        "Run heartbeat-vips",
    )


def test_marks_go_after_the_services_that_they_select() -> None:
    going = ("Take the rules that mark packets out of the kernel", "Load the rules that mark packets, without old ones")
    assert_order(tasks("lvs_director"), "Load the rules that mark packets now", "Set the kernel's IPVS table", *going)
    assert_order(
        tasks("ldirectord"),
        "Install ldirectord's configuration, once ldirectord has accepted it",
        "Run ldirectord on this director all the time",
        "Wait until the IPVS table has no old mark",
        *going,
        "Wait until the IPVS table has nothing old",
    )


def test_whoever_stops_ldirectord_it_leaves_the_table() -> None:
    """After Heartbeat's one was killed, systemd runs another one, with `cleanstop = yes` of cold standby."""
    assert_order(
        tasks("lvs_director"),
        "Let ldirectord leave the IPVS table when it stops",
        "Wait until ldirectord has read its configuration",
        "Keep ldirectord from changing the table",
        "Stop an ldirectord that systemd knows nothing of",
    )


def sync_unit(name: str) -> str:
    """Return a unit about the sync daemons, each command on one line."""
    text = (ROLES / f"lvs_director/templates/{name}.service.j2").read_text(encoding="utf-8")
    given = {"interface": "eth1", "id": 7, "group": "ff02::81"}
    own = {f"lvs_director_sync_{name}": value for name, value in given.items()}
    unit = jinja2.Template(text, undefined=jinja2.StrictUndefined).render(ansible_managed="by a test", **own)
    return unit.replace("\\\n   ", "")


def test_the_unit_of_the_sync_daemons_starts_what_is_lacking() -> None:
    """The kernel refuses a second start of a daemon, so one that runs must not be started again."""
    unit = sync_unit("ipvs-sync")
    lines = unit.splitlines()
    starts = [line for line in lines if line.startswith("ExecStart=")]
    assert len(starts) == 2
    for role, line in zip(("backup", "master"), starts, strict=True):
        assert f'--list --daemon | grep -q "^{role} sync daemon" || exec' in line
        assert line.endswith(f"--start-daemon {role}  --mcast-interface eth1 --syncid 7 --mcast-group ff02::81'")
    assert "until ip -6 -oneline address show dev eth1  -tentative | grep" in unit


def test_systemd_stops_the_sync_daemons() -> None:
    """One that does not run can't be stopped, and is no error. systemd stops nothing that it has not started."""
    stops = [line for line in sync_unit("ipvs-sync").splitlines() if line.startswith("ExecStop=")]
    assert stops == [f"ExecStop=-/sbin/ipvsadm --stop-daemon {role}" for role in ("master", "backup")]
    boot = "Start the sync daemons at boot where connections are synchronised"
    assert_order(tasks("lvs_director"), "Start or stop the sync daemons now", boot, "Run or stop ipvs-resync")
    text = (ROLES / "lvs_director/tasks/sync.yml").read_text(encoding="utf-8")
    (task,) = [task for task in yaml.safe_load(text) if task["name"] == boot]
    assert "ternary('started', 'stopped')" in task["ansible.builtin.systemd_service"]["state"]


def test_the_unit_of_ipvs_resync_knows_the_settings_of_the_daemons() -> None:
    start = "ExecStart=/usr/local/sbin/ipvs-resync follow --mcast-interface eth1 --syncid 7  --mcast-group ff02::81"
    assert start in sync_unit("ipvs-resync").splitlines()


def test_ipvs_resync_notes_where_heartbeat_vips_looks() -> None:
    programs = (ROLES / "lvs_director/files/ipvs-resync", ROLES / "heartbeat/files/heartbeat-vips")
    assert all('Path("/run/ipvs-resync/since")' in path.read_text(encoding="utf-8") for path in programs)
    assert "RuntimeDirectory=ipvs-resync" in sync_unit("ipvs-resync").splitlines()


def test_a_new_program_never_runs_in_an_old_unit() -> None:
    """It restarts by itself as soon as its file changes."""
    for name in ("ipvs-guard", "ipvs-resync"):
        reload = "Let systemd read the new unit" + (" of ipvs-resync" if name == "ipvs-resync" else "")
        assert_order(tasks("lvs_director"), f"Write the unit of {name}", reload, f"Install {name}")


BOTH = ["stop backup", "start backup", "stop master", "start master"]


@pytest.mark.parametrize(
    ("own", "there", "wanted"),
    [
        ([], [], False),
        (BOTH, BOTH, True),
        ([], BOTH, True),  # it was away while this one got new settings
        (["start backup", "start master"], [], True),  # somebody had stopped them
        ([], ["start backup", "start master"], True),
        ([], ["start master"], False),  # that one has heard all
        ([], None, False),  # it is absent
    ],
)
def test_who_has_not_heard_is_told(own: list[str], there: list[str] | None, wanted: bool) -> None:
    environment = NativeEnvironment()
    environment.filters.update({**Core().filters(), **Sets().filters()})
    hosts = {"dir1": {"__lvs_director_daemons": {"operations": own}}, "dir2": {}}
    if there is not None:
        hosts["dir2"] = {"__lvs_director_daemons": {"operations": there}}
    given: dict[str, Any] = {
        "inventory_hostname": "dir1",
        "hostvars": hosts,
        "ansible_play_hosts": ["dir1", "dir2"],
        "ansible_check_mode": False,
        "lvs_director_sync": True,
        **hosts["dir1"],
    }
    variables = yaml.safe_load((ROLES / "lvs_director/vars/main.yml").read_text(encoding="utf-8"))
    name = "__lvs_director_operations_there"
    given[name] = environment.from_string(variables[name]).render(given)
    look = read_task("lvs_director", "sync", "Look for connections that the other director may not know")
    found = [environment.from_string(f"{{{{ {each} }}}}").render(given) for each in look["when"]]
    assert all(found) is wanted


RULES = """# Ansible managed
-A -t 192.0.2.30:80 -s wlc
-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1
-A -t 192.0.2.30:443 -s wlc
-a -t 192.0.2.30:443 -r 192.0.2.21:443 -g -w 1
-A -u [2001:db8::30]:53 -s wlc
-A -f 7 -6 -s wlc
"""
LEFT: list[dict[str, Any]] = [
    {"vip": "192.0.2.30", "port": 443, "protocol": "tcp"},
    {"vip": "2001:db8::30", "port": 53, "protocol": "udp"},
    {"fwmark": 7, "family": 6},
]


def test_services_that_only_a_table_without_ldirectord_had_go() -> None:
    """ldirectord would leave them alone. One that somebody has added by hand stays."""
    wanted = {"vip": "192.0.2.30", "port": 80, "protocol": "tcp"}
    by_hand = {"vip": "192.0.2.31", "port": 22, "protocol": "tcp"}
    shown = [{**each, "scheduler": "wlc", "real_servers": []} for each in (wanted, by_hand, *LEFT)]
    environment = NativeEnvironment()
    own = {"codalvs.ha.pending_services": pending, "codalvs.ha.ipvs_unwanted": unwanted}
    environment.filters.update({**Core().filters(), **own})
    variables = yaml.safe_load((ROLES / "lvs_director/vars/main.yml").read_text(encoding="utf-8"))
    found = environment.from_string(variables["__lvs_director_unkept"]).render(
        __lvs_director_loaded_text=RULES,
        __lvs_director_kept_table={"services": shown},
        __lvs_director_plan={"services": [{**wanted, "real_servers": []}]},
        ldirectord_virtual_services=[],
    )
    assert found == LEFT
    assert_order(
        tasks("lvs_director"),
        "Load a table at boot only where ldirectord does not keep it",
        "Run or stop ipvs-guard",
        "Read the table that was loaded at boot",
        "Give up the table that was kept without ldirectord",
    )


def test_the_note_of_such_services_goes_last() -> None:
    """A killed run leaves the file, and the next one removes what it names."""
    block = read_task("lvs_director", "unkept", "Give up the table that was kept without ldirectord")["block"]
    assert [set(task).intersection({"codalvs.ha.ipvs", "ansible.builtin.template"}) for task in block] == [
        set(),
        {"codalvs.ha.ipvs"},
        {"ansible.builtin.template"},
    ]


@pytest.mark.parametrize(
    ("role", "part", "look", "variables", "drift"),
    [
        (
            "lvs_director",
            "sysctls",
            "Read the sysctls from the kernel",
            {"__lvs_director_all_sysctls": {"net.ipv4.vs.sync_threshold": "0 0"}},
            ("__lvs_director_now", {"stdout_lines": ["3\t50"]}, {"stdout_lines": ["0\t0"]}),
        ),
        (
            "real_server",
            "arp",
            "Read what the kernel does about ARP",
            {"__real_server_sysctls": {"net.ipv4.conf.all.arp_ignore": 1}},
            ("__real_server_now", {"stdout_lines": ["0"]}, {"stdout_lines": ["1"]}),
        ),
        (
            "lvs_director",
            "packet_marks",
            "Read the rules for marks that the kernel has",
            {},
            ("__lvs_director_marking_before", {"rc": 1}, {"rc": 0}),
        ),
        (
            "lvs_director",
            "masquerade",
            "Read the rules of translation that the kernel has",
            {},
            ("__lvs_director_masquerade_before", {"rc": 1}, {"rc": 0}),
        ),
    ],
    ids=["sysctls", "arp", "packet_marks", "masquerade"],
)
def test_check_mode_shows_what_the_kernel_alone_lacks(
    role: str, part: str, look: str, variables: dict[str, Any], drift: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    """It skips the commands that would mend it. A run has them tell, and must not count a change twice."""
    environment = NativeEnvironment()
    environment.filters.update({**Core().filters(), "split": lambda text: text.split()})
    environment.filters["bool"] = bool
    own = yaml.safe_load((ROLES / role / "vars/main.yml").read_text(encoding="utf-8"))
    name, drifted, right = drift
    for state, mode, wanted in ((drifted, True, True), (right, True, False), (drifted, False, False)):
        given = {**variables, name: state, "ansible_check_mode": mode}
        key = f"__{role}_sysctls_differ"
        given[key] = environment.from_string(own[key]).render(given) if variables else None
        found = environment.from_string(f"{{{{ {read_task(role, part, look)['changed_when']} }}}}").render(given)
        assert bool(found) is wanted
