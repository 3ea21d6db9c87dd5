# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines can be the lab, and what somebody is told whose engine can't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import load

lab = load("lab/lab")

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
    assert lab.unsuitable(version, info, KERNEL) == ""


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
    reason = lab.unsuitable(version, info, KERNEL)
    assert told in reason
    assert "\n" not in reason


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 999), st.sampled_from(["", "-1-amd64", "+deb13", "-rc3"]))
def test_an_engine_gives_its_kernels_release_three_numbers(first: int, second: int, third: int, rest: str) -> None:
    def same(told: str, here: str) -> bool:
        return not lab.unsuitable(DOCKER, INFO | {"KernelVersion": told}, here)

    assert same(f"{first}.{second}.{third}{rest}", f"{first}.{second}.{third}{rest}")
    assert same(f"{first}.{second}.0{rest}", f"{first}.{second}{rest}")
    assert not same(f"{first}.{second}.{third + 1}{rest}", f"{first}.{second}.{third}{rest}")


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the labs' records, in which a lab named demo is this machine's engine."""
    monkeypatch.setattr(lab, "RUN", tmp_path)
    for name, kind in (("demo", "native"), ("ci-a", "uml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab.json").write_text(json.dumps({"kind": kind}))
    return tmp_path


def test_a_second_lab_on_one_engine_is_refused(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "unsuitable_native", lambda: "")
    for wanted in ("auto", "native"):
        with pytest.raises(lab.LabError, match=r"lab demo uses this machine's engine; first: .* --name demo down"):
            lab.wanted_kind("ci-b", wanted)
        assert lab.wanted_kind("demo", wanted) == "native"
    assert lab.wanted_kind("ci-b", "uml") == "uml"
    (labs / "demo" / "lab.json").unlink()
    assert lab.wanted_kind("ci-b", "auto") == "native"


def test_an_engine_that_will_not_do_is_an_error_only_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "unsuitable_native", lambda: "it is too old")
    with pytest.raises(lab.LabError, match="it is too old; with `--kind uml` the lab is a User-Mode Linux machine"):
        lab.wanted_kind("ci-b", "native")
    assert lab.wanted_kind("ci-b", "auto") == "uml"
    assert capsys.readouterr().out == "it is too old; so the lab is a User-Mode Linux machine\n"
