# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heartbeat-vips says to the kernel and to the network, byte by byte, and when."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

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


@given(st.ip_addresses(v=4), st.binary(min_size=6, max_size=6))
def test_gratuitous_arp_comes_in_both_forms(address, mac):
    """RFC 5227: sender and target address are the announced one; some hosts heed requests only, some answers only."""
    frames = vips.frames(str(address), mac)
    assert [struct.unpack_from("!H", frame, 20)[0] for frame in frames] == [1, 2]
    for frame in frames:
        assert len(frame) == 42
        assert (frame[:6], frame[6:12], frame[22:28]) == (b"\xff" * 6, mac, mac)
        assert frame[28:32] == frame[38:42] == address.packed


@given(st.ip_addresses(v=6), st.binary(min_size=6, max_size=6))
def test_neighbours_are_told_with_a_right_checksum(address, mac):
    """RFC 4861, 4.4 and 7.2.6: hop limit 255, to all nodes, override; RFC 4443, 2.3 for the checksum."""
    (frame,) = vips.frames(str(address), mac)
    header, body = frame[14:54], frame[54:]
    assert frame[:6] == bytes.fromhex("333300000001")
    assert header[7] == 255
    assert ip_address(header[24:40]) == ip_address("ff02::1")
    assert (body[0], body[4], body[8:24], body[26:32]) == (136, 0x20, address.packed, mac)
    assert vips.checksum(header[8:40] + struct.pack("!II", len(body), 58) + body) == 0


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.binary(min_size=6, max_size=6))
def test_an_answer_to_a_question_is_heard(own, other, mac):
    """RFC 826: sender and target change places; anything else, such as gratuitous ARP, is no answer."""
    reply = vips.arp(2, mac, str(other), str(own), to=MAC, about=MAC)
    assert vips.answer(reply + bytes(18), MAC) == (str(other), mac)  # Ethernet pads a frame to 60 bytes
    for frame in (b"", reply[:41], vips.arp(1, mac, str(other), str(own)), *vips.frames(str(other), mac)):
        assert vips.answer(frame, MAC) is None


@pytest.mark.parametrize(("text", "expected"), [("3", 3), ("1.5", 1.5), ("500ms", 0.5), ("250000us", 0.25), ("0", 0)])
def test_times_are_read_as_ha_cf_has_them(text, expected):
    """heartbeat_config has the rules; this program stands alone."""
    assert vips.seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [("all", "ab"), ("local", "a"), ("foreign", "b"), ("none", ""), ("transition", ""), ("unknown", "")],
)
def test_what_heartbeat_believes_to_hold(resources, expected):
    """cl_status rscstatus: local is what prefers this node."""
    found = [vips.Vip(name, 24, "eth0", node) for name, node in (("a", "dir1"), ("b", "dir2"))]
    assert "".join(vip.address for vip in found if vips.claimed(vip, "dir1", resources)) == expected


LINKS = ("eth0", "eth1")


@given(
    st.lists(st.sampled_from(["ask", *(f"{who} {link}" for who in ("peer", "witness") for link in LINKS)]), max_size=80)
)
def test_silence_means_no_answer_on_any_link_but_one_of_a_witness(events):
    """One answer on one link, and the other director is alive for QUESTIONS more questions, whatever came before."""
    silence = vips.Silence(LINKS)
    unanswered, witnessed = {}, dict.fromkeys(LINKS, False)
    for event in events:
        who, _space, link = event.partition(" ")
        if who == "peer":
            silence.answered(link)
            unanswered[link] = 0
        elif who == "witness":
            silence.unwitnessed[link] = 0
            witnessed[link] = True
        else:
            for link in LINKS:
                silence.asked(link)
                unanswered = {name: count + (name == link) for name, count in unanswered.items()}
                witnessed[link] &= unanswered.get(link, 0) >= 2  # what a witness has said before the doubt is old
    silent = min(unanswered.values(), default=0) >= vips.QUESTIONS
    assert silence.over == (silent and any(witnessed[link] for link in unanswered))
    lost = [link for link, count in unanswered.items() if count >= vips.LOST and witnessed[link]]
    assert silence.cut_off() == ([] if silent else lost)


class Network:
    """The other director's kernel, as the links find it: which addresses it answers for."""

    def __init__(self) -> None:
        self.answering = {"eth0": {"192.0.2.11"}, "eth1": {"198.51.100.11"}}
        self.asked: list[tuple[str, str]] = []


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def now(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(vips.time, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def watcher(monkeypatch, network, now):
    """A watcher on dir2, whose kernel is a set of addresses and whose network is the fixture's."""
    here = {"192.0.2.12", "198.51.100.12"}
    done = []

    def take(wanted):
        added = [vip for vip in wanted if vip.address not in here]
        here.update(vip.address for vip in added)
        done.append(("take", [vip.address for vip in added]))
        return added, []

    def drop(wanted):
        dropped = [vip for vip in wanted if vip.address in here]
        here.difference_update(vip.address for vip in dropped)
        done.append(("drop", [vip.address for vip in dropped]))
        return dropped, []

    def ask(link, address, _to=None):
        network.asked.append((link.interface, address))
        link.answered.discard(address)

    def answers(link):
        mine = [address for interface, address in network.asked if interface == link.interface]
        network.asked = [entry for entry in network.asked if entry[0] != link.interface]
        for address in mine:
            mac = b"peer00" if address in network.answering[link.interface] - {"192.0.2.21"} else b"third0"
            if address in network.answering[link.interface]:
                link.macs[address] = mac
                link.answered.add(address)
                yield address, mac

    monkeypatch.setattr(vips, "take", take)
    monkeypatch.setattr(vips, "drop", drop)
    monkeypatch.setattr(vips, "announce", lambda wanted: done.append(("announce", [vip.address for vip in wanted])))
    monkeypatch.setattr(vips, "own_addresses", lambda: here)
    monkeypatch.setattr(vips.Link, "ask", ask)
    monkeypatch.setattr(vips.Link, "answers", answers)
    monkeypatch.setattr(vips.subprocess, "Popen", lambda command, **_: done.append(("start", command)))
    found = vips.Watcher(
        {
            "node": "dir2",
            "peer": "dir1",
            "first": False,
            "resources": [
                {"script": "IPaddr2", "arguments": ["192.0.2.30/24/eth0"], "node": "dir1"},
                {"script": "ldirectord", "arguments": [], "node": "dir1"},
            ],
            "links": {"eth0": ["192.0.2.11", "192.0.2.12"], "eth1": ["198.51.100.11", "198.51.100.12"]},
            "witnesses": {"eth0": ["192.0.2.21"]},
            "silence": "300ms",
            "deadtime": "3",
            "returned": ["true"],
            "failback": True,
        }
    )
    network.answering["eth0"].add("192.0.2.21")
    found.heartbeat = HeartbeatSays("none")
    found.status = "active"
    found.done, found.here = done, here
    return found


class HeartbeatSays:
    """What Heartbeat believes this node to hold."""

    def __init__(self, resources: str) -> None:
        self._resources = resources

    def resources(self) -> str:
        return self._resources

    def close(self) -> None:
        pass


def beats(watcher, now, seconds):
    """Let time pass, with the service's steps in it."""
    end = now[0] + seconds
    while now[0] < end:
        now[0] += 0.06
        watcher.notice_pause()
        watcher.again()
        watcher.beat()


def kinds(watcher):
    return [what for what, _vips in watcher.done]


def test_only_the_peers_death_counts(watcher):
    """Ping nodes and this director itself have a status as well."""
    for node, status in (("192.0.2.1", "dead"), ("dir2", "dead"), ("dir1", "up"), ("dir1", "init")):
        watcher.changed(node, status)
    assert watcher.done == []


def test_addresses_are_taken_then_announced_again_and_again(watcher, now):
    """At once, and until ten seconds later, for a switch or a client may not listen yet."""
    watcher.changed("dir1", "dead")
    assert watcher.done == [("take", ["192.0.2.30"]), ("announce", ["192.0.2.30"])]
    for _tenth in range(120):
        now[0] += 0.1
        watcher.again()
    assert kinds(watcher)[2:] == ["announce"] * len(vips.AGAIN)


def test_a_director_that_is_back_is_told_what_it_missed(watcher):
    """Its sync daemon has heard nothing while it was away."""
    watcher.changed("dir1", "active")
    assert watcher.done == [("start", ["true"])]


def test_a_machine_without_power_is_missed_long_before_the_deadtime(watcher, network, now):
    """Nobody answers on any link, but a real server does."""
    beats(watcher, now, 3)
    assert watcher.done == []
    network.answering = {"eth0": {"192.0.2.21"}, "eth1": set()}
    beats(watcher, now, 0.45)
    assert watcher.done[0] == ("take", ["192.0.2.30"])


@pytest.mark.parametrize(
    "answering",
    [
        pytest.param({"eth0": {"192.0.2.11", "192.0.2.21"}, "eth1": set()}, id="the dedicated link is cut"),
        pytest.param({"eth0": set(), "eth1": {"198.51.100.11"}}, id="the public network is down, or this one's link"),
        pytest.param({"eth0": set(), "eth1": set()}, id="this director is cut off"),
    ],
)
def test_a_cut_link_takes_nothing(watcher, network, now, answering):
    """Whoever takes addresses then makes two holders."""
    beats(watcher, now, 3)
    network.answering = answering
    beats(watcher, now, 30)
    assert watcher.done == []


def test_a_director_that_clients_cannot_reach_hands_over(watcher, network, now):
    """Its link to them is gone, and only that; Heartbeat, which has other links, is told."""
    beats(watcher, now, 3)
    network.answering = {"eth0": {"192.0.2.21"}, "eth1": {"198.51.100.11"}}
    beats(watcher, now, 60)
    assert [entry for entry in watcher.done if entry[0] != "announce"] == [
        ("take", ["192.0.2.30"]),
        ("start", [vips.TAKEOVER, "all"]),
    ]


def test_what_was_taken_on_trial_is_given_up_and_not_tried_again_soon(watcher, network, now):
    """A switch that stood still for a second; Heartbeat has said nothing."""
    beats(watcher, now, 3)
    for _time in range(2):
        whole, network.answering = network.answering, {"eth0": {"192.0.2.21"}, "eth1": set()}
        beats(watcher, now, 1)
        network.answering = whole
        beats(watcher, now, 1)
    assert [entry for entry in watcher.done if entry[0] != "announce"] == [
        ("take", ["192.0.2.30"]),
        ("drop", ["192.0.2.30"]),
    ]


def test_what_heartbeat_confirms_is_kept(watcher, network, now):
    """The other director's kernel may answer again before its Heartbeat is back."""
    beats(watcher, now, 3)
    whole, network.answering = network.answering, {"eth0": {"192.0.2.21"}, "eth1": set()}
    beats(watcher, now, 1)
    watcher.changed("dir1", "dead")
    network.answering = whole
    beats(watcher, now, 30)
    assert "drop" not in kinds(watcher)


@pytest.mark.parametrize(
    ("heartbeat", "status", "seconds"),
    [
        pytest.param(None, "", 6, id="Heartbeat was killed"),
        pytest.param(HeartbeatSays("all"), "active", 60, id="both believe to hold it, and this is the second director"),
    ],
)
def test_of_two_holders_one_gives_way(watcher, network, now, heartbeat, status, seconds):
    """After a partition, or when Heartbeat was killed."""
    watcher.here.add("192.0.2.30")
    network.answering["eth0"].add("192.0.2.30")
    watcher.heartbeat, watcher.status = heartbeat, status
    beats(watcher, now, seconds)
    assert watcher.done == [("drop", ["192.0.2.30"])]


@pytest.mark.parametrize(
    ("first", "status"),
    [
        pytest.param(True, "active", id="first director"),
        pytest.param(False, "dead", id="the other's Heartbeat stands"),
        pytest.param(False, "transition", id="Heartbeat moves something"),
        pytest.param(False, "taken", id="a slow switchover"),
    ],
)
def test_the_other_one_does_not(watcher, network, now, monkeypatch, tmp_path, first, status):
    """Else nobody would be left; it tells the neighbours once the conflict is over."""
    watcher.here.add("192.0.2.30")
    network.answering["eth0"].add("192.0.2.30")
    watcher.first, watcher.status = first, status
    if status == "transition":
        watcher.heartbeat, watcher.status = HeartbeatSays("transition"), "active"
    elif status == "taken":
        watcher.status = "active"
        monkeypatch.setattr(vips, "TAKEN", tmp_path / "taken")
        vips.TAKEN.touch()
    beats(watcher, now, 60)
    assert watcher.done == []
    network.answering["eth0"].remove("192.0.2.30")
    beats(watcher, now, 5)
    assert watcher.done[0] == ("announce", ["192.0.2.30"])


def test_a_director_that_stood_still_gives_way(watcher, network, now):
    """Paused for longer than the deadtime: the other one has taken the addresses, and has told everybody."""
    watcher.here.add("192.0.2.30")
    watcher.first = True
    beats(watcher, now, 3)
    now[0] += 10
    network.answering["eth0"].add("192.0.2.30")
    beats(watcher, now, 6)
    assert watcher.done == [("drop", ["192.0.2.30"])]


@pytest.mark.parametrize(("stood_still", "expected"), [(False, ["192.0.2.30"]), (True, [])])
def test_heartbeats_restart_after_a_partition_leaves_nobody_without_an_address(watcher, now, stood_still, expected):
    """Both Heartbeats give up everything and begin anew; who has held an address goes on, unless it stood still."""
    watcher.status = "dead"
    watcher.here.add("192.0.2.30")
    beats(watcher, now, 3)
    now[0] += 10 * stood_still
    watcher.notice_pause()
    watcher.changed("dir1", "active")
    watcher.lost("Heartbeat has closed the connection")
    watcher.here.remove("192.0.2.30")
    beats(watcher, now, 1)
    assert [address for what, found in watcher.done if what == "take" for address in found] == expected


def test_a_death_soon_after_a_partition_is_a_death(watcher, network, now):
    """Heartbeat was killed on the first director, whose kernel still has the address: this one keeps it, too."""
    watcher.status = "dead"
    watcher.changed("dir1", "active")
    beats(watcher, now, 20)
    watcher.done.clear()
    network.answering["eth0"].add("192.0.2.30")
    watcher.changed("dir1", "dead")
    beats(watcher, now, 20)
    assert set(kinds(watcher)) == {"take", "announce"}


@pytest.mark.parametrize(
    ("node", "resources", "expected"),
    [("dir2", "none", True), ("dir2", "foreign", True), ("dir2", "local", False), ("dir1", "none", False)],
)
def test_a_preferred_director_takes_its_addresses_back_before_the_other_gives_them_up(
    watcher, network, now, node, resources, expected
):
    """Only those that prefer it; who has them already has nothing to do."""
    (watcher.here if resources == "local" else network.answering["eth0"]).add("192.0.2.30")
    watcher.vips = [vip._replace(node=node) for vip in watcher.vips]
    watcher.heartbeat = HeartbeatSays(resources)
    watcher.failback_at = now[0] + vips.FAILBACK
    beats(watcher, now, vips.FAILBACK - 1)
    assert watcher.done == []
    beats(watcher, now, 3)
    told = ("start", [vips.TAKEOVER, "local"])
    assert [entry for entry in watcher.done if entry[0] == "start"] == [told] * expected
    assert (watcher.done[:1] == [("take", ["192.0.2.30"])]) is expected


def test_an_address_that_is_given_back_is_not_kept(watcher, now):
    """auto_failback: the other director has started, and this one's Heartbeat runs on."""
    watcher.status = "dead"
    watcher.here.add("192.0.2.30")
    for status in ("init", "up", "active"):
        watcher.changed("dir1", status)
    watcher.here.remove("192.0.2.30")
    beats(watcher, now, 5)
    assert "take" not in kinds(watcher)


@pytest.mark.parametrize(("resources", "expected"), [("foreign", True), ("local", False), ("none", False)])
def test_an_address_that_nobody_holds_is_taken_by_who_should_have_it(watcher, now, resources, expected):
    """It prefers dir1, so that it is foreign to dir2; not at once, for Heartbeat's scripts need their time."""
    watcher.heartbeat = HeartbeatSays(resources)
    beats(watcher, now, 6)
    assert watcher.done == []
    beats(watcher, now, 20)
    assert (("take", ["192.0.2.30"]) in watcher.done) == expected
