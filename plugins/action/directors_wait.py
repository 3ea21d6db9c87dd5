# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action codalvs.ha.directors_wait: all hosts of a play look at the same time and compare what they see."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible import constants, context
from ansible.plugins.action import ActionBase

from ansible_collections.codalvs.ha.plugins.plugin_utils._directors import MODULES, known, lacking, told
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import plain

PAUSE = 1.0  # s between two looks
PATIENCE = 120.0  # s for another host to look
STEP = 0.05  # s between two looks at whether it has
OPTIONS: dict[str, dict[str, Any]] = {
    "until": {"type": "str", "choices": list(MODULES), "required": True},
    "cluster": {"type": "dict", "required": True},
    "absent": {"type": "list", "elements": "str", "default": []},
    "looks": {"type": "int", "default": 30},
}


class ActionModule(ActionBase):
    """Look at this host and at what the others saw, until the condition holds."""

    TRANSFERS_FILES = False
    _supports_async = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(OPTIONS)

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the last look saw, or fail and say what is lacking, and where.

        A failure returns only Heartbeat's part, because Ansible prints the whole result of a failed task.
        """
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validated, given = self.validate_argument_spec(OPTIONS)
        hosts = [str(host) for host in variables["ansible_play_hosts"]]
        forks = int(context.CLIARGS.get("forks") or constants.DEFAULT_FORKS)
        refused = refusal(hosts, [str(host) for host in variables["ansible_play_batch"]], forks)
        if refused:
            return {**result, "failed": True, "msg": refused}
        whole: Any = plain(given["cluster"])
        cluster = planned(whole, variables)
        nodes = dict(zip(variables["groups"].get("directors", ()), cluster["nodes"], strict=False))
        absent = [nodes[host] for host in given["absent"] if host in nodes]  # other hosts may be down, too
        # All hosts of a play share the task and so this folder, which Ansible removes after the run.
        folder = Path(str(constants.DEFAULT_LOCAL_TMP)) / f"directors_wait-{self._task._uuid}"
        meeting = Meeting(folder, hosts, str(variables["inventory_hostname"]))
        for number in range(1, max(1, given["looks"]) + 1):
            if number > 1:
                time.sleep(PAUSE)
            looks = meeting.exchange(number, lambda: self._look(given["until"], cluster["vips"], variables))
            missing = [f"{host}: {look['failed']}" for host, look in looks.items() if "failed" in look]
            result.update(changed=False, looked=number, lacking=missing)
            if missing:
                break
            result["lacking"] = lacking(given["until"], looks, cluster, absent)
            if not result["lacking"]:
                break
        if not missing:
            result.update(returned(looks[meeting.me], failed=bool(result["lacking"])))
        if given["until"] == "synced" and not missing:
            result["known"] = {host: {**each, "told": told(host, each)} for host, each in known(looks).items()}
        if result["lacking"]:
            after = f"After {number} look{'s' if number > 1 else ''}"
            result.update(failed=True, msg=f"{after}: {'. '.join(result['lacking'])}.".replace("..", "."))
        return result

    def _look(self, until: str, vips: list[Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Return what the modules say of this host, or {failed: why}."""
        seen: dict[str, Any] = {}
        for name, options in MODULES[until].items():
            arguments = {**options, **({"vips": vips} if name == "heartbeat" else {})}
            said = self._execute_module(
                module_name=f"codalvs.ha.{name}_info", module_args=arguments, task_vars=variables
            )
            if said.get("failed"):
                return {"failed": str(said.get("msg", "a module failed"))}
            seen[name] = plain({key: value for key, value in said.items() if key not in ("invocation", "changed")})
        return seen


def planned(cluster: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan, without services where the user has a table of his own, which `site` writes in their place."""
    own = any(name in variables for name in ("lvs_director_table", "ldirectord_virtual_services"))
    return {**cluster, "services": []} if own else cluster


def refusal(hosts: Sequence[str], batch: Sequence[str], forks: int) -> str | None:
    """Return why the hosts of a play can't look together, or None. batch: those that run at a time (serial)."""
    if {*batch} != {*hosts}:
        return f"The {len(hosts)} hosts of this play are looked at together: run it without serial."
    if forks < len(hosts):
        return f"The {len(hosts)} hosts of this play are looked at together: run it with --forks {len(hosts)}."
    return None


def returned(look: dict[str, Any], failed: bool) -> dict[str, Any]:
    """Return the part of a look that the result has: all, or without tables and fingerprints."""
    return {name: said for name, said in look.items() if name == "heartbeat" or not failed}


class Meeting:
    """Where the hosts' processes tell each other what they saw: a file for each host and look.

    A task may run more than once (a handler that is flushed twice) with the same folder. So the files of each time have
    a number of their own. All hosts run the task equally often, and each counts the files that it has made itself.
    """

    def __init__(self, folder: Path, hosts: Sequence[str], me: str) -> None:
        self.folder = folder
        self.hosts = hosts
        self.me = me
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.time = 1
        while self._path(1, me).exists():
            self.time += 1

    def exchange(self, number: int, look: Callable[[], dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Look, and return what all hosts saw at their look of this number; {failed: why} for one that could not look.

        The answer is the same on each host.
        """
        try:
            self._tell(number, look())
        except BaseException as error:
            self._tell(number, {"failed": str(error) or type(error).__name__})
            raise
        return {host: self._hear(number, host) for host in self.hosts}

    def _path(self, number: int, host: str) -> Path:
        return self.folder / f"{self.time}-{number}-{quote(host, safe='')}"

    def _tell(self, number: int, seen: dict[str, Any]) -> None:
        path = self._path(number, self.me)
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(seen), encoding="utf-8")
        os.replace(new, path)

    def _hear(self, number: int, host: str) -> dict[str, Any]:
        path, end = self._path(number, host), time.monotonic() + PATIENCE
        while not path.exists():
            if time.monotonic() > end:
                return {"failed": f"did not say within {PATIENCE:.0f} s what it saw"}
            time.sleep(STEP)
        seen: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return seen
