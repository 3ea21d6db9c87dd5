"""What a task of a role refuses, without a host: `assert` runs on the controller."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


def read_task(role: str, part: str, name: str) -> dict[str, Any]:
    """Return one task of a role by its name."""
    tasks = yaml.safe_load((ROOT / f"roles/{role}/tasks/{part}.yml").read_text(encoding="utf-8"))
    (found,) = [task for task in tasks if task["name"] == name]
    return dict(found)


def judge(folder: Path, task: dict[str, Any], **variables: Any) -> str:
    """Return what a task that refuses says of these variables, on one line; it runs on the controller alone."""
    play = {"hosts": "one", "gather_facts": False, "vars": variables, "tasks": [task]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    run = subprocess.run(
        ["ansible-playbook", "-i", "one,", str(folder / "play.yml")],
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = " ".join(run.stdout.split())
    assert bool(run.returncode) is ("fatal: [one]" in said or "failed: [one]" in said), said
    return said if run.returncode else ""
