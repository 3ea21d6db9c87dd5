"""What the action reads of an inventory."""

from __future__ import annotations

from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.codalvs.ha.plugins.action.preflight import ActionModule, Seen
from ansible_collections.codalvs.ha.plugins.module_utils.schema import Unevaluated

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
