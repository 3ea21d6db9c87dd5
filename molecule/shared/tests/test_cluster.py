"""What must be true on the machines of a converged cluster, whatever its inventory."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
import testinfra
from testinfra.utils.ansible_runner import AnsibleRunner

# The folder: Molecule's own file in it names the machines, the linked ones beside it their groups and variables.
RUNNER = AnsibleRunner(str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))


def machines(group: str) -> dict[str, testinfra.host.Host]:
    """Return the machines of a group, by name. There must be some, or the tests would prove nothing."""
    found = {name: RUNNER.get_host(name) for name in RUNNER.get_hosts(group)}
    assert found, f"no machines in group {group}"
    return found


@pytest.fixture(scope="module")
def services() -> list[dict]:
    """Return the virtual services of the inventory."""
    return RUNNER.get_variables(RUNNER.get_hosts("directors")[0])["ha_virtual_services"]


@pytest.fixture(scope="module")
def managed() -> bool:
    """Return whether Heartbeat starts ldirectord (the thesis's way) or both directors run it (hot standby)."""
    return RUNNER.get_variables(RUNNER.get_hosts("directors")[0]).get("ha_standby") == "cold"


def addresses(host: testinfra.host.Host) -> dict[str, list[str]]:
    """Return a host's addresses with prefix, by device."""
    links = json.loads(host.check_output("ip -json address show"))
    return {
        link["ifname"]: [f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"] if "local" in entry]
        for link in links
    }


def holders(vip: str) -> list[str]:
    """Return the directors that hold a VIP on a real interface."""
    return [
        name
        for name, host in machines("directors").items()
        if any(f"{vip}/" in entry for device, found in addresses(host).items() if device != "lo" for entry in found)
    ]


def test_each_vip_is_held_by_exactly_one_director(services):
    for vip in {service["vip"] for service in services}:
        assert len(holders(vip)) == 1, vip


def test_directors_that_run_ldirectord_have_the_whole_table(services, managed):
    for name, host in machines("directors").items():
        if managed and name not in holders(services[0]["vip"]):
            assert not host.check_output("ipvsadm --save --numeric"), f"{name} is standby and must not balance"
            continue
        lines = host.check_output("ipvsadm --save --numeric").splitlines()
        reals = Counter(line.split()[2] for line in lines if line.startswith("-a"))
        for service in services:
            assert reals[f"{service['vip']}:{service['port']}"] == len(RUNNER.get_hosts("real_servers")), name
        assert all(" -g -w 1" in line for line in lines if line.startswith("-a")), lines


def test_ldirectord_belongs_to_systemd_or_to_heartbeat(managed):
    for host in machines("directors").values():
        assert host.service("heartbeat").is_running
        assert host.service("heartbeat").is_enabled
        assert host.service("ldirectord").is_enabled is not managed


def test_real_servers_carry_the_vips_and_keep_quiet_about_them(services):
    for host in machines("real_servers").values():
        for vip in {service["vip"] for service in services}:
            assert f"{vip}/32" in addresses(host)["lo"]
        assert host.sysctl("net.ipv4.conf.all.arp_ignore") == 1
        assert host.sysctl("net.ipv4.conf.all.arp_announce") == 2


def test_only_the_holder_answers_arp_for_a_vip(services):
    """Real servers carry the VIP as well; if one of them answered ARP, it would take all the traffic."""
    for client in machines("clients").values():
        for vip in {service["vip"] for service in services}:
            device = json.loads(client.check_output(f"ip -json route get {vip}"))[0]["dev"]
            answer = client.run(f"arping -c 3 -w 20 -I {device} {vip}")
            macs = {word for line in answer.stdout.splitlines() for word in line.split() if word.startswith("[")}
            holder = machines("directors")[holders(vip)[0]]
            (there,) = (
                name
                for name, found in addresses(holder).items()
                if name != "lo" and any(f"{vip}/" in entry for entry in found)
            )
            link = json.loads(holder.check_output(f"ip -json link show dev {there}"))[0]
            assert macs == {f"[{link['address'].upper()}]"}, answer.stdout


def test_both_directors_have_the_same_files():
    for path in ("/etc/ha.d/haresources", "/etc/ha.d/authkeys"):
        sums = {host.file(path).sha256sum for host in machines("directors").values()}
        assert len(sums) == 1, path
    files = [host.file("/etc/ha.d/ha.cf").content_string for host in machines("directors").values()]
    # They may call the links' interfaces by different names.
    assert len({re.sub(r"^(ucast6?) \S+", r"\1", text, flags=re.MULTILINE) for text in files}) == 1, files


def test_nobody_else_reads_the_keys():
    for host in machines("directors").values():
        assert host.file("/etc/ha.d/authkeys").mode == 0o600
        assert host.file("/etc/ha.d/ldirectord.cf").mode == 0o600


def test_clients_are_served(services):
    for client in machines("clients").values():
        for service in services:
            assert client.addr(service["vip"]).port(service["port"]).is_reachable, service["name"]
