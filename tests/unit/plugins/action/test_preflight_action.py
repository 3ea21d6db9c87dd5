"""What the action reads of an inventory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.codalvs.ha.plugins.action.preflight import ActionModule, Seen, too_old
from ansible_collections.codalvs.ha.plugins.module_utils._schema import Unevaluated

INVENTORY = """
all:
  vars:
    ha_acknowledged: [open_sync]
    ha_virtual_services: [{name: web, port: "{{ 79 + number }}", check: {request: "{{ nowhere }}"}}]
    ha_shared_folder: "/srv/{{ inventory_hostname }}"
    unrelated: "{{ nowhere }}"
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


@pytest.mark.parametrize("version", ["2.18.0", "2.18.0rc1", "2.21.5", "2.22.0.dev0"])
def test_an_ansible_core_that_will_do(version: str) -> None:
    assert too_old(version) is None


@pytest.mark.parametrize("version", ["2.17.14", "2.9.27"])
def test_an_ansible_core_that_is_too_old(version: str) -> None:
    assert (
        too_old(version)
        == f"This is ansible-core {version}, and codalvs.ha needs 2.18.0 or newer. No host was touched."
    )
