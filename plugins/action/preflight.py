# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action codalvs.ha.preflight: reads the inventory on the controller, opens no connection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version
from ansible.template import Templar
from packaging.specifiers import SpecifierSet

from ansible_collections.codalvs.ha.plugins.module_utils.preflight import check, render, stops, summary
from ansible_collections.codalvs.ha.plugins.module_utils.preflight_model import Complaint
from ansible_collections.codalvs.ha.plugins.module_utils.schema import Unevaluated
from ansible_collections.codalvs.ha.plugins.plugin_utils import inventory_files

ROLES = Path(__file__).resolve().parents[2] / "roles"
RUNTIME = ROLES.parent / "meta/runtime.yml"


class ActionModule(ActionBase):
    """Check the whole inventory; fail when anything is wrong with it."""

    TRANSFERS_FILES = False
    _VALID_ARGS: frozenset[str] = frozenset()
    _requires_connection = False
    _supports_async = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the findings; values that may be secret are hidden in them already."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        needed = yaml.safe_load(RUNTIME.read_text(encoding="utf-8"))["requires_ansible"]
        if not SpecifierSet(needed).contains(ansible_version, prereleases=True):
            text = f"This is ansible-core {ansible_version}, and codalvs.ha needs {needed}. No host was touched."
            return {**result, "changed": False, "failed": True, "msg": text}
        groups = {str(name): [str(host) for host in hosts] for name, hosts in variables["groups"].items()}
        specs = read_specs()
        prefixes = ("ha_", "coda_", "ansible_connection", *(f"{role}_" for role in specs))
        results = read_results()
        # What a group or all hosts share is one object; read once, it stays one, which compares at no cost.
        read: dict[int, tuple[object, object]] = {}
        hosts = {host: self._variables(variables["hostvars"], host, prefixes, read, results) for host in groups["all"]}
        findings = check(hosts, groups, specs, _in_files(variables))
        text = render(findings)
        if not stops(findings):
            text += f"\n{summary(hosts, groups, findings)}"
            result["_ansible_verbose_always"] = True  # whoever runs it sees what it has looked at
        result.update(changed=False, failed=stops(findings), msg=text.replace("mistakes.\n", "mistakes. "))
        # What is shown is all of the result: the text alone is what a person should read.
        if self._display.verbosity:
            result["findings"] = [asdict(finding) for finding in findings]
        return result

    def _variables(
        self,
        hostvars: Any,
        host: str,
        prefixes: tuple[str, ...],
        read: dict[int, tuple[object, object]],
        results: frozenset[str] = frozenset(),
    ) -> dict[str, object]:
        """Return one host's variables of this collection as plain data, templates evaluated one by one.

        read: what was made of values without templates, by their identity; filled here.
        results: names that roles have set in this run, perhaps; they are not the inventory's.
        """
        # Not hostvars[host], which in ansible-core 2.18 passes undefined variables over in silence.
        raw = hostvars.raw_get(host)
        templar = Templar(loader=self._loader, variables={"hostvars": hostvars, **raw})
        found: dict[str, object] = {}
        for name, value in raw.items():
            if not str(name).startswith(prefixes) or str(name) in results:
                continue
            if id(value) in read:
                found[str(name)] = read[id(value)][1]
                continue
            found[str(name)] = _evaluate(templar, value)
            if _is_constant(value):
                read[id(value)] = (value, found[str(name)])  # with the value itself, so that its identity stays taken
        return found


def _in_files(variables: Mapping[str, Any]) -> Iterator[tuple[str, Complaint]]:
    """Yield what is wrong with the inventory's files as such; one that can't be read is Ansible's to say."""
    sources = [Path(str(source)) for source in variables.get("ansible_inventory_sources") or ()]
    for path in inventory_files.files_of(sources, Path(str(variables.get("playbook_dir", ".")))):
        try:
            yield from inventory_files.problems(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue


def read_specs(roles: Path = ROLES) -> dict[str, dict[str, Any]]:
    """Return the options of all roles of this collection, which an inventory may set."""
    return {role: entry_points.get("main", {}).get("options", {}) for role, entry_points in _read_specs(roles)}


def read_results(roles: Path = ROLES) -> frozenset[str]:
    """Return the names of the facts that roles set for others; an earlier play may have left them to its hosts."""
    found = (entry_points.get("results", {}).get("options", {}) for _role, entry_points in _read_specs(roles))
    return frozenset(name for options in found for name in options)


def _read_specs(roles: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        yield path.parts[-3], yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]


def _is_constant(value: object) -> bool:
    """Tell whether a value is the same for every host that has it: plain data without a template."""
    if isinstance(value, Mapping):
        return all(map(_is_constant, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and "{" not in value)


def _evaluate(templar: Templar, value: object) -> object:
    """Evaluate leaf by leaf, so that one bad template hides nothing else, and its finding has the exact path."""
    if isinstance(value, Mapping):
        return {str(key): _evaluate(templar, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_evaluate(templar, inner) for inner in value]
    try:
        return _plain(templar.template(value))
    except Exception as error:  # filters and lookups may raise anything
        return _unevaluated(error)


def _plain(value: Any) -> object:
    """Copy to Python's own types: no tags, no lazy containers, no ciphertexts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value + 0
    return str(value)  # decrypts a vaulted string


def _unevaluated(error: Exception) -> Unevaluated:
    text = (str(error) or type(error).__name__).splitlines()[0]
    if "vault" in text.lower() or "vault" in type(error).__name__.lower():
        return Unevaluated("its vault secret is missing or wrong")
    if isinstance(error, AnsibleUndefinedVariable):
        match = re.search(r"'(\w+)' is undefined|has no attribute '(\w+)'", text)
        name = (match[1] or match[2]) if match else "a variable"
        return Unevaluated(f"{name} is undefined")
    # ansible-core 2.18 says 'template error while templating string: …. String: {{ … }}' and then all of it again.
    syntax = "syntax error" in text.lower() or text.startswith("template error")
    detail = text.removeprefix("template error while templating string: ").split(". String: ", maxsplit=1)[0]
    return Unevaluated("it is no valid Jinja" if syntax else "it failed", detail[:120])
