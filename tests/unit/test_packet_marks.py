"""The nftables rules that mark packets: real rules and real packets, in a network namespace of this machine."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml
from nft import ALONE, NFT, has_nft

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles/lvs_director/templates/lvs-packet-marks.nft.j2"
MARKS = [
    {
        "fwmark": 1,
        "family": 4,
        "addresses": ["198.18.20.30", "198.18.20.31"],
        "protocol": "tcp",
        "ports": ["80", "443"],
    },
    {"fwmark": 1, "family": 6, "addresses": ["fd00:18:20::30"], "protocol": "tcp", "ports": ["80", "443"]},
    {"fwmark": 4294967295, "family": 4, "addresses": ["198.18.20.31"], "protocol": "udp", "ports": ["53", "100-200"]},
]
OTHERS = "table inet mine { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }"
# What comes in, by its mark; of TCP the first packet alone.
COUNTERS = """
table inet seen {
    counter none { }
    counter one { }
    counter last { }
    chain input {
        type filter hook input priority filter;
        ip saddr 198.18.20.100 jump count
        ip6 saddr fd00:18:20::100 jump count
    }
    chain count {
        tcp flags & (syn | ack) != syn return
        meta mark 0 counter name none
        meta mark 1 counter name one
        meta mark 4294967295 counter name last
    }
}
"""
PACKETS = [
    ("198.18.20.30", "tcp", 80, "one"),
    ("198.18.20.31", "tcp", 443, "one"),
    ("198.18.20.32", "tcp", 80, "none"),
    ("198.18.20.30", "tcp", 81, "none"),
    ("198.18.20.30", "udp", 80, "none"),
    ("fd00:18:20::30", "tcp", 443, "one"),
    ("fd00:18:20::31", "tcp", 443, "none"),
    ("198.18.20.31", "udp", 100, "last"),
    ("198.18.20.31", "udp", 200, "last"),
    ("198.18.20.31", "udp", 53, "last"),
    ("198.18.20.31", "udp", 201, "none"),
]


def rules(*marks: dict[str, object], kept: tuple[str, ...] = ()) -> str:
    """Return the file as the role writes it; Ansible drops the line end behind a block, too."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(ansible_managed="by a test", __lvs_director_packet_marks=marks, __lvs_director_kept=kept)


def nft(text: str) -> str:
    """Give nft a text; return what it printed."""
    return subprocess.run([NFT, "--file", "-"], input=text, capture_output=True, text=True, check=True).stdout


def send(address: str, protocol: str, port: int) -> None:
    """Send a first packet; nobody needs to answer."""
    six = ":" in address
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind) as client:
        client.bind(("fd00:18:20::100" if six else "198.18.20.100", 0))
        if protocol == "tcp":
            client.connect_ex((address, port))
        else:
            client.sendto(b"hello", (address, port))


def counted() -> dict[str, int]:
    """Return what has come in since the last look, by its mark."""
    said = subprocess.run([NFT, "--json", "reset", "counters"], capture_output=True, text=True, check=True).stdout
    counters = [each["counter"] for each in json.loads(said)["nftables"] if "counter" in each]
    return {each["name"]: each["packets"] for each in counters if each["packets"]}


def inside() -> None:
    """Try it all, in a network namespace of its own."""
    for command in ("link set lo up", "address add 198.18.20.100/32 dev lo", "address add fd00:18:20::100/128 dev lo"):
        subprocess.run(["ip", *command.split()], check=True)
    for packet in {packet[0] for packet in PACKETS}:
        subprocess.run(["ip", "address", "add", packet, "dev", "lo", *["nodad"] * (":" in packet)], check=True)
    nft(OTHERS)
    mine = nft("list table inet mine")
    nft(rules(*MARKS[:1]))
    first = nft("list ruleset")
    for _again in range(2):
        nft(rules(*MARKS))
        assert nft("list table inet mine") == mine
    nft(COUNTERS)
    for address, protocol, port, wanted in PACKETS:
        send(address, protocol, port)
        assert counted() == {wanted: 1}, (address, protocol, port)
    nft("delete table inet seen")
    nft(rules(*MARKS[:1]))
    assert nft("list ruleset") == first


def test_the_rules_say_what_they_are_about() -> None:
    lines = [line.strip() for line in rules(*MARKS).splitlines() if " mark set " in line]
    assert lines == [
        "ip daddr { 198.18.20.30, 198.18.20.31 } tcp dport { 80, 443 } meta mark set 1",
        "ip6 daddr { fd00:18:20::30 } tcp dport { 80, 443 } meta mark set 1",
        "ip daddr { 198.18.20.31 } udp dport { 53, 100-200 } meta mark set 4294967295",
    ]


def kept(folder: Path, marks: list[dict[str, object]], **old: str) -> dict[str, tuple[list[str], str]]:
    """Return which rules of an old file the role keeps, and the file that it writes then, for each old file."""
    variables = yaml.safe_load((ROOT / "roles/lvs_director/vars/main.yml").read_text(encoding="utf-8"))
    own = {
        "__lvs_director_old_rules": variables["__lvs_director_old_rules"].replace("'lvs-packet-marks.nft.j2'", "path"),
        "__lvs_director_packet_marks": marks,
        "__lvs_director_kept": "{{ __lvs_director_old_rules }}",
        "path": str(TEMPLATE),
        "ansible_managed": "by a test",
        "result": ["{{ __lvs_director_old_rules }}", "{{ lookup('ansible.builtin.template', path) }}"],
    }
    coded = {name: base64.b64encode(text.encode()).decode() for name, text in old.items()}
    hosts = {name: {"__lvs_director_marking_old": {"content": text}} for name, text in coded.items()}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    copy = {"content": "{{ result | to_json }}", "dest": f"{folder}/{{{{ inventory_hostname }}}}", "mode": "0600"}
    play = {"hosts": "all", "connection": "local", "gather_facts": False}
    play["vars"] = {**own, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play["tasks"] = [{"name": "Write the result", "ansible.builtin.copy": copy}]
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    subprocess.run(["ansible-playbook", "-i", folder / "hosts.yml", folder / "play.yml"], check=True, cwd=ROOT)
    return {name: tuple(json.loads((folder / name).read_text(encoding="utf-8"))) for name in old}


def test_old_marks_stay_until_the_table_has_changed(tmp_path: Path) -> None:
    """They come last, so that they count; a second run before the end keeps them as well, and none is kept twice."""
    new = [{**MARKS[0], "fwmark": 2}, MARKS[1]]
    old = ["ip daddr { 198.18.20.30, 198.18.20.31 } tcp dport { 80, 443 } meta mark set 1"]
    both = rules(*new, kept=tuple(old))
    found = kept(tmp_path, new, first=rules(*MARKS[:2]), killed=both, same=rules(*new), none="")
    assert found["first"] == found["killed"] == (old, both)
    assert found["same"][0] == found["none"][0] == []
    marking = [line.strip() for line in both.splitlines() if " mark set " in line]
    assert marking == [line.replace("set 1", "set 2") for line in old] + [marking[1]] + old


@pytest.mark.skipif(not has_nft(), reason="no nft here, or a kernel without nf_tables")
def test_packets_are_marked() -> None:
    """nft takes the rules, also twice; other tables stay; each packet has the mark of its address and port."""
    checked = subprocess.run([*ALONE, NFT, "--check", "--file", "-"], input=rules(*MARKS), text=True, check=False)
    assert checked.returncode == 0
    subprocess.run([*ALONE, sys.executable, __file__], check=True)


if __name__ == "__main__":
    inside()
