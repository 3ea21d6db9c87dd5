# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that pass by themselves, or are not the director's: heartbeat-vips must not make them worse.

After each, one director holds the VIP, the neighbours send to that one, and no request fails.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from faults import (
    BY_CHANCE,
    CLUSTER,
    DEDICATED,
    DIRECTORS,
    PUBLIC,
    REAL_SERVERS,
    TAKEN_OVER,
    WHOLE,
    assert_served,
    fit,
    links_cut,
    mac,
    misled,
    other,
    shell,
    silence,
    wait_one_holder,
    wait_whole,
    watched,
)
from harness import ROOT, ask, run, wait_for

CLIENT = CLUSTER.group("clients")[0]
HICCUP = 0.5  # s that a hiccup may cost beyond its own length: 0.3, and what the lab's one processor adds
KEEPALIVE, DEADTIME = 0.5, 3.0  # s, of the profile balanced
# s until an address that was deleted is back: two, and what the lab's one processor adds. Heartbeat alone does nothing.
MENDED = 6.0
SYNC_GROUP = "224.0.0.81"  # of the kernel's daemons that tell the other director of connections
NETWORKD = "/etc/systemd/network"
FORGER = """
import socket, struct, sys, time
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0))
own = link.getsockname()[4]
vip, director, other = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), sys.argv[3]
seconds, pause = map(float, sys.argv[4:])
def frame(to, by, operation, mac, sender, about, target):
    return (to + by + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, operation) + mac + socket.inet_aton(sender)
            + about + socket.inet_aton(target))
end = time.monotonic() + seconds
while time.monotonic() < end:
    for mac in (own, bytes.fromhex("020000000666")):
        link.send(frame(director, own, 2, mac, vip, director, vip))
        link.send(frame(director, own, 2, mac, other, director, vip))
    time.sleep(pause)
"""


def guest(command: str) -> str:
    """Run a command where the machines' engine runs, which has the other ends of their cables."""
    return run(str(ROOT / "lab" / "lab"), "exec", "sh", "-c", command)


def port(host: str) -> str:
    """Return the name of the other end of a host's public cable."""
    index = shell(host, f"cat /sys/class/net/{PUBLIC}/iflink").strip()
    return guest(f"grep -lx {index} /sys/class/net/*/ifindex | cut -d / -f 5").strip()


def moves(since: float) -> list[str]:
    """Return what heartbeat-vips on both directors has taken or given up since then (s since the epoch)."""
    words = f"journalctl -u heartbeat-vips --since @{int(since)} -o cat | grep -E ': (took|gave up) [0-9a-f]'"
    return [line for name in DIRECTORS for line in shell(name, words, check=False).splitlines()]


def hears(name: str) -> bool:
    """Return whether a director gets the other one's reports."""
    return '"reports": true' in shell(name, "heartbeat-vips status", check=False)


def declared_dead(name: str) -> int:
    """Return how often the other director's Heartbeat has declared a director dead."""
    return int(shell(other(name), f"grep -c '{name}.* is dead' /var/log/ha-log", check=False) or 0)


def wait_not_misled(holder: str) -> None:
    """Wait until no neighbour sends the VIP's packets to somebody else; they may learn of a move a moment later."""
    wait_for(f"all send to {holder}", lambda: misled(holder) == [], 10)


def forget_trust() -> None:
    """Restart heartbeat-vips: after a wrong trial it tries nothing for a minute."""
    for name in DIRECTORS:
        shell(name, "systemctl restart heartbeat-vips")
    for name in DIRECTORS:
        wait_for("the directors hear each other", partial(hears, name))
    time.sleep(1)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.5])
def test_all_links_of_the_active_director_are_silent_for_a_moment(active, seconds):
    """The trial is undone at once, and the neighbours are told.

    The longest silence, from the heartbeat before it to the one after it, is as long as the deadtime: both may go on.
    """
    forget_trust()
    with watched(seconds + 8) as seen:
        seconds = silence(active, seconds)
    if short := seconds + 2 * KEEPALIVE < DEADTIME:
        assert CLUSTER.holders() == [active]
        assert misled(active) == []
    assert seen.outage < seconds + HICCUP
    holder = wait_whole()
    assert holder == active or not short
    assert misled(holder) == []
    assert_served()


def test_one_network_loses_a_third_of_its_packets(active):
    """The other network is down, so this one has to do. Nothing moves, and nobody is misled."""
    forget_trust()
    began, deaths = time.time(), declared_dead(active)
    with links_cut(active, DEDICATED):
        silence(active, 60, 30, (PUBLIC,))
    # Once in a while six heartbeats in a row are among that third, and the other director is right to take over.
    if declared_dead(active) == deaths:
        assert len(moves(began)) <= 2, "one wrong trial at most"
        wait_one_holder(active)
    holder = wait_whole()
    assert misled(holder) == []
    assert_served()


def test_the_public_network_splits_and_the_gateway_is_with_the_active_director(active):
    """The standby and a real server are on the other side. The director that serves the clients goes on."""
    forget_trust()
    away = [port(other(active)), port(REAL_SERVERS[1])]
    bridge = guest(f"basename $(readlink /sys/class/net/{away[0]}/master)").strip()
    began = time.time()
    guest("ip link add split type bridge && ip link set split up")
    try:
        guest(" && ".join(f"ip link set {name} master split" for name in away))
        time.sleep(40)
        assert CLUSTER.holders() == [active]
        assert moves(began) == []
    finally:
        guest(" && ".join(f"ip link set {name} master {bridge}" for name in away) + " && ip link del split")
    assert misled(active) == []
    assert wait_whole() == active
    assert_served()


def test_the_directors_cannot_ask_each_other(active):
    """A private VLAN: both reach everybody else, so there is nothing to move."""
    forget_trust()
    ports = [port(name) for name in DIRECTORS]
    began = time.time()
    try:
        guest(" && ".join(f"bridge link set dev {name} isolated on" for name in ports))
        with watched(30) as seen:
            pass
    finally:
        guest(" && ".join(f"bridge link set dev {name} isolated off" for name in ports))
    assert moves(began) == []
    seen.assert_lost()
    assert wait_whole() == active


def test_the_active_directors_kernel_stops_answering(active):
    """arp_ignore=8: its heartbeats go on, so the trial is over within a second, and is not repeated."""
    forget_trust()
    began = time.time()
    shell(active, "sysctl --quiet --write net.ipv4.conf.all.arp_ignore=8")
    try:
        time.sleep(10)
        assert CLUSTER.holders() == [active]
        assert len(moves(began)) <= 2, "one trial"
    finally:
        shell(active, "sysctl --quiet --write net.ipv4.conf.all.arp_ignore=0")
    assert wait_whole() == active
    wait_not_misled(active)
    assert_served()


def test_the_address_is_deleted(active):
    with watched(15) as seen:
        shell(active, f"ip address del {CLUSTER.vip}/24 dev {PUBLIC}")
    assert seen.outage < MENDED
    assert CLUSTER.holders() == [active]
    assert_served()


def test_the_address_is_deleted_from_the_only_director_that_is_left(active):
    CLUSTER.cut_power(other(active))
    try:
        # Until Heartbeat has finished that, its scripts add the address, and heartbeat-vips leaves it to them.
        states = f"cl_status nodestatus {other(active)}; cl_status rscstatus"
        wait_for("it is missed", lambda: shell(active, states, check=False) == "dead\nall\n", WHOLE)
        with watched(15) as seen:
            shell(active, f"ip address del {CLUSTER.vip}/24 dev {PUBLIC}")
        assert seen.outage < MENDED
        assert_served()
    finally:
        CLUSTER.power_on(other(active))
    assert wait_whole() == active


def test_networkd_takes_the_address_away(active):
    """When it starts, it deletes what is not in its files. It starts at a restart, or an upgrade of its package."""
    own = CLUSTER.variables(active)["ha_interfaces"][PUBLIC]
    file = f"[Match]\\nName={PUBLIC}\\n[Network]\\nAddress={own}\\nLinkLocalAddressing=no\\n"
    # There is no udev here, and networkd leaves an interface alone that udev has not announced.
    known = f"mkdir -p /run/udev/data; touch /run/udev/control; cat /sys/class/net/{PUBLIC}/ifindex"
    index = shell(active, known).strip()
    route = shell(active, "ip route show default").strip()  # networkd deletes it as well
    began = time.time()
    try:
        with watched(20) as seen:
            shell(active, f"echo I:1 > /run/udev/data/n{index}; printf '{file}' > {NETWORKD}/10-public.network")
            shell(active, "systemctl start systemd-networkd")
            time.sleep(5)
            shell(active, "systemctl restart systemd-networkd")
        # Where networkd is slow, its restart comes at the end of the requests.
        wait_one_holder(active)
        wait_for("heartbeat-vips says what networkd has taken away", lambda: moves(began) != [], 10)
        assert seen.outage < MENDED
        wait_not_misled(active)
    finally:
        shell(active, "systemctl stop systemd-networkd.socket systemd-networkd")
        shell(active, f"rm -r /run/udev {NETWORKD}/10-public.network; ip route replace {route}")
    assert wait_whole() == active
    assert_served()


def test_the_active_directors_machine_stands_still_for_ten_seconds(active):
    """Like a virtual machine during a migration or a snapshot: its kernel answers nothing either."""
    with watched(40) as seen, ThreadPoolExecutor(max_workers=1) as pool:
        still = pool.submit(silence, active, 10)
        wait_for("it loses its packets", lambda: "netem" in shell(active, f"tc qdisc show dev {DEDICATED}"))
        run("docker", "pause", active)
        time.sleep(10)
        run("docker", "unpause", active)
        still.result()
    assert seen.outage < TAKEN_OVER
    holder = wait_whole()
    assert misled(holder) == []
    assert_served()


@contextmanager
def made_anew(host: str, *names: str) -> Iterator[None]:
    """Take interfaces out of a machine, as cards are; afterwards they come back with other indices."""
    process = run("docker", "inspect", "--format", "{{.State.Pid}}", host).strip()
    addresses = {name: shell(host, f"ip -brief address show {name}").split()[2] for name in names}
    route = shell(host, "ip route show default").strip()  # to the packages that others need
    for name in names:
        index = shell(host, f"cat /sys/class/net/{name}/ifindex").strip()
        guest(f"nsenter --target {process} --net ip link set {name} netns 1 name gone-{name}")
        shell(host, f"ip link add name held-{name} index {index} type dummy")
    yield
    for name in names:
        guest(f"ip link set gone-{name} netns {process} name {name}")
        ready = f"ip address add {addresses[name]} dev {name} && ip link set {name} up && ip link delete held-{name}"
        shell(host, f"{ready} && ip route replace {route}" if name in route.split() else ready)


def link_is_up(host: str, name: str) -> bool:
    """Return whether a host's Heartbeat hears the other one on a link."""
    return ask(host, "cl_status", "hblinkstatus", other(host), name).strip() == "up"


def test_a_link_goes_away_and_comes_back(active):
    """The standby's interface to the dedicated network. Heartbeat's socket is bound to the one that is no more."""
    heir = other(active)
    with watched(30) as seen, made_anew(heir, DEDICATED):
        time.sleep(5)
        wait_for("it is missed", lambda: '"eth1": false' in shell(heir, "heartbeat-vips status"), 30)
    wait_for("it is heard again", lambda: '"eth1": true' in shell(heir, "heartbeat-vips status"), 120)
    wait_for("Heartbeat hears it, too", lambda: link_is_up(heir, DEDICATED), 120)
    wait_for("so do its sync daemons", lambda: SYNC_GROUP in shell(heir, f"ip maddress show dev {DEDICATED}"), 60)
    wait_for("it is fit to take over", lambda: fit(heir), WHOLE)
    seen.assert_lost(BY_CHANCE)
    with watched(12) as seen:
        CLUSTER.cut_power(active)
    assert seen.outage < TAKEN_OVER
    CLUSTER.power_on(active)
    assert wait_whole() == heir


def test_the_directors_own_address_comes_after_the_vip(active):
    """As when a switch is up later than the directors. What the director then sends would come from the VIP."""
    own = CLUSTER.variables(active)["ha_interfaces"][PUBLIC]
    route = f"ip -4 route show dev {PUBLIC} proto kernel"
    with watched(10) as seen:
        shell(active, f"ip address delete {own} dev {PUBLIC}; ip address add {own} dev {PUBLIC}")
        wait_for("its own address is the source", lambda: f"src {own.split('/')[0]}" in shell(active, route), 30)
    seen.assert_lost()
    assert wait_whole() == active


def test_all_links_of_a_director_are_made_anew(active):
    """Neither Heartbeat hears the other one then, and each has everything."""
    heir = other(active)
    with made_anew(heir, PUBLIC, DEDICATED):
        time.sleep(3)
    wait_for("Heartbeat hears both", lambda: link_is_up(heir, PUBLIC) and link_is_up(heir, DEDICATED), WHOLE)
    assert wait_whole() == active
    assert_served()


@pytest.mark.parametrize(("seconds", "pause"), [(15, 0.5), (5, 0)], ids=["forged answers", "a flood of them"])
def test_somebody_lies_about_who_has_the_address(active, seconds, pause):
    """Neither director believes it, and neither is kept busy."""
    forget_trust()
    began = time.time()
    for name in DIRECTORS:
        own = CLUSTER.variables(other(name))["ha_interfaces"][PUBLIC].split("/")[0]
        forge = ["timeout", "60", "python3", "-c", FORGER, CLUSTER.vip, mac(name), own, str(seconds), str(pause)]
        shell(CLIENT, shlex.join(forge))
    assert moves(began) == []
    memory = shell(active, "systemctl show --property MemoryCurrent --value heartbeat-vips").strip()
    assert not memory.isdigit() or int(memory) < 64 << 20
    assert wait_whole() == active
    assert_served()


def test_power_is_cut_during_a_trial(active):
    """The trial was right after all."""
    forget_trust()
    with watched(12) as seen:
        for name in (PUBLIC, DEDICATED):
            shell(active, f"tc qdisc add dev {name} root netem loss 100%")
        time.sleep(0.8)
        CLUSTER.cut_power(active)
    assert seen.outage < TAKEN_OVER
    wait_one_holder(other(active))
    CLUSTER.power_on(active)
    assert wait_whole() == other(active)
    assert misled(other(active)) == []
