"""What the role heartbeat writes of settings that no example inventory has, and what it refuses on a director."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment
from refusals import judge, read_task

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import check_ha_cf, parse_ha_cf

ROOT = Path(__file__).resolve().parents[2]


def run(playbook: str, limit: str = "all", **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run a playbook beside this file on the quickstart inventory, with variables that win over all others."""
    command = ["ansible-playbook", "-i", "inventories/quickstart", "--limit", limit, f"tests/unit/{playbook}"]
    command += ["-e", json.dumps(variables)]
    return subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def test_fencing_ping_groups_and_watchdog(tmp_path: Path) -> None:
    written = run(
        "render.yml",
        "dir1",
        folder=str(tmp_path),
        files=["heartbeat/templates/ha.cf"],
        heartbeat_stonith=[
            {"host": "DIR1", "type": "external/ipmi", "parameters": "dir2 192.0.2.9 admin a,b lan"},
            {"host": "dir2", "type": "suicide"},
        ],
        heartbeat_ping_group=[{"name": "routers", "addresses": ["198.18.20.1", "198.18.20.2"]}],
        heartbeat_watchdog="/dev/watchdog",
        heartbeat_authkeys={"keys": [{"id": 1, "secret": "not looked at"}]},
    )
    assert written.returncode == 0, written.stdout
    text = (tmp_path / "dir1.ha.cf").read_text(encoding="utf-8")
    assert check_ha_cf(text, "dir1") == []
    meaning = parse_ha_cf(text)[0].meaning()
    assert meaning["stonith_host"] == [
        ("dir1", "external/ipmi", "dir2", "192.0.2.9", "admin", "a,b", "lan"),
        ("dir2", "suicide"),
    ]
    assert meaning["ping_group"] == [("routers", "198.18.20.1", "198.18.20.2")]
    assert meaning["watchdog"] == "/dev/watchdog"


def rendered(folder: Path, **own: dict[str, str]) -> dict[str, str]:
    """Return what both directors get, by host and file, with these interfaces."""
    directors = {name: {"ha_interfaces": interfaces} for name, interfaces in own.items()}
    real = {"real1": {"ha_interfaces": {"eth0": "198.18.20.21/24"}}}
    shared = {"ha_virtual_services": [{"name": "web", "vip": "198.18.20.30", "port": 80}]}
    groups = {"directors": {"hosts": directors}, "real_servers": {"hosts": real}}
    folder.mkdir()
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": shared, "children": groups}}), encoding="utf-8")
    files = ["heartbeat/templates/ha.cf", "heartbeat/templates/haresources", "heartbeat/templates/vips.json"]
    files.append("ha_hook/templates/ha-hooks.json")
    wanted = json.dumps({"folder": str(folder), "files": files})
    command = ["ansible-playbook", "-i", folder / "hosts.yml", "--limit", "directors", "-e", wanted]
    subprocess.run([*command, ROOT / "tests/unit/render.yml"], check=True, cwd=ROOT)
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.startswith(("dir1", "dir2"))
    }


def test_each_director_has_its_own_names_of_interfaces(tmp_path: Path) -> None:
    one = {"eth0": "198.18.20.11/24", "eth1": "198.18.21.11/24"}
    found = rendered(tmp_path / "a", dir1=one, dir2={"ens3": "198.18.20.12/24", "ens4": "198.18.21.12/24"})
    for host, public, private in (("dir1", "eth0", "eth1"), ("dir2", "ens3", "ens4")):
        links = [line for line in found[f"{host}.ha.cf"].splitlines() if line.startswith("ucast")]
        assert links == [
            f"ucast {public} 198.18.20.11",
            f"ucast {public} 198.18.20.12",
            f"ucast {private} 198.18.21.11",
            f"ucast {private} 198.18.21.12",
        ]
        vips = json.loads(found[f"{host}.vips.json"])
        assert vips["links"] == {
            public: ["198.18.20.11", "198.18.20.12"],
            private: ["198.18.21.11", "198.18.21.12"],
        }
        assert vips["witnesses"] == {public: ["198.18.20.21"]}
        hooks = json.loads(found[f"{host}.ha-hooks.json"])
        assert [vip["interface"] for vip in hooks["vips"]] == [public]
        assert "dir1 VIPaddr2::198.18.20.30/24/eth0@dir1,ens3@dir2\n" in found[f"{host}.haresources"]
    assert json.loads(found["dir2.vips.json"])["interfaces"] == {"ens3": "eth0", "ens4": "eth1"}
    command = ["ansible-playbook", "-i", tmp_path / "a/hosts.yml", "tests/unit/role.yml", "-e", '{"part": "same.yml"}']
    compared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert compared.returncode == 0, compared.stdout
    same = rendered(tmp_path / "b", dir1=one, dir2={"eth0": "198.18.20.12/24", "eth1": "198.18.21.12/24"})
    assert same["dir1.ha.cf"] == same["dir2.ha.cf"]
    assert "interfaces" not in json.loads(same["dir1.vips.json"])
    assert "dir1 IPaddr2::198.18.20.30/24/eth0\n" in same["dir1.haresources"]


@pytest.mark.parametrize(
    ("node", "resource", "script", "argument"),
    [
        ("dir1", "192.0.2.30/24/eth0@dir1,ens3@dir2", "IPaddr2", "192.0.2.30/24/eth0"),
        ("DIR2", "192.0.2.30/24/eth0@dir1,ens3@dir2", "IPaddr2", "192.0.2.30/24/ens3"),
        ("dir2", "2001:db8:0:0:0:0:0:30/64/eth0@dir1,ens3@dir2", "IPv6addr2", "2001:db8:0:0:0:0:0:30/64/ens3"),
        ("ir2", "192.0.2.30/24/eth0@dir1,ens3@dir2", "", ""),
    ],
)
def test_the_script_for_interfaces_of_different_names(
    tmp_path: Path, node: str, resource: str, script: str, argument: str
) -> None:
    """It starts the script of the address's family, beside itself, with this director's interface."""
    programs = {"IPaddr2": 'echo "${0##*/} $*"', "IPv6addr2": 'echo "${0##*/} $*"; exit 3', "uname": f"echo {node}"}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    text = (ROOT / "roles/heartbeat/files/VIPaddr2").read_text(encoding="utf-8")
    program = tmp_path / "VIPaddr2"
    program.write_text(text.replace("PATH=/usr/sbin", f"PATH={tmp_path}:/usr/sbin", 1), encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run([program, resource, "status"], capture_output=True, text=True, check=False)
    assert done.stdout == (f"{script} {argument} status\n" if script else "")
    assert done.returncode == {"IPaddr2": 0, "IPv6addr2": 3, "": 2}[script]


@pytest.mark.parametrize(
    ("installed", "shown"),
    [
        (None, True),
        ("deadtime 3\nnode dir1 dir2\n", True),
        ("node dir1 dir2\nstonith_host * external/ipmi dir2 192.0.2.9 admin hunter2 lan\n", False),
        ("\tstonith_host dir1 rps10 /dev/ttyS1 hunter2\n", False),
    ],
)
def test_a_diff_shows_no_password_of_a_device_that_has_gone(tmp_path: Path, installed: str | None, shown: bool) -> None:
    file = tmp_path / "ha.cf"
    if installed is not None:
        file.write_text(installed, encoding="utf-8")
    look = read_task("heartbeat", "configure", "Look for fencing devices in the installed ha.cf")
    command = look["ansible.builtin.command"].replace("/etc/ha.d/ha.cf", str(file))
    found = {"rc": subprocess.run(shlex.split(command), check=False).returncode}
    given = {look["register"]: found, "ansible_diff_mode": True, "heartbeat_stonith": []}
    jinja = NativeEnvironment()
    assert not jinja.from_string(f"{{{{ {look['failed_when']} }}}}").render(given)
    install = read_task("heartbeat", "configure", "Install ha.cf and haresources")
    assert jinja.from_string(install["diff"]).render(given) is shown


def seen(installed: int, **worst: int) -> str:
    """Return what heartbeat_info says on each director, as a template."""
    at = {"worst_node": "dir1", "worst_at": "2026-11-20 10:00:00"}
    each = {host: {"deadtime_ms": installed, "late": {"worst_ms": worst[host], **at}} for host in worst}
    return f"{{{{ {each} [inventory_hostname] }}}}"


@pytest.mark.parametrize(
    ("deadtime", "installed", "acknowledged", "refused"),
    [
        ("2619ms", 3000, [], "set it to at least 2620ms"),
        ("2.62", 3000, [], None),
        ("2", 3000, ["late_heartbeats"], None),
        ("2500ms", 2500, [], None),  # not lowered
    ],
)
def test_the_deadtime_is_not_lowered_too_far(
    deadtime: str, installed: int, acknowledged: list[str], refused: str | None
) -> None:
    result = run(
        "role.yml",
        part="deadtime.yml",
        heartbeat_deadtime=deadtime,
        ha_acknowledged=acknowledged,
        __heartbeat_seen=seen(installed, dir1=700, dir2=1310),
    )
    assert (result.returncode == 0) == (refused is None), result.stdout
    said = " ".join(result.stdout.split())
    # Both directors, though only one of them has heard it.
    for host in ("dir1", "dir2") if refused else ():
        assert f"On {host} heartbeat_deadtime is {deadtime}, and {installed} ms in the installed" in said
        assert "of dir1 came 1310 ms after the one before it (2026-11-20 10:00:00)" in said
        assert refused in said


@pytest.mark.parametrize(
    ("device", "container", "refused"),
    [
        ("/dev/null", {"rc": 1, "stdout": "none"}, None),
        (
            "/dev/nosuch",
            {"rc": 1, "stdout": "none"},
            "On dir1 heartbeat_watchdog is /dev/nosuch, which is not a device",
        ),
        ("/dev/null", {"rc": 0, "stdout": "docker"}, "this director is a container (docker), whose watchdog reboots"),
    ],
)
def test_a_watchdog_is_this_machines_own(device: str, container: dict[str, Any], refused: str | None) -> None:
    result = run("role.yml", part="watchdog.yml", heartbeat_watchdog=device, __heartbeat_container=container)
    assert (result.returncode == 0) == (refused is None), result.stdout
    assert refused is None or refused in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("limit", "log", "refused"),
    [
        ("all", "/var/log/ha", False),
        ("all", "/var/log/{{ inventory_hostname }}", True),
        ("dir1", "/var/log/{{ inventory_hostname }}", False),
    ],
)
def test_directors_that_would_get_different_files_are_refused(limit: str, log: str, refused: bool) -> None:
    """Before anything is written, and also in check mode."""
    result = run("role.yml", limit, part="same.yml", heartbeat_log=log, heartbeat_authkeys={"keys": []})
    assert (result.returncode != 0) == refused, result.stdout
    said = " ".join(result.stdout.split())
    assert ("ha.cf or haresources differ between the directors dir1 and dir2" in said) == refused, said
    order = [task["name"] for task in yaml.safe_load((ROOT / "roles/heartbeat/tasks/main.yml").read_text())]
    assert order.index("Check that the directors' files don't differ") < order.index("Install Heartbeat's files")


@pytest.mark.parametrize(
    ("limit", "absent", "refused"), [("all", [], False), ("dir1", [], True), ("dir1", ["dir2"], False)]
)
def test_a_change_that_parts_the_directors_reaches_both(limit: str, absent: list[str], refused: bool) -> None:
    """What the files are about is tested with plugins/module_utils/_heartbeat/parting.py."""
    check = {"parting": ["the nodes were dir1 and dir3"]}
    result = run("role.yml", limit, part="parting.yml", ha_absent=absent, __heartbeat_check=check)
    assert (result.returncode != 0) == refused, result.stdout
    said = " ".join(result.stdout.split())
    assert ("(the nodes were dir1 and dir3), and dir2 is not in it. Run without --limit" in said) == refused


def test_an_ha_cf_that_parts_the_directors_comes_right_before_its_reload() -> None:
    """A reboot in between, or hours after a killed run, would load it on one director only."""
    jinja = NativeEnvironment()
    lines = yaml.safe_load((ROOT / "roles/heartbeat/vars/main.yml").read_text(encoding="utf-8"))
    for parting, checks, files in (
        ([], False, ["ha.cf", "haresources"]),
        (["no link"], True, ["ha.cf", "haresources"]),  # to be shown
        (["no link"], False, ["haresources"]),
    ):
        given = {"__heartbeat_parting": parting, "ansible_check_mode": checks}
        assert jinja.from_string(lines["__heartbeat_files"]).render(given) == files
    loop = read_task("heartbeat", "configure", "Install ha.cf and haresources")["loop"]
    assert "selectattr('key', 'in', __heartbeat_files)" in loop
    (block,) = [
        task["block"]
        for task in yaml.safe_load((ROOT / "roles/heartbeat/tasks/rest.yml").read_text(encoding="utf-8"))
        if "block" in task
    ]
    order = [task["name"] for task in block]
    first = order.index("Install ha.cf where Heartbeat runs")
    assert order[first + 1 : first + 3] == ["Reload Heartbeat where it runs", "Install ha.cf where Heartbeat rests"]
    assert order[first - 1] == "Wait until the other director has taken over"
    for install in (block[first], block[first + 2]):
        assert install["vars"] == {"__heartbeat_files": ["ha.cf", "haresources"]}


@pytest.mark.parametrize(
    ("reread", "installs", "starts"),
    [
        ({"changed": True}, True, True),
        ({"failed": True}, False, False),  # it runs with the old file
        (None, False, True),  # lost before
    ],
)
def test_a_director_that_rested_has_the_file_of_the_other_one(
    tmp_path: Path, reread: dict[str, bool] | None, installs: bool, starts: bool
) -> None:
    parts = yaml.safe_load((ROOT / "roles/heartbeat/tasks/rest.yml").read_text(encoding="utf-8"))
    (part,) = [task for task in parts if "block" in task]
    (install,) = [task for task in part["block"] if task["name"] == "Install ha.cf where Heartbeat rests"]
    (start,) = part["always"]
    own = {"__heartbeat_rests": "dir2"}
    hosts = {"dir1": {} if reread is None else {"__heartbeat_reread": reread}}
    hosts["dir2"] = {"__heartbeat_reread": {"skipped": True}}
    found = {"installs": all_of(install["when"]), "starts": all_of(start["when"])}
    task = {
        "name": "Check what is decided",
        "ansible.builtin.assert": {"that": ["installs | bool == want_install", "starts | bool == want_start"]},
        "vars": {**found, "want_install": installs, "want_start": starts},
    }
    play = {"hosts": "dir2", "gather_facts": False, "vars_files": [str(ROOT / "roles/heartbeat/vars/main.yml")]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{**play, "vars": own, "tasks": [task]}]), encoding="utf-8")
    inventory = {"directors": {"hosts": hosts}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    command = ["ansible-playbook", "-i", f"{tmp_path}/hosts.yml", f"{tmp_path}/play.yml"]
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout


def all_of(conditions: list[str]) -> str:
    """Return one template of several conditions."""
    return "{{ " + " and ".join(f"({condition})" for condition in conditions) + " }}"


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [
        ({"rc": 0, "stdout": '{"current": false}'}, False),
        ({"rc": 0, "stdout": '{"held": []}'}, False),  # a former program
        ({"rc": 0, "stdout": ""}, False),  # it ends
        ({"rc": 0, "stdout": '{"current": true}'}, True),
        ({"rc": 1, "stdout": ""}, True),  # it does not run
        ({"rc": 0, "stdout": '{"current": false}', "attempts": 30}, True),
    ],
)
def test_nothing_is_released_while_heartbeat_vips_goes_by_the_old_vips(
    tmp_path: Path, state: dict[str, Any], goes_on: bool
) -> None:
    """It would bring it back, and start anew without it."""
    wait = read_task("heartbeat", "reload", "Wait until heartbeat-vips goes by the new VIPs")
    given = {"__heartbeat_vips_looks": 30, wait["register"]: {"attempts": 1, **state}, "goes_on": goes_on}
    check = {"name": "Check", "ansible.builtin.assert": {"that": f"(({wait['until']}) | bool) == goes_on"}}
    assert judge(tmp_path, check, **given) == ""
    parts = yaml.safe_load((ROOT / "roles/heartbeat/tasks/reload.yml").read_text(encoding="utf-8"))
    order = [task["name"] for task in parts]
    assert order.index(wait["name"]) < order.index("Release the resources that are no longer wanted")


@pytest.mark.parametrize(
    ("resources", "held", "refused"),
    [
        ("none", [], None),
        ("transition", [], None),  # it gave its VIPs back
        ("transition", ["198.18.20.30"], "says 'transition', and the director has 198.18.20.30. Look into"),
        ("", [], "says '', and the director has no VIP."),
    ],
)
def test_a_director_in_transition_without_vips_acquires_nothing(
    resources: str, held: list[str], refused: str | None
) -> None:
    """Such a word may stay for ever, and failed every later change of VIPs."""
    holds = {"resources": resources, "held": held}
    result = run("role.yml", part="acquire.yml", __heartbeat_alone_looks=1, __heartbeat_holds=holds)
    assert (result.returncode == 0) == (refused is None), result.stdout
    assert refused is None or refused in " ".join(result.stdout.split())


def test_a_start_forgets_no_resource_that_may_be_left(tmp_path: Path) -> None:
    """A run was killed before it released a resource. Heartbeat stops by the new file, and starts again."""
    lines = yaml.safe_load((ROOT / "roles/heartbeat/vars/main.yml").read_text(encoding="utf-8"))
    note = lines["__heartbeat_note_started"].replace("{{ __heartbeat_note_loaded }}", lines["__heartbeat_note_loaded"])
    etc, run_ = tmp_path / "etc", tmp_path / "run"
    etc.mkdir()
    run_.mkdir()
    for name in ("ha.cf", "authkeys", "haresources"):
        (etc / name).write_text("dir1 IPaddr2::192.0.2.30/24/eth0 IPaddr2::192.0.2.31/24/eth0\n")

    def starts() -> tuple[str, int]:
        command = note.replace("/etc/ha.d", str(etc)).replace("/run/", f"{run_}/")
        subprocess.run(["/bin/sh", "-c", command], check=True)
        check = ["sha256sum", "--status", "--check", str(run_ / "heartbeat.loaded")]
        loaded = subprocess.run(check, cwd=etc, check=False).returncode
        return (run_ / "heartbeat.haresources").read_text(), loaded

    both = (etc / "haresources").read_text()
    assert starts() == (both, 0)
    (etc / "ha.cf").write_text("another\n")
    assert starts() == (both, 0)
    (etc / "haresources").write_text("dir1 IPaddr2::192.0.2.30/24/eth0\n")
    assert starts() == (both, 1)
