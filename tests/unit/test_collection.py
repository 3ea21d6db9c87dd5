"""The collection as a whole: its tarball installs and runs elsewhere, and its roles document what they take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in ROOT.glob("roles/*") if path.is_dir())
PLAYBOOKS = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))
# All that a user's copy holds at its top; a new entry has to be named here or in galaxy.yml's build_ignore.
SHIPPED = {
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "changelogs",
    "docs",
    "inventories",
    "meta",
    "playbooks",
    "plugins",
    "roles",
}


def load(path: Path) -> Any:
    """Return what a YAML file holds."""
    return yaml.safe_load(path.read_text())


def defaults(role: str) -> dict[str, Any]:
    """Return a role's defaults; a role may have none."""
    path = ROOT / "roles" / role / "defaults/main.yml"
    return (load(path) or {}) if path.exists() else {}


def options(role: str) -> dict[str, dict[str, Any]]:
    """Return what a role's argument specification says of each variable, over all entry points."""
    specs = load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


def is_template(value: object) -> bool:
    """Tell whether a default is worked out only when the role runs."""
    return "{{" in str(value)


@pytest.mark.parametrize("role", ROLES)
def test_role_specifies_every_default(role: str) -> None:
    assert set(defaults(role)) <= {*options(role), *options("preflight")}  # which has the cluster's own, ha_…


@pytest.mark.parametrize("role", ROLES)
def test_role_and_specification_agree_on_defaults(role: str) -> None:
    written = {name: value for name, value in defaults(role).items() if not is_template(value)}
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    # Variables with another prefix belong to the cluster (ha_…) or to another role, which has their defaults.
    own = {name: value for name, value in specified.items() if name.startswith(f"{role}_")}
    # An empty default need not be specified: nothing is said by it.
    telling = {name: value for name, value in written.items() if value or value is False or value == 0}
    assert {name: written.get(name) for name in own} == own
    assert {name: specified.get(name) for name in telling} == telling


def test_no_two_roles_have_a_default_of_one_name() -> None:
    count = Counter(name for role in ROLES for name, value in defaults(role).items() if not follows(role, name, value))
    assert [name for name, times in count.items() if times > 1] == []


def follows(role: str, name: str, value: object) -> bool:
    """Tell whether a default comes from the plan's part for a cluster variable, which has its default elsewhere."""
    return value == f"{{{{ __{role}_plan.{name.removeprefix('ha_')} }}}}"


def test_a_default_that_is_no_part_of_the_plan_is_written_here() -> None:
    plan = "{{ __heartbeat_plan.standby }}"
    assert follows("heartbeat", "ha_standby", plan)
    assert not follows("ldirectord", "ha_standby", plan)
    assert not follows("heartbeat", "ha_checker", plan)
    assert not follows("heartbeat", "ha_standby", "hot")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_takes_the_plan_from_one_place(role: str) -> None:
    """Each such expression plans the whole inventory anew, and is one more place to change."""
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob(f"roles/{role}/**/*.[yj]*")]
    assert len(re.findall(r"hostvars \| codalvs\.ha\.\w+\(", "".join(texts))) <= 1


class Loader(yaml.SafeLoader):
    """Reads files of tasks, and what a tag such as !reset holds as nothing."""


Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
# A pronoun or a statement says nothing in a log, where the name stands alone; so does "Run it".
UNTOLD = re.compile(
    r"(All|An?|Both|Each|Every|He|It|Its|New|No|Nobody|Nothing|Only|That|The|They|Those|What) "
    r"|\w+ ((it|them)\b|(both|so|that|this)$)"
)


def names(tree: Any) -> Iterator[str]:
    """Yield the names of the plays and tasks in a file."""
    for each in tree if isinstance(tree, list) else ():
        if isinstance(each, dict):
            yield from [each["name"]] if "name" in each else []
            for part in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
                yield from names(each.get(part))


@pytest.mark.parametrize("folder", ["benchmarks", "molecule", "playbooks", "roles", "tests/unit"])
def test_names_of_tasks_are_imperative_and_name_their_object(folder: str) -> None:
    found = []
    for path in (ROOT / folder).rglob("*.yml"):
        if path.name not in ("argument_specs.yml", "hosts.yml", "molecule.yml"):
            loaded = yaml.load(path.read_text(), Loader)
            found += [(path.relative_to(ROOT).as_posix(), name) for name in names(loaded)]
    assert found
    assert [(path, name) for path, name in found if UNTOLD.match(name)] == []


@pytest.mark.parametrize("name", ["It came", "The others answer", "Drain it to the end", "Read that"])
def test_a_name_that_says_nothing_is_found(name: str) -> None:
    assert UNTOLD.match(name)


def steps(entries: list[dict[str, Any]]) -> list[str]:
    """Return the names of the tasks that do something themselves, rather than include a file or role."""
    others = {f"ansible.builtin.{how}_{what}" for how in ("import", "include") for what in ("tasks", "role")}
    return [task["name"] for task in entries if not others & task.keys()]


@pytest.mark.parametrize("role", ROLES)
def test_the_main_file_of_a_role_is_a_table_of_contents(role: str) -> None:
    """It has two steps of its own at most; more belong in a file whose name says what they are for."""
    first, *others = load(ROOT / f"roles/{role}/tasks/main.yml")
    # Preflight checks more, and ha_packages is what other roles include once they have been checked.
    assert ("codalvs.ha.role_check" in first) == (role not in ("ha_packages", "preflight"))
    assert len(steps(others)) <= 2


def test_a_step_is_no_entry_of_a_table_of_contents() -> None:
    entries = [{"name": "Run", "ansible.builtin.import_tasks": "run.yml"}, {"name": "Stop", "ansible.builtin.copy": {}}]
    assert steps(entries) == ["Stop"]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run one of Ansible's programs without any setting of the checkout's; return its output."""
    tool, *arguments = command
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    done = subprocess.run(
        [Path(sys.executable).with_name(str(tool)), *arguments],
        cwd=cwd,
        env=outside | {"ANSIBLE_HOME": str(cwd / "home")} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the collection as ansible-galaxy builds it from the checkout."""
    where = tmp_path_factory.mktemp("build")
    run("ansible-galaxy", "collection", "build", ROOT, "--output-path", where, cwd=where)
    return next(where.glob("codalvs-ha-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a collections path that the tarball is installed in; its dependencies come with the ansible package."""
    where = tmp_path_factory.mktemp("elsewhere")
    run("ansible-galaxy", "collection", "install", "--offline", tarball, "-p", where, cwd=where)
    return where


def test_tarball_carries_what_users_need_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = [name.removeprefix("./") for name in archive.getnames()]
    parts = {name.partition("/")[0] for name in names}
    assert parts <= SHIPPED
    assert {"LICENSE", "README.md", "meta", "playbooks", "plugins", "roles"} <= parts
    assert [name for name in names if "__pycache__" in name or "molecule" in name or "/tests/" in name] == []
    assert [name for name in names if name.startswith("changelogs/")] in ([], ["changelogs/changelog.yaml"])
    assert len(names) == len(set(names))


def test_installed_playbooks_run_by_full_name(installed: Path) -> None:
    names = [f"codalvs.ha.{name}" for name in PLAYBOOKS]
    output = run("ansible-playbook", "--syntax-check", *names, cwd=installed, ANSIBLE_COLLECTIONS_PATH=str(installed))
    assert output.count("\nplaybook: ") == len(names)


def test_installed_roles_are_documented(installed: Path) -> None:
    output = run(
        "ansible-doc", "--type", "role", "--list", "codalvs.ha", cwd=installed, ANSIBLE_COLLECTIONS_PATH=str(installed)
    )
    listed = [line.split(":")[0] for line in output.splitlines() if line.startswith("codalvs.ha.")]
    assert sorted(listed) == [f"codalvs.ha.{role}" for role in ROLES]


UNITS = sorted(
    path
    for kind in ("files", "templates")
    for path in (ROOT / "roles").glob(f"*/{kind}/*")
    if path.is_file() and re.search(r"^\[(Unit|Service|Timer)\]$", path.read_text(encoding="utf-8"), re.MULTILINE)
)
RESTARTS = ("no", "always", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort")  # systemd.service(5)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_systemd_understands_every_line_of_a_unit(path: Path) -> None:
    """It ignores what it does not understand, with a word in the journal that nobody reads."""
    text = re.sub(r"\\\n", "", path.read_text(encoding="utf-8"))
    for line in text.splitlines():
        if line and line[0] not in "#[{ ":
            assert re.match(r"[A-Z][A-Za-z]+=", line), line
            name, _equals, value = line.partition("=")
            assert name != "Restart" or value in RESTARTS, line


def test_sysctls_come_last_at_boot() -> None:
    """sysctl.d(5): the last file wins, in the order of names. Debian 12 has 99-sysctl.conf."""
    files = {
        name
        for path in ROOT.glob("roles/*/tasks/*.yml")
        for name in re.findall(r"/etc/sysctl\.d/([\w.-]+)", path.read_text(encoding="utf-8"))
    }
    assert files == {"99-zz-lvs-director.conf", "99-zz-lvs-real-server.conf"}
    assert min(files) > "99-sysctl.conf"


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_says_what_it_is_for(role: str) -> None:
    """antsibull-docs makes no page of a role that has one without."""
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    for name, entry_point in specs["argument_specs"].items():
        assert {"short_description", "description"} <= set(entry_point), name


@pytest.mark.parametrize("role", ROLES)
def test_what_galaxy_shows_of_a_role_is_what_it_specifies(role: str) -> None:
    """galaxy-importer wants both files, and Ansible neither."""
    short = load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["short_description"]
    assert load(ROOT / "roles" / role / "meta/main.yml")["galaxy_info"]["description"] == short
    readme = (ROOT / "roles" / role / "README.md").read_text()
    assert readme.startswith(f"# {role}\n\n{short}.\n")
    assert f"`ansible-doc -t role codalvs.ha.{role}`" in readme


def unknown_options(specs: dict[str, Any]) -> Iterator[str]:
    """Yield each O(name) in the texts of an entry point that is no option of it."""
    for entry_point in specs.values():
        for name in re.findall(r"\bO\((\w+)[\[)=]", str(entry_point)):
            if name not in entry_point.get("options", {}):
                yield name


@pytest.mark.parametrize("role", ROLES)
def test_every_option_that_a_role_names_is_there(role: str) -> None:
    """The documentation site links to it, and isn't built without."""
    assert list(unknown_options(load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"])) == []


def test_an_option_of_another_entry_point_is_found() -> None:
    specs = {
        "main": {"options": {"a": {"description": "O(a), O(b.c.d#role:main:b)"}}},
        "verify": {"description": "O(a)"},
    }
    assert list(unknown_options(specs)) == ["a"]
