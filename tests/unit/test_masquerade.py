"""The nftables rules that translate real servers' own connections: real rules and packets, in network namespaces."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
import yaml
from nft import ALONE, NFT, has_nft

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles/lvs_director/templates/lvs-masquerade.nft.j2"
GATEWAYS = [
    {"address": "198.18.22.1", "prefix": 24, "interface": "eth1"},
    {"address": "fd00:18:22::1", "prefix": 64, "interface": "eth1"},
]
OTHERS = "table inet mine { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }"
# What IPVS does to a service, without IPVS: port 80 of the VIP is port 8080 of the real server. The source of an answer
# changes where IPVS does it, and %s says whether connections are tracked.
BALANCED = """
table ip ipvs {
    chain prerouting {
        type filter hook prerouting priority raw;
        iifname eth0 ip daddr 198.18.20.30 tcp dport 80 %s ip daddr set 198.18.22.21 tcp dport set 8080
        iifname eth1 ip saddr 198.18.22.21 tcp sport 8080 %s
    }
    chain forward {
        type filter hook forward priority 100;
        iifname eth1 ip saddr 198.18.22.21 tcp sport 8080 ip saddr set 198.18.20.30 tcp sport set 80
    }
}
"""
DIRECTOR = """
link set lo up
link set eth0 up
link set eth1 up
address add 198.18.20.11/24 dev eth0
address add 198.18.20.30/24 dev eth0
address add fd00:18:20::11/64 dev eth0 nodad
address add fd00:18:20::30/64 dev eth0 nodad preferred_lft 0
address add 198.18.22.11/24 dev eth1
address add 198.18.22.1/24 dev eth1
address add fd00:18:22::1/64 dev eth1 nodad
"""
REAL = """
link set eth0 up
address add 198.18.22.21/24 dev eth0
address add fd00:18:22::21/64 dev eth0 nodad
route add default via 198.18.22.1
route add default via fd00:18:22::1
"""
OUTSIDE = """
link set eth0 up
address add 198.18.20.100/24 dev eth0
address add fd00:18:20::100/64 dev eth0 nodad
"""
NEW_NETWORK = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def rules(*gateways: dict[str, object]) -> str:
    """Return the file as the role writes it; Ansible drops the line end behind a block, too."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(ansible_managed="by a test", __lvs_director_masquerade=gateways)


def units(file: str) -> list[str]:
    """Return the unit that loads rules and its addition to nftables.service, as a task file writes them."""
    tasks = yaml.safe_load((ROOT / f"roles/lvs_director/tasks/{file}.yml").read_text(encoding="utf-8"))
    main = yaml.safe_load((ROOT / "roles/lvs_director/tasks/main.yml").read_text(encoding="utf-8"))
    own = next(task["vars"] for task in main if task.get("ansible.builtin.import_tasks") == f"{file}.yml")
    written = [task["ansible.builtin.template"] for task in tasks if "ansible.builtin.template" in task]
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    return [
        environment.from_string((TEMPLATE.parent / template["src"]).read_text(encoding="utf-8")).render(
            ansible_managed="by a test", **own
        )
        for template in written
        if template["dest"].startswith("/etc/systemd")
    ]


@pytest.mark.parametrize(
    ("file", "name", "table"),
    [("packet_marks", "lvs-packet-marks", "codalvs_marks"), ("masquerade", "lvs-masquerade", "codalvs_masquerade")],
)
def test_each_table_has_a_unit_that_loads_it(file: str, name: str, table: str) -> None:
    unit, addition = units(file)
    assert f"\nExecStart=/usr/sbin/nft --file /etc/{name}.nft\n" in unit
    assert f"\nExecStop=-/usr/sbin/nft delete table inet {table}\n" in unit
    assert f"\nExecStartPost=-/usr/sbin/nft --file /etc/{name}.nft\n" in addition


def nft(text: str) -> str:
    """Give nft a text; return what it printed."""
    return subprocess.run([NFT, "--file", "-"], input=text, capture_output=True, text=True, check=True).stdout


def ip(commands: str) -> None:
    """Give `ip` several commands."""
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)


def enter(network: int) -> None:
    """Go into a network namespace; what is opened there stays in it."""
    if libc.setns(network, NEW_NETWORK):
        raise OSError(ctypes.get_errno())


def own_network() -> int:
    """Return the network namespace that this program is in."""
    return os.open("/proc/self/ns/net", os.O_RDONLY)


class Network:
    """A director between a real server behind NAT and a host that knows no way to it."""

    def __init__(self) -> None:
        self.director = own_network()
        self.real = self._behind("eth1", REAL)
        self.outside = self._behind("eth0", OUTSIDE)
        ip(DIRECTOR)
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path("/proc/sys/net", name).write_text("1", encoding="ascii")

    def _behind(self, interface: str, commands: str) -> int:
        assert libc.unshare(NEW_NETWORK) == 0
        found = own_network()
        enter(self.director)
        ip(f"link add {interface} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{found}\n")
        enter(found)
        ip(commands)
        enter(self.director)
        return found

    def open(self, network: int, make: Callable[[], socket.socket]) -> socket.socket:
        """Open a socket in a namespace."""
        enter(network)
        try:
            return make()
        finally:
            enter(self.director)

    def listen(self, network: int, address: str, port: int) -> socket.socket:
        """Wait for connections in a namespace."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return self.open(network, lambda: socket.create_server((address, port), family=family))

    def connect(self, network: int, address: str, port: int, own: str = "") -> socket.socket:
        """Connect from a namespace, or give up; own: the address to connect from."""
        return self.open(network, lambda: socket.create_connection((address, port), 1.5, (own, 0)))


def echo(client: socket.socket, server: socket.socket) -> bool:
    """Tell whether a connection carries something to and fro."""
    client.sendall(b"ping")
    server.sendall(server.recv(4))
    return client.recv(4) == b"ping"


def source(network: Network, server: socket.socket, address: str, port: int) -> str:
    """Return the address from which a connection of the real server reaches the outside."""
    with network.connect(network.real, address, port) as client:
        there, peer = server.accept()
        with there:
            assert echo(client, there)
            return str(peer[0])


def talks_to_the_vip(network: Network, tracking: str) -> None:
    """A client talks to the VIP, and hears from it."""
    nft(BALANCED % (tracking, tracking))
    with (
        network.listen(network.real, "198.18.22.21", 8080) as server,
        network.connect(network.outside, "198.18.20.30", 80) as client,
    ):
        there, peer = server.accept()
        assert peer[0] == "198.18.20.100"
        assert echo(client, there)
        there.close()
    nft("delete table ip ipvs")


def inside() -> None:
    """Try it all, in network namespaces of its own."""
    network = Network()
    nft(OTHERS)
    mine = nft("list table inet mine")
    outside = {
        address: network.listen(network.outside, address, 25) for address in ("198.18.20.100", "fd00:18:20::100")
    }
    for address in outside:
        with pytest.raises(TimeoutError):
            network.connect(network.real, address, 25)
    nft(rules(*GATEWAYS))
    assert nft("list table inet mine") == mine
    assert source(network, outside["198.18.20.100"], "198.18.20.100", 25) == "198.18.20.11"
    assert source(network, outside["fd00:18:20::100"], "fd00:18:20::100", 25) == "fd00:18:20::11"
    # A run in between ends no connection, and what is none of the real servers' is left alone.
    with network.connect(network.real, "198.18.20.100", 25) as client:
        there = outside["198.18.20.100"].accept()[0]
        first = nft("list ruleset")
        nft(rules(*GATEWAYS))
        assert nft("list ruleset") == first
        assert echo(client, there)
        there.close()
    with network.listen(network.real, "198.18.22.21", 25) as server:
        for listening, address, own in (
            (server, "198.18.22.21", "198.18.22.1"),
            (outside["198.18.20.100"], "198.18.20.100", "198.18.20.30"),
        ):
            with network.connect(network.director, address, 25, own=own):
                there, peer = listening.accept()
                assert peer[0] == own
                there.close()
    for tracking in ("notrack", ""):
        talks_to_the_vip(network, tracking)
    nft("delete table inet codalvs_masquerade")
    assert nft("list table inet mine") == mine


def test_the_rules_say_what_they_are_about() -> None:
    text = rules(*GATEWAYS, {"address": "198.18.24.1", "prefix": 25, "interface": "bond0.7"})
    assert [line.strip() for line in text.splitlines() if line.endswith(" masquerade")] == [
        'ip saddr 198.18.22.1/24 oifname != { "bond0.7", "eth1" } masquerade',
        'ip6 saddr fd00:18:22::1/64 oifname != { "bond0.7", "eth1" } masquerade',
        'ip saddr 198.18.24.1/25 oifname != { "bond0.7", "eth1" } masquerade',
    ]


@pytest.mark.parametrize("given", [{}, {"lvs_director_masquerade": True}])
def test_the_example_of_nat_as_the_role_sees_it(tmp_path: Path, given: dict[str, bool]) -> None:
    """By default nothing is translated, and nothing is installed for it."""
    play: dict[str, object] = {"hosts": "dir1", "connection": "local", "gather_facts": False}
    play["vars"] = {**given, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play["roles"] = [{"role": f"codalvs.ha.{name}", "when": False} for name in ("lvs_director", "ha_packages")]
    content = "{{ [__lvs_director_masquerade, __ha_packages_of_lvs_director] | to_json }}"
    copy = {"content": content, "dest": f"{tmp_path}/result", "mode": "0600"}
    play["tasks"] = [{"name": "Write the result", "ansible.builtin.copy": copy}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    inventory = ROOT / "inventories/nat-and-tunnel/hosts.yml"
    subprocess.run(["ansible-playbook", "-i", inventory, tmp_path / "play.yml"], check=True, cwd=ROOT)
    gateways, packages = json.loads((tmp_path / "result").read_text(encoding="utf-8"))
    assert rules(*gateways) == rules(*(GATEWAYS if given else []))
    assert ("nftables" in packages) == bool(given)


@pytest.mark.skipif(not has_nft(), reason="no nft here, or a kernel without nf_tables")
def test_real_servers_get_out() -> None:
    """With the director's own address, by both families; balanced connections and other tables stay as they are."""
    checked = subprocess.run([*ALONE, NFT, "--check", "--file", "-"], input=rules(*GATEWAYS), text=True, check=False)
    assert checked.returncode == 0
    subprocess.run([*ALONE, sys.executable, __file__], check=True, timeout=300)


if __name__ == "__main__":
    inside()
