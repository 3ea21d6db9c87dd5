"""What drains and switchovers refuse before they touch a host, and what they bear."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from test_wrong_inventories import GOOD, ROOT, Run, run_ansible

LEFT_OUT = "This run leaves out {}, so the directors would differ."
IMPORT = "ansible.builtin.import_tasks"
DOOR = {"address": "198.18.20.30", "port": 80}


def playbook(folder: Path, file: str, limit: str = "all", **variables: object) -> Run:
    """Run a playbook on the quickstart inventory, whose hosts can't be reached."""
    return run_ansible(folder, "playbook", file, "-i", str(GOOD), "--limit", limit, "-e", json.dumps(variables))


@pytest.mark.parametrize("name", ["drain", "undrain"])
@pytest.mark.parametrize(
    ("limit", "absent", "left_out"),
    [("real1", [], "dir1 and dir2"), ("dir1", [], "dir2"), ("real1", ["dir1"], "dir2")],
)
def test_a_drain_reaches_every_director(
    tmp_path: Path, name: str, limit: str, absent: list[str], left_out: str
) -> None:
    run = playbook(tmp_path / "a", f"playbooks/{name}.yml", limit, drain_host="real1", ha_absent=absent)
    assert run.exit_code != 0
    assert LEFT_OUT.format(left_out) in " ".join(run.output.split())
    assert run.touches == ""


@pytest.mark.parametrize("limit", ["all", "dir1", "dir1,dir2"])
def test_a_director_that_is_known_to_be_down_may_be_left_out(tmp_path: Path, limit: str) -> None:
    """It gets as far as the directors, so nothing has refused it."""
    absent = ["dir2"] if limit == "dir1" else []
    run = playbook(tmp_path / "a", "playbooks/drain.yml", limit, drain_host="real1", ha_absent=absent)
    assert "This run leaves out" not in run.output
    assert run.touches != ""


@pytest.mark.parametrize(("limit", "refused"), [("dir1", True), ("dir1,dir2", False), ("real1", False)])
def test_the_directors_are_configured_together(tmp_path: Path, limit: str, refused: bool) -> None:
    """Without what comes before, which reaches for the hosts."""
    (play,) = [
        play
        for play in yaml.safe_load((ROOT / "playbooks/directors.yml").read_text(encoding="utf-8"))
        if play["name"] == "Configure the directors"
    ]
    tasks = [{IMPORT: str(ROOT / "playbooks" / task[IMPORT])} for task in play["pre_tasks"] if IMPORT in task]
    file = tmp_path / "play.yml"
    file.write_text(json.dumps([{"hosts": "directors", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    run = playbook(tmp_path / "a", str(file), limit)
    assert (run.exit_code != 0) == refused, run.output
    assert (LEFT_OUT.format("dir2") in " ".join(run.output.split())) == refused
    assert run.touches == ""


@pytest.mark.parametrize(
    ("door", "absent", "said"),
    [
        (DOOR, [], "The outage was not measured; client1 says: "),
        (DOOR, ["client1"], "The outage was not measured; client2 says: "),
        (DOOR, ["client1", "client2"], "No client measured: the group clients is empty, or all of it is in ha_absent."),
        ({}, [], "The outage was not measured: no VIP that moves has a TCP port to measure."),
    ],
)
def test_a_switchover_needs_no_client(tmp_path: Path, door: dict[str, object], absent: list[str], said: str) -> None:
    """The tasks that are about the client, as they are, with clients that can't be reached."""
    (play,) = yaml.safe_load((ROOT / "playbooks/switchover.yml").read_text(encoding="utf-8"))
    del play["vars_files"], play["become"]
    about = ("client", "Report where")
    play["tasks"] = [task for task in play["tasks"] if any(words in task["name"] for words in about)]
    inventory = yaml.safe_load(GOOD.read_text(encoding="utf-8"))
    inventory["all"]["children"]["clients"] = {"hosts": {"client1": {}, "client2": {}}}
    for name, content in (("play.yml", [play]), ("hosts.yml", inventory)):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    done = {
        "switchover_move": {"target": "dir2", "only_own": False, "door": door},
        "switchover_plan": {"steps": ["one"]},
        "switchover_done": {"changed": True},
        "ha_absent": absent,
    }
    files = [str(tmp_path / name) for name in ("play.yml", "hosts.yml")]
    run = run_ansible(tmp_path / "a", "playbook", files[0], "-i", files[1], "-e", json.dumps(done))
    assert run.exit_code == 0, run.output
    assert f"All VIPs are on dir2. {said}" in " ".join(run.output.split())
    assert {word for word in run.touches.split() if word.startswith("client")} == {*said.split()} & {
        "client1",
        "client2",
    }


@pytest.mark.parametrize(("limit", "absent"), [("all", ["dir2"]), ("dir1", ["dir2"]), ("dir1", [])])
def test_a_switchover_needs_both_directors(tmp_path: Path, limit: str, absent: list[str]) -> None:
    """It asks nothing of one that is known to be down."""
    run = playbook(tmp_path / "a", "playbooks/switchover.yml", limit, ha_absent=absent)
    assert run.exit_code != 0
    assert "Run it without --limit, with no director in ha_absent" in " ".join(run.output.split())
    assert run.touches == ""


RULES = """\
-A -t 198.18.20.30:80 -s wrr
-a -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 1
-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 1
"""


def written(folder: Path, **variables: object) -> str:
    """Return ldirectord.cf of the first director, as the role's task writes it."""
    given = json.dumps({**variables, "folder": str(folder), "files": ["ldirectord/templates/ldirectord.cf"]})
    command = ["ansible-playbook", "-i", str(GOOD), "--limit", "dir1", "-e", given]
    subprocess.run([*command, ROOT / "tests/unit/render.yml"], check=True, cwd=ROOT)
    return (folder / "dir1.ldirectord.cf").read_text(encoding="utf-8")


def compared(folder: Path, role: str, installed: str, **variables: object) -> Run:
    """Run what compares an installed file with the inventory, without the task that reads the file."""
    folder.mkdir()
    part = {"name": f"codalvs.ha.{role}", "tasks_from": "pending.yml", "rolespec_validate": False}
    play = {"hosts": "dir1", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": part}]}
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    content = base64.b64encode(installed.encode()).decode()
    given = json.dumps({f"__{role}_installed": {"content": content}, **variables})
    what = {"ldirectord": "configuration", "lvs_director": "table"}[role]
    start = f"Refuse to touch a {what} that lacks changes of the inventory"
    files = [str(folder / "play.yml"), "-i", str(GOOD)]
    return run_ansible(folder / "a", "playbook", *files, "-e", given, "--start-at-task", start)


@pytest.mark.parametrize(("role", "name"), [("ldirectord", "web"), ("lvs_director", "tcp 198.18.20.30:80")])
def test_a_drain_rolls_out_nothing_else(tmp_path: Path, role: str, name: str) -> None:
    web = {"name": "web", "vip": "198.18.20.30", "port": 80, "check": {"service": "http", "virtualhost": "hunter2"}}
    wanted = {"ha_checker": "ldirectord" if role == "ldirectord" else "none", "ha_virtual_services": [web]}
    installed = written(tmp_path, **wanted) if role == "ldirectord" else RULES
    assert compared(tmp_path / "same", role, installed, **wanted).exit_code == 0

    weights = [{"host": "real1", "weight": 0}, {"host": "real2", "weight": 5}]
    wanted["ha_virtual_services"] = [{**web, "real_servers": weights}]
    assert compared(tmp_path / "weights", role, installed, **wanted).exit_code == 0

    ways = [{"host": "real1"}, {"host": "real2", "forwarding": "tunnel"}]
    wanted["ha_virtual_services"] = [{**web, "real_servers": ways}]
    run = compared(tmp_path / "ways", role, installed, **wanted)
    assert run.exit_code != 0
    said = "The inventory, or this collection, has changed since dir1 was configured: "
    said += f"{name} (198.18.20.22:80). Run codalvs.ha.site first."
    assert said in " ".join(run.output.split())
    assert "hunter2" not in run.output
    assert run.touches == ""


def test_a_drain_looks_before_it_marks() -> None:
    (block,) = yaml.safe_load((ROOT / "playbooks/tasks/drain.yml").read_text(encoding="utf-8"))
    names = [task["name"] for task in block["block"]]
    marks = names.index("Let each director know what the others know")
    files = ("ldirectord's configuration", "the table without ldirectord")
    looks = [names.index(f"Check that {what} differs by weights only") for what in files]
    assert max(looks) < marks


def test_a_drain_tells_the_roles_what_check_mode_has_not_marked() -> None:
    """What comes of it is tested with drains.py: the names are the same as after the marks."""
    (block,) = yaml.safe_load((ROOT / "playbooks/tasks/drain.yml").read_text(encoding="utf-8"))
    tasks = {task["name"]: task for task in block["block"]}
    marks = tasks["Mark the real server as drained, or remove its marks"]["codalvs.ha.drain_marks"]
    change = {"lvs_director_draining": marks["drained"], "lvs_director_undraining": marks["active"]}
    for file in ("ldirectord's configuration", "the table without ldirectord"):
        assert tasks[f"Write the marks into {file}"]["vars"] == change
    role = yaml.safe_load((ROOT / "roles/lvs_director/tasks/drained.yml").read_text(encoding="utf-8"))
    asked, told = role[-2:]
    assert all(name in str(asked["codalvs.ha.drain_marks"]) for name in change)
    assert asked["check_mode"] is True
    assert f"{asked['register']}.names" in told["ansible.builtin.set_fact"]["lvs_director_drained"]
