# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile review found in heartbeat-vips, on the simulated network of test_heartbeat_vips_model.

Each of these failed in a copy of the program without the mend that it is about.
"""

from __future__ import annotations

import dataclasses
import math

import pytest
import test_heartbeat_vips_model as model
from test_heartbeat_vips_model import Director, World, other


class Planned(Director):
    """A director whose Heartbeat somebody restarts: its unit hands over first."""

    ending = stopping = False

    def look(self):
        if self.judge:
            self.judge.services = 1
            self.judge.age = self.clock() - self.started if self.beats else math.inf
        super().look()

    def restarted(self):
        self.stopping = True
        self.judge.hand_over(self.clock(), 5.0)
        self.tick()

    def act(self):
        if self.stopping and any(action.what in ("done", "refuse") for action in self.judge.actions):
            self.stopping = False
            self.at(0.2, self.end)
        super().act()

    def end(self):
        self.ending, self.resources, self.epoch = True, "none", self.world.now
        self.at(self.world.random.uniform(*model.SCRIPTS), self.ended)

    def ended(self):
        """Its scripts have given everything up, and it tells the other one, which takes what it has not."""
        self.change(False, list(self.world.vips))
        self.beats = False
        self.judge.lost("Heartbeat has closed the connection")
        peer = self.world.directors[other(self.name)]
        if peer.beats and peer.decided and not peer.ending and peer.resources != "all":
            peer.acquire("all")
        self.at(1.0, self.again)

    def again(self):
        self.ending = False
        self.start("init")

    def acquired(self, epoch, resources):
        if not self.ending:
            super().acquired(epoch, resources)


@pytest.mark.parametrize("gap", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_both_heartbeats_restarted_at_once_hold_nothing_twice_for_long(monkeypatch, seed, gap):
    """The standby's first: it is no place to hand over to. Two holders for 114 s, where Heartbeat alone had none."""
    monkeypatch.setattr(model, "Director", Planned)
    world = World(seed).run(20)
    twice, none = world.twice, world.none
    world.directors["dir2"].restarted()
    world.run(gap)
    world.directors["dir1"].restarted()
    world.run(100)
    assert world.twice - twice <= model.TWICE, "\n".join(world.notes)
    assert world.none - none <= 6, "\n".join(world.notes)  # as long as Heartbeat alone takes
    assert world.sound()


def with_silence(world, seconds):
    """Give both directors another heartbeat_silence (s)."""
    for director in world.directors.values():
        director.judge.settings = dataclasses.replace(director.judge.settings, silence=seconds, deadtime=model.DEADTIME)
        director.judge.fast = seconds / model.vips.QUESTIONS
    return world


@pytest.mark.parametrize("silence", [0.075, 0.15, 0.45, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_machine_without_power_is_replaced_after_any_silence(monkeypatch, seed, silence):
    """Two links need not be in step: from 0.6 s on, there was no trial at all."""
    monkeypatch.setattr(model, "DEADTIME", 30.0)
    world = with_silence(World(seed), silence).run(20)
    world.fault("power", 60, "dir1", "both")
    world.run(28)
    [took] = [float(note.split()[0]) - 20 for note in world.notes if " dir2 take " in note]
    assert silence <= took <= 1.5 * silence + 0.3


@pytest.mark.parametrize("silence", [0.3, 4.0])
def test_a_trial_is_one_however_old_the_last_report_is(monkeypatch, silence):
    """A director that stands still for longer than a report is believed gets its address back when it goes on."""
    monkeypatch.setattr(model, "DEADTIME", 12.0)
    world = with_silence(World(3), silence).run(66)
    world.directors["dir2"].resources = "all"  # as after a death that only one of them has noticed
    world.run(10)
    twice = world.twice
    world.fault("pause", 2 * silence + 2, "dir1", "both")
    world.run(60)
    assert world.twice - twice <= 1, "\n".join(world.notes)


@pytest.mark.parametrize("who", model.NODES)
@pytest.mark.parametrize("addresses", [("192.0.2.30",), ("192.0.2.30", "192.0.2.31")])
def test_no_claim_to_what_the_other_director_holds_stays(who, addresses):
    """One Heartbeat took the other one for dead. Of two active directors, the other one claims only its own part."""
    world = World(1, addresses).run(70)
    world.directors[who].died()
    world.run(0.05)
    world.directors[who].status = "active"
    world.run(150)
    for address in addresses:
        [holder] = world.holders(address)
        assert not world.directors[other(holder)].claims(address), "\n".join(world.notes)
    assert world.sound()
