"""The directors' files, rendered by the roles' own templates from inventories of a few lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def rendered(folder: Path, **service: object) -> str:
    """Return ldirectord.cf of quickstart with a service like this."""
    inventory = yaml.safe_load((ROOT / "inventories/quickstart/hosts.yml").read_text(encoding="utf-8"))
    web = {"name": "web", "vip": "198.18.20.30", "port": 80, **service}
    key = {"id": 1, "method": "crc"}
    inventory["all"]["vars"] = {"ha_virtual_services": [web], "heartbeat_authkeys": {"active": 1, "keys": [key]}}
    folder.mkdir()
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    command = ["ansible-playbook", "-i", folder / "hosts.yml", ROOT / "tests/unit/render.yml", "-e", f"folder={folder}"]
    subprocess.run(command, check=True, cwd=ROOT)
    return (folder / "dir1.ldirectord.cf").read_text(encoding="utf-8")


def test_a_service_may_have_its_own_way_with_failed_real_servers(tmp_path: Path) -> None:
    file = rendered(tmp_path / "a", quiescent=False, check={"service": "http"})
    assert "\nquiescent = yes\n" in file
    assert "\n    quiescent = no\n" in file


def test_in_hot_standby_the_table_stays_when_ldirectord_stops(tmp_path: Path) -> None:
    assert "\ncleanstop = no\n" in rendered(tmp_path / "a")


def test_what_is_null_is_not_given(tmp_path: Path) -> None:
    """The roles treat null as preflight does: no 'None' reaches a file."""
    check = {"service": "http", "request": None, "receive": None, "type": None, "port": None}
    persistence = {"timeout": 300, "netmask": None}
    given = {"fallback": None, "quiescent": None, "real_servers": None, "scheduler": None, "preferred_director": None}
    plain = rendered(tmp_path / "plain", check={"service": "http"}, persistence={"timeout": 300})
    assert rendered(tmp_path / "nulls", check=check, persistence=persistence, **given) == plain
    assert "None" not in plain
