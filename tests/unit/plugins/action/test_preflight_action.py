"""What the action reads of an inventory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.codalvs.ha.plugins.action.preflight import ActionModule, Seen, _in_files, _unevaluated, too_old
from ansible_collections.codalvs.ha.plugins.module_utils._schema import Unevaluated

INVENTORY = """
all:
  vars:
    ha_acknowledged: [open_sync]
    ha_virtual_services: [{name: web, port: "{{ 79 + number }}", check: {request: "{{ nowhere }}"}}]
    ha_shared_folder: "/srv/{{ inventory_hostname }}"
    unrelated: "{{ nowhere }}"
    ldirector_fork: "{{ nowhere }}"
  hosts:
    one: {number: 1}
    two: {number: 2}
"""


def test_what_hosts_share_is_one_value_and_a_template_each_hosts_own(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "hosts.yml")])
    hostvars = HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)
    action = object.__new__(ActionModule)  # without the task and the connection that it has in a play
    action._loader = loader
    seen: Seen = {}
    one, two = (action._variables(hostvars, host, ("ha_",), seen) for host in ("one", "two"))
    assert one["ha_acknowledged"] == ["open_sync"]
    assert one["ha_acknowledged"] is two["ha_acknowledged"]
    assert (one["ha_shared_folder"], two["ha_shared_folder"]) == ("/srv/one", "/srv/two")
    missing = {"request": Unevaluated("nowhere is undefined")}
    assert [variables["ha_virtual_services"] for variables in (one, two)] == [
        [{"name": "web", "port": port, "check": missing}] for port in (80, 81)
    ]
    assert "unrelated" not in one
    assert one["ldirector_fork"] is None


def in_files(folder: Path, *sources: str) -> set[tuple[str, str]]:
    given = {
        "ansible_inventory_sources": [str(folder / name) for name in sources],
        "playbook_dir": str(folder / "playbooks"),
        "groups": {"all": ["dir1", "dir2"], "directors": ["dir1", "dir2"]},
    }
    return {(rule, complaint.variable) for rule, complaint in _in_files(given)}


def test_half_of_an_inventory_is_not_all_of_it(tmp_path: Path) -> None:
    texts = {
        "hosts.yml": "directors: {hosts: {dir1: , dir2: }}",
        "group_vars/directors.yml": "a: 1",
        "playbooks/group_vars/director.yml": "a: 1",  # perhaps another inventory's
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert in_files(tmp_path, "hosts.yml") == set()
    (tmp_path / "more.yml").write_text("all:\n  hosts:\n\tx:\n")
    (tmp_path / "group_vars/director").mkdir()
    (tmp_path / "group_vars/director/main.yml").write_text("a: 1")
    (tmp_path / "group_vars/directors").mkdir()
    (tmp_path / "group_vars/directors/vault.yml").write_text("a: 1")
    hidden = ("ignored_file", "group_vars/directors.yml")
    # Beside another inventory, a file may be that one's.
    assert in_files(tmp_path, "hosts.yml") == {hidden}
    assert in_files(tmp_path, "hosts.yml", "more.yml", "nope.yml") == {
        hidden,
        ("ignored_file", "group_vars/director"),
        ("unreadable_file", "more.yml"),
        ("unreadable_file", "nope.yml"),
    }
    # Ansible reads all of a folder but the files of variables in it, and those that are hidden.
    (tmp_path / ".hidden.yml").write_text("{")
    assert ("unreadable_file", "more.yml") in in_files(tmp_path, ".")
    assert ("unreadable_file", ".hidden.yml") not in in_files(tmp_path, ".")


VAULTED = """
all:
  vars:
    ha_named: "{{ vault_heartbeat_secret }}"
    ha_within: "{{ {}.vault_secret }}"
    ha_file: "{{ lookup('file', '/nowhere/vault.txt') }}"
    ha_locked: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      33363965326261303234626463623963633531343539616138316433353830356566396130353436
      3562643163366231316662386565383735653432386435610a306664636137376132643732393532
      63383038383730306639353234326630666622363561616464653939386434653233333430393062
      3633653764636565330a383136323264316161656535636139
    ha_behind: "{{ ha_locked }}"
  hosts: {one: {}}
"""


def test_what_is_called_vault_is_no_vault(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(VAULTED)
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "hosts.yml")])
    hostvars = HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)
    action = object.__new__(ActionModule)
    action._loader = loader
    values = action._variables(hostvars, "one", ("ha_",), {})
    reasons = {name: value.reason for name, value in values.items() if isinstance(value, Unevaluated)}
    locked = "its vault secret is missing or wrong"
    assert reasons == {
        "ha_named": "vault_heartbeat_secret is undefined",
        "ha_within": "vault_secret is undefined",
        "ha_file": "it failed",
        "ha_locked": locked,
        "ha_behind": locked,
    }


@pytest.mark.parametrize(
    "text",
    [
        "Attempting to decrypt but no vault secrets found",
        "Decryption failed (no vault secrets were found that could decrypt)",
        "Error rendering template: Attempt to use undecryptable variable: A required context is not active.",
    ],
)
def test_a_vault_that_stays_locked_is_known_by_what_every_ansible_core_says(text: str) -> None:
    assert _unevaluated(ValueError(text)).reason == "its vault secret is missing or wrong"


@pytest.mark.parametrize("version", ["2.18.0", "2.18.0rc1", "2.21.5", "2.22.0.dev0"])
def test_an_ansible_core_that_will_do(version: str) -> None:
    assert too_old(version) is None


@pytest.mark.parametrize("version", ["2.17.14", "2.9.27"])
def test_an_ansible_core_that_is_too_old(version: str) -> None:
    assert (
        too_old(version)
        == f"This is ansible-core {version}, and codalvs.ha needs 2.18.0 or newer. No host was touched."
    )
