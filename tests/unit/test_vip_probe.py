"""What vip-probe sends, hears and says; the program is Perl, and runs in a process of its own for all tests.

The last test lets two network namespaces of this machine be a director that holds the VIP, and a real server.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "roles/ldirectord/files/vip-probe"
# Calls one function a line; bytes are hexadecimal both ways.
LOOP = """
use JSON::PP;
$VipProbe::TESTED = 1;
do $ARGV[0] or $@ and die $@;
sub bytes { my ($given) = @_; ref $given eq 'HASH' ? exists $given->{hex} ? pack('H*', $given->{hex})
    : {map {$_ => bytes($given->{$_})} keys %$given} : $given }
$| = 1;
while (my $line = <STDIN>) {
    my ($name, @given) = @{decode_json $line};
    my @found = eval { &{"VipProbe::$name"}(map {bytes($_)} @given) };
    print encode_json($@ ? {error => $@} : [map {unpack 'H*', ref $_ ? encode_json {%$_, address => unpack 'H*',
        $_->{address}} : $_} @found]), "\\n";
}
"""
SYN, RST, ACK = 2, 4, 16
ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
# Waits in a namespace of its own, and then also takes connections at every address.
REAL_SERVER = """
import socket, sys
print(flush=True)
sys.stdin.readline()
found = socket.socket(socket.AF_INET6)
found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
found.bind(("::", 80))
found.listen()
print(flush=True)
sys.stdin.readline()
"""
VIPS = ("198.18.20.30/32", "fd00:18:20::30/128")
V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
PAIRS = st.one_of(st.tuples(V4, V4), st.tuples(V6, V6))
PORTS, NUMBERS = st.integers(1, 65535), st.integers(0, 2**32 - 1)
FLAGS = st.sampled_from([SYN, RST, SYN | ACK, RST | ACK, ACK])


class Perl:
    """The program's functions."""

    def __init__(self) -> None:
        command = ("perl", "-e", LOOP, str(PROGRAM))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, name: str, *arguments: object) -> list[bytes]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([name, *arguments], default=lambda each: {"hex": each.hex()}) + "\n")
        self.process.stdin.flush()
        found = json.loads(self.process.stdout.readline())
        if isinstance(found, dict):
            raise ValueError(found["error"])
        return [bytes.fromhex(each) for each in found]


@pytest.fixture(scope="module")
def perl() -> Iterator[Perl]:
    program = Perl()
    yield program
    program.process.kill()
    program.process.communicate()


def summed(data: bytes) -> int:
    """Return the one's complement sum of RFC 1071, 65535 where a checksum in it is right."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def built(perl: Perl, pair: tuple, ports: tuple[int, int], number: int, flags: int) -> bytes:
    source, destination = (address.packed for address in pair)
    (segment,) = perl("segment", source, destination, *ports, number, flags)
    return perl("packet", source, destination, segment)[0]


def answer(perl: Perl, pair: tuple, ports: tuple[int, int], number: int, flags: int) -> bytes:
    """Return a packet that acknowledges a number."""
    packet = bytearray(built(perl, pair, ports, 7, flags))
    at = 20 if pair[0].version == 4 else 40
    packet[at + 8 : at + 12] = number.to_bytes(4, "big")
    return bytes(packet)


def passes(program: bytes, packet: bytes) -> bool:
    """Run the few words of the kernel's language that a filter is made of."""
    words = list(struct.iter_unpack("=HBBI", program))
    found, offset, at = 0, 0, 0
    while True:
        code, true, false, value = words[at]
        at += 1
        if code == 0x06:
            return value > 0
        if code == 0x15:
            at += true if found == value else false
            continue
        place = value + (offset if code == 0x48 else 0)
        if place + (1 if code in (0x30, 0xB1) else 2) > len(packet):
            return False
        if code == 0xB1:
            offset = (packet[place] & 15) * 4
        else:
            found = packet[place] if code == 0x30 else int.from_bytes(packet[place : place + 2], "big")


@given(data=st.binary(max_size=200))
def test_checksums_are_those_of_the_standard(perl: Perl, data: bytes) -> None:
    (found,) = perl("checksum", data)
    even = data + bytes(len(data) % 2)
    assert summed(even + int(found).to_bytes(2, "big")) == 0xFFFF


@given(pair=PAIRS, ports=st.tuples(PORTS, PORTS), number=NUMBERS, flags=FLAGS)
def test_packets_are_whole(perl: Perl, pair: tuple, ports: tuple[int, int], number: int, flags: int) -> None:
    packet = built(perl, pair, ports, number, flags)
    source, destination = pair
    size = 24 if flags == SYN else 20
    if source.version == 4:
        assert struct.unpack("!BxH", packet[:4]) == (0x45, len(packet))
        assert (packet[8], packet[9], packet[12:20]) == (2, 6, source.packed + destination.packed)
        assert summed(packet[:20]) == 0xFFFF
        segment = packet[20:]
    else:
        assert struct.unpack("!IHBB", packet[:8]) == (6 << 28, size, 6, 2)
        assert packet[8:40] == source.packed + destination.packed
        segment = packet[40:]
    assert len(segment) == size
    assert struct.unpack("!HHIIBB", segment[:14]) == (*ports, number, 0, size * 4, flags)
    assert summed(source.packed + destination.packed + struct.pack("!HH", 6, size) + segment) == 0xFFFF
    found = perl("parse", packet)
    assert found[:2] == [source.packed, destination.packed]
    assert [int(each) for each in found[2:]] == [*ports, 0, flags]


@given(packet=st.binary(max_size=120))
def test_what_is_no_packet_says_nothing(perl: Perl, packet: bytes) -> None:
    assert len(perl("parse", packet)) in (0, 6)
    door = {"address": ip_address("198.18.20.30").packed, "port": 80, "number": 1}
    assert perl("verdict", packet, ip_address("198.18.20.11").packed, door, 40000) == [b""]


@pytest.mark.parametrize(("vip", "own"), [("198.18.20.30", "198.18.20.11"), ("fd00::30", "fd00::11")])
def test_what_counts_as_yes_and_no(perl: Perl, vip: str, own: str) -> None:
    pair, other = (ip_address(vip), ip_address(own)), ip_address(vip) + 1
    for number in (0, 41, 2**32 - 1):  # the number after the last one is the first
        right = (number + 1) % 2**32

        def said(addresses: tuple, ports: tuple[int, int], acknowledged: int, flags: int, asked: int = number) -> bytes:
            packet = answer(perl, addresses, ports, acknowledged, flags)
            door = {"address": pair[0].packed, "port": 80, "number": asked}
            return perl("verdict", packet, pair[1].packed, door, 40000)[0]

        assert said(pair, (80, 40000), right, SYN | ACK) == b"open"
        assert said(pair, (80, 40000), right, RST | ACK) == b"closed"
        for wrong in (ACK, SYN, RST):
            assert said(pair, (80, 40000), right, wrong) == b""
        for flags in (SYN | ACK, RST | ACK):
            assert said(pair, (80, 40000), (right + 1) % 2**32, flags) == b""
            assert said(pair, (81, 40000), right, flags) == b""
            assert said(pair, (80, 40001), right, flags) == b""
            assert said((other, pair[1]), (80, 40000), right, flags) == b""
            assert said((pair[0], other), (80, 40000), right, flags) == b""


@given(pair=PAIRS, ports=st.tuples(PORTS, PORTS), wanted=PORTS, data=st.binary(max_size=80))
def test_the_kernel_lets_through_what_may_be_an_answer(
    perl: Perl, pair: tuple, ports: tuple[int, int], wanted: int, data: bytes
) -> None:
    packet = built(perl, pair, ports, 1, SYN | ACK)
    family = int(socket.AF_INET if pair[0].version == 4 else socket.AF_INET6)
    assert passes(perl("filter", family, ports[1])[0], packet)
    assert passes(perl("filter", family, wanted)[0], packet) == (wanted == ports[1])
    assert not passes(perl("filter", family, 0)[0], packet)
    passes(perl("filter", family, wanted)[0], data)  # ends


@pytest.mark.parametrize(
    "word", ["", "80", "198.18.20.30", "198.18.20:80", "[fd00::30]", "name:80", "198.18.20.300:80"]
)
def test_words_that_are_no_place(perl: Perl, word: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        perl("doors", word)


@given(address=st.one_of(V4, V6), port=PORTS)
def test_words_that_ldirectord_is_given(perl: Perl, address: object, port: int) -> None:
    word = f"{address}:{port}" if ":" not in str(address) else f"[{address}]:{port}"
    (door,) = (json.loads(each) for each in perl("doors", word))
    assert (door["name"], bytes.fromhex(door["address"]), int(door["port"])) == (word, address.packed, port)


# What ldirectord does in a check that passes, as far as it matters here.
IN_LDIRECTORD = """
$VipProbe::TESTED = 1;
do $ARGV[0] or $@ and die $@;
sub service_set { die "this is for ldirectord itself to say" }
sub _check_real {
    my ($v, $r) = @_;
    print join ' ', $v->{checktype}, $v->{virtualhost}, '';
    $r->{num_connects} = 0;
    service_set($v, $r, $ARGV[1]) if $ARGV[1];
}
my ($v, $r) = ({checktype => 'external-perl', virtualhost => 'all'}, {num_connects => -1});
my $found = VipProbe::ordinary($v, $r, 'www', 'negotiate') ? 'well' : 'ill';
print join ' ', $found, $v->{checktype}, $v->{virtualhost}, $r->{num_connects};
"""


@pytest.mark.parametrize(("said", "found"), [("up", "well"), ("down", "ill"), ("", "ill")])
def test_the_other_check_leaves_nothing_behind(said: str, found: str) -> None:
    """Seen: with a number of connects that it had left, the next round asked no VIP any more."""
    command = ["perl", "-e", IN_LDIRECTORD, PROGRAM, said]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == f"negotiate www {found} external-perl all -1"


def test_it_knows_its_own_place() -> None:
    variables = (ROOT / "roles/ldirectord/vars/main.yml").read_text(encoding="utf-8")
    place = variables.partition("__ldirectord_vip_probe: ")[2].splitlines()[0]
    assert f"our $FILE = '{place}';" in PROGRAM.read_text(encoding="utf-8")


def ip(command: str, *through: str) -> None:
    words = command.split()
    if words[:2] == ["address", "add"] and ":" in command:
        # Nothing leaves from a VIP by itself, as IPv6addr2 has it.
        words += ["nodad", *["preferred_lft", "0"] * (words[2] in VIPS)]
    subprocess.run([*through, "ip", *words], check=True)


def asked(*words: str) -> str:
    return subprocess.run(["perl", PROGRAM, *words], capture_output=True, text=True, check=False).stdout.strip()


def has_namespaces() -> bool:
    """Tell whether there can be a pair of devices in namespaces here."""
    there = shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip") and shutil.which("sysctl")
    pair = [*ALONE, "ip", "link", "add", "eth0", "type", "veth"]
    return bool(there) and subprocess.run(pair, capture_output=True, check=False).returncode == 0


def wait_until_up(through: tuple[str, ...]) -> None:
    """Wait until the kernel lets packets through a device that has just been set up."""
    end = time.monotonic() + 60
    show = [*through, "ip", "-oneline", "link", "show", "dev", "eth0"]
    while " state UP " not in subprocess.run(show, capture_output=True, text=True, check=True).stdout:
        assert time.monotonic() < end
        time.sleep(0.05)


def inside() -> None:
    """Be a director, with a real server in another namespace."""
    command = ["unshare", "--net", sys.executable, "-c", REAL_SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as other:
        assert other.stdin
        assert other.stdout
        other.stdout.readline()
        there = ("nsenter", f"--target={other.pid}", "--net")
        ip(f"link add eth0 type veth peer name eth0 netns {other.pid}")
        for through, number in (((), 11), (there, 21)):
            for own in (f"198.18.20.{number}/24", f"fd00:18:20::{number}/64"):
                ip(f"address add {own} dev eth0", *through)
            for device in ("lo", "eth0"):
                ip(f"link set {device} up", *through)
            for vip in VIPS:  # the director holds them, too
                ip(f"address add {vip} dev {'eth0' if number == 11 else 'lo'}", *through)
        for through in ((), there):
            wait_until_up(through)
        # As the role has it: who asks for the director's MAC from the VIP gets no answer.
        subprocess.run([*there, "sysctl", "-q", "net.ipv4.conf.all.arp_announce=2"], check=True)
        other.stdin.write("\n")
        other.stdout.readline()
        try:
            look(there)
        finally:
            other.stdin.write("\n")


def look(there: tuple[str, ...]) -> None:
    for server, vip in (("198.18.20.21", "198.18.20.30"), ("fd00:18:20::21", "[fd00:18:20::30]")):
        assert asked("direct", server, f"{vip}:80") == "open"
        assert asked("direct", server, f"{vip}:80", f"{vip}:81", f"{vip}:82") == f"closed: {vip}:81 {vip}:82"
    sockets = subprocess.run([*there, "ss", "-Htan"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in sockets.splitlines()] == ["LISTEN"]  # no half of a connection stays
    for vip in VIPS:
        ip(f"address delete {vip} dev lo", *there)
    began = time.monotonic()
    silent = (
        asked("direct", "198.18.20.21", "198.18.20.30:80"),
        asked("direct", "fd00:18:20::21", "[fd00:18:20::30]:80"),
    )
    assert all(words.startswith("no answer from ") for words in silent)
    assert 2 * 2.5 < time.monotonic() - began < 2 * 10  # three seconds each, and Perl's start
    assert asked("direct", "198.18.20.99", "198.18.20.30:80") == "nobody is at 198.18.20.99"
    assert asked("tunnel", "192.0.2.1", "198.18.20.30:80") == "there is no route to 192.0.2.1"


@pytest.mark.skipif(not has_namespaces(), reason="no network namespaces here")
def test_a_director_that_holds_the_vip_asks_a_real_server() -> None:
    done = subprocess.run([*ALONE, sys.executable, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    inside()
