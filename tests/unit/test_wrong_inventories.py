"""Every wrong inventory stops a real run of site.yml before any host is touched, and all its mistakes are named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALL_WRONG = sorted((ROOT / "tests/inventories_wrong").iterdir())  # files, and folders of files
# Each is a whole run of Ansible. After one Python has tried all, every fifth shows how another one differs.
WRONG = ALL_WRONG[::5] if os.environ.get("EXAMPLES") == "few" else ALL_WRONG
GOOD = ROOT / "inventories/quickstart/hosts.yml"
EXPECTED = re.compile(r"^# expect: (?P<rule>\w+) on (?P<host>.+?): (?P<variable>.+)$", re.MULTILINE)
PRINTED = re.compile(
    r"^ *(?:ERROR|WARNING) +(?P<host>.+?): (?P<variable>.+?)(?: = .*)?\n.*\[(?P<rule>\w+)\]$", re.MULTILINE
)
# In every wrong inventory that holds a secret, this is (part of) it.
SECRET = "hunter2"


@dataclass(frozen=True)
class Run:
    """One finished run of Ansible."""

    exit_code: int
    output: str
    touches: str  # what its ssh was asked for; empty if it tried no connection

    def hosts_in_recap(self) -> list[str]:
        return re.findall(r"^(\S+) +: ok=", self.output.partition("PLAY RECAP")[2], re.MULTILINE)


def run_ansible(directory: Path, *arguments: str) -> Run:
    """Run an Ansible command with an ssh that leaves a mark and fails. Every host uses it, even localhost."""
    directory.mkdir(parents=True)
    ssh, marks = directory / "ssh", directory / "marks"
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{marks}\nexit 255\n', encoding="utf-8")
    ssh.chmod(0o755)
    through = {"ansible_connection": "ssh", "ansible_ssh_executable": ssh, "ansible_ssh_retries": 0}
    settings = [part for name, value in through.items() for part in ("-e", f"{name}={value}")]
    process = subprocess.run(
        [sys.executable, "-m", "ansible", *arguments, *settings],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Run(process.returncode, process.stdout, marks.read_text(encoding="utf-8") if marks.exists() else "")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Run]:
    """Run site.yml on every wrong inventory, several at a time."""
    base = tmp_path_factory.mktemp("wrong")

    def run(inventory: Path) -> Run:
        # With -vvv, because secrets must not be seen there either.
        return run_ansible(base / inventory.stem, "playbook", "-vvv", "-i", str(inventory), "playbooks/site.yml")

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(WRONG, pool.map(run, WRONG), strict=True))


def expected(inventory: Path) -> list[tuple[str, str, str]]:
    """Return the rule, the host and the variable of each mistake that an inventory's first lines name."""
    text = (inventory / "hosts.yml" if inventory.is_dir() else inventory).read_text(encoding="utf-8")
    return EXPECTED.findall(text)


def test_none_gets_lost() -> None:
    assert len(ALL_WRONG) >= 77
    assert [int(inventory.name[:2]) for inventory in ALL_WRONG] == [*range(1, len(ALL_WRONG) + 1)]


@pytest.mark.parametrize("inventory", WRONG, ids=lambda path: path.stem)
def test_wrong_inventory(inventory: Path, runs: dict[Path, Run]) -> None:
    run = runs[inventory]
    mistakes = set(expected(inventory))
    printed = {(match["rule"], match["host"], match["variable"]) for match in PRINTED.finditer(run.output)}
    assert mistakes
    assert printed == mistakes, run.output
    assert run.exit_code != 0
    assert run.touches == ""
    assert run.hosts_in_recap() == ["localhost"]
    assert SECRET not in run.output


def test_one_inventory_has_many_mistakes() -> None:
    assert max(len(expected(inventory)) for inventory in ALL_WRONG) >= 20


@pytest.mark.parametrize("limit", [(), ("--limit", "dir1"), ("--check",)], ids=["all", "limit", "check"])
def test_good_inventory(limit: tuple[str, ...], tmp_path: Path) -> None:
    run = run_ansible(tmp_path / "run", "playbook", "-v", "-i", str(GOOD), *limit, "playbooks/preflight.yml")
    assert run.exit_code == 0, run.output
    assert "Preflight found no mistakes." in run.output
    assert run.touches == ""


@pytest.mark.parametrize(
    "inventory",
    sorted([*ROOT.glob("inventories/*"), *ROOT.glob("molecule/*/inventory/hosts.yml")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_inventories_to_copy_and_those_of_scenarios_are_good(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("common", "server", "client"):  # which a scenario looks for
        (tmp_path / f"coda-{name}_1_all.deb").touch()
    monkeypatch.setenv("CODA_PACKAGES", str(tmp_path))
    run = run_ansible(tmp_path / "run", "playbook", "-i", str(inventory), "playbooks/preflight.yml")
    assert run.exit_code == 0, run.output


def test_an_unreachable_host_stops_the_run_before_any_change(tmp_path: Path) -> None:
    """The error names the way out."""
    run = run_ansible(tmp_path / "run", "playbook", "-i", str(GOOD), "playbooks/site.yml")
    assert run.exit_code != 0
    assert "say so: ha_absent: [dir2]" in " ".join(run.output.split())
    assert "[Configure the real servers]" not in run.output


@pytest.mark.parametrize("playbook", ["site", "directors", "real_servers", "drain", "undrain", "verify"])
def test_who_is_known_to_be_down_is_left_out(playbook: str, tmp_path: Path) -> None:
    """The run asks nothing of them, and says so. It then fails at the other hosts, which this test does not have."""
    absent = ["-e", '{"ha_absent": ["dir2", "real1"], "drain_host": "real1"}']
    run = run_ansible(tmp_path / "run", "playbook", "-i", str(GOOD), *absent, f"playbooks/{playbook}.yml")
    assert run.exit_code != 0
    assert "dir1" in run.touches or "real2" in run.touches
    assert not re.search("dir2|real1", run.touches)
    assert "Known to be down (ha_absent), and left out." in " ".join(run.output.split())


def test_inventory_without_hosts(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yml"
    empty.write_text("all:\n  hosts: {}\n", encoding="utf-8")
    run = run_ansible(tmp_path / "run", "playbook", "-i", str(empty), "playbooks/preflight.yml")
    assert run.exit_code != 0
    assert {match["rule"] for match in PRINTED.finditer(run.output)} == {"missing_group", "no_services"}


def test_the_detector_detects(tmp_path: Path) -> None:
    run = run_ansible(tmp_path / "run", "adhoc", "-i", str(GOOD), "-m", "ansible.builtin.ping", "dir1")
    assert run.exit_code != 0
    assert "dir1" in run.touches


@pytest.mark.parametrize("playbook", ["site", "drain", "undrain"])
@pytest.mark.parametrize("way", [("--skip-tags", "always"), ("--start-at-task", "Install*")], ids=["tags", "start"])
def test_a_run_without_preflight_touches_no_host(playbook: str, way: tuple[str, str], tmp_path: Path) -> None:
    run = run_ansible(tmp_path / "run", "playbook", "-i", str(GOOD), *way, f"playbooks/{playbook}.yml")
    assert run.touches == ""
    assert "skipping: no hosts matched" in run.output
