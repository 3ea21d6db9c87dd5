# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two Judges of heartbeat-vips on a simulated network, in simulated time, beside a simple model of Heartbeat.

Whatever goes wrong, each address has one holder soon after peace returns, and all neighbours know which. The bounds
below are measured on this model; how long Heartbeat's scripts take is an assumption.
"""

from __future__ import annotations

import heapq
import random
from itertools import count

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from programs import load

vips = load("roles/heartbeat/files/heartbeat-vips")

KEEPALIVE, DEADTIME, INITDEAD = 0.5, 3.0, 12.0
SCRIPTS = (1.5, 4.0)  # s that Heartbeat's scripts take to add or to delete the addresses
DELAY = 0.001  # s on the network
NODES, NETS = ("dir1", "dir2"), ("eth0", "eth1")
NEIGHBOURS = ("router", "real", "client")
OWN = {
    ("dir1", "eth0"): "192.0.2.11",
    ("dir2", "eth0"): "192.0.2.12",
    ("dir1", "eth1"): "198.51.100.11",
    ("dir2", "eth1"): "198.51.100.12",
}
THIRD = {"192.0.2.1": "router", "192.0.2.21": "real"}
MACS = {"dir1": b"\2\0\0\0\0\1", "dir2": b"\2\0\0\0\0\2", "router": b"\2\0\0\0\0\3", "real": b"\2\0\0\0\0\4"}
PREFERRED = {"192.0.2.30": "dir1", "192.0.2.31": "dir2"}


def other(node):
    return NODES[1 - NODES.index(node)]


class Director:
    """A machine: kernel, Heartbeat and heartbeat-vips."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.on, self.boots = True, 0
        self.paused = False
        self.offset = 0.0  # s that the clock stood still
        self.up = dict.fromkeys(NETS, True)
        self.mute = False  # answers no ARP
        self.held = set()
        self.judge = None
        self.boot(first=True)

    # Kernel.

    @property
    def runs(self):
        return self.on and not self.paused

    def clock(self):
        return self.world.now - self.offset

    def addresses(self):
        return {OWN[self.name, net] for net in NETS if self.up[net]} | self.held

    def change(self, add, names):
        """Add or delete addresses; there is nothing to add them to without the interface."""
        before = set(self.held)
        self.held = (self.held | set(names) if self.up["eth0"] else self.held) if add else self.held - set(names)
        if self.held != before and self.judge:
            self.judge.kernel(self.addresses(), self.clock())

    def boot(self, first=False):
        world = self.world
        self.boots += 1
        self.on, self.held, self.woken = True, set(), world.now
        self.beats, self.status, self.resources, self.heard = False, "init", "unknown", self.clock()
        self.started = self.clock()
        data = {
            "node": self.name,
            "peer": other(self.name),
            "first": self.name == "dir1",
            "resources": [
                {"script": "IPaddr2", "arguments": [f"{address}/24/eth0"], "node": PREFERRED[address]}
                for address in world.vips
            ],
            "links": {net: [OWN[name, net] for name in NODES] for net in NETS},
            "witnesses": {"eth0": ["192.0.2.21"]},
            "silence": "300ms",
            "deadtime": DEADTIME,
        }
        if world.program:
            self.judge = vips.Judge(vips.Settings.read(data), self.clock())
            self.judge.gateways = {"eth0": ["192.0.2.1"]}
            self.judge.kernel(self.addresses(), self.clock())
            self.wake_at = -1.0
        if first:
            self.start("active")
        else:
            self.at(1.0, self.start, "init")
        for period, what in ((KEEPALIVE, self.heartbeat), (0.5, self.say_word), (1.0, self.look)):
            self.at(period * (0.2 + 0.6 * world.random.random()), self.every, period, what)

    def every(self, period, what):
        what()
        self.at(period, self.every, period, what)

    def at(self, delay, what, *arguments):
        """Do something later, unless the machine has lost its power. If it is paused then, it does so afterwards."""
        self.world.at(delay, self.late, self.boots, what, arguments)

    def late(self, boots, what, arguments):
        if self.on and boots == self.boots:
            if self.paused:
                self.postponed.append((what, arguments))
            else:
                what(*arguments)
                self.tick()

    def pause(self, seconds, clock_stops):
        if not self.runs:
            return
        self.paused, self.postponed = True, []
        self.world.at(seconds, self.resume, self.boots, seconds if clock_stops else 0)

    def resume(self, boots, lag):
        if not self.on or boots != self.boots:
            return
        self.paused = False
        self.offset += lag
        work, self.postponed = self.postponed, []
        self.world.random.shuffle(work)
        for what, arguments in work:
            what(*arguments)
        self.tick()

    def cut(self):
        self.on, self.paused, self.held, self.judge = False, False, set(), None
        self.beats = False

    def interface(self, up):
        self.up["eth0"] = up
        if not up:
            self.change(False, self.held)
        if self.judge:
            self.judge.kernel(self.addresses(), self.clock())

    # heartbeat-vips.

    def tick(self):
        if not (self.judge and self.runs):
            return
        now = self.clock()
        self.judge.tick(now)
        self.act()
        wake = max(self.judge.wake(), now + 0.002)
        if wake < self.wake_at or self.wake_at <= now:
            self.wake_at = wake
            self.at(wake - now, self.nothing)

    def nothing(self):
        self.wake_at = -1.0

    def act(self):
        actions, self.judge.actions = self.judge.actions, []
        for action in actions:
            names = [vip.address for vip in action.vips]
            if action.what in ("take", "drop"):
                self.world.moves += bool(set(names) - self.held) if action.what == "take" else 0
                self.world.note(f"{self.name} {action.what} {names}: {action.text}")
                self.change(action.what == "take", names)
            elif action.what in ("announce", "correct"):
                self.world.announce(self.name, names, action.mac)
            elif action.what == "ask":
                self.world.ask(self.name, action.link, action.address)
            elif action.what == "tell":
                self.world.tell(self.name, action.report.write())
            elif action.what == "move":
                self.move()
            elif action.what == "say":
                self.world.note(f"{self.name} {action.text}")

    def look(self):
        if self.judge:
            self.judge.kernel(self.addresses(), self.clock())

    def say_word(self):
        if self.judge and self.beats:
            self.judge.word(self.resources, self.clock())

    def say_node(self, status):
        if self.judge and self.beats:
            self.judge.node(status, self.clock())

    # Heartbeat.

    def start(self, status):
        self.beats, self.status, self.started, self.heard = True, status, self.clock(), self.clock()
        self.resources = "none" if status == "init" else ("all" if self.name == "dir1" else "none")
        if status == "active" and len(self.world.vips) > 1:
            self.resources = "local"
        if status == "active":
            self.held = {address for address in self.world.vips if self.claims(address)}
        self.decided = status == "active"
        self.epoch = self.world.now
        if self.judge:
            self.judge.joined(status, 0, self.clock())
            self.judge.word(self.resources, self.clock())

    def claims(self, address):
        return vips.claimed(vips.Vip(address, 24, "eth0", PREFERRED[address]), self.name, self.resources)

    def heartbeat(self):
        if not self.beats:
            return
        self.world.message(self.name, "beat", self.epoch, self.resources)
        limit = DEADTIME if self.status == "active" else INITDEAD
        if self.status not in ("dead",) and self.clock() - self.heard > limit:
            self.died()

    def died(self):
        self.status = "dead"
        self.world.note(f"{self.name}: Heartbeat says that the other one is dead")
        self.say_node("dead")
        self.decided = True
        self.acquire("all")

    def acquire(self, resources):
        self.resources = "transition"
        self.at(self.world.random.uniform(*SCRIPTS), self.acquired, self.epoch, resources)

    def acquired(self, epoch, resources):
        if self.beats and epoch == self.epoch:
            self.resources = resources
            names = [address for address in self.world.vips if self.claims(address)]
            self.change(True, names)
            for delay in (0, 0.2, 0.4, 0.6, 0.8):  # send_arp
                self.at(delay, self.send_arp, names)

    def send_arp(self, names):
        self.world.announce(self.name, [name for name in names if name in self.held])

    def received(self, kind, epoch, resources):
        """Hear a packet of the other director's Heartbeat."""
        if not self.beats:
            return
        self.heard = self.clock()
        if kind == "beat":
            if self.status == "dead" and epoch == self.peer_epoch:
                self.world.note(f"{self.name}: Heartbeat restarts after a partition")
                self.status = "active"
                self.say_node("active")
                self.restart()
                return
            if self.status in ("dead", "init"):
                for status in ("init", "up", "active"):
                    self.say_node(status)
                self.status = "active"
            else:
                self.say_node("active")
            self.peer_epoch = epoch
            if not self.decided and resources != "transition":
                self.decided = True
                if resources in ("all", "local") and resources != self.resources:
                    if resources == "local":
                        self.acquire("local")
                elif self.name == "dir1" or len(self.world.vips) > 1:  # both begin: each takes what prefers it
                    self.acquire("local" if len(self.world.vips) > 1 else "all")
        elif kind == "take":
            self.resources = "transition"
            self.at(self.world.random.uniform(*SCRIPTS), self.released, self.epoch)
        elif kind == "released" and self.resources == "transition":
            self.acquire("all")

    peer_epoch = None

    def released(self, epoch):
        if self.beats and epoch == self.epoch:
            self.change(False, self.world.vips)
            self.resources = "none"
            self.world.message(self.name, "released", self.epoch, "none")

    def restart(self):
        self.beats = False
        if self.judge:
            self.judge.lost("Heartbeat has closed the connection")
        self.at(self.world.random.uniform(*SCRIPTS), self.change, False, list(self.world.vips))
        self.at(SCRIPTS[1] + 1, self.start, "init")

    def killed(self, seconds):
        """Heartbeat is killed, its addresses stay, and it is started again after some seconds."""
        if not (self.runs and self.beats):
            return
        self.beats, self.epoch = False, self.world.now
        if self.judge:
            self.judge.lost("Heartbeat has closed the connection")
        self.at(seconds, lambda: None if self.beats else self.start("init"))

    def move(self):
        self.resources = "transition"
        self.world.message(self.name, "take", self.epoch, "transition")


class World:
    """The network and its neighbours; program: whether heartbeat-vips runs."""

    def __init__(self, seed, addresses=("192.0.2.30",), program=True):
        self.random = random.Random(seed)
        self.vips, self.program = tuple(addresses), program
        self.now, self.events, self.number = 0.0, [], count()
        self.groups = {net: {} for net in NETS}  # whoever is in another group is not reached
        self.down = dict.fromkeys(NETS, 0)
        self.apart = set()  # networks on which the directors don't reach each other
        self.loss = dict.fromkeys(NETS, 0.0)
        self.notes, self.moves = [], 0
        self.twice = self.none = 0.0
        self.asked = []
        self.directors = {}
        self.cache = {(who, address): PREFERRED[address] for who in NEIGHBOURS for address in self.vips}
        self.outage = dict.fromkeys(self.cache, 0.0)  # s for which a neighbour has not reached an address
        if len(self.vips) == 1:
            self.cache = dict.fromkeys(self.cache, "dir1")
        for name in NODES:
            self.directors[name] = Director(self, name)
        for director in self.directors.values():
            director.peer_epoch = 0.0
            director.tick()

    def note(self, text):
        self.notes.append(f"{self.now:8.3f} {text}")

    def at(self, delay, what, *arguments):
        heapq.heappush(self.events, (self.now + delay, next(self.number), what, arguments))

    def run(self, seconds):
        end = self.now + seconds
        while self.events and self.events[0][0] <= end:
            at, _number, what, arguments = heapq.heappop(self.events)
            self.account(at - self.now)
            self.now = at
            what(*arguments)
        self.account(end - self.now)
        self.now = end
        return self

    def reaches(self, net, one, two):
        """Return whether a frame gets from one to the other, who has to listen."""
        ends = [self.directors.get(name) for name in (one, two)]
        if any(end and not (end.runs and end.up[net]) for end in ends):
            return False
        group = self.groups[net]
        if net in self.apart and None not in ends:
            return False
        if self.down[net] or group.get(one, 0) != group.get(two, 0):
            return False
        return not self.loss[net] or self.random.random() >= self.loss[net]

    def ask(self, who, net, address):
        if who in self.directors:
            self.asked.append((self.now, who, net))
        owner = THIRD.get(address)
        if owner is None:
            two = self.directors[other(who)]
            if address not in two.addresses() or two.mute or (address in self.vips and net != "eth0"):
                return
            owner = two.name
        if self.reaches(net, who, owner) and self.reaches(net, owner, who):
            found = vips.Heard(address, MACS[owner], True)
            self.at(DELAY, self.deliver, who, "frame", net, found)

    def deliver(self, who, method, *arguments):
        """Tell a Judge something, if the machine listens."""
        director = self.directors[who]
        if director.runs and director.judge:
            getattr(director.judge, method)(*arguments, director.clock())
            director.tick()

    def announce(self, who, names, mac=b""):
        """Announce addresses, or say that they are at another MAC."""
        owner = next(name for name in NODES if MACS[name] == mac) if mac else who
        for neighbour in NEIGHBOURS:
            if names and self.reaches("eth0", who, neighbour):
                self.cache.update({(neighbour, address): owner for address in names})
        if not mac and names and self.reaches("eth0", who, other(who)):
            for address in names:
                self.at(DELAY, self.deliver, other(who), "frame", "eth0", vips.Heard(address, MACS[who], False))

    def message(self, who, kind, epoch, resources):
        """Send a packet of Heartbeat's over all links; one that is no heartbeat is sent again."""
        peer = self.directors[other(who)]
        if any(self.reaches(net, who, peer.name) for net in NETS):
            peer.at(DELAY, peer.received, kind, epoch, resources)
        elif kind != "beat":
            self.directors[who].at(0.25, self.message, who, kind, epoch, resources)

    def tell(self, who, text, tries=8):
        """Pass a report on, if both have a Heartbeat."""
        peer = self.directors[other(who)]
        if not self.directors[who].beats or not tries:
            return
        if not peer.beats:
            return  # whoever starts anew asks for nothing old
        if any(self.reaches(net, who, peer.name) for net in NETS):
            peer.at(self.random.uniform(0.005, 0.05), self.told, peer, text)
        else:
            self.directors[who].at(0.25, self.tell, who, text, tries - 1)

    def told(self, peer, text):
        if peer.judge and peer.beats:
            peer.judge.reported(vips.Report.read(text), peer.clock())

    # What clients have of it.

    def holders(self, address):
        return [name for name, director in self.directors.items() if director.runs and address in director.held]

    def serves(self, neighbour, address):
        director = self.directors[self.cache[neighbour, address]]
        if not (director.runs and director.up["eth0"] and address in director.held) or self.down["eth0"]:
            return False
        group = self.groups["eth0"]
        return group.get(neighbour, 0) == group.get(director.name, 0)

    def account(self, seconds):
        if seconds:
            for address in self.vips:
                number = len(self.holders(address))
                self.twice += seconds * (number > 1)
                self.none += seconds * (number == 0)
                for neighbour in NEIGHBOURS:
                    self.outage[neighbour, address] += seconds * (not self.serves(neighbour, address))

    def sound(self):
        """Return whether each address has one holder, and all neighbours know it."""
        for address in self.vips:
            holders = self.holders(address)
            if len(holders) != 1 or any(self.cache[neighbour, address] != holders[0] for neighbour in NEIGHBOURS):
                return False
        return True

    def settle(self, limit):
        """Return how long it takes until all is well for good; limit: s that are watched."""
        start = last = self.now
        while self.now < start + limit:
            self.run(0.1)
            if not self.sound():
                last = self.now
        return last - start

    # What goes wrong.

    def state(self, table, key, value):
        table[key] = value

    def fault(self, kind, seconds, who, net):
        """Let something go wrong now, and end after some seconds."""
        director = self.directors[who]
        nets = NETS if net == "both" else (net,)
        self.note(f"{kind} of {seconds} s, {who}, {net}")
        if kind == "hiccup":
            for name in nets:
                self.down[name] += 1
                self.at(seconds, lambda name=name: self.state(self.down, name, self.down[name] - 1))
        elif kind == "loss":
            for name in nets:
                self.loss[name] = 0.3
                self.at(seconds, self.state, self.loss, name, 0.0)
        elif kind == "split":  # the gateway and a client stay with one director
            for name in nets:
                self.groups[name] = {who: 1, "real": 1} if name == "eth0" else {who: 1}
                self.at(seconds, self.state, self.groups, name, {})
        elif kind == "apart":  # only the directors can't reach each other: the port of one is isolated for the other
            for name in nets:
                self.apart.add(name)
                self.at(seconds, self.apart.discard, name)
        elif kind == "link":
            for name in nets:
                self.groups[name] = {who: 1}
                self.at(seconds, self.state, self.groups, name, {})
        elif kind in ("pause", "stun"):
            director.pause(seconds, kind == "stun")
        elif kind == "power":
            if director.runs and self.directors[other(who)].runs:
                director.cut()
                self.at(max(seconds, 8), lambda: None if director.on else director.boot())
        elif kind == "interface":
            director.interface(False)
            self.at(seconds, director.interface, True)
        elif kind == "killed":
            director.killed(seconds)
        elif kind == "mute":
            director.mute = True
            self.at(seconds, setattr, director, "mute", False)
        elif kind == "delete":
            if director.runs:
                director.change(False, self.vips)
        elif kind == "forged":
            for number in range(int(seconds * 5)):
                for name in nets:
                    for address in self.vips:
                        found = vips.Heard(address, b"\2\0\0\0\0\x66", number % 2 == 0)
                        self.at(number / 5, self.deliver, who, "frame", name, found)


def test_peace_is_quiet():
    """No move, and at most five questions a second and link."""
    world = World(1).run(300)
    assert world.sound()
    assert (world.moves, world.twice, world.none) == (0, 0, 0)
    assert set(world.outage.values()) == {0}
    for who in NODES:
        for net in NETS:
            times = [at for at, one, where in world.asked if (one, where) == (who, net)]
            assert len(times) <= 5 * 300 + 2


def scenario(seed, faults, addresses=("192.0.2.30",), program=True):
    """Let things go wrong, each some seconds after the last one; return the world when peace returns."""
    world = World(seed, addresses, program)
    world.run(8)
    end = world.now
    for gap, kind, seconds, who, net in faults:
        world.run(gap)
        world.fault(kind, seconds, who, net)
        end = max(end, world.now + seconds)
    return world.run(end - world.now)


SEEDS = st.integers(0, 2**16)
WHO = st.sampled_from(NODES)
ONE_OR_BOTH = st.sampled_from([("192.0.2.30",), ("192.0.2.30", "192.0.2.31")])
# Deterministic, and without the search for a smaller example, which would take minutes.
QUICK = settings(derandomize=True, database=None, phases=[Phase.generate])
FEW = settings(QUICK, max_examples=10)


@FEW
@given(SEEDS, st.floats(0.1, 2.4), WHO, st.sampled_from(["eth0", "eth1", "both"]), ONE_OR_BOTH)
def test_a_hiccup_costs_no_more_than_itself(seed, seconds, who, net, addresses):
    """H1: shorter than what Heartbeat takes for a death. Outage at most the hiccup, and all is well 0.3 s later."""
    world = scenario(seed, [(0, "hiccup", seconds, who, net)], addresses)
    assert world.settle(20) <= 0.3, "\n".join(world.notes)
    assert max(world.outage.values()) <= seconds + 0.3, "\n".join(world.notes)


@FEW
@given(SEEDS, st.floats(0.1, 2.4), WHO, st.booleans(), ONE_OR_BOTH)
def test_a_machine_that_stands_still_for_a_moment_costs_no_more_than_that(seed, seconds, who, clock_stops, addresses):
    """H1: a snapshot or a live migration; addresses are on trial meanwhile, and neighbours told when it ends."""
    world = scenario(seed, [(0, "stun" if clock_stops else "pause", seconds, who, "both")], addresses)
    assert world.settle(20) <= 0.3, "\n".join(world.notes)
    assert max(world.outage.values()) <= seconds + 0.3, "\n".join(world.notes)


@FEW
@given(SEEDS, st.floats(5, 60), st.sampled_from(["split", "apart"]), WHO, ONE_OR_BOTH)
def test_a_split_moves_nothing_away_from_the_gateway(seed, seconds, kind, who, addresses):
    """H2: with a real server on both sides. Two directors that can't ask only each other move nothing either."""
    world = scenario(seed, [(0, kind, seconds, who, "eth0")], addresses)
    gateway = other(who)
    moved = [note for note in world.notes if " take " in note]
    if kind == "apart":
        assert moved == []
    else:
        assert all(f" {gateway} take " in note for note in moved), moved
        assert len(moved) <= 1
    assert world.settle(20) <= 2, "\n".join(world.notes)


@FEW
@given(SEEDS, WHO, ONE_OR_BOTH)
def test_a_machine_without_power_is_replaced_at_once(seed, who, addresses):
    """It takes no more than a second, whichever director it is."""
    world = scenario(seed, [(0, "power", 40, who, "both")], addresses)
    assert max(world.outage.values()) <= 1, "\n".join(world.notes)
    assert world.settle(20) <= 1, "\n".join(world.notes)


@FEW
@given(SEEDS, st.floats(2, 30), WHO, st.sampled_from(["eth0", "both"]), ONE_OR_BOTH)
def test_no_arp_and_forged_arp_move_nothing(seed, seconds, who, net, addresses):
    """H5 and M2: at most one trial, for at most two heartbeats."""
    world = scenario(seed, [(0, "mute", seconds, who, net), (5, "forged", seconds, other(who), net)], addresses)
    assert world.twice <= 1.5 * len(addresses), "\n".join(world.notes)
    assert max(world.outage.values()) == 0
    assert world.settle(5) <= 1.5


KINDS = ["hiccup", "loss", "split", "apart", "link", "pause", "stun", "power", "interface", "mute", "delete", "forged"]


def draw(number):
    """Return some faults and addresses. Hypothesis would draw others whenever other tests are run beside this one."""
    choice = random.Random(number).choice
    faults = [
        (
            choice([0.5, 2.0, 10.0]),
            choice([*KINDS, "killed"]),
            choice([0.3, 1.0, 2.5, 5.0, 20.0]),
            choice(NODES),
            choice(["eth0", "eth1", "both"]),
        )
        for _fault in range(choice([1, 2, 3]))
    ]
    return faults, choice([("192.0.2.30",), ("192.0.2.30", "192.0.2.31")])


@pytest.mark.parametrize("number", [*range(100), 225])  # 225: both Heartbeats are killed right after a trial
def test_whatever_goes_wrong_all_is_well_soon_after(number):
    """One holder, known to all neighbours, and few moves on the way."""
    faults, addresses = draw(number)
    world = scenario(number, faults, addresses)
    twice, none = world.twice, world.none
    assert world.settle(40) <= SETTLED, "\n".join(world.notes)
    assert world.twice - twice <= TWICE * len(addresses), "\n".join(world.notes)
    assert world.none - none <= NONE * len(addresses), "\n".join(world.notes)
    assert world.moves <= MOVES * len(faults), "\n".join(world.notes)


SETTLED = 25.0  # s after peace until nothing changes any more; most of it is Heartbeat's restart, which moves addresses
TWICE = 8.0  # s with two holders after peace, for each address
NONE = 4.0  # s without a holder after peace, for each address
MOVES = 6  # for each fault
