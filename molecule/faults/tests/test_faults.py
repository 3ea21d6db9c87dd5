"""The fault table: real faults on the quickstart cluster, in the order of the file.

Each test begins with a whole cluster, and a client asks for a page every 50 ms while the fault lasts. However the fault
goes, in the end exactly one director holds the VIP, no request of the next seconds fails, and the cluster becomes whole
again by itself; only wrong files need a run of site.yml. Each test prints what the client has missed.
"""

from __future__ import annotations

import os
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from faults import (
    BY_CHANCE,
    CLUSTER,
    DEADTIME,
    DEDICATED,
    DIRECTORS,
    PUBLIC,
    REAL_SERVERS,
    TAKEN_OVER,
    UNDER_WAY,
    WHOLE,
    assert_served,
    fit,
    links_cut,
    other,
    shell,
    wait_one_holder,
    wait_whole,
    watched,
)
from harness import ROOT, HarnessError, ask, run, wait_for

PATIENCE = 25.0  # s that a client waits for an answer
ACCEPTED = 1  # connections at 20 a second that a real server has accepted and not yet answered, for each death


def test_a_director_loses_power_and_comes_back(active):
    with watched(12) as seen:
        CLUSTER.cut_power(active)
    assert seen.outage < TAKEN_OVER
    wait_one_holder(other(active))
    assert_served()
    with watched(30) as seen:
        CLUSTER.power_on(active)
        wait_for("it is fit", lambda: fit(active), WHOLE)
    seen.assert_lost(BY_CHANCE)
    assert wait_whole() == other(active), "no failback unasked"


def test_connections_are_young_when_their_director_loses_power(active):
    """The kernel alone would tell the other director of them two to three seconds after their beginning."""
    with CLUSTER.connections(each=10, seconds=15) as kept:
        time.sleep(1.5)  # their age: ipvs-resync looks five times a second, and the lab is slow
        CLUSTER.cut_power(active)
    CLUSTER.power_on(active)
    assert wait_whole() == other(active)
    assert all(count["survived"] == 10 for count in kept.counts.values()), kept


def test_the_standbys_sync_daemons_start_after_the_connections(active):
    """As at a boot with a late address. No kernel tells again of what is idle."""
    standby = other(active)
    noted = "cat /run/ipvs-resync/since"
    wait_for("the daemons of the last boot are noted", lambda: shell(standby, noted, check=False) != "", 30)
    before = shell(standby, noted)
    shell(standby, "systemctl stop ipvs-sync")
    with CLUSTER.connections(each=10, seconds=70) as kept:
        time.sleep(12)  # ipvs-resync looks for the daemons every ten seconds
        shell(standby, "systemctl start ipvs-sync")
        wait_for("the new daemons are noted", lambda: shell(standby, noted) != before, 30)
        time.sleep(8)  # reports come every few seconds; then all connections are told at once
        CLUSTER.cut_power(active)
    CLUSTER.power_on(active)
    assert wait_whole() == standby
    assert all(count["survived"] == 10 for count in kept.counts.values()), kept


def test_a_director_is_paused_for_longer_than_deadtime(active):
    """It holds the VIP when it goes on, believes in it, and has to give it up."""
    with watched(25) as seen:
        run("docker", "pause", active)
        time.sleep(3 * DEADTIME)
        run("docker", "unpause", active)
        wait_one_holder(other(active))
    assert seen.outage < TAKEN_OVER
    # Both Heartbeats restart now. If one ends, it comes back, and meanwhile the other director has the VIP.
    wait_whole()
    assert_served()


def test_heartbeat_is_killed(active):
    with watched(15) as seen:
        shell(active, "kill -KILL $(cat /run/heartbeat.pid)")
        wait_one_holder(other(active))
    assert seen.outage < TAKEN_OVER
    assert_served()
    assert wait_whole() == other(active)


def test_ldirectord_is_killed(active):
    """It comes back, and still notices what happens to real servers; the table outlasts it."""
    with watched(15) as seen:
        shell(active, "kill -KILL $(cat /run/ldirectord.ldirectord.pid)")
        wait_for("ldirectord runs", lambda: shell(active, "systemctl is-active ldirectord", check=False) == "active\n")
    seen.assert_lost()
    shell(REAL_SERVERS[0], "systemctl stop nginx")
    try:
        tables = [(name, "ipvsadm", "--save", "--numeric") for name in DIRECTORS]
        wait_for("the failed real server is out", lambda: all(" -w 0" in ask(*table) for table in tables))
        assert_served(REAL_SERVERS[1:])
    finally:
        shell(REAL_SERVERS[0], "systemctl start nginx")
    assert wait_whole() == active


def test_the_dedicated_link_is_cut(active):
    with watched(15) as seen, links_cut(active, DEDICATED):
        time.sleep(3 * DEADTIME)
        assert CLUSTER.holders() == [active]
    seen.assert_lost()
    assert wait_whole() == active


def test_the_public_link_is_cut(active):
    """The active director lives, and the clients can't reach it: it hands over."""
    with watched(15) as seen, links_cut(active, PUBLIC):
        wait_one_holder(other(active))
        time.sleep(2 * DEADTIME)
    assert seen.outage < TAKEN_OVER
    assert wait_whole() == other(active)
    assert_served()


def test_the_standby_loses_its_public_link(active):
    with watched(15) as seen, links_cut(other(active), PUBLIC):
        time.sleep(3 * DEADTIME)
        assert CLUSTER.holders() == [active]
    seen.assert_lost()
    assert wait_whole() == active


def test_all_links_between_the_directors_are_cut_and_mended(active):
    """Both hold the VIP then, though clients reach only one. Once mended, one holds it, and the clients know which."""
    with watched(60) as seen, links_cut(active, PUBLIC, DEDICATED):
        wait_for("the other one takes it", lambda: other(active) in CLUSTER.holders())
        time.sleep(2 * DEADTIME)
    assert seen.outage < TAKEN_OVER
    wait_whole()
    assert_served()


@pytest.mark.parametrize("percent", [5, 20, 50])
def test_the_dedicated_link_loses_packets(active, percent):
    for director in DIRECTORS:
        shell(director, f"tc qdisc add dev {DEDICATED} root netem loss {percent}%")
    try:
        with watched(15) as seen:
            time.sleep(13)
        assert CLUSTER.holders() == [active]
    finally:
        for director in DIRECTORS:
            shell(director, f"tc qdisc del dev {DEDICATED} root")
    seen.assert_lost()
    assert wait_whole() == active


@pytest.mark.skipif(os.environ.get("LAB_KIND") == "native", reason="would set this machine's own clock")
@pytest.mark.parametrize("hours", [1, -1])
def test_the_clock_jumps(active, hours):
    with watched(15) as seen:
        run(str(ROOT / "lab" / "lab"), "exec", "date", "--set", f"{hours} hour")
        time.sleep(10)
        assert CLUSTER.holders() == [active]
    seen.assert_lost()
    assert wait_whole() == active


def test_the_disk_is_full(active):
    """A director that can't write a byte below /var takes over all the same."""
    heir = other(active)
    size = shell(heir, "du -sk /var | cut -f 1").strip()
    shell(heir, f"mkdir /mnt/var && mount -t tmpfs -o size={size}k,nr_inodes=0 full /mnt/var && cp -a /var/. /mnt/var")
    # Don't copy the pipe that Heartbeat listens on.
    shell(heir, "mount --bind /var/lib/heartbeat /mnt/var/lib/heartbeat && mount --rbind /mnt/var /var")
    shell(heir, "cat /dev/zero >/var/fill", check=False)
    with pytest.raises(HarnessError, match=r"I/O error|No space left"):
        shell(heir, "echo more >/var/more")
    try:
        with watched(12) as seen:
            CLUSTER.cut_power(active)
        assert seen.outage < TAKEN_OVER
        wait_one_holder(heir)
        assert_served()
    finally:
        shell(heir, "umount --lazy /var && umount --lazy /mnt/var && rmdir /mnt/var")
        CLUSTER.power_on(active)
    assert wait_whole() == heir


def test_both_directors_restart_at_once(active):
    with ThreadPoolExecutor() as pool:
        list(pool.map(CLUSTER.cut_power, DIRECTORS))
        list(pool.map(CLUSTER.power_on, DIRECTORS))
    wait_whole()
    assert_served()


def test_the_configuration_is_changed_on_one_only(active):
    """The cluster serves on, verify names the difference, and site.yml mends it."""
    heir = other(active)
    shell(heir, "sed -i 's/IPaddr2::[^ ]*/IPaddr2::198.18.20.99\\/24\\/eth0/' /etc/ha.d/haresources")
    shell(heir, "systemctl reload heartbeat")
    with pytest.raises(HarnessError, match="haresources differs"):
        CLUSTER.playbook("codalvs.ha.verify")
    with watched(12) as seen:
        CLUSTER.cut_power(active)
    assert seen.outage < TAKEN_OVER
    assert_served()
    CLUSTER.power_on(active)
    # As a run leaves a new director that is killed before systemd has read the additions to units.
    units, folders = "/etc/systemd/system", "heartbeat.service.d ldirectord.service.d"
    shell(heir, f"cd {units} && mv {folders} /tmp && systemctl daemon-reload && cd /tmp && mv {folders} {units}")
    CLUSTER.playbook("codalvs.ha.site")
    read = shell(heir, "systemctl show --property=DropInPaths --value heartbeat.service ldirectord.service")
    assert "/heartbeat.service.d/reload.conf" in read
    assert "/ldirectord.service.d/restart.conf" in read
    wait_whole()
    assert_served()


def units_read() -> list[str]:
    """Return when systemd has read its units, on each director."""
    return [shell(name, "systemctl show --property=UnitsLoadTimestampMonotonic --value") for name in DIRECTORS]


@pytest.mark.parametrize("name", ["ldirectord.cf", "ha.cf"])
def test_a_broken_file_is_put_there_by_hand(active, name):
    """Its daemon refuses it; the cluster serves on, and site.yml mends it."""
    shell(active, f"echo nonsense = here >>/etc/ha.d/{name}")
    with watched(15) as seen:
        if name == "ha.cf":
            shell(active, "systemctl restart heartbeat", check=False)
            wait_one_holder(other(active))
    assert seen.outage < TAKEN_OVER
    assert_served()
    before = units_read()
    CLUSTER.playbook("codalvs.ha.site")
    assert units_read() == before  # no unit has changed
    wait_whole()
    assert_served()


def test_the_standby_is_killed_in_the_middle_of_a_takeover(active):
    """Nobody is left, and the first that comes back serves."""
    heir = other(active)
    CLUSTER.cut_power(active)
    wait_for("it begins to take over", lambda: CLUSTER.holders() == [heir], 30)
    CLUSTER.cut_power(heir)
    CLUSTER.power_on(active)
    wait_one_holder(active, WHOLE)
    wait_for("it balances", lambda: active in CLUSTER.balancing())
    assert_served()
    CLUSTER.power_on(heir)
    wait_whole()
    assert_served()


def test_a_director_fails_while_the_checks_of_a_dead_real_server_time_out(active):
    """A client that asks again, as TCP does, waits. Only a connection that a dead machine had accepted is lost."""
    try:
        with watched(20, PATIENCE) as seen:
            CLUSTER.cut_power(REAL_SERVERS[0])
            CLUSTER.cut_power(active)
        seen.assert_lost(ACCEPTED + UNDER_WAY)
        wait_one_holder(other(active))
        assert_served(REAL_SERVERS[1:])
    finally:
        for host in (REAL_SERVERS[0], active):
            CLUSTER.power_on(host)
    assert wait_whole() == other(active)


def test_a_resource_that_does_not_stop_reboots_nobody(active):
    """Heartbeat would end all with `reboot -nf` after ten failed stops."""
    booted = run("docker", "inspect", "--format", "{{.State.StartedAt}}", active)
    script = "/etc/ha.d/resource.d/IPaddr2"
    stubborn = "#!/bin/sh\nfor action; do :; done\necho running\ntest $action != stop\n"
    shell(active, f"printf %s {shlex.quote(stubborn)} >/run/stubborn && chmod 755 /run/stubborn")
    shell(active, f"mount --bind /run/stubborn {script}")
    try:
        with watched(40) as seen:
            shell(active, "/usr/share/heartbeat/hb_standby all")
            wait_for(
                "ten stops have failed",
                lambda: int(shell(active, "grep -c 'Retrying failed stop' /var/log/ha-log || true")) > 10,
                180,
            )
    finally:
        with suppress(HarnessError):
            shell(active, f"umount {script}")
    assert run("docker", "inspect", "--format", "{{.State.StartedAt}}", active) == booted
    assert seen.outage < TAKEN_OVER
    wait_whole()
    assert_served()
