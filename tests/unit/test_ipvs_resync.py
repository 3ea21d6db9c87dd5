# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ipvs-resync makes of the kernel's lists: messages as ip_vs_sync.c reads them."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import load

resync = load("roles/lvs_director/files/ipvs-resync")

TABLE = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C612141E:0050 wrr
  -> C6121416:0050      Route   1      0          0
TCP  [2001:0db8:0000:0000:0000:0000:0000:0030]:0050 wrr
  -> [2001:0db8:0000:0000:0000:0000:0000:0021]:0050      Tunnel  1      0          0
FWM  00000007 wlc persistent 300
  -> 0A000005:0000      Masq    1      0          0
""".splitlines()
KNOWN = resync.destinations(TABLE)


def line(protocol, client, vip, server, state="ESTABLISHED", expires=899):
    return f"{protocol:3} {client} {vip} {server} {state:11} {expires:7}"


V4 = line("TCP", "C6121464 8AE6", "C612141E 0050", "C6121416 0050")
V6 = line(
    "TCP",
    "2001:0db8:0000:0000:0000:0000:0000:0100 8AE6",
    "2001:0db8:0000:0000:0000:0000:0000:0030 0050",
    "2001:0db8:0000:0000:0000:0000:0000:0021 0050",
)


def read(entry):
    """Read an entry as ip_vs_proc_sync_conn() does."""
    kind, protocol, size, flags, state, *ports, mark, timeout = struct.unpack_from("!BBHIHHHHII", entry)
    width = 16 if kind & 1 else 4
    family = socket.AF_INET6 if kind & 1 else socket.AF_INET
    addresses = [socket.inet_ntop(family, entry[24 + at * width :][:width]) for at in range(3)]
    assert size == len(entry) == (72 if kind & 1 else 36)  # sizeof(struct ip_vs_sync_v6), ..._v4
    return protocol, flags, state, ports, mark, timeout, addresses


def test_an_established_connection_is_told():
    """The message has client, VIP, real server and how to reach it, but no time: the other kernel sets its own."""
    (entry,) = resync.entries([V4], KNOWN)
    ports = [0x8AE6, 80, 80]
    assert read(entry) == (6, 3, 1, ports, 0, 0, ["198.18.20.100", "198.18.20.30", "198.18.20.22"])


def test_ipv6_is_told():
    """With the type's lowest bit (STYPE_F_INET6)."""
    (entry,) = resync.entries([V6], KNOWN)
    assert read(entry)[1] == 2
    assert read(entry)[-1] == ["2001:db8::100", "2001:db8::30", "2001:db8::21"]


def test_a_mark_goes_with_its_connection():
    """A connection of a fwmark service has the packet's own address; the other kernel finds the service by the mark."""
    (entry,) = resync.entries([line("TCP", "C6121464 8AE6", "CB007101 01BB", "0A000005 01BB")], KNOWN)
    assert (read(entry)[1], read(entry)[4]) == (0, 7)


def test_a_template_keeps_its_time():
    """Persistence: port 0, the template flag, and the seconds that are left."""
    (entry,) = resync.entries([line("TCP", "C6121464 0000", "C612141E 0050", "C6121416 0050", "NONE", 77)], KNOWN)
    assert (read(entry)[1], read(entry)[5]) == (0x1003, 77)


def test_what_ends_and_what_is_unknown_is_left_out():
    """Closing connections are not worth telling; without a known real server nobody could use them."""
    closing = V4.replace("ESTABLISHED", "FIN_WAIT   ")
    unknown = V4.replace("C6121416", "C6121417")
    assert list(resync.entries(["Pro FromIP", closing, unknown, ""], KNOWN)) == []


@given(st.lists(st.sampled_from([V4, V6]), max_size=600), st.integers(1024, 65487), st.integers(0, 255))
def test_datagrams_hold_every_entry_once_and_stay_short(lines, longest, syncid):
    """ip_vs_process_message(): version 1, the size is that of the datagram, at most 255 connections."""
    entries = list(resync.entries(lines, KNOWN))
    told = b""
    for message in resync.messages(entries, syncid, longest):
        reserved, number, size, count, version, spare = struct.unpack_from("!BBHBbH", message)
        assert (reserved, number, size, version, spare) == (0, syncid, len(message), 1, 0)
        assert 0 < count <= 255
        assert len(message) <= longest
        told += message[8:]
    assert told == b"".join(entries)


def origin(entry, word):
    """Return a line of ip_vs_conn as ip_vs_conn_sync has it."""
    *words, expires = entry.split()
    return " ".join([*words, word, expires])


def test_a_connection_is_told_once_and_by_its_own_director():
    ends = line("TCP", "C6121464 8AE7", "C612141E 0050", "C6121416 0050", state="FIN_WAIT")
    template = line("TCP", "C6121464 0000", "C612141E 0050", "C6121416 0050", state="ASSURED", expires=300)
    lines = ["Pro FromIP FPrt ToIP TPrt DestIP DPrt State Origin Expires"]
    lines += [origin(V4, "LOCAL"), origin(V6, "SYNC"), origin(ends, "LOCAL"), origin(template, "LOCAL")]
    new, told = resync.fresh(lines, set())
    assert list(resync.entries(new, KNOWN)) == list(resync.entries([V4, template], KNOWN))
    assert resync.fresh(lines, told) == ([], told)
    # Its number may be another connection's after its end.
    assert resync.fresh([], told) == ([], set())
    assert resync.fresh(lines[:2], set())[0] == new[:1]


STARTED = "--mcast-interface eth1 --syncid 7 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1"


class Daemons:
    """What the kernel says of two daemons on eth1. The first try to start one fails, as without an address."""

    def __init__(self) -> None:
        told = "sync daemon (mcast=eth1, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
        self.running = {role: f"{role} {told}" for role in ("backup", "master")}
        self.log: list[str] = []
        self.tried = False

    def show(self) -> str:
        return "\n".join(self.running.values())

    def change(self, command: str, role: str, *options: str) -> bool:
        self.log.append(" ".join((command, role, *options)))
        if command == "--stop-daemon":
            return self.running.pop(role, None) is not None
        tried, self.tried = self.tried, True
        if tried:
            name, number, group, port, ttl = options[1::2]
            told = f"mcast={name}, syncid={number}, maxlen=1472, group={group}, port={port}, ttl={ttl}"
            self.running[role] = f"{role} sync daemon ({told})"
        return tried

    def done(self) -> list[str]:
        """Return what was done since the last question."""
        lines, self.log = self.log, []
        return lines


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch) -> Daemons:
    """Stand at the edge of the program; the scenario faults has the kernel's own daemons."""
    found = Daemons()
    monkeypatch.setattr(resync, "daemons", found.show)
    monkeypatch.setattr(resync, "ipvsadm", found.change)
    monkeypatch.setattr(resync, "RETRY", 0.0)
    return found


def index(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let every interface have this number, or none."""

    def found(name: str) -> int:
        if not number:
            raise OSError("no interface with this name")
        return number

    monkeypatch.setattr(resync.socket, "if_nametoindex", found)


def test_daemons_start_anew_once_their_interface_was_made_anew(daemons, monkeypatch, capsys, tmp_path):
    """They are bound to an index, and only tell the name. An absence alone is no reason."""
    interface = resync.NOWHERE
    for number in (4, 4, 0, 4, 0):
        index(monkeypatch, number)
        settings, interface = resync.look(interface)
        assert (settings["mcast"], interface) == ("eth1", ("eth1", 4))
    assert daemons.done() == []
    assert capsys.readouterr().out == ""
    index(monkeypatch, 9)
    monkeypatch.setattr(resync, "SINCE", tmp_path / "since")
    assert resync.look(interface)[1] == ("eth1", 9)
    assert (tmp_path / "since").exists()
    backup, master = (f"--start-daemon {role} {STARTED}" for role in ("backup", "master"))
    stops = ["--stop-daemon backup", "--stop-daemon master"]
    assert daemons.done() == [*stops, backup, master, backup]  # the first try has failed
    assert capsys.readouterr().out.startswith("eth1 was made anew")
    settings, interface = resync.look(resync.Interface("eth1", 9))
    assert (settings["group"], interface) == ("224.0.0.81", ("eth1", 9))
    assert daemons.done() == []


def test_daemons_that_somebody_else_starts_on_another_interface_are_left_alone(daemons, monkeypatch):
    index(monkeypatch, 9)
    assert resync.look(resync.Interface("eth0", 4))[1] == ("eth1", 9)
    del daemons.running["master"]
    assert resync.look(resync.Interface("eth1", 4)) == (None, resync.NOWHERE)
    assert daemons.done() == []


class Killed(BaseException):
    """What ends the program."""


def test_a_run_that_was_killed_between_stop_and_start_is_made_up_for(daemons, monkeypatch):
    """No daemon runs any longer that could tell the settings, so the unit has them, too."""
    options = STARTED.split()

    def killed(seconds: float) -> None:
        raise Killed

    index(monkeypatch, 4)
    with monkeypatch.context() as first:
        first.setattr(resync.time, "sleep", killed)
        with pytest.raises(Killed):
            resync.renew(resync.master())
    assert daemons.running == {}
    daemons.done()
    stamps = iter([(1, 1), (2, 2)])  # its file changes: it ends before its first look
    monkeypatch.setattr(resync, "stamp", lambda: next(stamps))
    monkeypatch.setattr(resync.sys, "argv", ["ipvs-resync", "follow", *options])
    resync.main()
    assert sorted(daemons.running) == ["backup", "master"]
    assert daemons.done() == [f"--start-daemon {role} {STARTED}" for role in ("backup", "master")]


@pytest.mark.parametrize("lacking", [[], ["master"], ["backup"]])
def test_a_start_leaves_a_running_daemon_alone(daemons, lacking):
    daemons.tried = True
    for role in lacking:
        del daemons.running[role]
    resync.start(STARTED.split())
    assert sorted(daemons.running) == ["backup", "master"]
    assert daemons.done() == [f"--start-daemon {role} {STARTED}" for role in lacking]


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        (["7", "7", "7"], 1),
        ([None, "7", "7"], 1),  # the daemons started late: what began before has not been told
        (["7", None, "7"], 2),  # somebody has stopped them, and site has started them
        (["7", "8", "8"], 2),
    ],
)
def test_what_nobody_can_have_heard_is_told_again(told, sent, monkeypatch, tmp_path):
    """One connection that says nothing any more, and looks at the master daemon."""
    looks = iter([({"syncid": each} if each else None, resync.NOWHERE) for each in told])
    stamps = iter([(1, 1)] * (len(told) + 1) + [(2, 2)])
    (tmp_path / "connections").write_text(origin(V4, "LOCAL"), encoding="utf-8")
    messages = []
    monkeypatch.setattr(resync, "ORIGINS", tmp_path / "connections")
    monkeypatch.setattr(resync, "SETTINGS_FOR", 0.0)
    monkeypatch.setattr(resync, "INTERVAL", 0.0)
    monkeypatch.setattr(resync, "look", lambda known: next(looks))
    monkeypatch.setattr(resync, "stamp", lambda: next(stamps))
    monkeypatch.setattr(resync, "send", lambda settings, new: messages.append(new))
    monkeypatch.setattr(resync, "SINCE", tmp_path / "since")
    resync.follow([])
    assert len(messages) == sent
    assert (tmp_path / "since").read_text(encoding="utf-8") != ""
