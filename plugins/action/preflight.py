# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action codalvs.ha.preflight: reads the inventory on the controller, opens no connection."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleUndefinedVariable
from ansible.module_utils.compat.version import LooseVersion
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version
from ansible.template import Templar

from ansible_collections.codalvs.ha.plugins.module_utils._schema import Unevaluated
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory import files as inventory_files
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import (
    ROLES,
    is_constant,
    plain,
    read_results,
    read_specs,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.check import (
    check,
    misspelt,
    noticed,
    render,
    stops,
    summary,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint

# Read in Ansible's main process, which loads the actions. The processes that it forks for tasks have them, too.
SPECS, RESULTS = read_specs(), read_results()
OPTIONS = tuple(name for role in SPECS.values() for name in role)
NOT_OURS = ("ansible_", "__")
RUNTIME = ROLES.parent / "meta/runtime.yml"

# What ansible-core says of a value that it can't decrypt; the first is that of 2.19 and later.
LOCKED = re.compile(r"undecryptable variable|Decryption failed|decrypt but no vault secrets found")

# Values of the inventory by their id, with what they mean. A value's id stays its own while the value is kept here.
Seen = dict[int, tuple[object, object]]


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
        if old := too_old(ansible_version):
            return {**result, "changed": False, "failed": True, "msg": old}
        groups = {str(name): [str(host) for host in hosts] for name, hosts in variables["groups"].items()}
        prefixes = ("ha_", "coda_", "ansible_connection", *(f"{role}_" for role in SPECS))
        seen: Seen = {}
        hosts = {host: self._variables(variables["hostvars"], host, prefixes, seen) for host in groups["all"]}
        findings = check(hosts, groups, SPECS, _in_files(variables))
        text = render(findings)
        if not stops(findings):
            dead = noticed(hosts, groups, SPECS)
            text += f"\n{summary(hosts, groups, findings, dead)}"
            if self._display.verbosity:
                result["detection"] = [each.shown() for each in dead]
            result["_ansible_verbose_always"] = True  # whoever runs it sees what it has looked at
        result.update(changed=False, failed=stops(findings), msg=text.replace("mistakes.\n", "mistakes. "))
        # Ansible shows the whole result, and a person should read the text alone.
        if self._display.verbosity:
            result["findings"] = [asdict(finding) for finding in findings]
        return result

    def _variables(self, hostvars: Any, host: str, prefixes: tuple[str, ...], seen: Seen) -> dict[str, object]:
        """Return one host's variables of this collection as plain data, templates evaluated one by one.

        seen: filled here. A value of group_vars is one object for all hosts of the group. Without templates it means
        the same on each.
        """
        # Not hostvars[host], which in ansible-core 2.18 silently leaves out undefined variables.
        raw = hostvars.raw_get(host)
        templar = Templar(loader=self._loader, variables={"hostvars": hostvars, **raw})
        wanted = {str(name): value for name, value in raw.items() if str(name).startswith(prefixes)}
        # Roles may have set their results in this run; they are not the inventory's.
        wanted = {name: value for name, value in wanted.items() if name not in RESULTS}
        # Of a misspelt beginning the name is enough.
        others = (name for name in map(str, raw) if name not in wanted and not name.startswith(NOT_OURS))
        misspelt_names = [name for name in others if name not in RESULTS and misspelt(name, OPTIONS)]
        for name, value in wanted.items():
            if id(value) in seen:
                wanted[name] = seen[id(value)][1]
                continue
            wanted[name] = _evaluate(templar, value)
            if is_constant(value):
                seen[id(value)] = value, wanted[name]
        return {**wanted, **dict.fromkeys(misspelt_names)}


def too_old(version: str) -> str | None:
    """Return what to say of an ansible-core that is too old; ansible-core itself only warns of that."""
    oldest = yaml.safe_load(RUNTIME.read_text(encoding="utf-8"))["requires_ansible"].removeprefix(">=")
    if LooseVersion(version) >= LooseVersion(oldest):
        return None
    return f"This is ansible-core {version}, and codalvs.ha needs {oldest} or newer. No host was touched."


def _in_files(variables: Mapping[str, Any]) -> Iterator[tuple[str, Complaint]]:
    """Yield what is wrong with the inventory's files as such, of which Ansible only warns, or says nothing."""
    named = [str(source) for source in variables.get("ansible_inventory_sources") or ()]
    sources = [Path(source) for source in named]
    paths = inventory_files.files_of(sources, Path(str(variables.get("playbook_dir", "."))))
    yield from inventory_files.all_problems(_texts(paths))
    yield from inventory_files.missing(named)
    yield from inventory_files.hidden(paths)
    names = {"group_vars": set(map(str, variables["groups"])), "host_vars": set(map(str, variables["groups"]["all"]))}
    alone = [source if source.is_dir() else source.parent for source in sources if _is_alone(source, sources)]
    yield from inventory_files.unread(paths, alone, names)


def _is_alone(source: Path, sources: Collection[Path]) -> bool:
    """Tell whether the folders of variables beside a source are for this inventory alone."""
    if source.is_dir():
        return True
    others = source.parent.iterdir() if source.is_file() else ()
    inventories = [path for path in others if path.is_file() and path.suffix in ("", ".ini", *inventory_files.YAML)]
    return source.is_file() and all(path in sources or path.name.startswith(".") for path in inventories)


def _texts(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        try:
            yield path, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue


def _evaluate(templar: Templar, value: object) -> object:
    """Evaluate leaf by leaf, so that one bad template hides nothing else, and its finding has the exact path."""
    if isinstance(value, Mapping):
        return {str(key): _evaluate(templar, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_evaluate(templar, inner) for inner in value]
    try:
        return plain(value if is_constant(value) else templar.template(value))
    except Exception as error:  # filters and lookups may raise anything
        return _unevaluated(error)


def _is_locked(error: BaseException) -> bool:
    """Tell whether a vault could not be opened; many call their variables and files vault, too."""
    types = [type(each).__name__ for each in (error, error.__cause__) if each is not None]
    return any("Vault" in name for name in types) or LOCKED.search(str(error)) is not None


def _unevaluated(error: Exception) -> Unevaluated:
    text = (str(error) or type(error).__name__).splitlines()[0]
    if _is_locked(error):
        return Unevaluated("its vault secret is missing or wrong")
    if isinstance(error, AnsibleUndefinedVariable):
        match = re.search(r"'(\w+)' is undefined|has no attribute '(\w+)'", text)
        name = (match[1] or match[2]) if match else "a variable"
        return Unevaluated(f"{name} is undefined")
    # ansible-core 2.18 says 'template error while templating string: …. String: {{ … }}' and then all of it again.
    syntax = "syntax error" in text.lower() or text.startswith("template error")
    detail = text.removeprefix("template error while templating string: ").split(". String: ", maxsplit=1)[0]
    return Unevaluated("it is no valid Jinja" if syntax else "it failed", detail[:120])
