# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heartbeat-vips says to the kernel and to the network, byte by byte, and when."""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
from ipaddress import ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import load

vips = load("roles/heartbeat/files/heartbeat-vips")

MAC = bytes.fromhex("0242c6121e0b")


def attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


@given(
    st.sampled_from([(20, 0x405), (21, 0x5)]),
    st.ip_addresses(),
    st.integers(0, 128),
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**32 - 1),
)
def test_an_address_is_added_and_deleted_as_ip_address_does(operation, address, prefix, index, sequence):
    """rtnetlink(7): struct nlmsghdr, struct ifaddrmsg, attributes."""
    prefix = min(prefix, address.max_prefixlen)
    message = vips.address_message(operation[0], vips.Vip(str(address), prefix, "eth0"), index, sequence)
    length, *found, number, _port = struct.unpack_from("=IHHII", message)
    assert (length, tuple(found), number) == (len(message), operation, sequence)
    family, bits, flags, _scope, link = struct.unpack_from("=BBBBi", message, 16)
    assert (bits, link) == (prefix, index)
    assert family == (socket.AF_INET if address.version == 4 else socket.AF_INET6)
    assert flags == (0 if address.version == 4 else 2)  # IFA_F_NODAD
    found = attributes(message[24:])
    assert found[1] == found[2] == address.packed
    assert (4 in found) == (address.version == 4 and prefix < 31)


@given(st.ip_addresses(), st.integers(0, 32), st.sampled_from(["", ":web", ":web/192.0.2.255"]))
def test_an_address_is_read_as_haresources_has_it(address, prefix, rest):
    """IPaddr2::address/prefix/interface[:label][/broadcast]; IPv6 without '::', which separates arguments there."""
    assert vips.Vip.parse(f"{address.exploded}/{prefix}/eth0{rest}") == (str(address), prefix, "eth0", "")


@pytest.mark.parametrize(("here", "interface"), [("dir1", "eth0"), ("dir2", "ens3")])
def test_each_director_has_its_own_name_of_an_interface(here, interface):
    resource = {"script": "VIPaddr2", "arguments": ["192.0.2.30/24/eth0@dir1,ens3@dir2"], "node": "dir1"}
    settings = vips.Settings.read({"node": here, "resources": [resource]})
    assert settings.vips == (vips.Vip(VIP, 24, interface, "dir1"),)
    assert not settings.others


@given(st.ip_addresses(v=4), st.binary(min_size=6, max_size=6))
def test_gratuitous_arp_comes_in_both_forms(address, mac):
    """RFC 5227: sender and target address are the announced one; some hosts heed requests only, some answers only."""
    frames = vips.announcements(str(address), mac)
    assert [struct.unpack_from("!H", frame, 20)[0] for frame in frames] == [1, 2]
    for frame in frames:
        assert len(frame) == 42
        assert (frame[:6], frame[6:12], frame[22:28]) == (b"\xff" * 6, mac, mac)
        assert frame[28:32] == frame[38:42] == address.packed


@given(st.ip_addresses(v=6), st.binary(min_size=6, max_size=6))
def test_neighbours_are_told_with_a_right_checksum(address, mac):
    """RFC 4861, 4.4 and 7.2.6: hop limit 255, to all nodes, override; RFC 4443, 2.3 for the checksum."""
    (frame,) = vips.announcements(str(address), mac)
    header, body = frame[14:54], frame[54:]
    assert frame[:6] == bytes.fromhex("333300000001")
    assert header[7] == 255
    assert ip_address(header[24:40]) == ip_address("ff02::1")
    assert (body[0], body[4], body[8:24], body[26:32]) == (136, 0x20, address.packed, mac)
    assert vips.checksum(header[8:40] + struct.pack("!II", len(body), 58) + body) == 0


@pytest.mark.parametrize(
    ("resources", "expected"),
    [("all", "ab"), ("local", "a"), ("foreign", "b"), ("none", ""), ("transition", ""), ("unknown", "")],
)
def test_what_heartbeat_believes_to_hold(resources, expected):
    """cl_status rscstatus: local is what prefers this node."""
    found = [vips.Vip(name, 24, "eth0", node) for name, node in (("a", "dir1"), ("b", "dir2"))]
    assert "".join(vip.address for vip in found if vips.claimed(vip, "dir1", resources)) == expected


PEER, OTHER, ALIEN = (bytes.fromhex(f"0242c61200{number:02x}") for number in (1, 2, 3))


def advertisement(address, mac, by=b"", solicited=True, to=MAC):
    """A neighbour advertisement as a kernel answers a solicitation (RFC 4861, 4.4)."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    flags = 0x40000000 if solicited else 0x20000000
    body = struct.pack("!BBHI", 136, 0, 0, flags) + packed + b"\x02\x01" + mac
    return vips.icmp6(address, "2001:db8::1", body, to, by or mac)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.binary(min_size=6, max_size=6).filter(lambda mac: mac != MAC))
def test_an_arp_answer_is_heard_and_an_announcement_told_apart(own, other, mac):
    """RFC 826: sender and target change places. Ethernet pads a frame to 60 bytes."""
    reply = vips.arp(2, mac, str(other), str(own), to=MAC, about=MAC)
    assert vips.heard(reply + bytes(18), MAC) == (str(other), mac, True)
    for frame in vips.announcements(str(other), mac):
        assert vips.heard(frame, MAC) == (str(other), mac, False)
    for frame in (b"", reply[:41], reply.replace(MAC, OTHER)):
        found = vips.heard(frame, MAC)
        assert found is None or (own == other and not found.answer)


@given(st.ip_addresses(v=6), st.binary(min_size=6, max_size=6).filter(lambda mac: mac != MAC))
def test_an_advertisement_is_heard_and_an_announcement_told_apart(address, mac):
    """Only one that answers a solicitation has the flag S; it has to come from this link, so with hop limit 255."""
    assert vips.heard(advertisement(str(address), mac), MAC) == (str(address), mac, True)
    (frame,) = vips.announcements(str(address), mac)
    assert vips.heard(frame, MAC) == (str(address), mac, False)
    routed = bytearray(advertisement(str(address), mac))
    routed[21] = 254
    assert vips.heard(bytes(routed), MAC) is None


@pytest.mark.parametrize("address", ["192.0.2.30", "2001:db8::30"])
def test_who_speaks_for_another_one_proves_nothing(address):
    """That may be a proxy, a forger, or the correction of a wrong trial. This host's own frames prove nothing."""
    forged = (
        advertisement(address, PEER, by=ALIEN)
        if ":" in address
        else vips.arp(2, PEER, address, "192.0.2.12", to=MAC, about=MAC, by=ALIEN)
    )
    frames = [forged, *vips.announcements(address, PEER, by=ALIEN), *vips.announcements(address, MAC)]
    assert [vips.heard(frame, MAC) for frame in frames] == [None] * len(frames)


@given(st.binary(max_size=128))
def test_no_frame_is_too_strange(frame):
    """Anybody may send anything."""
    for kind in (b"", b"\x08\x06", b"\x86\xdd"):
        vips.heard(frame[:12] + kind + frame[12:], MAC)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), st.booleans())
def test_a_neighbour_is_solicited(address, own, known):
    """RFC 4861, 4.3: to the address itself if its MAC is known, else to its group (RFC 4291, 2.7.1)."""
    frame = vips.neighbour_solicitation(str(address), str(own), MAC, *([PEER] if known else []))
    header, body = frame[14:54], frame[54:]
    assert frame[:6] == (PEER if known else b"\x33\x33\xff" + address.packed[-3:])
    assert header[24:] == (
        address.packed if known else bytes.fromhex("ff0200000000000000000001ff") + address.packed[-3:]
    )
    assert (body[0], body[8:24], body[26:32]) == (135, address.packed, MAC)
    assert vips.checksum(header[8:40] + struct.pack("!II", len(body), 58) + body) == 0


def run_filter(program, frame):
    """Interpret a classic BPF program (bpf(4)): the bytes of the frame that it lets through."""
    accumulator, index, line = 0, 0, 0
    while True:
        code, true, false, value = program[line]
        line += 1
        if code == 0x06:
            return value
        if code == 0x07:
            index = accumulator
            continue
        if code in (0x15, 0x1D):
            line += true if accumulator == (value if code == 0x15 else index) else false
            continue
        size, form = {0x20: (4, "!I"), 0x28: (2, "!H"), 0x30: (1, "!B")}[code]
        if value + size > len(frame):
            return 0
        (accumulator,) = struct.unpack_from(form, frame, value)


@given(st.sets(st.ip_addresses(), max_size=40), st.ip_addresses(), st.sampled_from([4, 6]))
def test_the_kernel_passes_on_only_what_concerns_a_known_address(known, stranger, version):
    """Neither a flood of other packets nor the other director's questions wake the program up."""
    program = vips.packet_filter([str(address) for address in known], version)
    assert len(program) < 256  # jumps are a byte, and none is longer than five lines
    for address in known:
        text = str(address)
        frames = [*vips.announcements(text, PEER)]
        frames.append(advertisement(text, PEER) if ":" in text else vips.arp(2, PEER, text, "192.0.2.12", to=MAC))
        passed = [run_filter(program, frame) >= len(frame) for frame in frames]
        assert passed == [address.version == version] * len(frames)
    if not any(address.packed[-4:] == stranger.packed[-4:] for address in known):
        assert not any(run_filter(program, frame) for frame in vips.announcements(str(stranger), PEER))
    questions = [vips.neighbour_solicitation("2001:db8::30", "2001:db8::1", PEER)]
    questions += [vips.arp(1, PEER, str(address), "192.0.2.250", to=MAC) for address in known if address.version == 4]
    assert not any(run_filter(program, frame) for frame in (*questions, b"\0" * 20))


def test_routers_are_found_in_the_kernels_tables():
    """proc(5): addresses in host order there, as printed on x86."""
    v4 = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert vips.gateways(v4) == {"eth0": ["192.0.2.1"]}
    zero = "0" * 32
    v6 = f"{zero} 00 {zero} 00 20010db8{'0' * 23}1 00000400 00000001 00000000 00000003     eth0\n"
    assert vips.gateways6(v6 + f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 0 00200200       lo\n") == {
        "eth0": ["2001:db8::1"]
    }


def test_services_that_take_connections_are_counted():
    """A service counts once, and only with a real server that has a weight."""
    table = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        "TCP  C000021E:0050 wlc\n"
        "  -> C0000215:0050      Route   1      0          0\n"
        "  -> C0000216:0050      Route   2      0          0\n"
        "UDP  C000021E:0035 wlc\n"
        "  -> C0000215:0035      Route   0      0          0\n"
        "FWM  00000001 wlc\n"
    )
    assert vips.serving(table) == 1


# --- what a director decides


FILE = {
    "resources": [
        {"script": "IPaddr2", "arguments": ["192.0.2.30/24/eth0"], "node": "dir1"},
        {"script": "ldirectord", "arguments": [], "node": "dir1"},
    ],
    "links": {"eth0": ["192.0.2.11", "192.0.2.12"], "eth1": ["198.51.100.11", "198.51.100.12"]},
    "witnesses": {"eth0": ["192.0.2.21"]},
    "silence": "300ms",
    "deadtime": "3",
    "returned": ["true"],
    "failback": False,
}
ADDRESSES = FILE["resources"][:1]  # and nothing else
VIP, ROUTER, WITNESS = "192.0.2.30", "192.0.2.1", "192.0.2.21"
WHOLE = {"eth0": {"192.0.2.11", "192.0.2.12", WITNESS, ROUTER}, "eth1": {"198.51.100.11", "198.51.100.12"}}
GONE = {"eth0": {WITNESS, ROUTER}, "eth1": set()}


class Bench:
    """One director's Judge, and a world around it in which time passes in steps of 10 ms."""

    def __init__(self, node="dir2", holds=False, **changes):
        number = int(node[-1])
        self.peer = f"dir{3 - number}"
        data = FILE | {"node": node, "peer": self.peer, "first": number == 1} | changes
        self.settings = vips.Settings.read(data)
        self.now = 100.0
        self.judge = vips.Judge(self.settings, self.now)
        self.here = {f"192.0.2.1{number}", f"198.51.100.1{number}"} | ({VIP} if holds else set())
        self.judge.gateways = {"eth0": [ROUTER]}
        self.answering = {name: set(addresses) for name, addresses in WHOLE.items()}
        self.there = set() if holds else {VIP}  # virtual addresses that the other director's kernel answers for
        self.refused = set()
        self.beating = "active"  # what Heartbeat says of the other director; nothing if empty
        self.resources = "all" if holds else "none"
        claims = "none" if holds else "all"
        self.report = vips.Report(held=tuple(self.there), claims=claims)  # None: an older program, which tells nothing
        self.asked = {"eth0": [], "eth1": []}
        self.log = []
        self.told = []
        self.judge.kernel(self.here, self.now)
        self.judge.joined("active", 1000, self.now)
        self.judge.word(self.resources, self.now)
        self.steps = 0
        self.run(3)
        self.log.clear()

    def run(self, seconds, **state):
        """Let time pass in a new state of the world."""
        for key, value in state.items():
            setattr(self, key, value)
        judge = self.judge
        for _step in range(round(seconds * 100)):
            self.now += 0.01
            self.steps += 1
            if self.steps % 50 == 0:
                judge.word(self.resources, self.now)
                if self.beating:
                    judge.node(self.beating, self.now)
            if self.steps % 100 == 0:
                judge.kernel(self.here, self.now)
                if self.report:
                    judge.reported(self.report, self.now)
            judge.tick(self.now)
            self.act()
        return self

    def act(self):
        """Do what the Judge wants, and answer its questions."""
        actions, self.judge.actions = self.judge.actions, []
        for action in actions:
            names = [vip.address for vip in action.vips]
            if action.what == "take":
                self.here |= set(names) - self.refused
            elif action.what == "drop":
                self.here -= set(names)
            elif action.what == "tell":
                self.told.append(action.report)
                continue
            elif action.what == "ask":
                self.asked[action.link].append(self.now)
                self.answer(action.link, action.address)
                continue
            elif action.what == "say":
                continue
            if action.what not in ("announce",) or names:
                self.log.append((action.what, action.text if action.what in ("move", "refuse", "done") else names))

    def answer(self, link, address):
        ours = vips.Heard(address, PEER, True)
        if address in self.answering[link]:
            third = address in (WITNESS, ROUTER)
            self.judge.frame(link, ours._replace(mac=OTHER) if third else ours, self.now)
        elif link == "eth0" and address in self.there and "192.0.2.11" in self.answering["eth0"]:
            self.judge.frame(link, ours, self.now)

    def die(self, seconds):
        """The other director has no power: neither its kernel nor its Heartbeat says anything."""
        return self.run(seconds, answering=GONE, beating="", there=set(), report=None)

    def node(self, status):
        self.judge.node(status, self.now)
        self.beating = status if status == "active" else ""
        self.act()
        return self

    @property
    def changes(self):
        """What was done, without announcements."""
        return [entry for entry in self.log if entry[0] != "announce"]

    def count(self, what):
        return sum(entry[0] == what for entry in self.log)


TAKEN, DROPPED, CORRECTED = ("take", [VIP]), ("drop", [VIP]), ("correct", [VIP])


def test_a_death_is_answered_at_once_then_announced_again_and_again():
    """A switch or a client may not listen yet."""
    bench = Bench().node("dead")
    assert bench.log == [TAKEN, ("announce", [VIP])]
    bench.run(12, report=None, answering=GONE, there=set())
    assert bench.log[2:] == [("announce", [VIP])] * len(vips.AGAIN)


@pytest.mark.parametrize("status", ["init", "up", "active"])
def test_only_death_counts(status):
    """A director that starts says init and up before."""
    assert "take" not in [what for what, _what in Bench().node(status).log]


def test_a_director_that_is_back_is_told_what_it_missed():
    """Its sync daemon has heard nothing while it was away."""
    bench = Bench(holds=True)
    for status in ("dead", "init", "up", "active"):
        bench.node(status)
    assert bench.count("start") == 1


def test_a_director_whose_sync_daemons_come_late_is_told_then():
    """Their interface got its address long after Heartbeat was there by another link, or site changed them."""
    bench = Bench(holds=True)
    for status in ("dead", "init", "up", "active"):
        bench.node(status)
    bench.log.clear()
    for listening, starts in (("", 0), ("7.500", 1), ("", 0), ("7.500", 1), ("9.000", 1)):
        bench.log.clear()
        bench.run(20, report=vips.Report(claims="none", listening=listening))
        assert bench.count("start") == starts


def test_a_director_whose_sync_daemons_ran_when_it_was_back_is_told_once():
    bench = Bench(holds=True).run(5, report=vips.Report(claims="none", listening="7.500"))
    bench.log.clear()
    for status in ("dead", "init", "up", "active"):
        bench.node(status)
    bench.run(20, report=vips.Report(claims="none", listening="9.000"))
    assert bench.count("start") == 1


def test_a_machine_without_power_is_missed_long_before_the_deadtime():
    """Nobody answers on any link, but a real server does."""
    assert Bench().die(0.8).changes == [TAKEN]
    assert Bench().die(0.2).changes == []


@pytest.mark.parametrize(
    "answering",
    [
        pytest.param({**WHOLE, "eth1": set()}, id="the dedicated link is cut"),
        pytest.param({**WHOLE, "eth0": set()}, id="the public network is down, or this one's link"),
        pytest.param({"eth0": set(), "eth1": set()}, id="this director is cut off"),
    ],
)
def test_a_cut_link_takes_nothing(answering):
    """Whoever takes addresses then makes two holders."""
    assert Bench().run(60, answering=answering).log == []


@pytest.mark.parametrize("hiccup", [0.35, 0.5, 1, 2, 2.9])
def test_a_wrong_trial_is_undone_at_once_and_the_neighbours_told(hiccup):
    """H1: a switch or a virtual machine stands still for less than the deadtime."""
    bench = Bench()
    bench.run(hiccup, answering=GONE, beating="")
    bench.run(0.3, answering=WHOLE, beating="active")
    if hiccup > 0.8:
        assert bench.changes == [TAKEN, DROPPED, CORRECTED]
        assert bench.told[-1].ask == "announce"
    assert VIP not in bench.here


def test_the_holder_announces_again_after_the_others_wrong_trial():
    """Some neighbours ignore a frame that speaks for another host."""
    bench = Bench(holds=True)
    bench.judge.reported(vips.Report(claims="none", ask="announce"), bench.now)
    bench.act()
    assert bench.log == [("announce", [VIP])]


def test_an_address_of_ones_own_is_no_trial():
    """Somebody deletes it, and the other director stands still at that moment."""
    bench = Bench("dir1", holds=True)
    bench.here.discard(VIP)
    bench.judge.kernel(bench.here, bench.now)
    bench.run(0.9, answering=GONE, beating="")
    assert bench.changes == [TAKEN]
    assert bench.run(20, answering=WHOLE, beating="active").changes == [TAKEN]


def test_what_the_other_director_holds_is_tried_out_whatever_heartbeat_claims_here():
    """It may claim what it no longer has, so two would hold it."""
    bench = Bench("dir1").run(2, resources="all")
    bench.run(0.9, answering=GONE, beating="")
    assert bench.changes == [TAKEN]
    assert bench.run(2, answering=WHOLE, beating="active").changes == [TAKEN, DROPPED, CORRECTED]


def test_no_trial_again_for_a_growing_pause():
    """A network that stands still every ten seconds."""
    bench, trials = Bench(), []
    for number in range(52):
        bench.run(1.5, answering=GONE, beating="")
        if TAKEN in bench.log:
            trials.append(number * 10)
        bench.log.clear()
        bench.run(8.5, answering=WHOLE, beating="active")
    pauses = [later - earlier for earlier, later in pairwise(trials)]
    assert pauses == pytest.approx([60, 120, 240], abs=10)


def test_what_heartbeat_confirms_is_kept():
    """The other director's kernel may answer again before its Heartbeat is back."""
    bench = Bench().die(2).node("dead")
    bench.run(30, answering=WHOLE)
    assert TAKEN in bench.changes
    assert DROPPED not in bench.changes


def test_heartbeats_end_a_trial_where_the_kernel_answers_no_arp():
    """H5: arp_ignore=8, or a filter in between. Once, and then never again while heartbeats come."""
    bench = Bench().run(600, answering=GONE)
    assert bench.changes in ([], [TAKEN, DROPPED, CORRECTED])


def test_a_trial_that_heartbeat_does_not_confirm_ends():
    """Heartbeat does not say that the other director is dead, and without that the trial is a guess."""
    bench = Bench().run(3 + vips.CONFIRM + 1, answering=GONE, beating="")
    assert bench.changes == [TAKEN, DROPPED, CORRECTED]


def test_a_trial_does_not_outlive_the_service():
    """Nobody would be left to end it."""
    bench = Bench().die(1)
    bench.judge.stopping(bench.now)
    bench.act()
    assert bench.changes == [TAKEN, DROPPED, CORRECTED]


@pytest.mark.parametrize(
    ("below", "links"),
    [
        pytest.param({"eth0": "bond0", "eth1": "bond0"}, FILE["links"], id="two VLANs of one bond"),
        pytest.param({}, {"eth0": FILE["links"]["eth0"]}, id="one network"),
    ],
)
def test_one_fault_that_may_hush_all_links_gets_more_time(below, links):
    """Twice as many questions."""
    bench = Bench(links=links)
    bench.judge.below = below
    assert bench.die(0.55).changes == []
    assert bench.die(0.4).changes == [TAKEN]


def test_a_link_without_its_address_makes_careful():
    """H4: silence on all networks is then silence on one only. When the link gets its address, it counts."""
    bench = Bench()
    bench.here.discard("198.51.100.12")
    bench.run(2)
    assert list(bench.judge.links) == ["eth0"]
    bench.here.add("198.51.100.12")
    assert list(bench.run(2).judge.links) == ["eth0", "eth1"]


BLIND = {**WHOLE, "eth0": {WITNESS, ROUTER}}


@pytest.mark.parametrize(
    ("mine", "theirs", "moves"),
    [
        pytest.param({WITNESS, ROUTER}, {"eth0": (0, 0)}, True, id="its link to the clients is gone"),
        pytest.param({WITNESS, ROUTER}, {"eth0": (0, 3)}, True, id="the gateway is here"),
        pytest.param({WITNESS}, {"eth0": (1, 0)}, False, id="H2: split, and the gateway is there"),
        pytest.param({WITNESS, ROUTER}, {"eth0": (1, 1)}, False, id="H2: only the two can't ask each other"),
        pytest.param({WITNESS, ROUTER}, {}, False, id="it hears this one"),
        pytest.param(set(), {"eth0": (0, 0)}, False, id="both blind"),
    ],
)
def test_addresses_leave_a_director_only_by_what_both_see(mine, theirs, moves):
    """Heartbeat, which has other links, is told. The next move has to wait for the pause."""
    bench = Bench()
    report = vips.Report(held=(VIP,), claims="all", sees=theirs)
    bench.run(60, answering={**WHOLE, "eth0": mine}, report=report)
    assert bench.changes == ([TAKEN, ("move", "all")] if moves else [])


@pytest.mark.parametrize(("name", "moves"), [("ens3", True), ("ens4", False)])
def test_the_other_director_may_call_a_link_otherwise(name, moves):
    bench = Bench(interfaces={"eth0": "ens3"})
    report = vips.Report(held=(VIP,), claims="all", sees={name: (0, 0)})
    bench.run(60, answering=BLIND, report=report)
    assert bench.changes == ([TAKEN, ("move", "all")] if moves else [])


def test_a_director_that_reports_nothing_is_not_called_blind():
    """It has an older program."""
    assert Bench().run(60, answering=BLIND, report=None).changes == []


def test_addresses_do_not_come_back_at_once():
    """The one that lost them sees the other one blind now; each further move has to wait twice as long."""
    bench = Bench()
    bench.judge.reported(vips.Report(held=(VIP,), claims="all", moves=2), bench.now)
    report = vips.Report(held=(VIP,), claims="all", sees={"eth0": (0, 0)}, moves=2)
    bench.run(115, answering=BLIND, report=report)
    assert bench.changes == []
    assert bench.run(10).changes == [TAKEN, ("move", "all")]
    assert bench.told[-1].moves == 3


@pytest.mark.parametrize("peer", ["alive", "silent", "dead"])
def test_a_deleted_address_is_back_within_two_seconds(peer):
    """F09, M5: systemd-networkd restarted, ip address flush; also with nobody left to ask."""
    bench = Bench(holds=True)
    if peer == "silent":
        bench.run(10, report=None)
    elif peer == "dead":
        bench.die(4).node("dead")
        bench.run(12)
    bench.log.clear()
    bench.here.discard(VIP)
    bench.judge.kernel(bench.here, bench.now)
    bench.run(2.05)
    assert bench.changes == [TAKEN]
    assert VIP in bench.here


def test_an_address_that_is_refused_is_tried_again_and_comes_with_its_interface():
    """The interface is gone: no storm of attempts; and no wait once it is back."""
    bench = Bench(holds=True)
    own = {"192.0.2.12", VIP}
    bench.die(4).node("dead")
    bench.here -= own
    bench.log.clear()
    bench.run(60, refused={VIP})
    assert 2 <= bench.count("take") <= 8
    bench.here.add("192.0.2.12")
    bench.run(3, refused=set())
    assert VIP in bench.here


@pytest.mark.parametrize(("resources", "expected"), [("foreign", True), ("local", False), ("none", False)])
def test_an_address_that_nobody_holds_is_taken_by_who_should_have_it(resources, expected):
    """The address prefers dir1, so it is foreign to dir2. Not at once, because Heartbeat's scripts need their time."""
    bench = Bench().run(9, there=set(), report=vips.Report(claims="none"), resources=resources)
    assert bench.changes == []
    assert (TAKEN in bench.run(12).changes) == expected


def test_an_address_that_strayed_is_taken_back():
    """The other director holds it, and neither Heartbeat wants it there."""
    bench = Bench().run(30, report=vips.Report(held=(VIP,), claims="none"), resources="all")
    assert bench.changes == [TAKEN]


@pytest.mark.parametrize(
    ("held", "claims", "resources", "moves"),
    [
        pytest.param((), "all", ADDRESSES, True, id="both claim it, and it is here"),
        pytest.param((), "none", ADDRESSES, False, id="the other one knows"),
        pytest.param((), "transition", ADDRESSES, False, id="Heartbeat moves something"),
        pytest.param((VIP,), "all", ADDRESSES, False, id="it is there as well: one gives way"),
        pytest.param((), "all", [*ADDRESSES, {"script": "cron", "arguments": [], "node": "dir1"}], False, id="others"),
    ],
)
def test_of_two_heartbeats_that_claim_everything_the_one_that_holds_nothing_gives_up(held, claims, resources, moves):
    """Only one took the other one for dead, and neither restarts. Nothing moves: Heartbeat's scripts find all there."""
    bench = Bench("dir1", holds=True, resources=resources)
    bench.run(19, report=vips.Report(held=held, claims=claims))
    assert bench.changes == []
    assert bench.run(3).changes == ([("move", "all")] if moves else [])
    assert bench.run(60).changes == ([("move", "all")] if moves else [])


def test_two_heartbeats_without_an_address_may_claim_what_they_like():
    bench = Bench("dir1", resources=[]).run(60, report=vips.Report(claims="all"), resources="all")
    assert bench.changes == []


def both(bench, seconds=0, **state):
    """Both directors hold the address."""
    bench.here.add(VIP)
    bench.there = {VIP}
    bench.judge.kernel(bench.here, bench.now)
    return bench.run(seconds, **state)


@pytest.mark.parametrize(
    ("node", "report", "state", "seconds", "drops"),
    [
        pytest.param("dir2", {"claims": "all"}, {"resources": "all"}, 25, True, id="both claim: the second gives way"),
        pytest.param("dir1", {"claims": "all"}, {"resources": "all"}, 200, False, id="both claim: the first keeps"),
        pytest.param("dir1", {"claims": "all"}, {"resources": "none"}, 5, True, id="the other one's by Heartbeat"),
        pytest.param("dir2", {"claims": "none"}, {"resources": "all"}, 200, False, id="this one's by Heartbeat"),
        pytest.param("dir2", {"claims": "transition"}, {"resources": "none"}, 200, False, id="Heartbeat moves"),
        pytest.param("dir1", {"claims": "all", "since_death": True}, {"resources": "all"}, 2, True, id="stood still"),
        pytest.param("dir2", None, {"resources": "all"}, 30, True, id="older program: the second gives way"),
        pytest.param("dir1", None, {"resources": "all"}, 200, False, id="older program: the first keeps"),
    ],
)
def test_of_two_holders_one_gives_way(node, report, state, seconds, drops):
    """And says whose the address is."""
    told = vips.Report(held=(VIP,), **report) if report is not None else None
    bench = both(Bench(node), seconds, report=told, **state)
    assert bench.changes == ([DROPPED, CORRECTED] if drops else [])


def test_who_lost_its_heartbeat_gives_way():
    """Heartbeat was killed, and the other director's kernel answers for the address."""
    bench = both(Bench("dir1", holds=True), report=None, beating="")
    bench.judge.lost("Heartbeat has closed the connection")
    bench.judge.word = lambda *_: None
    assert bench.run(4).changes == [DROPPED, CORRECTED]


def test_after_a_switchover_both_may_hold_for_a_while():
    """The command `take` has run, and Heartbeat on the old director is not finished."""
    bench = Bench()
    bench.judge.taken_at = bench.now
    assert both(bench, vips.SWITCHOVER - 5).changes == []


def test_a_switchover_gives_the_addresses_up_before_heartbeat_does():
    """The command `take` has run on the other director. Addresses that it has not added yet stay here."""
    taker = Bench()
    taker.judge.taken(taker.now)
    taker.here.add(VIP)
    taker.run(4)
    asked = [report for report in taker.told if report.ask == "give"]
    assert asked[-1].held == (VIP,)
    taker.told.clear()
    assert [report.ask for report in taker.run(5).told if report.ask == "give"] == []

    giver = both(Bench("dir1", holds=True))
    giver.judge.reported(vips.Report(held=(), claims="none", ask="give"), giver.now)
    giver.act()
    assert giver.changes == []
    giver.judge.reported(vips.Report(held=(VIP,), claims="none", ask="give"), giver.now)
    giver.act()
    assert giver.changes == [DROPPED, CORRECTED]
    giver.log.clear()
    assert giver.run(60, report=vips.Report(held=(VIP,), claims="none"), resources="all").changes == []


def test_a_director_that_stood_still_gives_way():
    """It was paused for longer than the deadtime, without reports, and the other one has taken the addresses."""
    bench = Bench("dir1", holds=True)
    bench.now += 10
    both(bench, 6, report=None)
    assert bench.changes == [DROPPED, CORRECTED]


def test_a_director_does_not_give_way_to_one_that_has_just_given_way():
    """Neither reports, and each has the other's answer from a second ago: without care, both would drop the address."""
    bench = Bench("dir1", holds=True)
    bench.now += 10
    both(bench, report=None)
    while not bench.judge.theirs:
        bench.run(0.01)
    assert bench.run(20, there=set()).changes == []
    assert VIP in bench.here


def test_a_director_that_stood_still_does_not_believe_in_the_others_death():
    """When it wakes up, Heartbeat first says that the other one is dead, because it heard nothing for so long."""
    bench = Bench("dir1", holds=True)
    bench.now += 10
    assert bench.node("dead").log == []


@pytest.mark.parametrize(("stood_still", "kept"), [(False, True), (True, False)])
def test_a_restart_of_both_heartbeats_leaves_nobody_without_an_address(stood_still, kept):
    """After a partition both give up everything and restart. One that held an address goes on, unless it slept."""
    bench = Bench("dir1", holds=True).die(4).node("dead")
    bench.run(5)
    bench.now += 10 * stood_still
    bench.node("active")
    bench.judge.lost("Heartbeat has closed the connection")
    bench.judge.word = bench.judge.node = lambda *_: None
    bench.here.discard(VIP)
    bench.judge.kernel(bench.here, bench.now)
    bench.run(0.5)
    assert (VIP in bench.here) == kept


def test_in_a_reunion_the_second_gives_way():
    """Both took the other one for dead."""
    for node, drops in (("dir1", False), ("dir2", True)):
        bench = Bench(node, holds=True).die(4).node("dead")
        bench.run(5)
        bench.node("active")
        report = vips.Report(held=(VIP,), claims="all", since_death=True)
        both(bench, 3, answering=WHOLE, report=report)
        assert (DROPPED in bench.changes) == drops


@pytest.mark.parametrize(("seconds", "drops"), [(4, False), (10, True)])
def test_who_loses_its_heartbeat_in_a_reunion_gives_way_to_a_director_that_stays(seconds, drops):
    """The second one gives way while both restart. If it does not, its Heartbeat has seen this one end."""
    bench = Bench("dir1", holds=True).die(4).node("dead")
    bench.run(5)
    bench.node("active")
    bench.run(20, answering=WHOLE, report=vips.Report(held=(), claims="none"))
    bench.judge.lost("Heartbeat has closed the connection")
    bench.judge.word = bench.judge.node = lambda *_: None
    bench.log.clear()
    both(bench, seconds, report=None)
    assert bench.changes == ([DROPPED, CORRECTED] if drops else [])


def test_what_a_director_gave_way_with_in_a_reunion_it_takes_back_from_one_that_gives_it_up():
    """The other one's Heartbeat restarts after all, and its scripts remove the address."""
    bench = Bench("dir1", holds=True).die(4).node("dead")
    bench.run(5)
    bench.node("active")
    bench.judge.lost("Heartbeat has closed the connection")
    bench.judge.word = bench.judge.node = lambda *_: None
    both(bench, 12, answering=WHOLE, report=None)
    assert bench.changes[-2:] == [DROPPED, CORRECTED]
    assert bench.run(8, there=set()).changes[-1] == TAKEN


@pytest.mark.parametrize(
    ("state", "completed"),
    [
        pytest.param({}, True, id="the other one has nothing"),
        pytest.param({"report": vips.Report(held=(), claims="local")}, False, id="the other one should hold something"),
        pytest.param({"report": None}, False, id="the other one does not tell"),
        pytest.param({"report": vips.Report(held=(), claims="transition")}, False, id="both move something"),
        pytest.param({"report": vips.Report(held=(VIP,), claims="all")}, False, id="the other one holds it"),
        pytest.param({"resources": "all"}, False, id="nothing moves"),
    ],
)
def test_a_takeover_that_heartbeat_never_ends_is_ended(state, completed):
    """Its script's last message was lost. heartbeat-vips first waits for the longest time that the script may take."""
    bench = Bench(holds=True, resources=ADDRESSES).run(vips.STUCK - 5, resources="transition")
    bench.run(8, **state)
    assert bench.count("complete") == completed
    assert bench.run(vips.STUCK / 2, resources="all").count("complete") == completed


def test_a_takeover_is_not_ended_before_its_time():
    """Its time begins with the other director's death, whatever Heartbeat moved before."""
    bench = Bench(holds=True, resources=ADDRESSES).run(2 * vips.STUCK, resources="transition", report=None)
    assert bench.die(3).node("dead").run(vips.STUCK - 2).count("complete") == 0
    assert bench.run(8).count("complete") == 1


def test_a_takeover_of_more_than_addresses_is_not_ended():
    """Heartbeat's scripts may still start something else."""
    bench = Bench(holds=True)
    assert bench.settings.others
    assert bench.run(2 * vips.STUCK, resources="transition").count("complete") == 0


def test_an_address_that_is_given_back_is_not_kept():
    """auto_failback: the other director has started, and this one's Heartbeat runs on."""
    bench = Bench(holds=True).die(4).node("dead")
    for status in ("init", "up", "active"):
        bench.node(status)
    bench.log.clear()
    bench.here.discard(VIP)
    bench.run(8, answering=WHOLE, report=vips.Report(held=(VIP,), claims="local"), resources="none")
    assert bench.changes == []


def test_a_foreign_announcement_is_answered_unless_the_other_director_has_the_address():
    """The answer comes a second later, because a wrong trial of the other director ends by itself."""
    bench = Bench(holds=True)
    bench.judge.frame("eth0", vips.Heard(VIP, ALIEN, False), bench.now)
    assert bench.run(0.9).log == []
    assert bench.run(0.3).log[0] == ("announce", [VIP])
    bench = Bench(holds=True)
    bench.judge.frame("eth0", vips.Heard(VIP, PEER, False), bench.now)
    assert bench.run(1.5, there={VIP}).log == []


def test_a_flood_of_announcements_is_answered_slowly():
    """One answer each second, and the repetitions after it."""
    bench = Bench(holds=True)
    for _tenth in range(100):
        bench.judge.frame("eth0", vips.Heard(VIP, ALIEN, False), bench.now)
        bench.run(0.1)
    assert bench.count("announce") < 30


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(vips.Heard(VIP, ALIEN, True), id="foreign MAC"),
        pytest.param(vips.Heard(VIP, PEER, True), id="on the wrong link"),
    ],
)
def test_forged_answers_do_not_take_an_address_away(found):
    """M2: even without reports. An attacker on the heartbeat network can do nothing to the public one."""
    bench = Bench(holds=True)
    link = "eth0" if found.mac == ALIEN else "eth1"
    for _second in range(60):
        bench.judge.frame(link, found, bench.now)
        bench.run(1, report=None)
    assert bench.changes == []


def test_unasked_answers_for_the_other_director_do_not_count():
    """An answer without a question changes no MAC."""
    bench = Bench()
    bench.judge.frame("eth0", vips.Heard("192.0.2.11", ALIEN, True), bench.now)
    assert bench.judge.links["eth0"].mac == PEER


@pytest.mark.parametrize(
    ("node", "resources", "expected"),
    [("dir1", "none", True), ("dir1", "foreign", True), ("dir1", "local", False), ("dir2", "none", False)],
)
def test_a_preferred_director_takes_its_addresses_back_before_the_other_gives_them_up(node, resources, expected):
    """It takes only those that prefer it, and does nothing if it has them already."""
    bench = Bench(node, failback=True).run(1, resources=resources)
    bench.judge.joined("active", 10, bench.now)
    bench.judge.word(resources, bench.now)
    bench.log.clear()
    bench.run(vips.FAILBACK - 11)
    assert bench.count("move") == 0
    bench.told.clear()
    bench.run(3)
    assert bench.changes == ([TAKEN, ("move", "local")] if expected else [])
    assert any(report.ask == "give" and report.held == (VIP,) for report in bench.told) == expected


@pytest.mark.parametrize(("arguments", "expected"), [([], [VIP, "192.0.2.31"]), (["local"], ["192.0.2.31"])])
def test_the_command_take_takes_all_or_what_prefers_its_director(arguments, expected, monkeypatch, tmp_path):
    """As the module heartbeat_switchover has it."""
    second = {"script": "IPaddr2", "arguments": ["192.0.2.31/24/eth0"], "node": "dir2"}
    settings = FILE | {"node": "dir2", "peer": "dir1", "resources": [*ADDRESSES, second]}
    (tmp_path / "vips.json").write_text(json.dumps(settings))
    taken, announced = [], []
    monkeypatch.setattr(vips, "CONFIGURATION", tmp_path / "vips.json")
    monkeypatch.setattr(vips, "TAKEN", tmp_path / "taken")
    monkeypatch.setattr(vips, "own_addresses", set)
    monkeypatch.setattr(vips, "take", lambda wanted: (taken.extend(wanted), []))
    monkeypatch.setattr(vips, "announce", announced.extend)
    monkeypatch.setattr(sys, "argv", ["heartbeat-vips", "take", *arguments])
    vips.main()
    assert [vip.address for vip in taken] == [vip.address for vip in announced] == expected
    assert (tmp_path / "taken").exists()


@pytest.mark.parametrize("words", [["take", "foreign"], ["announce", "local"], ["take", "local", "local"], []])
def test_other_words_change_nothing(words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["heartbeat-vips", *words])
    with pytest.raises(SystemExit, match="usage: heartbeat-vips"):
        vips.main()


def test_failback_waits_for_a_director_that_serves():
    """Its ldirectord has no real server yet."""
    report = vips.Report(held=(VIP,), claims="all", services=2)
    bench = Bench("dir1", failback=True).run(1, report=report)
    bench.judge.failback_at = bench.now
    assert bench.run(20).changes == []
    bench.judge.services = 2
    assert bench.run(11).changes == [TAKEN, ("move", "local")]


def test_failback_waits_for_the_connections_that_were_missed():
    """On a busy machine, the other director's ipvs-resync had not sent a datagram after 45 s."""
    tells = vips.Report(held=(VIP,), claims="all", telling=True)
    bench = Bench("dir1", failback=True).run(1, report=tells)
    bench.judge.joined("active", 10, bench.now)
    assert bench.run(vips.FAILBACK + 20).changes == []
    assert bench.run(4, report=vips.Report(held=(VIP,), claims="all")).changes == [TAKEN, ("move", "local")]


def test_failback_does_not_wait_for_ever():
    """An ipvs-resync that hangs on the other director."""
    bench = Bench("dir1", failback=True).run(1, report=vips.Report(held=(VIP,), claims="all", telling=True))
    bench.judge.joined("active", 10, bench.now)
    assert bench.run(vips.LEARNED - 12).changes == []
    assert bench.run(5).changes == [TAKEN, ("move", "local")]


def test_a_director_says_that_it_still_tells_and_since_when_it_hears():
    bench = Bench()
    bench.judge.telling, bench.judge.listening = True, "7.500"
    bench.told.clear()
    bench.run(2)
    assert bench.told
    assert all(report.telling for report in bench.told)
    assert {vips.Report.read(report.write()).listening for report in bench.told} == {"7.500"}


def test_what_heartbeats_scripts_add_is_announced():
    """Their own announcement comes a second later."""
    bench = Bench("dir1").run(2)
    bench.here.add(VIP)
    assert ("announce", [VIP]) in bench.run(1.1).log


def test_a_planned_stop_is_handed_over():
    """The command says `done` when the new director has the addresses. This one then has none, and takes none back."""
    bench = Bench("dir1", holds=True)
    bench.judge.hand_over(bench.now, 10)
    bench.act()
    assert bench.told[-1].ask == "take"
    bench.judge.reported(vips.Report(held=(VIP,), claims="none", answer="taken"), bench.now)
    bench.act()
    assert bench.log == [DROPPED, CORRECTED, ("done", "dir2: taken")]
    bench.log.clear()
    assert bench.run(60, report=vips.Report(held=(VIP,), claims="none")).changes == []


@pytest.mark.parametrize(("answering", "expected"), [(WHOLE, []), (GONE, [TAKEN])])
def test_who_stops_takes_nothing_back_from_a_director_that_lives(answering, expected):
    """A busy Heartbeat that stops may take the other one for dead. But the other one may really die then."""
    bench = Bench("dir1", holds=True, silence="0")
    bench.judge.hand_over(bench.now, 10)
    bench.judge.reported(vips.Report(held=(VIP,), claims="none", answer="taken"), bench.now)
    bench.act()
    bench.log.clear()
    bench.run(3, answering=answering, report=None, beating="").node("dead")
    assert bench.changes == expected


def test_a_planned_stop_may_fail():
    """The other director refuses, or is too slow. One that is not there is not asked."""
    bench = Bench("dir1", holds=True)
    bench.judge.hand_over(bench.now, 10)
    bench.judge.reported(vips.Report(answer="only 1 of 2 services have a real server here"), bench.now)
    bench.act()
    assert bench.log == [("refuse", "dir2: only 1 of 2 services have a real server here")]
    bench = Bench("dir1", holds=True)
    bench.judge.hand_over(bench.now, 10)
    assert bench.run(11).log == [("refuse", "dir2 has not answered in time")]
    bench = Bench("dir1", holds=True).run(5, report=None)
    bench.judge.hand_over(bench.now, 10)
    bench.act()
    assert bench.log == [("refuse", "dir2 reports nothing")]
    bench = Bench("dir1")
    bench.judge.hand_over(bench.now, 10)
    bench.act()
    assert bench.log == [("done", "this director holds nothing")]


@pytest.mark.parametrize(
    ("state", "services", "answer"),
    [
        ({}, 1, "taken"),
        ({}, 2, "only 1 of 2 services have a real server here"),
        ({"resources": "transition"}, 1, "Heartbeat moves something"),
        ({"answering": {**WHOLE, "eth0": set()}}, 1, "no answer on eth0"),
    ],
)
def test_who_is_asked_to_take_over_does_so_if_it_serves_as_well(state, services, answer):
    """Otherwise clients would be worse off than without a handover."""
    bench = Bench().run(2, **state)
    bench.judge.services = 1
    bench.log.clear()
    bench.judge.reported(vips.Report(held=(VIP,), claims="all", services=services, ask="take"), bench.now)
    bench.act()
    assert bench.told[-1].answer == answer
    assert bench.changes == ([TAKEN] if answer == "taken" else [])


def test_reports_of_another_version_are_read():
    """Either director may have the newer program."""
    report = vips.Report(held=(VIP,), claims="all", sees={"eth0": (1, 2)}, moves=1, services=3, telling=True)
    assert vips.Report.read(report.write()) == report
    assert vips.Report.read('{"held": ["192.0.2.30"], "colour": "red"}') == vips.Report(held=(VIP,))
    assert vips.Report.read("{}") == vips.Report()


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "null", '{"held": 7}', '{"sees": [1]}', '{"sees": {"a": [1]}}', '{"moves": "x"}', "{"]
)
def test_what_is_no_report_is_refused(text):
    """It raises ValueError: an exception of another kind would end the program."""
    with pytest.raises(ValueError, match=r".*"):
        vips.Report.read(text)


def test_a_configuration_of_another_version_is_read():
    """M8: program and configuration are two files."""
    old = vips.Settings.read({"node": "dir1", "peer": "dir2", "resources": FILE["resources"], "colour": "red"})
    assert (old.vips, old.failback, old.deadtime) == ((vips.Vip(VIP, 24, "eth0", "dir1"),), False, 30.0)
    assert vips.Settings.read({}) == vips.Settings()
    vips.Judge(old, 0).tick(1)


def most(times, span=1.0):
    """The most questions within any second."""
    return max(sum(start <= at < start + span for at in times) for start in times)


def test_few_questions_are_asked():
    """H6: switches that inspect ARP may shut a port above 15 packets a second, answers to the other one included."""
    bench = Bench()
    for times in bench.asked.values():
        times.clear()
    bench.run(60)
    assert {name: most(times) for name, times in bench.asked.items()} == {"eth0": 5, "eth1": 5}
    for times in bench.asked.values():
        times.clear()
    bench.run(60, report=None)  # a director that reports nothing is also asked for its addresses
    assert {name: most(times) for name, times in bench.asked.items()} == {"eth0": 6, "eth1": 5}


@pytest.mark.parametrize("answering", [GONE, BLIND, {**WHOLE, "eth1": set()}], ids=["dead", "blind", "dedicated"])
def test_doubt_ends_soon(answering):
    """Haste lasts for less than a second, and is no flood. After that, questions on a silent link are slow again."""
    bench = Bench()
    for times in bench.asked.values():
        times.clear()
    bench.run(3, answering=answering)
    assert max(most(times) for times in bench.asked.values()) <= 20
    for times in bench.asked.values():
        times.clear()
    bench.run(20)
    assert max(most(times) for times in bench.asked.values()) <= 12


class Start(Bench):
    """A director that has just started, with its table, and does not hear Heartbeat yet."""

    def __init__(self, node="dir1", age=1.0, services=2, **changes):
        super().__init__(node, **{"resources": FILE["resources"][:1]} | changes)
        self.judge.lost("it starts")
        self.judge.age, self.judge.services = age, services
        self.there, self.report, self.beating, self.resources = set(), None, "", "none"


def test_what_nobody_has_when_both_start_is_taken_by_the_preferred_director():
    """Heartbeat would wait for ten seconds, and then run its scripts."""
    assert Start("dir1").run(0.8).changes == []
    assert Start("dir1").run(1.5).changes == [TAKEN]
    assert Start("dir2").run(4.5).changes == []
    assert Start("dir2").run(7).changes == [TAKEN], "it has not come"


def test_who_starts_alone_takes_what_nobody_has():
    """Heartbeat would wait for initdead."""
    assert Start("dir2").run(3, answering=GONE).changes == [TAKEN]


def test_it_is_taken_too_when_the_table_is_there_after_heartbeat():
    """Both Heartbeats are waiting then, and hold nothing."""
    bench = Start(services=0).run(3)
    bench.judge.joined("active", 8, bench.now)
    bench.run(3, report=vips.Report(claims="none"), beating="active", resources="none")
    assert bench.changes == []
    bench.judge.services = 2
    assert bench.run(1.5).changes == [TAKEN]


def test_what_a_young_heartbeat_gives_up_when_it_is_stopped_is_not_taken_back():
    """Nobody takes over, so nobody has it then. The next start takes it again."""
    bench = Start(age=20.0)
    bench.judge.joined("dead", 20, bench.now)
    bench.judge.hand_over(bench.now, 5)
    assert bench.run(20, beating="dead", answering=GONE).count("take") == 0
    bench.judge.lost("Heartbeat has closed the connection")
    bench.judge.age = 1.0
    assert bench.run(3).changes[-1] == TAKEN


@pytest.mark.parametrize("node", ["dir1", "dir2"])
@pytest.mark.parametrize(
    ("start", "state"),
    [
        pytest.param({}, {"there": {VIP}}, id="the other one has it"),
        pytest.param({}, {"answering": {"eth0": set(), "eth1": {"198.51.100.11", "198.51.100.12"}}}, id="no network"),
        pytest.param({"services": 0}, {}, id="no table"),
        pytest.param({"age": 61}, {}, id="no start"),
        pytest.param({"age": float("inf")}, {}, id="no Heartbeat"),
        pytest.param(
            {"resources": FILE["resources"]},
            {},
            id="resources that Heartbeat's start would leave out beside an address that is there",
        ),
    ],
)
def test_nothing_is_taken_at_a_start(node, start, state):
    assert Start(node, **start).run(30, **state).changes == []


def of_group(*addresses):
    """Return resources that prefer dir1, in this order."""
    return [{"script": "IPaddr2", "arguments": [f"{address}/24/eth0"], "node": "dir1"} for address in addresses]


@pytest.mark.parametrize("node", ["dir1", "dir2"])
@pytest.mark.parametrize("held", ["192.0.2.31", "192.0.2.32"])
def test_nothing_is_taken_at_a_start_while_the_other_director_has_some_of_what_moves_together(node, held):
    """A director comes back with an old file, whose first address is nobody's any more. It took what the other had."""
    bench = Start(node, resources=of_group(VIP, "192.0.2.31", "192.0.2.32"))
    assert bench.run(30, there={held}).changes == []


def test_what_moves_together_is_taken_together_at_a_start_with_few_questions():
    """The preferred director asks for each address as often as for one alone, and the other one not more often."""
    group = ["192.0.2.30", "192.0.2.31", "192.0.2.32"]
    for node, seconds in (("dir1", 1.5), ("dir2", 7)):
        bench = Start(node, resources=of_group(*group))
        bench.asked["eth0"].clear()
        assert bench.run(seconds).changes == [("take", group)]
        peace = (5 + len(group)) * seconds  # the questions to the other director, and those of each look
        assert len(bench.asked["eth0"]) <= peace + 20 + 5 * len(group) + 5


def test_nothing_is_taken_at_a_start_where_the_other_director_reports_some_of_what_moves_together():
    """Its answers get lost on that network."""
    bench = Start(resources=of_group(VIP, "192.0.2.31"))
    report = vips.Report(held=("192.0.2.31",), claims="transition")
    bench.judge.joined("active", 1, bench.now)
    bench.run(0.01, report=report, beating="active")
    bench.judge.reported(report, bench.now)
    assert bench.run(30).changes == []


@pytest.mark.parametrize("report", [vips.Report(held=(VIP,)), vips.Report(claims="all")])
def test_nothing_is_taken_at_a_start_that_the_other_director_has_by_its_word(report):
    """This director's questions get lost on that network, so the other one answers for no address."""
    bench = Start()
    bench.judge.joined("active", 1, bench.now)
    bench.run(0.01, report=report, beating="active")
    bench.judge.reported(report, bench.now)
    assert bench.run(30).changes == []


# --- a Heartbeat whose sockets are bound to interfaces that are no more


@pytest.mark.parametrize(
    ("holds", "deaf", "restarts"),
    [
        pytest.param(False, {"eth1"}, 1, id="nobody misses a standby"),
        pytest.param(True, {"eth1"}, 0, id="the holder still hears the other one"),
        pytest.param(False, {"eth0", "eth1"}, 1, id="a standby that hears nothing"),
        pytest.param(True, {"eth0", "eth1"}, 1, id="a holder that hears nothing"),
        pytest.param(False, set(), 0, id="all hear"),
    ],
)
def test_heartbeat_starts_anew_where_it_is_deaf(holds, deaf, restarts):
    bench = Bench(holds=holds)
    bench.judge.deaf.links = frozenset(deaf)
    bench.run(vips.LOOK - 0.1)
    assert bench.count("restart") == 0
    bench.run(30)
    assert bench.count("restart") == restarts


def test_a_holder_restarts_its_deaf_heartbeat_only_beside_one_that_takes_over():
    """Else clients would be without service while it starts. A kernel that answers does not tell."""
    bench = Bench(holds=True)
    bench.judge.deaf.links = frozenset(WHOLE)
    assert bench.node("dead").run(60, answering=GONE, beating="", report=None).count("restart") == 0
    assert bench.run(60, answering=WHOLE).count("restart") == 0
    assert bench.run(30, there={VIP}).count("restart") == 1


def test_a_planned_end_of_a_deaf_heartbeat_is_not_undone():
    """systemd would cancel a stop that is under way for the sake of a restart."""
    bench = Bench(holds=True)
    bench.judge.age = 1000.0
    bench.judge.deaf.links = frozenset({"eth1"})
    bench.run(20)
    bench.judge.hand_over(bench.now, 10)
    bench.judge.reported(vips.Report(held=(VIP,), claims="all", answer="taken"), bench.now)
    bench.run(60, there={VIP}, resources="none", report=vips.Report(held=(VIP,), claims="all"))
    assert VIP not in bench.here
    assert bench.count("restart") == 0


def test_a_standby_waits_with_its_restart_until_nothing_moves():
    bench = Bench()
    bench.judge.deaf.links = frozenset({"eth1"})
    assert bench.run(20, resources="transition").count("restart") == 0
    assert bench.run(20, resources="none").count("restart") == 1


def test_a_restart_for_deafness_is_no_return_of_the_preferred_director():
    """An operator has moved the addresses in order to work on its network."""
    bench = Bench("dir1", failback=True)
    bench.judge.deaf.links = frozenset({"eth1"})
    assert bench.run(20).count("restart") == 1
    bench.judge.deaf.links = frozenset()
    bench.judge.lost("it restarts")
    bench.judge.joined("active", 5, bench.now)
    bench.run(90)
    assert bench.count("take") == 0


def test_a_standby_waits_while_nobody_is_known_to_hold_the_addresses():
    bench = Bench()
    bench.judge.deaf.links = frozenset({"eth1"})
    assert bench.run(20, report=None).count("restart") == 0


def test_a_deaf_heartbeat_that_a_restart_does_not_help_is_restarted_once_a_minute():
    bench = Bench()
    bench.judge.deaf.links = frozenset({"eth1"})
    assert bench.run(130).count("restart") == 3
    bench.judge.deaf.links = frozenset()
    assert bench.run(130).count("restart") == 3


# --- a virtual address that stands before this director's own


HELD = vips.Vip(VIP, 24, "eth0")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(("192.0.2.11", 24, 2, True), [HELD], id="behind it"),
        pytest.param(("192.0.2.11", 24, 2, False), [], id="both are first, one after the other was promoted"),
        pytest.param(("192.0.2.11", 24, 3, True), [], id="another interface"),
        pytest.param(("192.0.2.11", 25, 2, True), [], id="another prefix length"),
        pytest.param(("192.0.3.11", 24, 2, True), [], id="another network"),
        pytest.param(("192.0.2.31", 24, 2, True), [], id="another virtual address"),
        pytest.param(("2001:db8::11", 64, 2, False), [], id="another family"),
    ],
)
def test_a_virtual_address_does_not_stand_before_a_directors_own(own, expected):
    found = [vips.Address(VIP, 24, 2, False), vips.Address(*own)]
    held = [HELD, HELD._replace(address="192.0.2.31")]
    assert vips.in_front(held, found) == expected
    assert vips.in_front(held, found[::-1]) == expected


OWN, SINGLE = vips.Address("192.0.2.11", 24, 2, False), vips.Address(VIP, 32, 2, False)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        pytest.param([SINGLE, OWN], True, id="the director's own came later"),
        pytest.param([SINGLE, SINGLE._replace(address="192.0.2.31"), OWN], True, id="another virtual one between"),
        pytest.param([OWN, SINGLE], False, id="behind it"),
        pytest.param([SINGLE, OWN._replace(interface=3)], False, id="another interface"),
        pytest.param([SINGLE], False, id="no other one"),
        pytest.param([OWN._replace(address="2001:db8::1", prefix=64), SINGLE], False, id="another family"),
    ],
)
def test_a_virtual_address_that_is_a_subnet_by_itself_is_not_the_first_on_its_interface(found, wrong):
    """A route that names an interface alone, without a source, sends from the first one there."""
    held = [HELD._replace(prefix=32), HELD._replace(prefix=32, address="192.0.2.31")]
    assert (HELD._replace(prefix=32) in vips.in_front(held, found)) is wrong


def test_an_address_of_an_older_configuration_stays():
    """Adding it anew would add the new one."""
    found = [vips.Address(VIP, 24, 2, False), vips.Address("192.0.2.11", 24, 2, True)]
    assert vips.in_front([HELD._replace(prefix=25)], found) == []


def test_one_that_stands_behind_stays():
    found = [vips.Address("192.0.2.11", 24, 2, False), vips.Address(VIP, 24, 2, True)]
    assert vips.in_front([HELD], found) == []


@given(st.ip_addresses(), st.integers(0, 128), st.integers(1, 2**31 - 1), st.booleans())
def test_an_address_of_the_kernel_is_read(address, prefix, index, secondary):
    """rtnetlink(7): struct ifaddrmsg. Among addresses of IPv6, the flag means a temporary one."""
    prefix = min(prefix, address.max_prefixlen)
    message = bytearray(vips.address_message(vips.NEW_ADDRESS, vips.Vip(str(address), prefix, "eth0"), index, 1))
    message[18] = vips.SECONDARY if secondary else 0
    expected = vips.Address(str(address), prefix, index, secondary and address.version == 4)
    assert vips.read_address(bytes(message[16:])) == expected


def test_the_status_says_whether_a_restart_is_due(monkeypatch, tmp_path):
    """The role waits for it before it releases a VIP."""
    file = tmp_path / "vips.json"
    monkeypatch.setattr(vips, "CONFIGURATION", file)
    file.write_text("{}")
    service = vips.Service(vips.Settings())
    try:
        assert service.state()["current"] is True
        file.unlink()
        assert service.state()["current"] is False
    finally:
        service.control.close()


def test_who_has_new_sync_daemons_is_told_from_the_beginning():
    """The rounds are up to fifteen seconds apart, and this director may die before the next one."""
    service = vips.Service(vips.Settings(returned=("sleep", "600")))
    started = []
    try:
        for _reason in ("is back", "has new sync daemons"):
            service.judge.actions.append(vips.Action("start"))
            service.act()
            started.append(service.child)
        first, second = started
        assert first.wait(10) == -signal.SIGTERM
        assert second.poll() is None
    finally:
        for child in started:
            child.kill()
            child.wait()
        service.control.close()


class Pair:
    """Two directors that have read which of them an address prefers now, dir2; so far dir1 holds it."""

    def __init__(self, *words):
        resources = [ADDRESSES[0] | {"node": "dir2"}]
        self.benches = [Bench(node, holds=node == "dir1", resources=resources) for node in ("dir1", "dir2")]
        for bench, word in zip(self.benches, words, strict=True):
            bench.resources = word
        self.fewest = self.most = 1

    def run(self, seconds):
        for _second in range(seconds):
            for own, other in (self.benches, self.benches[::-1]):
                held = tuple({VIP} & other.here)
                own.run(1, there=set(held), report=vips.Report(held=held, claims=other.resources))
            holders = sum(VIP in bench.here for bench in self.benches)
            self.fewest, self.most = min(self.fewest, holders), max(self.most, holders)
        return [bench.settings.node for bench in self.benches if VIP in bench.here]


@pytest.mark.parametrize("acquired", [False, True])
@pytest.mark.parametrize(
    ("words", "holders"),
    [
        (("local", "local"), ["dir2"]),
        (("all", "none"), ["dir1"]),
        (("all", "transition"), ["dir1"]),
        (("local", "none"), ["dir1"]),
        (("none", "all"), ["dir2"]),
    ],
)
def test_an_address_that_prefers_the_other_director_now_is_always_somewhere(words, holders, acquired):
    """The role does not release it. acquired: Heartbeat adds it there, as the role asks for; else this program does."""
    pair = Pair(*words)
    if acquired and holders == ["dir2"]:
        pair.benches[1].here.add(VIP)
        pair.benches[1].judge.kernel(pair.benches[1].here, pair.benches[1].now)
    assert pair.run(40) == holders
    assert pair.fewest == 1
    assert pair.run(200) == holders
    assert pair.fewest == 1
