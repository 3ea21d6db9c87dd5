# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command of the user's is told what happens, once, by who holds the VIP; one that hangs holds up nothing.

The client has a mail server, Postfix, which is told the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults import CLUSTER, DIRECTORS, REAL_SERVERS, UNDER_WAY, other, shell, wait_one_holder, wait_whole, watched
from harness import quickstart, wait_for

HOOK, SEEN = "/usr/local/sbin/tell", "/var/lib/told"
SCRIPT = f"""#!/bin/sh
echo "$HA_EVENT $HA_HOST$HA_VIPS $HA_SERVICES held=$HA_HELD out=$HA_OUT" >>{SEEN}
if [ "$HA_EVENT" = loss ]; then
  trap '' TERM
  sleep 611 &
  wait
fi
"""
LIMIT = 600  # s; that it ends a command is shown by tests/unit/test_ha_hooks.py
FILES = (
    "/usr/local/sbin/ha-hooks /usr/local/sbin/ha-mail"
    " /etc/ha-hooks.json /etc/ha-mail.json /etc/systemd/system/ha-hooks.service"
)
HANGS = "pgrep --full '[s]leep 611'"
RUNS = "pgrep --full '[p]ython3 /usr/local/sbin/ha-hooks'"
SWITCH = "heartbeat-vips take && /usr/share/heartbeat/hb_takeover all"  # as the module heartbeat_switchover
RELAY, RELAY_ADDRESS, MAILBOX = "client1", "198.18.20.100", "/var/mail/daemon"
MAIN_CF = "compatibility_level = 3.6\nmyhostname = client1.example.test\nmydestination = $myhostname\n"
HOOKED = quickstart(
    ha_hook=[HOOK],
    ha_hook_timeout=LIMIT,
    ha_hook_mail_to=["daemon@client1.example.test"],
    ha_hook_mail_relay=RELAY_ADDRESS,
)


def told(director: str) -> list[str]:
    """Return what a director's hook was told."""
    return shell(director, f"cat {SEEN}", check=False).splitlines()


def wait_told(director: str, line: str) -> None:
    """Wait until that is the last thing that a director's hook was told."""
    wait_for(f"{director} is told {line}", lambda: told(director)[-1:] == [line])


def mails() -> list[str]:
    """Return the subjects of all mails that have come."""
    return shell(RELAY, f"sed -n 's/^Subject: //p' {MAILBOX}", check=False).splitlines()


@pytest.fixture
def relay() -> Iterator[None]:
    """Let the client take mails."""
    shell(RELAY, f"rm -f {MAILBOX}; cat >/etc/postfix/main.cf <<'EOF'\n{MAIN_CF}EOF\nsystemctl start postfix")
    yield
    shell(RELAY, "systemctl stop postfix")


@pytest.fixture
def hooked(active: str, relay: None) -> Iterator[str]:
    """Return the active director, with a hook on both."""
    for name in DIRECTORS:
        shell(name, f"cat >{HOOK} <<'EOF'\n{SCRIPT}EOF\nchmod 755 {HOOK}; rm -f {SEEN}")
    HOOKED.playbook("codalvs.ha.directors", "--tags", "ha_hook")
    yield active
    CLUSTER.playbook("codalvs.ha.directors", "--tags", "ha_hook")
    for name in DIRECTORS:
        assert shell(name, f"ls {FILES} 2>/dev/null; {RUNS}", check=False) == ""


def test_a_hook_is_told_and_holds_up_nothing(hooked):
    vip, standby = CLUSTER.vip, other(hooked)
    wait_told(hooked, f"takeover {vip}  held={vip} out=")
    shell(REAL_SERVERS[0], "systemctl stop nginx")
    wait_told(hooked, f"server_out {REAL_SERVERS[0]}{vip} web held={vip} out={REAL_SERVERS[0]}:web")
    shell(REAL_SERVERS[0], "systemctl start nginx")
    wait_told(hooked, f"server_back {REAL_SERVERS[0]}{vip} web held={vip} out=")
    assert told(standby) == [], "each fact is told once"

    wait_whole()
    with watched(20) as seen:
        shell(standby, SWITCH)
        wait_one_holder(standby)
        wait_told(hooked, f"loss {vip}  held= out=")
        wait_told(standby, f"takeover {vip}  held={vip} out=")
        assert wait_whole() == standby
        assert shell(hooked, HANGS, check=False), "it hangs while the VIP comes back"
        shell(hooked, SWITCH)
        wait_one_holder(hooked)
        assert shell(hooked, HANGS, check=False)
    seen.assert_lost(2 * UNDER_WAY)
    assert told(hooked)[-1].startswith("loss "), "what follows waits"
    moves = [
        f"{hooked} holds",
        f"{hooked} no longer holds",
        f"{standby} holds",
        f"{standby} no longer holds",
        f"{hooked} holds",
    ]
    server = [f"{hooked} {REAL_SERVERS[0]} is {words} web" for words in ("out of", "back in")]
    expected = sorted([f"{words} {vip}" for words in moves] + server)
    wait_for("all mails, which wait for no hook", lambda: sorted(mails()) == expected, 120)
    shell(hooked, "pkill --signal KILL --full '[s]leep 611'")
    wait_told(hooked, f"takeover {vip}  held={vip} out=")
    assert wait_whole() == hooked
