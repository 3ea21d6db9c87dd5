"""What a role's first task says, in a real run of ansible-playbook."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
GIVEN = {
    "heartbeat_nodes": ["one", "two"],
    "heartbeat_links": [{"type": "ucast", "interface": "eth0", "peers": ["192.0.2.1", "192.0.2.2"]}],
    "heartbeat_resource_groups": [{"node": "one", "resources": ["IPaddr2::192.0.2.30/24/eth0"]}],
}


def run(folder: Path, role: str, inventory: dict[str, Any], **given: Any) -> str:
    """Run one role alone on this machine in check mode, as one host of that inventory; return what Ansible says."""
    host = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"one": {**host, **inventory}}}}))
    # The second task ends the play, so nothing of the role itself runs.
    packages = {"ha_packages_ready": [role], "ha_packages_missing": []}
    play = {"hosts": "all", "gather_facts": False, "roles": [{"role": f"codalvs.ha.{role}", "vars": packages | given}]}
    (folder / "play.yml").write_text(json.dumps([play]))
    command = ["-i", str(folder / "hosts.yml"), "--check", "--step", str(folder / "play.yml")]
    # Of each task --step asks: yes to Ansible's own comparison and to the role's first task, no to the others.
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *command],
        cwd=ROOT,
        input="y\ny\n" + "n\n" * 100,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("role", "inventory", "given", "said"),
    [
        ("heartbeat", {}, {"ha_standby": "warm"}, "ha_standby = warm: must be one of hot, cold"),
        ("ldirectord", {"ha_standby": "{{ 'warm' }}"}, {}, "ha_standby = warm: must be one of hot, cold"),
        ("lvs_director", {"ha_checker": "nobody"}, {}, "ha_checker = nobody: must be one of ldirectord, none"),
        ("lvs_director", {"lvs_director_static": True}, {}, "write ha_checker: none in its place"),
        ("ldirectord", {}, {"heartbeat_manages_ldirectord": True}, "write ha_standby: cold in its place"),
        ("heartbeat", {"heartbeat_links": None}, {}, "heartbeat_links: has no value (null)"),
        ("heartbeat", {"heartbeat_log": None}, {}, "heartbeat_log: has no value (null)"),
        ("real_server", {"real_server_vips": None}, {}, "real_server_vips: has no value (null)"),
    ],
)
def test_a_role_alone_refuses(role: str, inventory: Any, given: Any, said: str, tmp_path: Path) -> None:
    text = run(tmp_path, role, inventory, **given)
    assert said in text
    assert f"Variables of the role {role}: " in text
    assert "Nothing was changed." in text


def test_a_role_alone_takes_what_is_right(tmp_path: Path) -> None:
    """It also takes what does not concern the role, such as an old name of another role's variable."""
    text = run(tmp_path, "heartbeat", {"ha_standby": "{{ 'co' ~ 'ld' }}", "lvs_director_static": True}, **GIVEN)
    assert "ok: [one]" in text.partition("Check the role's variables]")[2].partition("TASK")[0], text
