# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the site's sources: the Markdown pages as they are, and pages of what the code says.

    python website/pages.py DIRECTORY

variables.md has every variable of every role, from argument_specs; findings.md has every rule of preflight, with what
it finds in one of tests/inventories_wrong. Neither is kept in the repository, so neither can be out of date.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from antsibull_docs_parser.md import to_md
from antsibull_docs_parser.parser import Context, parse

from ansible_collections.codalvs.ha.plugins.action.preflight import ActionModule, Seen, _in_files
from ansible_collections.codalvs.ha.plugins.module_utils import _schema as schema
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.specs import read_specs
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight import check as preflight

ROOT = Path(__file__).resolve().parents[1]
COLLECTIONS = ROOT / "build/website/collections"
WRONG = ROOT / "tests/inventories_wrong"
RECORDS = sorted(ROOT.glob("docs/decisions/[0-9]*.md"))  # in the menu below the page that lists them
EXAMPLES = sorted(ROOT.glob("inventories/*/README.md"))  # likewise
CONTENTS = re.compile(r"^\.\. contents::\n(?:   .*\n)+", re.MULTILINE)
# What antsibull-docs writes of addresses that lead nowhere while the collection has no public home (docs/releases.md).
HOMELESS = "https://codalvs.example/"
LINKS = re.compile(r"(?:^Collection links\n~+\n\n)?^\.\. ansible-links::\n\n(?:  .*\n)+", re.MULTILINE)
GALAXY = re.compile(r"`(codalvs\.ha collection) <https://[^>]*>`_")
INSTALL = re.compile(r"To install it,? use: :code:`[^`]*`\.")
ENTRY = re.compile(r"^(?=\.\. _ansible_collections\..*__entrypoint-)|^(?=\.\. Extra links$)", re.MULTILINE)
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
RULE = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)  # a row of docs/preflight.md
# The menu: what a group is called, and its pages.
MENU = {
    "Set up": (
        "docs/quickstart",
        "docs/inventory",
        "docs/examples",
        "docs/forwarding",
        "docs/preflight",
        "docs/checks",
        "docs/modes",
        "docs/dns",
        "docs/migrating-from-keepalived",
        "docs/migrating-by-hand",
    ),
    "Operate": ("docs/operations", "docs/alerts", "docs/troubleshooting", "docs/security", "docs/packet-filters"),
    "Share files": ("docs/coda-cell", "docs/nfs", "docs/coda"),
    "Understand": ("docs/takeover", "docs/modules", "docs/benchmarks", "docs/limits", "docs/glossary"),
    "Reference": ("variables", "findings", "Modules, filters and roles <reference/index>"),
    "Change it": (
        "docs/architecture",
        "docs/decisions/README",
        "docs/testing",
        "docs/inclusion",
        "docs/releases",
        "lab/README",
        "CONTRIBUTING",
    ),
    "Project": (*(("CHANGELOG",) if (ROOT / "CHANGELOG.md").exists() else ()), "SECURITY", "CODE_OF_CONDUCT"),
}
# What antsibull-docs' pages refer to in Ansible's documentation: label, page, title.
ANSIBLE_LABELS = (
    ("common_return_values", "reference_appendices/common_return_values.html", "Return Values"),
    ("action_plugins", "plugins/action.html#action-plugins", "Action plugins"),
    ("ansible_configuration_settings", "reference_appendices/config.html", "Ansible Configuration Settings"),
)


def main(target: Path) -> None:
    """Write all pages below the target."""
    init_plugin_loader([str(COLLECTIONS)])
    pages = [ROOT / f"{name}.md" for names in MENU.values() for name in names if (ROOT / f"{name}.md").exists()]
    below = {
        ROOT / "docs/decisions/README.md": toctree("Records", tuple(record.stem for record in RECORDS)),
        ROOT / "docs/examples.md": toctree("Examples", tuple(f"../{page.relative_to(ROOT)}" for page in EXAMPLES)),
    }
    below |= {page: files(page.parent) for page in EXAMPLES}
    for page in (*pages, *RECORDS, *EXAMPLES):
        write(target / page.relative_to(ROOT), f"{with_index(page)}\n{below.get(page, '')}")
    menu = "\n".join(toctree(name, names) for name, names in MENU.items())
    write(target / "index.md", f"{with_index(ROOT / 'README.md')}\n{menu}")
    write(target / "variables.md", "\n".join(variables()))
    write(target / "findings.md", "\n".join(findings()))
    for page in target.glob("reference/*.rst"):
        write(page, reference(page.read_text(encoding="utf-8")))
    (ROOT / "build/website/ansible.inv").write_bytes(ansible_inventory())


def write(path: Path, text: str) -> None:
    """Write a page, with the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def reference(text: str) -> str:
    """Return a page of antsibull-docs with a role's main entry point first, and without links that lead nowhere."""
    if "ERROR while parsing" in text:  # which antsibull-docs does not count as an error
        raise SystemExit(text[text.index("ERROR while parsing") :].partition("\n")[0])
    text = CONTENTS.sub("", text)  # the theme has a list of a page's sections already
    text = text.replace("Codalvs.Ha\n==========\n", "Modules, filters and roles\n==========================\n")
    if HOMELESS in text:
        text = LINKS.sub("", text)
        text = GALAXY.sub(r":ref:`\1 <plugins_in_codalvs.ha>`", text)
        text = INSTALL.sub("To install it, see :doc:`On your own machines </index>`.", text)
        if HOMELESS in text:
            raise SystemExit(f"antsibull-docs names {HOMELESS} in a way that LINKS, GALAXY and INSTALL don't know")
    head, *parts = ENTRY.split(text)
    return "".join((head, *sorted(parts, key=lambda part: "__entrypoint-main:\n" not in part)))


def with_index(page: Path) -> str:
    """Return a page whose links to the README lead to the site's first page, which is made of it."""

    def follow(match: re.Match[str]) -> str:
        is_readme = (page.parent / match[0]).resolve() == ROOT / "README.md"
        return f"{match[0].removesuffix('README.md')}index.md" if is_readme else match[0]

    return LINK.sub(follow, page.read_text(encoding="utf-8"))


def files(folder: Path) -> str:
    """Return what an example's files hold, as a page shows it."""
    found = sorted(folder.rglob("*.yml"), key=lambda path: (len(path.parts), path))
    return "\n".join(
        f"## {path.relative_to(folder)}\n\n```yaml\n{path.read_text(encoding='utf-8')}```\n" for path in found
    )


def toctree(caption: str, names: tuple[str, ...]) -> str:
    """Return one group of the menu."""
    return "\n".join(("```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```", ""))


def variables() -> Iterator[str]:
    """Yield the lines of the page with all variables, by role and name."""
    yield "# All variables\n"
    yield "Each variable leads to its role's page, which also has the options within it."
    for role, options in read_specs().items():
        yield f"\n## {role}"
        for name, option in sorted(options.items()):
            yield f"\n[`{name}`](#{anchor(role, name)})\n: *{kind(option)}{default(option)}.* {meaning(option)}"
    yield ""


def anchor(role: str, variable: str) -> str:
    """Return the label that antsibull-docs gives a role's option."""
    return f"ansible_collections.codalvs.ha.{role}_role__parameter-main__{variable}"


def kind(option: dict[str, Any]) -> str:
    """Return an option's type."""
    return f"list of {option['elements']}" if "elements" in option else str(option.get("type", "str"))


def default(option: dict[str, Any]) -> str:
    """Return an option's default as one may write it in an inventory, or that it is required, after a comma."""
    if option.get("required"):
        return ", required"
    return f", default* `{json.dumps(option['default'], ensure_ascii=False)}`*" if "default" in option else ""


def meaning(option: dict[str, Any]) -> str:
    """Return an option's description as one paragraph of Markdown."""
    described = option["description"]
    parts = parse(described if isinstance(described, list) else [described], Context(), errors="exception")
    return to_md(parts).replace("<br>", " ").replace("\n\n", " ").replace("\n", " ")


def findings() -> Iterator[str]:
    """Yield the lines of the page with all rules of preflight: severity, meaning, an example and its remedy."""
    examples: dict[str, preflight.Finding] = {}
    for path in sorted(WRONG.iterdir()):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # Ansible warns of what is wrong, too
            found = check(path)
        for finding in found:
            examples.setdefault(finding.rule, finding)
    severities = {rule.name: rule.severity for rule in preflight.RULES}
    severities |= dict.fromkeys((*schema.RULES, "unknown_variable", preflight.NO_PLAN), "error") | preflight.FILE_RULES
    meanings = dict(RULE.findall((ROOT / "docs/preflight.md").read_text(encoding="utf-8")))
    yield "# What preflight finds"
    yield ""
    yield "Each rule with what it means and a finding as preflight prints it, which ends with the remedy."
    yield "[Preflight](docs/preflight.md) says how to accept a warning."
    for name, severity in sorted(severities.items(), key=lambda item: (item[1] != "warning", item[0])):
        meaning = re.sub(r"\]\((?=[\w-]+\.md)", "](docs/", meanings[name])
        yield f"\n## `{name}`\n\n**{severity.capitalize()}.** {meaning}"
        if name in examples:
            yield f"\n```text\n{preflight.render([examples[name]]).partition(chr(10) * 2)[2]}\n```"
    yield ""


def check(path: Path) -> list[preflight.Finding]:
    """Return preflight's findings for an inventory, which is read as Ansible reads it."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(path)])
    hostvars = HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)
    specs = read_specs()
    action = object.__new__(ActionModule)  # without the task and the connection that it has in a play
    action._loader = loader
    groups = inventory.get_groups_dict()
    prefixes = ("ha_", "coda_", "ansible_connection", *(f"{role}_" for role in specs))
    seen: Seen = {}
    hosts = {host: action._variables(hostvars, host, prefixes, seen) for host in groups["all"]}
    run = {"ansible_inventory_sources": [str(path)], "playbook_dir": str(ROOT / "playbooks"), "groups": groups}
    return preflight.check(hosts, groups, specs, _in_files(run))


def ansible_inventory() -> bytes:
    """Return the labels of Ansible's documentation in the form that Sphinx keeps them (objects.inv, version 2)."""
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n# The rest is compressed using zlib.\n"
    lines = "".join(f"{label} std:label -1 {page} {title}\n" for label, page, title in ANSIBLE_LABELS)
    return head.encode() + zlib.compress(lines.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
