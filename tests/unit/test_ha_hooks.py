# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ha-hooks takes for an event, what waits for the command, and how the command is run."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import load
from refusals import judge, read_task
from test_ipvs_guard import SHOWN, guard

hooks = load("roles/ha_hook/files/ha-hooks")

ROOT = Path(__file__).resolve().parents[2]
VIP, OTHER_VIP, SIX = "198.18.20.30", "198.18.20.31", "2001:db8::30"
REAL1, REAL2 = "198.18.20.21:80", "198.18.20.22:80"
WEB = f"TCP {VIP}:80"
SERVERS = [{"host": f"real{n}", "address": f"198.18.20.2{n}", "port": 80, "weight": n} for n in (1, 2)]
DATA = {
    "commands": [{"argv": ["/bin/true", "-x"], "timeout": 5}],
    "vips": [{"address": VIP, "interface": "eth0"}, {"address": "2001:DB8::0030", "interface": "eth0"}],
    "services": [{"name": "web", "vip": VIP, "port": 80, "protocol": "tcp", "fwmark": None, "real_servers": SERVERS}],
}
SETTINGS = hooks.Settings.read(DATA)
UP, DOWN, HELD = {REAL1: 1, REAL2: 2}, {REAL1: 1, REAL2: 0}, {VIP}
EMPTY: dict[str, int] = {}


def see(*looks, settings=SETTINGS, watch=None, step=1.0, drained=(), kept=()):
    """Return the events of looks, each (addresses held, real servers of web; None for no such service), in words."""
    watch = watch or hooks.Watch(settings)
    watch.clock = getattr(watch, "clock", 100.0)
    told = []
    for held, servers in looks:
        watch.clock += step
        table = {} if servers is None else {WEB: servers}
        told += watch.see(hooks.Look(watch.clock, frozenset(held), table, frozenset(drained), frozenset(kept)), "now")
    return [f"{event}{f': {event.reason}' if event.reason else ''}" for event in told]


def running():
    """Return a watch that has seen the whole cluster."""
    watch = hooks.Watch(SETTINGS)
    assert see((HELD, UP), watch=watch) == [f"takeover {VIP}"]
    return watch


# --- what a minimum keeps in

MINIMUM = hooks.Settings.read({**DATA, "services": [{**DATA["services"][0], "minimum_alive": "1"}]})
KEPT = {f"{WEB} {REAL2}"}


def keeping():
    watch = hooks.Watch(MINIMUM)
    assert see((HELD, UP), settings=MINIMUM, watch=watch) == [f"takeover {VIP}"]
    return watch


def test_who_is_kept_in_is_neither_out_nor_back():
    """Once, although it is out for a moment before; and back when its check has passed for a while."""
    watch = keeping()
    assert see((HELD, DOWN), watch=watch) == []
    assert see((HELD, UP), (HELD, UP), watch=watch, kept=KEPT) == ["server_kept real2 (web)"]
    facts = watch.facts(hooks.Event("takeover", "now", (VIP,)), 0)
    assert (facts["HA_KEPT"], facts["HA_OUT"]) == ("real2:web", "")
    assert see(*[(HELD, UP)] * 4, watch=watch) == []  # ldirectord was reloaded
    assert see((HELD, UP), watch=watch, kept=KEPT) == []
    assert see(*[(HELD, UP)] * 5, watch=watch) == ["server_back real2 (web)"]


def test_who_is_no_longer_kept_in_is_out():
    watch = keeping()
    assert see((HELD, UP), watch=watch, kept=KEPT) == ["server_kept real2 (web)"]
    assert see((HELD, DOWN), (HELD, DOWN), watch=watch) == ["server_out real2 (web): weight"]
    assert see((HELD, UP), watch=watch, kept=KEPT) == ["server_kept real2 (web)"]
    assert see(*[(HELD, {REAL1: 1})] * 9, watch=watch) == ["server_out real2 (web): gone"]


def test_beside_a_minimum_who_is_out_is_told_at_the_second_look():
    assert see((HELD, DOWN), watch=keeping()) == []
    assert see((HELD, DOWN), (HELD, DOWN), watch=keeping()) == ["server_out real2 (web): weight"]
    assert see((HELD, DOWN), watch=running()) == ["server_out real2 (web): weight"]


def test_a_restart_remembers_who_is_kept_in():
    watch = hooks.Watch(MINIMUM, HELD, (), KEPT)
    assert see((HELD, UP), watch=watch, kept=KEPT) == []


def test_the_guards_file_names_rows():
    """One spelling, two programs that stand alone."""
    marks = {guard.Key("TCP", 4, VIP, 80): {("198.18.20.22", 80)}, guard.Key("FWM", 6, "", 7): {("2001:db8::22", 0)}}
    six = {"name": "six", "fwmark": 7, "real_servers": [{"address": "2001:db8::22", "port": 0}]}
    rows = hooks.Settings.read({**DATA, "services": [DATA["services"][0], six]}).rows
    assert {*guard.show(marks)} < {str(row) for row in rows}


# --- what is read


def test_the_settings_are_read():
    assert SETTINGS.vips == {VIP: "eth0", SIX: "eth0"}
    assert [str(row) for row in SETTINGS.rows] == [f"{WEB} {REAL1}", f"{WEB} {REAL2}"]
    assert SETTINGS.rows[0][2:5] == ("web", "real1", (VIP,))
    assert SETTINGS.rows[0].address == "198.18.20.21"


@pytest.mark.parametrize(
    ("service", "server", "row"),
    [
        ({}, {"weight": 0}, None),
        ({}, {"port": 8080, "forwarding": "direct"}, f"TCP {VIP}:80 {REAL1}"),
        ({}, {"port": 8080, "forwarding": "nat"}, f"TCP {VIP}:80 198.18.20.21:8080"),
        ({"fwmark": 7, "vip": None, "port": None}, {"port": 0}, "FWM 7 198.18.20.21:0"),
        ({"vip": SIX, "protocol": "udp"}, {"address": "2001:db8:0::21"}, f"UDP [{SIX}]:80 [2001:db8::21]:80"),
    ],
)
def test_a_row_is_called_as_the_kernel_has_it(service, server, row):
    one = {**DATA["services"][0], **service, "real_servers": [{**SERVERS[0], **server}]}
    assert list(map(str, hooks.Settings.read({**DATA, "services": [one]}).rows)) == [row] * (row is not None)


def test_the_table_is_read():
    assert hooks.read_table(SHOWN) == {
        WEB: {REAL2: 2, REAL1: 1},
        f"TCP [{SIX}]:25": {"[2001:db8::21]:25": 1},
        "FWM 7": {"198.18.20.21:0": 3},
        f"UDP {VIP}:53": {"198.18.20.21:5353": 1},
    }


HEADS = [line for line in SHOWN[3:] if "->" not in line]
TARGETS = ["C6121416:0050      Route", "C6121415:0000      Tunnel", "[2001:db8::21]:0019      Masq"]
BLOCKS = st.tuples(st.sampled_from(HEADS), st.lists(st.tuples(st.sampled_from(TARGETS), st.integers(0, 9)), max_size=3))


@given(st.lists(BLOCKS, unique_by=lambda block: block[0]))
def test_the_table_is_what_ipvs_guard_reads(blocks):
    """One grammar, two programs that stand alone."""
    lines = SHOWN[:3]
    for head, servers in blocks:
        lines = [*lines, head, *(f"  -> {target}   {weight}      5          7" for target, weight in servers)]
    assert hooks.read_table(lines) == {
        str(key): {guard.endpoint(*where): weight for where, (_how, weight) in shown.servers.items()}
        for key, shown in guard.read_table(lines).items()
    }


@pytest.mark.parametrize("inventory", ["nat-and-tunnel", "marks", "dual-stack"])
def test_what_is_watched_is_what_ldirectord_keeps(inventory, tmp_path):
    """ipvs-guard knows from ldirectord's file how the kernel has each; no password of a check is in ours."""
    keys = {"active": 1, "keys": [{"id": 1, "method": "crc"}]}
    given = {"folder": str(tmp_path), "ha_hook": ["/bin/true"], "heartbeat_authkeys": keys}
    given["files"] = ["ldirectord/templates/ldirectord.cf", "ha_hook/templates/ha-hooks.json"]
    options = ["-i", ROOT / "inventories" / inventory, "-e", json.dumps(given)]
    subprocess.run(["ansible-playbook", *options, ROOT / "tests/unit/render.yml"], check=True, cwd=ROOT)
    configs = list(tmp_path.glob("*.ldirectord.cf"))
    assert len(configs) == 2
    for config in configs:
        text = config.with_name(config.name.replace("ldirectord.cf", "ha-hooks.json")).read_text(encoding="utf-8")
        settings, wanted = hooks.Settings.read(json.loads(text)), guard.read_config(config.read_text(encoding="utf-8"))
        assert {str(row) for row in settings.rows} == {
            f"{key} {guard.endpoint(*where)}"
            for key, service in wanted.items()
            for where, server in service.servers.items()
            if server.weight and not server.fallback
        }
        assert settings.rows
        assert all({*row.vips} <= {*settings.vips} for row in settings.rows)
        assert "check" not in text


def test_marks_are_read_in_any_spelling():
    assert hooks.read_marks(["198.18.20.21", "198.18.20.22:080", "[2001:DB8:0::1]:25", ".active.198.18.20.9", "x"]) == {
        *("198.18.20.21", "198.18.20.22:80", "[2001:db8::1]:25")
    }


def message(address, index, kind=20, flags=0):
    """Return what rtnetlink says of an address."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    body = struct.pack("=BBBBI", 10 if ":" in address else 2, 24, 0, 0, index)
    body += struct.pack("=HH", 4 + len(packed), 1) + packed
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


@given(st.lists(st.tuples(st.ip_addresses().map(str), st.integers(1, 2**31))))
def test_addresses_are_read(known):
    data = b"".join(message(*each) for each in known) + message("0.0.0.0", 1, kind=3)
    assert list(hooks.read_addresses(data)) == [*known, None]


@pytest.mark.parametrize("wrong", [message(VIP, 1, flags=0x10), message(VIP, 1, kind=2), bytes(16)])
def test_what_the_kernel_could_not_list_is_no_loss(wrong):
    with pytest.raises(OSError, match="does not list"):
        list(hooks.read_addresses(wrong))


def test_this_kernel_lists_its_addresses():
    assert ("127.0.0.1", "lo") in hooks.addresses()


# --- addresses


def test_addresses_come_and_go():
    settings = hooks.Settings.read({**DATA, "services": []})
    looks = [((), None), ({VIP, SIX}, None), ({VIP, SIX}, None), ({SIX}, None), ((), None), ({VIP, "192.0.2.9"}, None)]
    told = [f"takeover {VIP} {SIX}", f"loss {VIP}", f"loss {SIX}", f"takeover {VIP}"]
    assert see(*looks, settings=settings) == told


def test_what_was_held_before_a_restart_is_no_event():
    assert see((HELD, UP), watch=hooks.Watch(SETTINGS, held=[VIP])) == []
    assert see(((), UP), watch=hooks.Watch(SETTINGS, held=[VIP])) == [f"loss {VIP}"]


def test_an_address_that_left_the_inventory_is_nobodys_loss():
    watch = running()
    watch.settings = replace(SETTINGS, vips={SIX: "eth0"})
    assert see((HELD, UP), ((), UP), watch=watch) == []


# --- real servers


def test_a_real_server_is_out_and_back():
    assert see((HELD, DOWN), (HELD, DOWN), (HELD, UP), watch=running()) == [
        *("server_out real2 (web): weight", "server_back real2 (web)")
    ]


def test_the_standby_tells_nothing_and_says_at_its_takeover_who_is_out():
    watch = hooks.Watch(SETTINGS)
    assert see(((), UP), ((), DOWN), (HELD, DOWN), watch=watch) == [f"takeover {VIP}"]
    event = hooks.Event("takeover", "now", (VIP,))
    facts = watch.facts(event, 3)
    expected = {"HA_EVENT": "takeover", "HA_VIPS": VIP, "HA_HELD": VIP, "HA_OUT": "real2:web", "HA_DROPPED": "3"}
    assert facts | expected == facts
    assert see((HELD, UP), watch=watch) == ["server_back real2 (web)"]


def test_without_addresses_every_director_tells():
    alone = replace(SETTINGS, vips={})
    assert see(((), UP), ((), DOWN), settings=alone) == ["server_out real2 (web): weight"]


def test_a_mark_is_told_by_who_holds_any_address():
    settings = hooks.Settings.read(DATA)
    marked = replace(settings, rows=(settings.rows[0]._replace(service="FWM 7", vips=()),))
    watch = hooks.Watch(marked, held=[SIX])
    for now, weight in ((1.0, 1), (2.0, 0)):
        told = watch.see(hooks.Look(now, {SIX}, {"FWM 7": {REAL1: weight}}), "now")
    assert [event.name for event in told] == ["server_out"]


def test_a_mark_with_addresses_is_told_by_who_holds_one_of_them():
    services = [{**DATA["services"][0], "fwmark": 7, "vip": None, "vips": [VIP], "port": None}]
    settings = hooks.Settings.read({**DATA, "services": services})
    assert settings.rows[0].vips == (VIP,)
    assert hooks.Watch(settings, held=[VIP]).serves(settings.rows[0])
    assert not hooks.Watch(settings, held=[SIX]).serves(settings.rows[0])


def test_what_is_new_in_the_inventory_may_come_to_the_table_late():
    """The role ldirectord adds it, minutes behind this program."""
    watch = hooks.Watch(replace(SETTINGS, rows=SETTINGS.rows[:1]), held=[VIP])
    alone = {REAL1: 1}
    assert see((HELD, alone), watch=watch, settings=watch.settings) == []
    watch.expect(SETTINGS, 1.0)
    assert see(*[(HELD, alone)] * 60, watch=watch) == []
    assert see(*[(HELD, UP)] * 60, watch=watch) == []
    assert see((HELD, DOWN), watch=watch) == ["server_out real2 (web): weight"]


def test_a_removed_real_server_is_out_after_some_seconds():
    """As ldirectord does it without quiescence."""
    watch = running()
    assert see(*[(HELD, {REAL1: 1})] * 5, watch=watch) == []
    assert see(*[(HELD, {REAL1: 1})] * 2, watch=watch) == ["server_out real2 (web): gone"]
    assert see((HELD, DOWN), (HELD, UP), watch=watch) == ["server_back real2 (web)"]


@pytest.mark.parametrize("gone", [None, EMPTY])
def test_a_flushed_table_that_is_filled_again_is_no_event(gone):
    """ldirectord, and ipvs-guard, put back what was there; one that has to be checked first begins with weight 0."""
    watch = running()
    assert see(*[(HELD, gone)] * 3, *[(HELD, {REAL1: 0, REAL2: 0})] * 3, (HELD, UP), watch=watch) == []


@pytest.mark.parametrize("gone", [None, EMPTY])
def test_a_flushed_table_that_stays_empty_is_told(gone):
    told = ["server_out real1 (web): gone", "server_out real2 (web): gone"]
    assert see(*[(HELD, gone)] * 10, watch=running()) == told


def test_a_start_waits_for_the_first_checks():
    """ldirectord adds each with weight 0; who is dead from the beginning is told of as well, later."""
    watch = hooks.Watch(SETTINGS)
    first = [(HELD, None), (HELD, {REAL1: 0}), *[(HELD, {REAL1: 0, REAL2: 0})] * 5]
    assert see(*first, (HELD, {REAL1: 1, REAL2: 0}), watch=watch) == [f"takeover {VIP}"]
    assert see(*[(HELD, DOWN)] * 40, watch=watch) == ["server_out real2 (web): weight"]


def test_a_restart_of_the_program_tells_nothing_twice():
    watch = hooks.Watch(SETTINGS, held=[VIP], out=[f"{WEB} {REAL2}"])
    assert see(*[(HELD, DOWN)] * 60, watch=watch) == []
    assert see((HELD, UP), watch=watch) == ["server_back real2 (web)"]


def test_a_drain_is_no_event():
    watch = running()
    assert see(*[(HELD, DOWN)] * 60, watch=watch, drained=["198.18.20.22"]) == []
    # Its mark has gone, and ldirectord has not given it its weight yet.
    assert see(*[(HELD, DOWN)] * 20, (HELD, UP), watch=watch) == []


def test_who_is_out_and_then_drained_is_back_at_the_end():
    watch = running()
    assert see((HELD, DOWN), watch=watch) == ["server_out real2 (web): weight"]
    assert see((HELD, DOWN), watch=watch, drained=[REAL2]) == []
    assert watch.facts(hooks.Event("loss", "now", ()), 0)["HA_OUT"] == ""
    assert see((HELD, UP), watch=watch) == ["server_back real2 (web)"]


def test_who_is_dead_when_it_is_undrained_is_told():
    watch = running()
    assert see((HELD, DOWN), watch=watch, drained=[REAL2]) == []
    assert see(*[(HELD, DOWN)] * 40, watch=watch) == ["server_out real2 (web): weight"]


def test_cold_standby_has_no_table():
    """It goes with the address and is filled after it has come."""
    watch = running()
    assert see((HELD, None), *[((), None)] * 60, watch=watch) == [f"loss {VIP}"]
    assert see((HELD, None), (HELD, {REAL1: 0}), *[(HELD, {REAL1: 0, REAL2: 0})] * 9, (HELD, UP), watch=watch) == [
        f"takeover {VIP}"
    ]


def test_all_services_of_a_real_server_are_one_event():
    services = [{**DATA["services"][0], "name": f"web{port}", "port": port} for port in (80, 81)]
    for service in services:
        service["real_servers"] = [{**SERVERS[0], "port": service["port"]}]
    watch = hooks.Watch(hooks.Settings.read({**DATA, "services": services}), held=[VIP])
    told = []
    for now, weight in ((1.0, 1), (2.0, 0)):
        table = {f"TCP {VIP}:{port}": {f"198.18.20.21:{port}": weight} for port in (80, 81)}
        told += watch.see(hooks.Look(now, HELD, table), "now")
    assert list(map(str, told)) == ["server_out real1 (web80, web81)"]


def test_a_network_that_fails_is_told_of_each_real_server_and_fits_into_an_environment():
    many = [{"host": f"real{n}", "address": f"10.0.{n // 250}.{n % 250 + 1}", "port": 80} for n in range(3000)]
    settings = hooks.Settings.read({**DATA, "services": [{**DATA["services"][0], "real_servers": many}]})
    watch = hooks.Watch(settings, held=[VIP])
    for now, weight in ((1.0, 1), (2.0, 0)):
        told = watch.see(hooks.Look(now, HELD, {WEB: {row.server: weight for row in settings.rows}}), "now")
    assert len(told) == 3000
    out = watch.facts(told[0], 0)["HA_OUT"].split()
    assert (len(out), out[0], out[-1]) == (501, "real0:web", "...")


WEIGHTS = st.one_of(st.none(), st.fixed_dictionaries({}, optional={REAL1: st.integers(0, 2), REAL2: st.integers(0, 2)}))
LOOKS = st.lists(
    st.tuples(st.booleans(), WEIGHTS, st.sampled_from([1, 4, 31]), st.sampled_from([(), ("198.18.20.22",)]))
)


@given(LOOKS)
def test_out_and_back_alternate_and_only_the_holder_tells(looks):
    """Whatever is seen: two directors that see the same table tell each event at most once."""
    watches = [hooks.Watch(SETTINGS), hooks.Watch(SETTINGS)]
    told, now = [], 0.0
    for first_holds, servers, seconds, drained in looks:
        now += seconds
        for index, watch in enumerate(watches):
            holds = first_holds == (index == 0)
            table = {} if servers is None else {WEB: servers}
            seen = watch.see(hooks.Look(now, HELD if holds else set(), table, frozenset(drained)), "now")
            assert holds or {event.name for event in seen} <= {"loss"}
            told += [(index, event) for event in seen]
            for event in seen:
                weight = (servers or {}).get(f"{event.server}:80", 0)
                assert event.name not in ("server_out", "server_back") or bool(weight) == (event.name == "server_back")
    for index in (0, 1):
        moves = [event.name for at, event in told if at == index and not event.server]
        assert all(a != b for a, b in pairwise(moves))
        assert moves[:1] in ([], ["takeover"])


@given(st.lists(WEIGHTS), st.sampled_from([1, 4, 31]))
def test_a_holder_tells_out_and_back_in_turns(looks, seconds):
    watch = hooks.Watch(SETTINGS, held=[VIP])
    told = []
    for at, servers in enumerate(looks):
        told += watch.see(hooks.Look(at * seconds, HELD, {WEB: servers} if servers is not None else {}), "now")
    for _server, events in groupby(sorted(told, key=lambda event: event.server), key=lambda event: event.server):
        names = [event.name for event in events]
        assert names == [("server_out", "server_back")[at % 2] for at in range(len(names))]


# --- the queue and the command


EVENTS = st.builds(
    hooks.Event,
    name=st.sampled_from(["takeover", "loss", "server_out", "server_back"]),
    at=st.just("now"),
    vips=st.just((VIP,)),
).flatmap(
    lambda event: st.sampled_from(range(hooks.WAITING * 2)).map(
        lambda n: replace(event, server=f"s{n}", services=("web",)) if event.name.startswith("server") else event
    )
)


@given(st.lists(EVENTS, max_size=300))
def test_the_queue_is_bounded_and_says_what_it_drops(events):
    queue = hooks.Queue()
    dropped = []
    for event in events:
        before = list(queue.waiting)
        gone = queue.add(event)
        dropped += [gone] if gone else []
        assert gone is None or gone.server or not any(old.server for old in before)
        assert len(queue.waiting) <= hooks.WAITING
    assert queue.dropped == len(dropped)
    if queue.waiting:
        assert queue.next()[1] == len(dropped)
        assert queue.dropped == 0


def test_events_of_one_real_server_wait_as_one_in_order():
    queue = hooks.Queue()
    out = hooks.Event("server_out", "now", (VIP,), "s", "real1", ("web",), "weight")
    back = replace(out, name="server_back", reason="")
    for event in (out, replace(out, services=("mail",), vips=(OTHER_VIP,)), back, replace(out, services=("dns",))):
        assert queue.add(event) is None
    assert [(event.name, event.services, event.vips) for event in queue.waiting] == [
        ("server_out", ("web", "mail"), (VIP, OTHER_VIP)),
        ("server_back", ("web",), (VIP,)),
        ("server_out", ("dns",), (VIP,)),
    ]


def run(command, facts, seconds=0.5):
    """Run a command to its end; return how many seconds that took."""
    began = time.monotonic()
    one = hooks.Command()
    one.start(hooks.Order(tuple(command), seconds), hooks.Event("loss", "now", (VIP,)), facts)
    while one.runs():
        time.sleep(0.05)
    return time.monotonic() - began


def test_the_command_gets_the_facts_and_its_end_is_said(tmp_path, capfd):
    """Its arguments are not said."""
    code = f"import os; open({str(tmp_path / 'seen')!r}, 'w').write(os.environ['HA_EVENT']); raise SystemExit(3)"
    run([sys.executable, "-c", code, "hunter2"], {"HA_EVENT": "a b"}, 30)
    assert (tmp_path / "seen").read_text() == "a b"
    said = capfd.readouterr().out
    assert f"loss {VIP}: running {sys.executable}\n" in said
    assert f"loss {VIP}: ended with 3 after " in said
    assert "hunter2" not in said


def test_a_command_that_hangs_is_ended_with_what_it_has_started(tmp_path, capfd):
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $! > {tmp_path}/child\nwait\nsleep 600\n")
    script.chmod(0o755)
    assert 2 <= run([str(script)], {}, 2) < 60  # long enough for its child to be there
    assert "ended by its time limit" in capfd.readouterr().out
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    end = time.monotonic() + 60  # the kernel ends it when it is its turn
    while (state := state_of(child)) not in "XZ" and time.monotonic() < end:
        time.sleep(0.05)
    assert state in "XZ"


def state_of(stat: Path) -> str:
    """Return the state of a process, X where there is none."""
    try:
        return stat.read_text().rsplit(") ", 1)[1][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def test_a_command_that_is_not_there_is_said(capfd):
    assert run(["/nosuch/hook"], {}) < 5
    assert "/nosuch/hook can't be run: No such file" in capfd.readouterr().out


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that starts the program, with these commands, on this machine, which holds no address."""
    config = tmp_path / "hooks.json"
    monkeypatch.setattr(hooks, "CONFIGURATION", config)
    monkeypatch.setattr(hooks, "STATE", tmp_path / "state.json")

    def start(*argvs, **order):
        commands = [{"argv": list(argv), "timeout": 5, **order} for argv in argvs]
        config.write_text(json.dumps({**DATA, "commands": commands}))
        started = hooks.Hooks()
        started.read()
        return started

    return start


def test_what_was_seen_outlives_a_restart(program, capfd):
    """A file that is not understood changes nothing."""
    hooks.STATE.write_text(json.dumps({"held": [VIP], "out": [f"{WEB} {REAL2}"]}))
    one = program(["/bin/true", "-x"])
    one.turn()
    assert json.loads(hooks.STATE.read_text()) == {"held": [], "out": [], "kept": [], "waiting": {"/bin/true": []}}
    assert f"loss {VIP}: running /bin/true" in capfd.readouterr().out
    hooks.CONFIGURATION.write_text("{")
    one.turn()
    assert one.watch.settings == SETTINGS
    finish(one)


def finish(one):
    """Let all commands end."""
    end = time.monotonic() + 60
    while one.processes() and time.monotonic() < end:
        one.wait(1)
        one.turn()
    assert not one.processes()


@pytest.mark.parametrize(
    "before", [{}, {"waiting": []}, {"waiting": [{"name": "loss"}]}, {"waiting": {"/bin/true": [{}]}}]
)
def test_what_another_version_has_kept_is_no_harm(program, before):
    hooks.STATE.write_text(json.dumps(before))
    assert not program(["/bin/true"]).listeners["/bin/true"].queue.waiting


EVENT = hooks.Event("server_out", "now", (VIP,), "198.18.20.22", "real2", ("web",), "weight")


def test_what_waits_outlives_a_restart(program):
    """An upgrade restarts the program while a command runs."""
    one = program(["/bin/true"], ["/bin/false"])
    one.listeners["/bin/true"].queue.add(EVENT)
    one.save()
    again = program(["/bin/true"], ["/bin/false"])
    assert [list(each.queue.waiting) for each in again.listeners.values()] == [[EVENT], []]


def test_an_event_whose_command_could_not_be_started_is_counted(program):
    one = program(["/nonexistent"])
    one.listeners["/nonexistent"].queue.add(hooks.Event("takeover", "now", (VIP,)))
    one.turn()
    assert one.listeners["/nonexistent"].queue.dropped == 1


def test_a_command_that_hangs_holds_up_no_other(program, tmp_path):
    """Nor does one that has left the settings stay unobserved."""
    hook, mail = tmp_path / "hook", tmp_path / "mail"
    for script, line in ((hook, "exec sleep 600"), (mail, f"echo $HA_EVENT >>{tmp_path}/mailed")):
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
    one = program([str(hook)], [str(mail)], timeout=4)
    for name in ("takeover", "loss"):
        for listener in one.listeners.values():
            listener.hear(hooks.Event(name, "now", (VIP,)), 1.0)
    mailed, end = tmp_path / "mailed", time.monotonic() + 3
    while time.monotonic() < end and not (mailed.exists() and mailed.read_text() == "takeover\nloss\n"):
        one.turn()
        one.wait(0.3)
    one.wait(1)  # until the last mail's command has ended
    one.turn()
    assert mailed.read_text() == "takeover\nloss\n"
    assert len(one.processes()) == 1
    assert len(one.listeners[str(hook)].queue.waiting) == 1
    hooks.CONFIGURATION.write_text(json.dumps({**DATA, "commands": []}))
    one.turn()
    assert not one.listeners
    assert len(one.processes()) == 1
    finish(one)


def test_a_reminder_says_what_is_still_out_and_only_then():
    watch = running()
    assert watch.reminder("now") is None
    see((HELD, DOWN), watch=watch)
    assert watch.reminder("now") == hooks.Event("reminder", "now", (VIP,))
    assert watch.facts(watch.reminder("now"), 0)["HA_OUT"] == "real2:web"
    see((HELD, DOWN), watch=watch, drained=["198.18.20.22"])
    assert watch.reminder("now") is None, "somebody's intention"
    see(((), DOWN), watch=watch)
    assert watch.reminder("now") is None, "the other director reminds"
    see((HELD, UP), watch=watch)
    watch.rows[f"{WEB} {REAL1}"] = hooks.Known("kept", 0.0)
    assert watch.reminder("now") == hooks.Event("reminder", "now", (VIP,)), "a check fails"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.integers(1, 50))
def test_reminders_keep_their_distance_from_all_events(steps, repeat):
    listener, now, told = hooks.Listener(hooks.Order(("/bin/true",), 5, repeat)), 0.0, 0.0
    for step in steps:
        now += step
        if listener.is_due(now):
            assert now - told >= repeat
            listener.hear(hooks.Event("reminder", "now", ()), now)
            told = now
        else:
            assert now - told < repeat
    assert not hooks.Listener(hooks.Order(("/bin/true",))).is_due(1e9), "never, where nobody asks for it"


@pytest.mark.parametrize(
    ("given", "real", "refused"),
    [
        ("/usr/local/sbin/hook", "/usr/local/sbin/hook", False),
        ("/usr/local/sbin/hook", "/opt/homes/hook", False),
        ("/usr/local/sbin/hook", "/root/hook", True),
        ("/usr/local/sbin/hook", "/home/anna/hook", True),
        ("/home/hook", "/usr/local/sbin/hook", True),
    ],
)
def test_a_hook_is_not_behind_a_link_that_the_unit_does_not_see(tmp_path, given, real, refused):
    file = {"exists": True, "isreg": True, "executable": True, "uid": 0, "woth": False}
    said = judge(
        tmp_path,
        read_task("ha_hook", "check_hook", "Refuse a hook that can't be run"),
        ha_hook=[given],
        __ha_hook_file={"stat": file},
        __ha_hook_real={"stdout": real},
    )
    assert bool(said) is refused, said
    assert not refused or f"(it leads to {real})" in said
