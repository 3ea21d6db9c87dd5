# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One place installs: who may call apt, what each role needs, what is missing on a host, and whom a failure stops."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
INSTALLERS = ("apt", "package", "dpkg_selections", "apt_repository", "apt_key", "deb822_repository")
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("roles/*/tasks/**/*.yml", "roles/*/handlers/**/*.yml", "playbooks/**/*.yml")
    for path in ROOT.glob(pattern)
)
VARS: dict[str, Any] = yaml.safe_load((ROOT / "roles/ha_packages/vars/main.yml").read_text(encoding="utf-8"))
LISTS = {name.removeprefix("__ha_packages_of_"): value for name, value in VARS.items() if "_of_" in name}
DEFAULT = yaml.safe_load((ROOT / "roles/ha_packages/defaults/main.yml").read_text(encoding="utf-8"))["ha_packages_for"]


def tasks(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings of a YAML file, tasks among them."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from tasks(inner)


def load(file: str) -> Any:
    """Return what a YAML file holds."""
    return yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))


def calls(file: str) -> list[str]:
    """Return the modules that install, of the tasks in a file."""
    modules = [f"ansible.builtin.{name}" for name in INSTALLERS]
    return [module for task in tasks(load(file)) for module in modules if module in task]


def asked(file: str) -> list[str]:
    """Return the lists for which a file's tasks include the role ha_packages, with templates as they are written."""
    included = [
        task
        for task in tasks(load(file))
        if task.get("ansible.builtin.include_role", {}).get("name") == "codalvs.ha.ha_packages"
    ]
    return [str(task.get("vars", {}).get("ha_packages_for")) for task in included]


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith("roles/ha_packages/")])
def test_nobody_else_installs(file: str) -> None:
    assert calls(file) == []


def test_the_calls_of_the_one_place_are_found() -> None:
    assert "ansible.builtin.apt" in calls("roles/ha_packages/tasks/install.yml")


def test_packages_start_and_recommend_nothing_and_are_not_upgraded() -> None:
    found = [task.get("ansible.builtin.apt", {}) for task in tasks(load("roles/ha_packages/tasks/install.yml"))]
    installs = [call for call in found if "name" in call or "deb" in call]
    assert len(installs) == 2
    assert {(call["policy_rc_d"], call["install_recommends"], call.get("state", "present")) for call in installs} == {
        (101, False, "present")
    }


def test_no_package_is_in_two_lists() -> None:
    count = Counter(name for each in LISTS.values() if isinstance(each, list) for name in each)
    assert count
    assert [name for name, times in count.items() if times > 1] == []


def test_the_specification_knows_every_list() -> None:
    options = load("roles/ha_packages/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert sorted(options["ha_packages_for"]["choices"]) == sorted(LISTS)


@pytest.mark.parametrize("role", sorted(set(LISTS) - {"demo_web", "demo_mail", "demo_trust"}))
def test_a_role_alone_installs_its_own_list(role: str) -> None:
    files = (ROOT / "roles" / role / "tasks").glob("*.yml")
    assert [call for path in files for call in asked(path.relative_to(ROOT).as_posix())] == [str([role])]


def packages_for(groups: set[str], checker: str = "ldirectord") -> set[str]:
    """Return the default of ha_packages_for, for a host in these groups; checker: who keeps the table, by the plan."""
    environment = NativeEnvironment()
    environment.filters["intersect"] = lambda left, right: [each for each in left if each in right]
    return set(
        environment.from_string(DEFAULT).render(
            group_names=sorted(groups), __ha_packages_plan={"checker": checker}, dns_zone_origin="example.org"
        )
    )


@pytest.mark.parametrize("playbook", ["coda", "nfs", "directors", "real_servers", "dns"])
def test_a_host_gets_the_packages_of_all_roles_of_its_plays(playbook: str) -> None:
    found = 0
    for play in load(f"playbooks/{playbook}.yml"):
        included = [task.get("ansible.builtin.include_role", {}).get("name") for task in play.get("tasks", [])]
        names = [entry["role"] for entry in play.get("roles", [])] + included
        roles = {name.rpartition(".")[2] for name in filter(None, names)}
        found += len(roles)
        groups = {group for group in play.get("hosts", "").split(":") if group[:1] not in ("&", "!")}
        assert packages_for(groups) >= roles & set(LISTS), play["name"]
    assert found


def test_a_host_gets_no_other_packages() -> None:
    assert packages_for({"real_servers", "clients"}) == set()
    assert packages_for({"directors"}, checker="none") == {"lvs_director", "heartbeat"}
    assert packages_for({"coda_servers"}) == {"coda_common"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return package files: of an installed package another version, and a package that nobody has."""
    where = tmp_path_factory.mktemp("files")
    made = {}
    for package in ("dpkg", "codalvs-nosuch"):
        control = where / package / "DEBIAN/control"
        control.parent.mkdir(parents=True)
        control.write_text(
            f"Package: {package}\nVersion: 0.1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n",
            encoding="utf-8",
        )
        made[package] = str(where / f"{package}.deb")
        subprocess.run(["dpkg-deb", "--build", where / package, made[package]], check=True, capture_output=True)
    return made


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="only Debian has dpkg")
def test_what_is_missing_is_found(files: dict[str, str], tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.deb")
    version = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", "dpkg"], capture_output=True, text=True, check=True
    ).stdout
    wanted = ["dpkg", f"dpkg={version}", "dpkg=0.1", "codalvs-nosuch", *files.values(), absent]
    done = subprocess.run(
        ["sh", "-c", VARS["__ha_packages_script"], "sh", *wanted], capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if line != "interrupted"] == [
        "missing dpkg=0.1",
        "missing codalvs-nosuch",
        "unlisted codalvs-nosuch",
        f"other {files['dpkg']}",
        f"missing {files['codalvs-nosuch']}",
        f"missing {absent}",
    ]


@pytest.mark.skipif(not shutil.which("apt-cache"), reason="only Debian has apt")
def test_a_package_that_others_name_but_no_list_has_is_unlisted(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "status").write_text(
        "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n"
        "Depends: codalvs-nosuch\n",
        encoding="utf-8",
    )
    places = {"State::Lists": "lists/", "State::Status": "status", "Cache": "cache/"}
    lines = [f'Dir::{name} "{tmp_path}/{place}";\n' for name, place in places.items()]
    (tmp_path / "apt.conf").write_text("".join(lines), encoding="utf-8")
    environment = {**os.environ, "APT_CONFIG": str(tmp_path / "apt.conf")}
    shown = subprocess.run(["apt-cache", "show", "codalvs-nosuch"], env=environment, capture_output=True, check=False)
    assert shown.returncode == 0  # which is why the script asks in another way
    command = ["sh", "-c", VARS["__ha_packages_script"], "sh", "codalvs-nosuch"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "unlisted codalvs-nosuch" in done.stdout.splitlines()


CLUSTER = {
    "directors": {"dir1", "dir2"},
    "coda_scm": {"scm"},
    "coda_servers": {"scm", "coda2"},
    "coda_clients": {"web1"},
    "nfs_server": {"files1"},
    "nfs_clients": {"web2", "web3"},
}


@pytest.mark.parametrize(
    ("failing", "absent", "stopped"),
    [
        ("dir2", [], {"dir1"}),
        ("coda2", [], {"scm", "web1", "web2", "web3", "files1", "dir1", "dir2"}),
        ("files1", [], {"scm", "coda2", "web1", "web2", "web3", "dir1", "dir2"}),
        ("web2", [], set()),
        ("dir2", ["dir2"], set()),  # one that is known to be down is asked for nothing, and missed by nobody
    ],
)
def test_a_host_without_its_packages_stops_those_that_depend_on_it(
    failing: str, absent: list[str], stopped: set[str], tmp_path: Path
) -> None:
    """By the real playbook without preflight and comparison, in check mode, for roles that need nothing."""
    hosts = set().union(*CLUSTER.values())
    children = {group: {"hosts": dict.fromkeys(names)} for group, names in {**CLUSTER, "ha_accepted": hosts}.items()}
    inventory = {
        "all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_become": False,
                "ansible_python_interpreter": sys.executable,
                "ha_packages_for": [],
                "ha_absent": absent,
            },
            "hosts": {failing: {"ansible_python_interpreter": "/nonexistent/python3"}},
            "children": children,
        }
    }
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    command = ["-i", str(tmp_path / "hosts.yml"), "playbooks/packages.yml", "--check", "--skip-tags", "always"]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    recap = {line.split()[0]: line for line in done.stdout.partition("PLAY RECAP")[2].splitlines() if " : " in line}
    assert {host for host, line in recap.items() if "failed=0" not in line} == stopped | {failing}, done.stdout
    assert (f"{failing} failed earlier in this run" in done.stdout) == bool(stopped)
