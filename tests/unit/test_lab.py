# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines can be the lab, what the lab says if one can't, and which edits make it build another disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from codalab import lifecycle, record
from codalab.common import LabError
from codalab.engine import unsuitable
from hypothesis import given
from hypothesis import strategies as st

LAB = Path(__file__).resolve().parents[2] / "lab"
KERNEL = "6.12.48+deb13-amd64"
DOCKER = {"Version": "28.0.4", "Components": [{"Name": "Engine"}, {"Name": "containerd"}]}
PODMAN = {"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}
INFO = {
    "KernelVersion": KERNEL,
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "CgroupVersion": "2",
}


@pytest.mark.parametrize(
    ("version", "info"),
    [
        (DOCKER, INFO),
        (DOCKER | {"Version": "29.1.0"}, INFO),
        (DOCKER | {"Version": "28.5.2+dfsg4"}, INFO),  # Debian's
        (DOCKER | {"Components": None}, INFO | {"SecurityOptions": None}),
    ],
)
def test_a_new_docker_on_this_kernel_can_be_the_lab(version: dict[str, Any], info: dict[str, Any]) -> None:
    assert unsuitable(version, info, KERNEL) == ""


@pytest.mark.parametrize(
    ("version", "info", "told"),
    [
        (None, INFO, "the engine at /var/run/docker.sock does not answer"),
        (DOCKER, None, "the engine at /var/run/docker.sock does not answer"),
        (DOCKER | {"Version": "27.5.1"}, INFO, "this machine's Docker is 27.5.1, and the lab needs 28 or newer"),
        (DOCKER | {"Version": "master-9f2c"}, INFO, "Docker is master-9f2c, and the lab needs 28 or newer"),
        (PODMAN, INFO, "is Podman, not Docker"),
        (PODMAN | {"Version": "28.0.0"}, INFO, "is Podman, not Docker"),
        (DOCKER, INFO | {"KernelVersion": "6.10.14-linuxkit"}, "on another kernel (6.10.14-linuxkit), as Docker Desk"),
        (DOCKER, INFO | {"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}, "Docker is rootless"),
        (DOCKER, INFO | {"SecurityOptions": ["name=userns"]}, "maps users (userns-remap), and so starts no privileged"),
        (DOCKER, INFO | {"CgroupVersion": "1"}, "control groups of version 1"),
    ],
)
def test_of_any_other_engine_one_sentence_says_why_not(
    version: dict[str, Any] | None, info: dict[str, Any] | None, told: str
) -> None:
    reason = unsuitable(version, info, KERNEL)
    assert told in reason
    assert "\n" not in reason


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 999), st.sampled_from(["", "-1-amd64", "+deb13", "-rc3"]))
def test_an_engine_gives_its_kernels_release_three_numbers(first: int, second: int, third: int, rest: str) -> None:
    def same(told: str, here: str) -> bool:
        return not unsuitable(DOCKER, INFO | {"KernelVersion": told}, here)

    assert same(f"{first}.{second}.{third}{rest}", f"{first}.{second}.{third}{rest}")
    assert same(f"{first}.{second}.0{rest}", f"{first}.{second}{rest}")
    assert not same(f"{first}.{second}.{third + 1}{rest}", f"{first}.{second}.{third}{rest}")


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the labs' records, in which a lab named demo is this machine's engine."""
    monkeypatch.setattr(record, "RUN", tmp_path)
    for name, kind in (("demo", "native"), ("ci-a", "uml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab.json").write_text(json.dumps({"kind": kind}))
    return tmp_path


def test_a_second_lab_on_one_engine_is_refused(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "unsuitable_native", lambda: "")
    for wanted in ("auto", "native"):
        with pytest.raises(LabError, match=r"lab demo uses this machine's engine; first: .* --name demo down"):
            lifecycle.wanted_kind("ci-b", wanted)
        assert lifecycle.wanted_kind("demo", wanted) == "native"
    assert lifecycle.wanted_kind("ci-b", "uml") == "uml"
    (labs / "demo" / "lab.json").unlink()
    assert lifecycle.wanted_kind("ci-b", "auto") == "native"


def test_an_engine_that_will_not_do_is_an_error_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "unsuitable_native", lambda: "it is too old")
    with pytest.raises(LabError, match="it is too old; with `--kind uml` the lab is a User-Mode Linux machine"):
        lifecycle.wanted_kind("ci-b", "native")
    assert lifecycle.wanted_kind("ci-b", "auto") == "uml"
    assert capsys.readouterr().out == "it is too old; so the lab is a User-Mode Linux machine\n"


def test_the_program_runs_from_anywhere_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "elsewhere"
    link.symlink_to(LAB / "lab")
    alone = {"PATH": "/usr/bin:/bin", "PYTHONSAFEPATH": "1"}  # no folder of modules but those that the program adds
    ask = [sys.executable, link, "--help"]
    told = subprocess.run(ask, cwd=tmp_path, env=alone, capture_output=True, text=True, check=True)
    assert told.stdout.startswith("usage: lab ")


def disks(lab: Path) -> list[str]:
    """Return the names of the disks' folders, as a lab folder's recipes make them."""
    lines = (
        "from codalab.disk import Base, Disk",
        "base = Base('http://mirror.example')",
        "print(base.folder, Disk(base.folder).folder)",
    )
    ask = [sys.executable, "-c", "; ".join(lines)]
    told = subprocess.run(ask, env={**os.environ, "PYTHONPATH": str(lab)}, capture_output=True, text=True, check=True)
    return [Path(folder).name for folder in told.stdout.split()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the lab's folder, in which a test may change something."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(LAB, tmp_path / "copy", ignore=ignore))


def test_the_disks_are_the_same_from_another_checkout_and_with_another_program(copy: Path) -> None:
    with (copy / "lab").open("a") as program:
        program.write("# other\n")
    for path in (copy / "codalab").glob("*.py"):
        path.write_text(path.read_text() + "\n\ndef other() -> None:\n    pass\n")
    assert disks(copy) == disks(LAB)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("codalab/disk.py", 'SUITE = "forky"', 'SUITE = "sid"'),
        ("packages.txt", "heartbeat", "corosync"),
        ("import.sh", "set -e", "set -ex"),
    ],
)
def test_another_recipe_makes_other_disks(copy: Path, file: str, old: str, new: str) -> None:
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    assert set(disks(copy)) & set(disks(LAB)) == set()


def test_a_machines_recipe_makes_no_other_base(copy: Path) -> None:
    path = copy / "codalab/disk.py"
    path.write_text(path.read_text().replace('RELEASE = "bookworm"', 'RELEASE = "trixie"'))
    (base, machine), (base_before, machine_before) = disks(copy), disks(LAB)
    assert base == base_before
    assert machine != machine_before
