# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules share: their fragments of documentation, and the groups by which Ansible gives them defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.codalvs.ha.plugins.doc_fragments.attributes import ModuleDocFragment

ROOT = Path(__file__).resolve().parents[2]
MODULES = {path.stem: path.read_text() for path in sorted((ROOT / "plugins/modules").glob("*.py"))}
DOCS = {name: yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0]) for name, text in MODULES.items()}
GROUPS: dict[str, list[str]] = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
FRAGMENTS = {name.lower(): yaml.safe_load(text) for name, text in vars(ModuleDocFragment).items() if name.isupper()}
PREFIX = "codalvs.ha.attributes."


def fragments(module: str) -> list[str]:
    """Return the names of the fragments that a module extends, beside the one that all do."""
    return [name.removeprefix(PREFIX) for name in DOCS[module]["extends_documentation_fragment"][1:]]


def options(module: str) -> dict[str, Any]:
    """Return a module's documented options, those of its fragments among them."""
    shared = (FRAGMENTS[name].get("options", {}) for name in fragments(module))
    return {name: option for found in (DOCS[module].get("options") or {}, *shared) for name, option in found.items()}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_the_common_attributes(module: str) -> None:
    assert DOCS[module]["extends_documentation_fragment"][0] == "codalvs.ha.attributes"
    assert set(fragments(module)) <= FRAGMENTS.keys()


@pytest.mark.parametrize("group", GROUPS)
def test_the_modules_of_a_group_say_so_and_share_an_option(group: str) -> None:
    assert GROUPS[group] == [module for module in MODULES if group in fragments(module)]
    about = FRAGMENTS[group]["attributes"]["action_group"]
    assert about["membership"] == [f"codalvs.ha.{group}"]
    shared = set.intersection(*(set(options(module)) for module in GROUPS[group]))
    assert set(re.findall(r"O\((\w+)\)", about["description"])) <= shared
    assert re.search(r"O\(\w+\)", about["description"])


def test_every_fragment_is_used() -> None:
    assert {name for module in MODULES for name in fragments(module)} == FRAGMENTS.keys() - {"documentation"}


def test_every_filter_is_documented() -> None:
    filters = ROOT / "plugins/filter"
    assert {path.stem for path in filters.glob("*.py")} == {path.stem for path in filters.glob("*.yml")}


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/filter").glob("*.yml")), ids=lambda path: path.stem)
def test_a_filter_says_what_ansible_doc_needs(path: Path) -> None:
    """Without one of these it shows nothing at all."""
    about = yaml.safe_load(path.read_text(encoding="utf-8"))["DOCUMENTATION"]
    assert about["name"] == path.stem
    assert all(about.get(key) for key in ("short_description", "description", "options"))
