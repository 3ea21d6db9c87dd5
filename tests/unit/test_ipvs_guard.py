# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ipvs-guard reads, and what it puts back: what was there and is wanted, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ipvs_tables import tables
from programs import load

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table, print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.plan import apply, plan

guard = load("roles/lvs_director/files/ipvs-guard")

CONFIG = """\
# made by Ansible
quiescent = yes
cleanstop = no
autoreload = yes

# web
virtual = 198.18.20.30:80
    protocol = tcp
    scheduler = wrr
    persistent = 300
    netmask = 255.255.255.0
    real = 198.18.20.21:80 gate 1
    real = 198.18.20.22:8080 gate 2
    # a comment does not end it
    fallback = 127.0.0.1:80 gate
    request = "index.html"
    receive = "happy # day"

# six
virtual6 = [2001:db8::30]:25
    protocol = tcp
    scheduler = wlc
    persistent = 60
    real6 = [2001:db8::21]:25 masq 1

# marked
virtual = 7
    protocol = fwm
    scheduler = rr
    real = 198.18.20.21:80 ipip 3

# names
virtual = 198.18.20.30:53
    protocol = udp
    scheduler = wlc
    real = 198.18.20.21:5353 masq 1
"""
WEB = guard.Key("TCP", 4, "198.18.20.30", 80)
REAL1, REAL2, LOCAL = ("198.18.20.21", 80), ("198.18.20.22", 80), ("127.0.0.1", 80)
WANTED = guard.read_config(CONFIG)

SHOWN = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C612141E:0050 wrr persistent 30000 FFFFFF00
  -> C6121416:0050      Route   2      5          7
  -> C6121415:0050      Route   1      0          0
TCP  [2001:0db8:0000:0000:0000:0000:0000:0030]:0019 wlc persistent 6000 80000000
  -> [2001:0db8:0000:0000:0000:0000:0000:0021]:0019      Masq    1      0          0
FWM  00000007 rr
  -> C6121415:0000      Tunnel  3      0          0
UDP  C612141E:0035 wlc
  -> C6121415:14E9      Masq    1      0          0
""".splitlines()
TABLE = guard.read_table(SHOWN)


def without(*patterns, lines=SHOWN):
    """Return what the kernel shows without some lines."""
    return guard.read_table(line for line in lines if not any(pattern in line for pattern in patterns))


def put_back(*looks, wanted=None):
    """Return what the guard puts back after the last of some looks at the table, while the file stays the same."""
    known = {}
    for shown in looks:
        known = guard.remember(known, wanted or WANTED, shown)
    return guard.mend(known, wanted or WANTED, looks[-1])


def changed(old, new, config=CONFIG):
    """Return what a changed file wants."""
    assert old in config
    return guard.read_config(config.replace(old, new))


def test_the_file_of_ldirectord_is_read():
    assert WANTED[WEB].line == "-t 198.18.20.30:80 -s wrr -p 300 -M 255.255.255.0"
    assert WANTED[WEB].kind == guard.Kind("wrr", False, 24)
    assert WANTED[WEB].quiescent
    assert not WANTED[WEB].clean_stop
    assert {where: server.fallback for where, server in WANTED[WEB].servers.items()} == {
        REAL1: False,
        REAL2: False,  # without NAT, the kernel takes the service's port
        LOCAL: True,
    }
    lines = [server.add("-a", server.weight) for service in WANTED.values() for server in service.servers.values()]
    assert lines == [
        "-a -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 1",
        "-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 2",
        "-a -t 198.18.20.30:80 -r 127.0.0.1:80 -g -w 1",
        "-a -t [2001:db8::30]:25 -r [2001:db8::21]:25 -m -w 1",
        "-a -f 7 -r 198.18.20.21:0 -i -w 3",
        "-a -u 198.18.20.30:53 -r 198.18.20.21:5353 -m -w 1",
    ]


def test_the_table_is_the_one_that_the_file_wants():
    """Names, numbers, a tunnel's port, netmasks in the kernel's byte order: there is nothing to put back."""
    assert [guard.found(key, TABLE).kind for key in WANTED] == [service.kind for service in WANTED.values()]
    assert set(TABLE[WEB].servers) == {REAL1, REAL2}
    assert put_back(TABLE, TABLE) == []
    assert guard.unseen({}, WANTED, TABLE) == []


@pytest.mark.parametrize(
    "text",
    ["virtual = web:80\n    real = 1.2.3.4:80 gate\n", "virtual = 1.2.3.4:80\n    real = 1.2.3.4->1.2.3.9:80 gate\n"],
)
def test_what_is_not_understood_is_refused(text):
    """The role writes no names and ranges. If the file has some, the guard mends nothing."""
    with pytest.raises(ValueError, match="no address"):
        guard.read_config(text)


def test_an_emptied_table_comes_back_as_it_stood():
    """Weights, order (each new one goes to the front) and what a quiesced real server had."""
    quiesced = [line.replace("Route   2", "Route   0") for line in SHOWN]
    assert put_back(guard.read_table(quiesced), {}) == [
        "-A -t 198.18.20.30:80 -s wrr -p 300 -M 255.255.255.0",
        "-a -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 1",
        "-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 0",
        "-A -t [2001:db8::30]:25 -s wlc -p 60",
        "-a -t [2001:db8::30]:25 -r [2001:db8::21]:25 -m -w 1",
        "-A -f 7 -s rr",
        "-a -f 7 -r 198.18.20.21:0 -i -w 3",
        "-A -u 198.18.20.30:53 -s wlc",
        "-a -u 198.18.20.30:53 -r 198.18.20.21:5353 -m -w 1",
    ]


def test_a_deleted_real_server_comes_back():
    assert put_back(TABLE, without("C6121416")) == ["-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 2"]


def test_without_quiescence_a_missing_real_server_is_dead():
    wanted = changed("quiescent = yes", "quiescent = no")
    gone = without("C6121416")
    assert put_back(TABLE, gone, wanted=wanted) == []
    assert guard.unseen({}, wanted, gone) == []
    assert put_back(TABLE, gone, {}, wanted=wanted)[:3] == [
        "-A -t 198.18.20.30:80 -s wrr -p 300 -M 255.255.255.0",
        "-a -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 1",
        "-A -t [2001:db8::30]:25 -s wlc -p 60",
    ]


def test_a_fallback_comes_and_goes_and_comes_back_with_its_service():
    at = SHOWN.index("  -> C6121415:0050      Route   1      0          0")
    with_fallback = guard.read_table([*SHOWN[:at], "  -> 7F000001:0050      Local   1      0          0", *SHOWN[at:]])
    assert put_back(with_fallback, TABLE) == []
    assert "-a -t 198.18.20.30:80 -r 127.0.0.1:80 -g -w 1" in put_back(with_fallback, {})
    assert "-a -t 198.18.20.30:80 -r 127.0.0.1:80 -g -w 1" not in put_back(with_fallback, TABLE, {})


def test_what_somebody_has_changed_is_put_back_once_it_was_right():
    other = guard.read_table(line.replace("wrr persistent 30000 FFFFFF00", "rr") for line in SHOWN)
    assert put_back(TABLE, other) == ["-E -t 198.18.20.30:80 -s wrr -p 300 -M 255.255.255.0"]
    assert put_back(other, other) == []
    other = guard.read_table(line.replace("Route   2", "Masq    9") for line in SHOWN)
    assert put_back(TABLE, other) == ["-e -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 9"]
    assert put_back(other, other) == []


def test_a_real_server_on_the_director_itself_is_as_wanted():
    assert put_back(TABLE, guard.read_table(line.replace("Route ", "Local ") for line in SHOWN)) == []


def test_weights_by_hand_are_left_alone():
    assert put_back(TABLE, guard.read_table(line.replace("Route   2", "Route   9") for line in SHOWN)) == []
    assert put_back(TABLE, guard.read_table(line.replace("Route   2", "Route   0") for line in SHOWN)) == []


def test_who_is_drained_by_the_file_stays_drained():
    """Even if ldirectord has not read the file yet."""
    wanted = changed("198.18.20.22:8080 gate 2", "198.18.20.22:8080 gate 0")
    known = guard.remember({}, WANTED, TABLE)
    known = guard.remember(known, wanted, {})
    assert "-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 0" in guard.mend(known, wanted, {})


def test_a_changed_file_is_not_fought():
    """A new scheduler or way of forwarding is the keeper's to apply; once applied, it is guarded."""
    changes = {"scheduler = wrr": "scheduler = rr", "22:8080 gate": "22:80 ipip", "persistent = 300\n": "\n"}
    for old, new in changes.items():
        wanted = changed(old, new)
        known = guard.remember(guard.remember({}, WANTED, TABLE), wanted, TABLE)
        assert guard.mend(known, wanted, TABLE) == []
    wanted = changed("scheduler = wrr", "scheduler = rr")
    applied = guard.read_table(line.replace("wrr", "rr") for line in SHOWN)
    known = guard.remember(guard.remember(known, wanted, applied), wanted, TABLE)
    assert guard.mend(known, wanted, TABLE) == ["-E -t 198.18.20.30:80 -s rr -p 300 -M 255.255.255.0"]


def test_what_leaves_the_file_does_not_come_back():
    cut = CONFIG.index("# six")
    wanted = guard.read_config(CONFIG[:cut])
    known = guard.remember({}, WANTED, TABLE)
    assert [line[:2] for line in guard.mend(guard.remember(known, wanted, {}), wanted, {})] == ["-A", "-a", "-a"]
    # Nor when the file has it again: it is new then.
    known = guard.remember(guard.remember(known, wanted, TABLE), WANTED, guard.read_table(SHOWN[:6]))
    assert guard.mend(known, WANTED, guard.read_table(SHOWN[:6])) == []


def test_what_was_never_there_is_not_put_in_but_named():
    """A guard that has just started, with an emptied table."""
    assert put_back({}) == []
    assert guard.unseen({}, WANTED, {})[0] == "TCP 198.18.20.30:80"
    assert guard.unseen({}, WANTED, without("C6121416")) == ["198.18.20.22:80 of TCP 198.18.20.30:80"]
    known = guard.remember({}, WANTED, TABLE)
    assert guard.unseen(known, WANTED, {}) == []


def test_a_drain_of_which_ldirectord_has_not_heard_is_named():
    drained = changed("real = 198.18.20.21:80 gate 1", "real = 198.18.20.21:80 gate 0")
    known = guard.remember({}, drained, TABLE)
    assert guard.unseen(known, drained, TABLE) == ["the drain of 198.18.20.21:80 in TCP 198.18.20.30:80"]
    assert put_back(TABLE, wanted=drained) == []  # weights are ldirectord's
    for weight in ("Route   1", "Route   2"):  # it is drained, or it alone serves, as the fallback
        there = guard.read_table([line.replace(weight, "Route   0") for line in SHOWN])
        assert guard.unseen(known, drained, there) == []


def test_where_nobody_else_fills_the_table_all_of_the_file_is_put_in():
    lines = guard.mend(guard.complete({}, WANTED), WANTED, {})
    assert [line for line in lines if line.startswith("-A")] == [f"-A {service.line}" for service in WANTED.values()]
    gone = without("C6121416")
    known = guard.complete(guard.remember({}, WANTED, gone), WANTED)
    assert "-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 2" in guard.mend(known, WANTED, gone)


def test_an_empty_table_is_filled_with_all_but_fallbacks():
    lines = guard.whole(WANTED)
    assert [line for line in lines if line.startswith("-A")] == [f"-A {service.line}" for service in WANTED.values()]
    servers = {server.add("-a", server.weight) for one in WANTED.values() for server in one.servers.values()}
    fallbacks = {
        server.add("-a", server.weight) for one in WANTED.values() for server in one.servers.values() if server.fallback
    }
    assert len(fallbacks) == 1
    assert {line for line in lines if line.startswith("-a")} == servers - fallbacks
    assert guard.whole({}) == []


def test_a_mark_that_shows_no_family_is_of_either():
    """A service without real servers shows none, nor does one with tunnels, which may lead to the other family."""
    config = CONFIG.replace("198.18.20.21:80 ipip", "[2001:db8::21]:80 ipip")
    wanted = changed("virtual = 7\n", "virtual6 = 7\n", config)
    six, four = guard.Key("FWM", 6, "", 7), guard.Key("FWM", 4, "", 7)
    assert wanted[six].line == "-f 7 -6 -s rr"
    for shown in (TABLE, without("0000      Tunnel")):
        assert guard.found(six, shown) is guard.found(four, shown) is not None
    shown = guard.read_table(line.replace("Tunnel", "Masq  ") for line in SHOWN)
    assert guard.found(four, shown) is not None
    assert guard.found(six, shown) is None


def test_a_mark_of_both_families_is_two_services():
    """The kernel shows neither's family, and one may have no real server left."""
    lines = [*SHOWN, "FWM  00000009 rr", "FWM  00000009 rr", "  -> C6121415:0000      Route   3      0          0"]
    six, four = guard.Key("FWM", 6, "", 9), guard.Key("FWM", 4, "", 9)
    shown = guard.read_table(lines)
    assert guard.found(six, shown).servers == {}
    assert list(guard.found(four, shown).servers) == [("198.18.20.21", 0)]


@pytest.mark.parametrize("texts", ['"alive.html", "yes"', '"a = b" "c, d"', '"", ""'])
def test_a_real_server_may_have_texts_of_its_own(texts):
    assert changed("198.18.20.21:80 gate 1", f"198.18.20.21:80 gate 1 {texts}") == WANTED
    with pytest.raises(ValueError, match="not understood"):
        changed("fallback = 127.0.0.1:80 gate", f"fallback = 127.0.0.1:80 gate 1 {texts}")


# --- against the collection's own tables


def show(table):
    """Return a table of the module ipvs as /proc/net/ip_vs has it (ip_vs_info_seq_show)."""
    for key, service in table.items():
        flags = " ops" if service.one_packet else ""
        six = key.family == 6
        if service.timeout:
            mask = socket.ntohl(int(service.netmask)) if six else int(ip_address(service.netmask))
            flags += f" persistent {service.timeout * 100} {mask:08X}"
        where = f"{key.fwmark:08X}" if key.fwmark else shown_place(key.address, key.port)
        yield f"{key.protocol.upper() or 'FWM'}  {where} {service.scheduler}{flags}"
        for server in service.servers.values():
            how = {"direct": "Route", "nat": "Masq", "tunnel": "Tunnel"}[server.forwarding]
            yield f"  -> {shown_place(server.address, server.port)}      {how:7} {server.weight:<6} 3          4"


def shown_place(address, port):
    number = ip_address(address)
    return f"{f'[{number.exploded}]' if number.version == 6 else f'{int(number):08X}'}:{port:04X}"


def words(lines):
    """Return lines with the words of each in one order; they come in the file's order or with the weight at the end."""
    return sorted(sorted(line.split()) for line in lines)


@given(tables, st.data())
def test_rules_and_table_agree_and_what_is_lost_comes_back(table, data):
    """For any table of the module: rules and kernel give the same one, and the guard puts back any loss."""
    table = {key: service for key, service in table.items() if key._replace(family=10 - key.family) not in table}
    wanted, shown = guard.read_rules(print_table(table)), guard.read_table(show(table))
    assert put_back(shown, shown, wanted=wanted) == []
    assert guard.unseen({}, wanted, shown) == []
    left, expected = {}, []
    for key, service in table.items():
        servers = {at: each for at, each in service.servers.items() if data.draw(st.booleans(), str(at))}
        if data.draw(st.booleans(), str(key)):
            left[key] = service._replace(servers=servers)
            lost = {at: each for at, each in service.servers.items() if at not in servers}
            expected += print_table({key: service._replace(servers=lost)})[1:]
        else:
            expected += print_table({key: service})
    assert words(put_back(shown, guard.read_table(show(left)), wanted=wanted)) == words(expected)


@given(tables, tables, st.data())
def test_a_keeper_on_its_way_to_another_table_is_not_fought(before, after, data):
    """Whether the file or the table changes first, and whenever the guard looks: only the keeper changes anything."""
    before, after = ({key: each for key, each in table.items() if not key.fwmark} for table in (before, after))
    operations = plan(before, after, purge=True)
    old, new = guard.read_rules(print_table(before)), guard.read_rules(print_table(after))
    known = guard.remember({}, old, guard.read_table(show(before)))
    for done in range(len(operations) + 1):
        if data.draw(st.booleans(), "the guard looks"):
            shown = guard.read_table(show(apply(before, operations[:done])))
            known = guard.remember(known, new, shown)
            assert guard.mend(known, new, shown) == []


@given(tables, tables)
def test_an_emptied_table_has_what_the_new_file_wants_of_the_old_table(before, after):
    """Nothing that left the file comes back, not even when the table is emptied before the keeper has read it."""
    before, after = ({key: each for key, each in table.items() if not key.fwmark} for table in (before, after))
    known = guard.remember({}, guard.read_rules(print_table(before)), guard.read_table(show(before)))
    new = guard.read_rules(print_table(after))
    back = parse_table(guard.mend(guard.remember(known, new, {}), new, {}))
    assert set(back) == set(before) & set(after)
    for key, service in back.items():
        assert service[:-1] == after[key][:-1]
        assert set(service.servers) == set(before[key].servers) & set(after[key].servers)
        for where, server in service.servers.items():
            weight = after[key].servers[where].weight if before[key].servers[where].weight else 0
            assert server == after[key].servers[where]._replace(weight=weight)


# --- never the last one

KEEPING = """\
quiescent = yes
cleanstop = no
virtual = 198.18.20.30:80
    protocol = tcp
    comment = web keeps at least 2
    real = 198.18.20.21:80 gate 1
    real = 198.18.20.22:80 gate 2
    real = 198.18.20.23:80 gate 3
    real = 198.18.20.24:80 gate 4
    real = 198.18.20.25:80 gate 0
virtual6 = 7
    protocol = fwm
    comment = marked keeps at least 50%
    real6 = [2001:db8::21]:0 gate 1
    real6 = [2001:db8::22]:0 gate 1
    real6 = [2001:db8::23]:0 gate 1
"""
KEPT = guard.read_config(KEEPING)[WEB]
A, B, C, D, DRAINED = KEPT.servers


def weights(*numbers):
    """Return the entry of the service in the kernel, with these weights; None is not in the table."""
    rows = zip(KEPT.servers, numbers, strict=True)
    return guard.Shown(KEPT.kind, {at: ("Route", number) for at, number in rows if number is not None})


def judged(now, marked=(), seen=(), settled=True, service=KEPT):
    return guard.judge(service, now, marked, dict(seen), settled)


def test_the_minimum_is_in_ldirectords_file():
    """As the comment of a service, which ldirectord itself shows in its mails."""
    assert (KEPT.name, KEPT.minimum, KEPT.least) == ("web", "2", 2)
    marked = guard.read_config(KEEPING)[guard.Key("FWM", 6, "", 7)]
    assert (marked.name, marked.minimum, marked.least) == ("marked", "50%", 2)  # rounded up
    assert guard.read_config(CONFIG)[WEB].least == 0
    assert changed("web keeps at least 2", "somebody's own", KEEPING)[WEB].least == 0


@pytest.mark.parametrize(
    ("minimum", "drained", "least"),
    [("2", 0, 2), ("2", 3, 1), ("2", 4, 0), ("9", 0, 4), ("50%", 2, 1), ("51%", 0, 3), ("1%", 0, 1), ("100%", 1, 3)],
)
def test_who_is_drained_does_not_count(minimum, drained, least):
    text = KEEPING.replace("web keeps at least 2", f"web keeps at least {minimum}")
    for number in range(drained):
        text = text.replace(f"2{number + 1}:80 gate {number + 1}", f"2{number + 1}:80 gate 0")
    assert guard.read_config(text)[WEB].least == least


def test_as_long_as_enough_pass_nothing_is_kept_in():
    for now in (weights(1, 2, 3, 4, 0), weights(0, 2, 3, 4, 0), weights(0, 2, 0, 4, 0), weights(None, 2, 3, 0, 0)):
        assert judged(now) == ([], [])


def test_three_of_four_fail():
    """Who was seen well last stays, with the weight of the file, and a mark that ldirectord removes."""
    now = weights(0, 0, 0, 4, 0)
    verdict = judged(now, seen={A: 10.0, B: 50.0, C: 30.0, D: 90.0})
    assert verdict == ([B], [])
    assert guard.carry_out(KEPT, now, verdict) == [f"-e -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 2 -x {guard.KEPT}"]


def test_failures_at_the_same_time_and_unknown_ones_go_by_the_inventory():
    assert judged(weights(0, 0, 0, 0, 0)).keep == [A, B]
    assert judged(weights(0, 0, 0, 0, 0), seen={A: 40.0, B: 49.0, C: 58.0, D: 67.0}).keep == [A, B]
    assert judged(weights(0, 0, 0, 0, 0), seen={A: 40.0, B: 67.0, C: 58.0}).keep == [B, C]
    assert judged(weights(0, 0, 0, 0, 0), seen={D: 1.0}).keep == [D, A]


def test_whoever_is_kept_in_goes_out_when_enough_pass():
    now = weights(1, 2, 3, 0, 0)  # C has come back: its mark is gone
    verdict = judged(now, marked={A}, seen={A: 10.0, B: 90.0, C: 90.0})
    assert verdict == ([], [A])
    assert guard.carry_out(KEPT, now, verdict) == ["-e -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 0"]
    one = weights(1, 2, 0, 4, 0)
    assert judged(one, marked={A, B}, seen={A: 10.0, B: 90.0}) == ([], [A])  # one is enough now


def test_without_quiescence_they_are_put_in_and_deleted():
    service = changed("quiescent = yes", "quiescent = no", KEEPING)[WEB]
    now = weights(None, None, None, 4, 0)
    verdict = judged(now, seen={C: 9.0}, service=service)
    assert guard.carry_out(service, now, verdict) == [
        f"-a -t 198.18.20.30:80 -r 198.18.20.23:80 -g -w 3 -x {guard.KEPT}"
    ]
    now = weights(None, 2, 3, 4, 0)
    verdict = judged(now, marked={C}, service=service)
    assert guard.carry_out(service, now, verdict) == ["-d -t 198.18.20.30:80 -r 198.18.20.23:80"]


def test_with_quiescence_who_is_missing_was_deleted_by_hand():
    assert judged(weights(None, None, None, 4, 0)) == ([], [])
    assert judged(weights(None, None, 0, 4, 0)) == ([C], [])


def test_who_was_never_seen_well_may_not_have_been_asked_yet():
    """At a start of ldirectord, and after a change of its file."""
    now = weights(0, 0, 0, 0, 0)
    assert judged(now, settled=False) == ([], [])
    assert judged(now, settled=False, seen={C: 9.0}).keep == [C]
    assert judged(weights(1, 0, 0, 0, 0), marked={A}, settled=False).drop == []


def test_who_is_drained_while_kept_in_goes_out():
    drained = changed("21:80 gate 1", "21:80 gate 0", KEEPING)[WEB]
    assert judged(weights(1, 2, 0, 0, 0), marked={A, B}, service=drained) == ([C], [A])


def test_without_a_minimum_any_longer_all_go_out():
    none = changed("    comment = web keeps at least 2\n", "", KEEPING)[WEB]
    assert judged(weights(1, 2, 0, 0, 0), marked={A, B}, service=none) == ([], [A, B])


THRESHOLDS = f"""\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
  -> RemoteAddress:Port
TCP  198.18.20.30:80 wrr persistent 300 mask 255.255.255.0
  -> 198.18.20.21:80              {guard.KEPT} 0          0          0
  -> 198.18.20.22:80              0          0          0          0
TCP  [2001:db8::30]:25 wlc
  -> [2001:db8::21]:25            {guard.KEPT} 0          0          0
FWM  7 rr
  -> 198.18.20.21:0               100        50         0          0
FWM  7 IPv6 rr
  -> [2001:db8::21]:0             {guard.KEPT} 0          0          0
""".splitlines()


def test_the_kernel_knows_who_is_kept_in():
    """And this program's next run asks it."""
    marks = guard.read_marks(THRESHOLDS)
    assert guard.show(marks) == [
        "FWM 7 [2001:db8::21]:0",
        "TCP 198.18.20.30:80 198.18.20.21:80",
        "TCP [2001:db8::30]:25 [2001:db8::21]:25",
    ]
    assert set(marks) == {WEB, guard.Key("TCP", 6, "2001:db8::30", 25), guard.Key("FWM", 6, "", 7)}


TIMES = st.dictionaries(st.sampled_from(list(KEPT.servers)), st.integers(0, 60).map(float))


@given(
    st.sampled_from(["1", "2", "3", "4", "9", "1%", "25%", "50%", "100%"]),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, 0, 1]), st.booleans()), min_size=5, max_size=5),
    TIMES,
    st.booleans(),
    st.booleans(),
)
def test_never_fewer_than_the_minimum_and_never_more_than_needed(minimum, rows, seen, quiescent, settled):
    """For any weights in file and kernel, any marks, any past."""
    of_file = {at: server._replace(weight=row[0]) for (at, server), row in zip(KEPT.servers.items(), rows, strict=True)}
    service = KEPT._replace(minimum=minimum, quiescent=quiescent, servers=of_file)
    now = weights(*(row[1] for row in rows))
    marked = {at for at, row in zip(KEPT.servers, rows, strict=True) if row[1] and row[2]}
    verdict = judged(now, marked, seen, settled, service)
    assert not {*verdict.keep} & {*verdict.drop}
    well = set(guard.passing(service, now, marked))
    after = ({at for at, (_how, weight) in now.servers.items() if weight} | {*verdict.keep}) - {*verdict.drop}
    # Nobody who passes goes out, and nobody who is drained is in for the minimum's sake.
    undrained = set(service.weighted)
    assert well <= after
    kept = (after & marked) | {*verdict.keep}
    assert kept <= undrained - well
    able = {at for at in undrained if at in now.servers or not quiescent}
    if settled:
        assert len(after & undrained) >= min(service.least, len(able))
    assert len(kept) <= max(0, service.least - len(well))
    # Carried out, it is right, and the other director, which sees the same, says the same.
    rest = {at: entry for at, entry in now.servers.items() if at not in verdict.drop}
    done = now._replace(servers={**rest, **{at: ("Route", service.servers[at].weight) for at in verdict.keep}})
    assert judged(done, (marked - {*verdict.drop}) | {*verdict.keep}, seen, settled, service) == ([], [])


@given(st.permutations([A, B, C, D]), st.lists(st.integers(0, 30), min_size=4, max_size=4), st.integers(1, 4))
def test_who_is_kept_in_stays_while_others_fail(order, pauses, minimum):
    """Each failure adds one at most, so no client is moved in vain."""
    service = KEPT._replace(minimum=str(minimum))
    rows = {at: server.weight for at, server in KEPT.servers.items()}
    kept, seen, now = set(), {}, 100.0
    for at, pause in zip(order, pauses, strict=True):
        seen |= {each: now for each, weight in rows.items() if weight and each not in kept}
        now += pause
        rows[at] = 0
        verdict = judged(weights(*rows.values()), kept, seen, service=service)
        assert verdict.drop == []
        assert len(verdict.keep) <= 1
        kept |= {*verdict.keep}
        rows |= {each: KEPT.servers[each].weight for each in verdict.keep}
    assert len(kept) == minimum


class Model:
    """What ldirectord's source does to a service of quiescent servers, and the kernel's table; both as small as can be.

    Whether the real ones do so is shown by the scenario `checks`.
    """

    def __init__(self, service):
        self.service = service
        self.racing = None
        self.well = set(service.weighted)  # what the checks would find
        self.up = set(service.weighted)  # what ldirectord takes them for
        self.rows = {at: (server.weight, 0) for at, server in service.servers.items()}  # weight, upper limit

    def check(self, at):
        """It writes only when the result is another one than before, and only what differs."""
        if at in self.well and at not in self.up:
            self.up.add(at)
            self.rows[at] = (self.service.servers[at].weight, 0)
        elif at not in self.well and at in self.up:
            self.up.remove(at)
            self.rows[at] = (0, 0)

    def reload(self):
        """Whoever has a weight is taken for healthy."""
        self.up = {at for at in self.service.weighted if self.rows[at][0]}
        self.rows |= {at: (self.service.servers[at].weight, 0) for at in self.up}

    def shown(self):
        return {WEB: guard.Shown(self.service.kind, {at: ("Route", row[0]) for at, row in self.rows.items()})}

    def marks(self):
        return {WEB: marked} if (marked := {at for at, row in self.rows.items() if row[1] == guard.KEPT}) else {}

    def restore(self, lines):
        """Between the guard's look and this, a check may have ended."""
        if lines and self.racing is not None:
            self.check(self.racing)
        for line in lines:
            words = line.split()
            upper = int(words[words.index("-x") + 1]) if "-x" in words else 0
            self.rows[guard.place(words[words.index("-r") + 1])] = (int(words[words.index("-w") + 1]), upper)
        return True


EVENTS = st.sampled_from(["breaks", "mends", "check", "look", "racing look", "reload", "restart"])
RACE = [("breaks", A), ("check", A), ("breaks", B), ("check", B), ("mends", A), ("racing look", A), ("mends", B)]


@given(st.integers(1, 4), st.lists(st.tuples(EVENTS, st.sampled_from([A, B, C, D])), max_size=40))
@example(3, RACE)
def test_however_guard_and_ldirectord_meet_the_right_ones_are_in(minimum, events):
    """Whatever breaks and mends, and whenever each of them looks: also if a check ends while the guard writes."""
    model = Model(KEPT._replace(minimum=str(minimum)))
    wanted, keeper, asked = {WEB: model.service}, guard.Minimum(), False
    with pytest.MonkeyPatch.context() as patch:
        for name, one in (("look_at_marks", model.marks), ("look_at_table", model.shown), ("restore", model.restore)):
            patch.setattr(guard, name, one)
        patch.setattr(guard, "say", lambda text: None)
        patch.setattr(keeper, "tell", lambda: None)
        end = [(event, at) for _round in range(3) for at in (A, B, C, D) for event in ("check", "look")]
        for event, at in [*events, *end, ("ask", A), *end]:
            if event == "breaks":
                model.well.discard(at)
            elif event == "mends":
                model.well.add(at)
            elif event == "check":
                model.check(at)
            elif event == "reload" or (event == "ask" and asked):
                model.reload()
            elif event == "restart":
                keeper.marked, keeper.seen = None, {}
            elif event != "ask":
                model.racing = at if event == "racing look" else None
                asked = keeper.hold(wanted, model.shown(), True) or asked
    there = {at for at, row in model.rows.items() if row[0]}
    marked = model.marks().get(WEB, set())
    assert model.well <= there
    assert there - model.well <= marked
    assert len(there) >= max(minimum, len(model.well))
    if "racing look" not in {event for event, _at in events}:
        assert there - model.well == marked
        assert len(there) == max(minimum, len(model.well))


@pytest.mark.parametrize(
    ("looks", "noticed"),
    [
        ([{}, {}], False),  # one process checks all services
        ([{"1": 100, "2": 99}, {"1": 103, "2": 102}], False),
        ([{"1": 100, "2": 99, "3": 0.2}, {"1": 103, "2": 102}], False),  # ipvsadm
        ([{"1": 100, "2": 99}, {"3": 1, "4": 0.5}, {"3": 4, "4": 3.5}], False),  # ldirectord has read its file again
        ([{"1": 100, "2": 99}, {"1": 103, "3": 1}], True),  # one has ended
        ([{"1": 100, "2": 99}, {"1": 103}, {"1": 106, "3": 1}, {"1": 109, "3": 4}], True),
        ([{"1": 100, "2": 99}, {"2": 102, "3": 1}, {"2": 105, "3": 4}], True),  # or one has outlived a reload
        ([{"1": 100}, {"2": 1}], False),  # a single one: nothing tells the two cases apart
    ],
)
def test_a_process_of_ldirectords_that_was_replaced_alone_is_noticed(looks, noticed):
    checkers = guard.Checkers()
    for there in looks:
        checkers.see(there)
    assert checkers.some_ended is noticed


def test_processes_that_ldirectord_has_started_are_found():
    program = "import sys; sys.stdin.read()"
    before = guard.checkers(os.getpid())
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
        new = guard.checkers(os.getpid())
        assert new.keys() - before.keys() == {str(child.pid)}
        assert -0.1 < new[str(child.pid)] < 10
        child.kill()
        while str(child.pid) in guard.checkers(os.getpid()):
            pass  # it ends, and nobody waits for it
    assert guard.checkers(2**22 + 1) == {}


AGAIN = "-e -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 1"


def switched(*looks, kept=None):
    """Return when (s) which lines were due, of looks at seconds from 0 on with how REAL1 is forwarded to."""
    routes, due = guard.Routes(), {}
    for second, how in enumerate(looks):
        servers = {REAL1: (how, 1), REAL2: ("Route", 2)} if how else {}
        lines = routes.see(WANTED, {WEB: guard.Shown(WANTED[WEB].kind, servers)}, kept or {}, float(second))
        due |= {second: lines} if lines else {}
    return due


def test_a_row_that_came_to_direct_routing_is_written_again_for_a_while():
    assert switched("Route", "Masq", *["Route"] * 2000) == {1 + 2**n: [AGAIN] for n in range(1, 11)}


def test_one_that_always_was_directly_routed_is_left_alone():
    assert switched(*["Route"] * 200) == {}
    assert switched("", *["Route"] * 200) == {}


def test_one_that_goes_back_or_away_is_left_alone():
    assert switched("Masq", "Route", *["Masq"] * 20) == {}
    assert switched("Masq", "Route", *[""] * 20, *["Route"] * 20) == {}


def test_one_that_is_kept_in_keeps_its_mark():
    assert switched("Masq", *["Route"] * 3, kept={WEB: {REAL1}}) == {2: [f"{AGAIN} -x {guard.KEPT}"]}


# --- an ldirectord that Heartbeat has started, and somebody has killed

DEAD, OTHER = 2**22 + 1, 2**22 + 2  # no process has such a number
COLD = "dir1 IPaddr2::198.18.20.30/24/eth0 IPv6addr2::2001:0db8:0000:0000:0000:0000:0000:0030/64/eth0 ldirectord\n"


@pytest.mark.parametrize(("device", "held"), [("eth0", True), ("ens3", True), ("eth1", False)])
def test_an_address_may_be_on_an_interface_of_another_name(director, monkeypatch, device, held):
    """Where the directors' names differ, haresources has one for each."""
    director.resources.write_text("dir1 VIPaddr2::198.18.20.30/24/eth0@dir1,ens3@dir2 ldirectord\n")
    monkeypatch.setattr(guard, "has", lambda _address, name: name == device)
    assert guard.given() is held


class Director:
    """A director on which nothing runs. Each look comes a second after the one before it."""

    def __init__(self, folder):
        self.revival, self.now = guard.Revival(), 100.0
        self.file, self.resources = folder / "pid", folder / "haresources"
        self.resources.write_text(COLD)
        self.holds, self.begun, self.systemds = True, 0, True

    def has(self, address, device):
        return self.holds and (address, device) == ("198.18.20.30", "eth0")

    def begin(self):
        self.begun += 1

    def of_systemd(self, _pid):
        return self.systemds

    def look(self, *pids):
        """Look once for each process that is found running; return how often ldirectord has been started so far."""
        for pid in pids:
            self.now += 1
            self.revival.see(pid, self.now)
        return self.begun


@pytest.fixture
def director(monkeypatch, tmp_path):
    found = Director(tmp_path)
    for name, value in {
        "PID": found.file,
        "RESOURCES": found.resources,
        "has": found.has,
        "begin": found.begin,
        "of_systemd": found.of_systemd,
    }.items():
        monkeypatch.setattr(guard, name, value)
    return found


def test_an_ldirectord_that_was_killed_is_started_once(director):
    assert director.look(7, 7) == 0
    director.file.write_text(f"{DEAD}\n")
    assert director.look(0) == 0  # it may just be starting
    assert director.look(0, 0, 0) == 1
    director.file.write_text(f"{OTHER}\n")  # it runs, and is killed later
    assert director.look(*[7] * 30) == 1
    assert director.look(0, 0) == 2


@pytest.mark.parametrize("text", [None, "", "no number\n"])
def test_one_that_ended_by_itself_is_left_alone(director, text):
    """It has removed its file. An empty one is of one that starts."""
    if text is not None:
        director.file.write_text(text)
    assert director.look(7, 0, 0, 0) == 0


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        (COLD, 1),
        (COLD.replace("ldirectord", "ldirectord::ldirectord.cf"), 1),
        (COLD.replace(" ldirectord", ""), 0),  # hot standby
        (COLD.replace("ldirectord", "my-ldirectord"), 0),
        (COLD.replace("198.18.20.30", "198.18.20.31"), 0),
        (None, 0),
    ],
)
def test_only_heartbeats_is_started_and_only_with_its_addresses(director, text, starts):
    director.resources.unlink() if text is None else director.resources.write_text(text)
    director.file.write_text(f"{DEAD}\n")
    assert director.look(7, 0, 0) == starts


def test_heartbeat_itself_starts_it_where_the_addresses_come_back(director):
    """Two starts at the same moment would be two daemons: neither finds the other one's file."""
    director.file.write_text(f"{DEAD}\n")
    director.holds = False
    assert director.look(0, 0) == 0
    director.holds = True
    assert director.look(0, 0, 0) == 0


def goes_on(process):
    """Return whether a process goes on; one that was just told to end needs a moment for it."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.3)
    return process.poll() is None


def test_one_that_cannot_be_started_is_not_tried_at_every_look(director):
    director.file.write_text(f"{DEAD}\n")
    assert director.look(*[0] * 20) == 1
    assert director.look(*[0] * 10) == 2


@pytest.mark.parametrize(
    ("holds", "systemds", "text", "ends"),
    [
        (False, True, COLD, True),
        (True, True, COLD, False),
        (False, False, COLD, False),  # Heartbeat's own: it knows better
        (False, True, COLD.replace(" ldirectord", ""), False),  # hot standby
        (False, True, None, False),
    ],
)
def test_one_that_heartbeat_stopped_while_none_ran_ends(director, holds, systemds, text, ends):
    """To be told twice would end it in the middle, so it gets time for the end that Heartbeat may have asked for."""
    director.systemds = systemds
    director.resources.unlink() if text is None else director.resources.write_text(text)
    with subprocess.Popen(["sleep", "60"]) as process:
        director.look(*[process.pid] * 60)
        director.holds = holds
        director.look(*[process.pid] * 18)
        assert goes_on(process)
        director.look(*[process.pid] * 7)
        if not ends:
            assert goes_on(process)
            process.terminate()
        assert process.wait(10) == -signal.SIGTERM


def test_one_that_a_new_guard_finds_or_that_starts_gets_its_time(director):
    """Heartbeat's address may come a moment later."""
    director.holds = False
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "60"]) as other:
        director.look(*[one.pid] * 15, *[other.pid] * 15)
        assert [goes_on(process) for process in (one, other)] == [True, True]
        director.look(*[other.pid] * 10)
        assert other.wait(10) == -signal.SIGTERM
        one.terminate()


def test_this_process_is_none_of_systemds():
    assert not guard.of_systemd(os.getpid())
    assert not guard.of_systemd(DEAD)


def test_the_guard_looks_for_one_that_was_killed(director, monkeypatch):
    monkeypatch.setattr(guard.Keeper, "read", lambda self: None)
    monkeypatch.setattr(guard, "TABLE", director.file)
    director.file.write_text(f"{DEAD}\n")
    watching = guard.Guard()
    watching.look()
    watching.look()
    assert director.begun == 1
