# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles' argument_specs, which are the schema of the inventory, and values as Python's own. On the controller."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
Plan = TypeVar("Plan")
# Ansible templates each task in a process of its own, which reads the files anew: libyaml takes a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@lru_cache
def read_specs(roles: Path = ROLES) -> dict[str, dict[str, Any]]:
    """Return the options of all roles of this collection, by role. Nobody may change them: they are read once."""
    return {role: entry_points.get("main", {}).get("options", {}) for role, entry_points in _read_specs(roles)}


def read_role(role: str, roles: Path = ROLES) -> dict[str, Any]:
    """Return the options of one role, without reading the others'."""
    options: dict[str, Any] = dict(_read_specs(roles, role))[role]["main"]["options"]
    return options


@lru_cache
def read_results(roles: Path = ROLES) -> frozenset[str]:
    """Return the names of the facts that roles set for others; an earlier play may have left them to its hosts."""
    found = (entry_points.get("results", {}).get("options", {}) for _role, entry_points in _read_specs(roles))
    return frozenset(name for options in found for name in options)


def _read_specs(roles: Path, role: str = "*") -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(roles.glob(f"{role}/meta/argument_specs.yml")):
        yield path.parts[-3], yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["argument_specs"]


def options_of(names: Iterable[str]) -> dict[str, Any]:
    """Return the options of these variables, whichever role they are of."""
    every = {name: option for role in read_specs().values() for name, option in role.items()}
    return {name: every[name] for name in names}


def plain(value: Any) -> object:
    """Copy to Python's own types: no tags, no lazy containers, no ciphertexts."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value + 0
    return str(value)  # decrypts a vaulted string


def is_constant(value: object) -> bool:
    """Tell whether a value is the same on every host: it, and whatever is in it, is neither template nor ciphertext."""
    if isinstance(value, str):
        return "{" not in value
    if isinstance(value, Mapping):
        return all(map(is_constant, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_constant, value))
    return value is None or isinstance(value, int | float)


class Hostvars(Mapping[str, Mapping[str, object]]):
    """Ansible's hostvars as the model reads them: of a host that is asked for, the variables that are wanted of it.

    Nothing else is evaluated, so that no unrelated variable and no unrelated host can fail it. What is constant is not
    given to Ansible's templating either, which takes several times as long as the plan of a large inventory.
    """

    def __init__(self, hostvars: Any, wanted: Callable[[str], Iterable[str]]) -> None:
        self._hostvars = hostvars
        self._wanted = wanted
        self._read: dict[str, Mapping[str, object]] = {}

    def __getitem__(self, host: str) -> Mapping[str, object]:
        if host not in self._read:
            if host not in self._hostvars:
                raise KeyError(host)
            raw = self._hostvars.raw_get(host)
            given = {name: raw[name] for name in self._wanted(host) if name in raw}
            templates = [name for name, value in given.items() if not is_constant(value)]
            if templates:
                evaluated = self._hostvars[host]
                given |= {name: evaluated[name] for name in templates}
            self._read[host] = {name: plain(value) for name, value in given.items()}
        return self._read[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)


def once_a_task(filter_: Callable[..., Plan]) -> Callable[..., Plan]:
    """Let a filter of hostvars and groups work once a task and host, however many variables of the task ask for it.

    It may also take the name of a host.
    Ansible forks a worker for each task of each host, and what happens in it does not change hostvars. In its main
    process they change from task to task, so nothing is kept there. Nobody may change what the filter returns.
    It gets Python's own lists of hosts: Ansible's are slow, and a plan goes through them once a service.
    """
    kept: list[tuple[Any, object, Plan]] = []

    @wraps(filter_)
    def asked(hostvars: Any, groups: Any, *names: Any) -> Plan:
        wanted: Any = (plain(groups), *map(str, names))
        for known, same, plan in kept:
            if known is hostvars and same == wanted:
                return plan
        plan = filter_(hostvars, *wanted)
        if _in_worker():
            kept[:] = [(hostvars, wanted, plan)]
        return plan

    return asked


def _in_worker() -> bool:
    worker = sys.modules.get("ansible.executor.process.worker")
    return getattr(worker, "current_worker", None) is not None
