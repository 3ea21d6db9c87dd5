# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of Heartbeat's files.

Every case was given to Heartbeat 3.0.6 in a sealed namespace. It refuses what is bad here, or it starts and does not do
what was meant: the last of two values counts, a line without a value is ignored, haresources is hardly read.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.authkeys import check_authkeys, parse_authkeys
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import check_ha_cf, deadtime_of, parse_ha_cf
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.haresources import (
    check_haresources,
    parse_haresources,
    released,
)
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.log import late_heartbeats, worst_late
from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import (
    ERROR,
    MISSING,
    WARNING,
    Problem,
    milliseconds,
    seconds,
)

GOOD = """\
logfile /var/log/ha-log
keepalive 1
deadtime 5
initdead 12
udpport 694
ucast eth0 192.0.2.1
ucast eth0 192.0.2.2
auto_failback on
node dir1 dir2
"""
HOST = {"interfaces": ("eth0", "eth1"), "users": ("hacluster",), "executables": ("/usr/libexec/heartbeat/ipfail",)}


def without(*directives: str) -> str:
    """Return GOOD without these directives."""
    return "".join(line for line in GOOD.splitlines(True) if line.split()[0] not in directives)


def complaints(text: str, level: str = ERROR) -> list[Problem]:
    """Return what is wrong on a host named dir1."""
    return [problem for problem in check_ha_cf(text, "dir1", **HOST) if problem.level == level]


def test_good_ha_cf_is_good() -> None:
    assert check_ha_cf(GOOD, "dir1", **HOST) == []
    assert check_ha_cf(GOOD, "DIR2") == []


@pytest.mark.parametrize(
    "addition",
    [
        "   warntime 2  # a comment",
        "warntime ,2,",
        "warntime 2\r",
        "warntime\t2",
        "ping 192.0.2.254,192.0.2.253\nrespawn hacluster /usr/libexec/heartbeat/ipfail -x # ipfail",
        "ping6 2001:db8::1",
        "ping_group routers 192.0.2.254 192.0.2.253",
        "bcast eth0,eth1",
        "mcast eth0 225.0.0.1 694 1 0",
        "mcast6 eth0 ff02::1 694 1 0",
        "ucast6 eth1 2001:db8::2",
        "baud 9600\nserial /dev/ttyS0",
        "autojoin none",
        "crm off",
        "pacemaker no",
        "apiauth default gid=haclient",
        "apiauth cms uid=hacluster,0 gid=haclient",
        "stonith_host dir1 null dir2\nstonith_host dir2 null dir1",
        "stonith_host * external/ipmi other 192.0.2.9 admin a,comma lan",
        "watchdog /dev/watchdog",
        "env SPEED=fast",
        "record_config_changes on",
        "rtprio 5\ndebug 1\nhopfudge 1\nmsgfmt classic\ncompression bz2\nmemreserve 6500\ncluster web\nrealtime off",
        "#" + "x" * 5118,
        "ping " + " ".join(f"192.0.2.{number}" for number in range(3, 65)),
        "\x0c",
    ],
)
def test_accepts_what_heartbeat_accepts(addition: str) -> None:
    assert complaints(f"{GOOD}{addition}\n") == []
    assert complaints(f"{GOOD}{addition}\n", MISSING) == []


@pytest.mark.parametrize(
    ("addition", "problem"),
    [
        # Lines
        ("keepalve 2", "did you mean 'keepalive'"),
        ("Warntime 2", "write 'warntime' in lower case"),
        ("warntime=2", "write 'warntime' in lower case, a blank"),
        ("node, dir1", "write 'node'"),
        ("hbaping x", "no directive"),
        ("warntime", "has no value"),
        ("warntime # 2", "has no value"),
        ("warntime 2\x0b", "control character"),
        ("#" + "x" * 5119, "longer than 5119 bytes"),
        ("#" + "é" * 2560, "longer than 5119 bytes"),
        ("warntime 2 3", "takes one value"),
        ("keepalive 1", "given already in line 2"),
        ("logfile /var/log/other", "given already in line 1"),
        ("watchdog /dev/a\nwatchdog /dev/b", "given already"),
        # Values
        ("warntime 2s", "must be a time"),
        ("warntime 2 ms", "takes one value"),
        ("warntime 1.7.3", "must be a time"),
        ("warntime -1", "must be a time"),
        ("warntime 0", "at least 1 ms"),
        ("warntime 499us", "at least 1 ms"),
        ("conn_logd_time 0", "at least 1 ms"),
        ("realtime maybe", "must be on or off"),
        ("hopfudge 300", "from 0 to 255"),
        ("hopfudge x", "from 0 to 255"),
        ("debug 256", "from 0 to 255"),
        ("rtprio 0", "from 1 to 99"),
        ("max_rexmit_delay 0", "whole number from 1"),
        ("memreserve 0", "whole number from 1"),
        ("compression_threshold 0", "whole number from 1"),
        ("compression lzma", "one of zlib, bz2"),
        ("traditional_compression 7", "must be on or off"),
        ("hbgenmethod disk", "one of file, time"),
        ("uuidfrom dns", "one of file, nodename"),
        ("msgfmt xml", "one of classic, netstring"),
        ("logfacility LOCAL0", "must be one of auth"),
        ("debugfile ha-debug", "absolute path"),
        ("coreroot cores", "absolute path"),
        ("env =1", "NAME=value"),
        ("env NAME", "NAME=value"),
        # Modes that exclude haresources
        ("autojoin any", "must be none"),
        ("autojoin other", "must be none"),
        ("crm on", "must be off"),
        ("pacemaker respawn", "must be off"),
        ("nice_failback on", "obsolete"),
        # Media
        ("udpport 694", "given already"),
        ("bcast eth9", "no such network interface on this host, which has eth0, eth1"),
        ("ucast eth9 192.0.2.2", "no such network interface"),
        ("ucast eth0", "must be written ucast INTERFACE ADDRESS"),
        ("ucast eth0,192.0.2.2", "with blanks and no commas"),
        ("ucast eth0 192.0.2.3 extra", "must be written ucast"),
        ("ucast eth0 dir2", "must be an IPv4 address"),
        ("ucast6 eth0 192.0.2.2", "must be an IPv6 address"),
        ("mcast eth0 225.0.0.1 694 1", "must be written mcast"),
        ("mcast eth0 192.0.2.1 694 1 0", "must be a multicast group"),
        ("mcast6 eth0 2001:db8::1 694 1 0", "must be a multicast group"),
        ("mcast eth0 225.0.0.1 0 1 0", "the port must be"),
        ("mcast eth0 225.0.0.1 694 0 0", "the ttl must be"),
        ("mcast eth0 225.0.0.1 694 300 0", "the ttl must be"),
        ("mcast6 eth0 ff02::1 694 0 0", "the hops must be"),
        ("mcast eth0 225.0.0.1 694 1 1", "loop, must be a whole number 0"),
        ("serial ttyS0", "absolute path"),
        ("baud 1234\nserial /dev/ttyS0", "one of 9600"),
        ("serial /dev/ttyS0\nbaud 9600", "must come before the links"),
        ("ping router", "must be an IPv4 address"),
        ("ping6 192.0.2.1", "must be an IPv6 address"),
        ("ping_group routers", "must be written ping_group"),
        ("ping_group routers,192.0.2.1", "must be written ping_group"),
        ("ping_group routers gate", "must be an IPv4 address"),
        ("ping " + " ".join(f"192.0.2.{number}" for number in range(3, 66)), "takes at most 64"),
        ("\n".join(f"ucast eth0 192.0.2.{number}" for number in range(3, 65)), "may crash with more than 63"),
        # Times
        ("deadping 2", "must be longer than twice keepalive (1000ms)"),
        # Clients
        ("respawn hacluster", "must be written respawn USER /PROGRAM"),
        ("respawn hacluster,/usr/libexec/heartbeat/ipfail", "must be written respawn"),
        ("respawn hacluster ipfail", "absolute path of a program"),
        ("apiauth ccm", "must be written apiauth"),
        ("apiauth ccm,uid=hacluster", "must be written apiauth"),
        ("apiauth ccm user=hacluster", "must be written apiauth"),
        ("apiauth ccm uid=a uid=b", "must be written apiauth"),
        ("apiauth ccm uid=0\napiauth ccm gid=0", "given already in line 10"),
        # Nodes
        ("node dir3", "names 3 nodes"),
        ("node DIR1", "is named twice"),
        ("node -x", "host name"),
        # Fencing
        ("stonith null", "must be written stonith TYPE FILE"),
        ("stonith_host dir1", "must be written stonith_host"),
        (
            "stonith_host * null a\nstonith_host dir1 null b",
            "keeps one fencing device for a host, here the one of line 11",
        ),
    ],
)
def test_names_what_is_wrong_with_a_line(addition: str, problem: str) -> None:
    found = complaints(f"{GOOD}{addition}\n")
    assert [one for one in found if problem in one.problem], found
    assert all(one.line >= 9 or one.line == 0 for one in found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "needs at least one link"),
        (without("ucast"), "needs at least one link"),
        (without("ucast") + "ping 192.0.2.254\n", "a ping is none"),
        (without("node") + "node dir2 dir3\n", "must name this host, which calls itself 'dir1'"),
        (without("node") + "node dir1\n", "names 1 nodes"),
        (without("node"), "names 0 nodes"),
        (without("udpport") + "udpport 694\n", "ucast is in line 5"),
        (without("udpport") + "udpport ha-cluster\n", "from 1 to 65535"),
        ("udpport 70000\n" + without("udpport"), "from 1 to 65535"),
        (without("auto_failback"), "must be given, on or off"),
        (without("auto_failback") + "auto_failback legacy\n", "with legacy neither"),
        (without("auto_failback") + "auto_failback maybe\n", "must be on or off"),
        (without("deadtime") + "deadtime 2\n", "must be longer than twice keepalive (1000ms)"),
        (without("keepalive") + "keepalive 2500ms\n", "must be longer than twice keepalive (2500ms)"),
        ("".join(without("keepalive", "deadtime")) + "deadtime 1999ms\n", "longer than twice keepalive (1000ms)"),
        (without("initdead") + "initdead 4999ms\n", "must be at least deadtime (5000ms)"),
        (without("deadtime"), "must be at least deadtime (30000ms)"),
        (without("logfile") + "use_logd off\n", "leaves no log"),
        (without("logfile") + "logfacility none\nuse_logd off\n", "leaves no log"),
    ],
)
def test_names_what_is_wrong_with_the_whole(text: str, problem: str) -> None:
    assert [one for one in complaints(text) if problem in one.problem], complaints(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD + "warntime 5\n", "must be longer than warntime"),
        (without("initdead") + "initdead 9\n", "below 10 s"),
        (GOOD + "use_logd on\n", "means nothing beside use_logd on"),
        (without("logfile"), "logs to ha_logd"),
        (without("logfile") + "logfacility kern\n", "logs to ha_logd"),
        ("baud 9600\n" + GOOD, "nothing without a serial link"),
        (GOOD + "udp eth1\n", "old name of bcast"),
        (GOOD + "ucast eth0 192.0.2.2\n", "same link twice"),
        (GOOD + "respawn hacluster /usr/libexec/heartbeat/ipfail\n", "there is no ping node"),
        (GOOD + "stonith_host dir3 null dir1\n", "is no node of this file"),
    ],
)
def test_warns_of_what_heartbeat_accepts_silently(text: str, problem: str) -> None:
    assert complaints(text) == []
    assert [one for one in complaints(text, WARNING) if problem in one.problem], complaints(text, WARNING)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("respawn nobodyx /usr/libexec/heartbeat/ipfail", "no such user on this host"),
        ("respawn hacluster /usr/lib/heartbeat/ipfail", "Debian has /usr/libexec/heartbeat/ipfail"),
        ("respawn hacluster /opt/own", "no such executable file on this host"),
        ("apiauth ccm uid=hacluster,nobodyx", "no such user on this host"),
    ],
)
def test_names_what_the_host_lacks(line: str, problem: str) -> None:
    text = f"{GOOD}ping 192.0.2.254\n{line}\n"
    assert [one for one in complaints(text, MISSING) if one.problem.endswith(problem)]
    assert check_ha_cf(text, "dir1") == []


def test_never_shows_what_may_be_a_password() -> None:
    text = (
        GOOD + "stonith_host dir1 rps10 /dev/ttyS1 sesame\nstonith_host * rps10 sesame\nenv =sesame\nenv pass:sesame=\n"
    )
    assert complaints(text)
    assert "sesame" not in str([one for one in complaints(text) if one.directive == "stonith_host"])


def test_the_meaning_does_not_depend_on_the_spelling() -> None:
    other = GOOD.replace("node dir1 dir2", "node DIR1\nnode dir2 # both").replace("keepalive 1", "keepalive 1000ms")
    assert parse_ha_cf(other)[0].meaning() == parse_ha_cf(GOOD)[0].meaning()
    assert parse_ha_cf(GOOD + "bcast eth1\nrtprio 5\nwarntime soon\n")[0].meaning() == {
        "logfile": "/var/log/ha-log",
        "keepalive": 1.0,
        "deadtime": 5.0,
        "initdead": 12.0,
        "udpport": 694,
        "ucast": [("eth0", "192.0.2.1"), ("eth0", "192.0.2.2")],
        "auto_failback": True,
        "node": ["dir1", "dir2"],
        "bcast": ["eth1"],
        "rtprio": 5,
        "warntime": "soon",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", 2000),
        ("1.7", 1700),
        ("500ms", 500),
        ("500us", 1),
        ("499us", 0),
        (".5", 500),
        ("5.", 5000),
        ("200MSEC", 200),
        ("1500000usec", 1500),
        ("0.0005", 1),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert milliseconds(text) == expected
    assert seconds(text) == expected / 1000


@pytest.mark.parametrize(
    "text", ["", ".", "ms", "2s", "-1", "1 ms", " 1", "1.7.3", "1e3", "٣", "1\n", "5m\u017f", "9" * 5000]
)
def test_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time"):
        milliseconds(text)


@given(st.integers(0, 10**8))
def test_units_agree(number: int) -> None:
    assert milliseconds(f"{number}ms") == number
    assert milliseconds(f"{number}000us") == number
    assert milliseconds(f"{number // 1000}.{number % 1000:03}") == number


# ---- authkeys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "auth 1\n1 sha1 sesame\n",
        "# keys\n\n  auth 15 \n\t15\tmd5\tsesame\n",
        "auth 2\r\n1 sha1 sesame\r\n2 md5 other\r\n",
        "auth 1\n1 sha1 #sesame",
        "auth 2\n2 sha1 a\n1 crc\n",
    ],
)
def test_good_authkeys(text: str) -> None:
    assert check_authkeys(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is missing"),
        ("1 sha1 sesame\n", "is missing"),
        ("auth 1\n", "no key with this number"),
        ("auth 2\n1 sha1 sesame\n", "no key with this number"),
        ("1 sha1 sesame\nauth 1\n", "must come before the keys"),
        ("auth 1\nauth 1\n1 sha1 sesame\n", "is given twice"),
        ("auth 1 2\n1 sha1 sesame\n", "must be 'auth NUMBER'"),
        ("auth one\n1 sha1 sesame\n", "must be 'auth NUMBER'"),
        ("auth 16\n16 sha1 sesame\n", "from 1 to 15"),
        ("auth 1\n0 sha1 sesame\n1 sha1 sesame\n", "from 1 to 15"),
        ("auth 1\n-1 sha1 sesame\n1 sha1 sesame\n", "from 1 to 15"),
        ("auth 1\n1 sha1\n", "needs a secret"),
        ("auth 1\n1 md5\n", "needs a secret"),
        ("auth 1\n1 crc sesame\n", "takes no secret"),
        ("auth 1\n1 crc # sesame\n", "no comment may follow"),
        ("auth 1\n1 sha256 sesame\n", "must be sha1, md5 or crc"),
        ("auth 1\n1 SHA1 sesame\n", "must be sha1, md5 or crc"),
        ("auth 1\n1 sesame\n", "must be sha1, md5 or crc"),
        ("auth 1\n1 sha1 open sesame\n", "ends at the first blank"),
        ("auth 1\n1 sha1 sesame\n1 md5 sesame\n", "given already in line 2"),
        ("auth 1\nsesame\n1 sha1 sesame\n", "must be 'auth NUMBER' or"),
        ("auth 1\n1, sha1 sesame\n", "must be 'auth NUMBER' or"),
        ("AUTH 1\n1 sha1 sesame\n", "must be 'auth NUMBER' or"),
    ],
)
def test_bad_authkeys(text: str, problem: str) -> None:
    found = check_authkeys(text)
    assert [one for one in found if problem in one.problem and one.level == ERROR], found
    assert "sesame" not in str(found)


def test_crc_is_a_warning() -> None:
    assert [problem.level for problem in check_authkeys("auth 1\n1 crc\n")] == [WARNING]


BOTH = "1 sha1 sesame\n2 sha1 friend\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("auth 1\n1 sha1 sesame\n", f"auth 1\n{BOTH}", None),
        (f"auth 1\n{BOTH}", f"auth 2\n{BOTH}", None),
        (f"auth 2\n{BOTH}", "auth 2\n2 sha1 friend\n", None),
        ("auth 1\n1 sha1 sesame\n", "# moved\nauth 1\n1 sha1 sesame\n", None),
        ("no keys at all\n", "auth 1\n1 sha1 sesame\n", None),
        ("auth 1\n1 sha1 sesame\n", "auth 1\n1 sha1 friend\n", "keep it under this number"),
        ("auth 1\n1 sha1 sesame\n", "auth 1\n1 md5 sesame\n", "keep it under this number"),
        ("auth 1\n1 sha1 sesame\n", "auth 2\n2 sha1 sesame\n", "keep it under this number"),
        ("auth 1\n1 sha1 sesame\n", f"auth 2\n{BOTH}", "make it active in the next"),
    ],
)
def test_keys_are_changed_without_parting_the_directors(old: str, new: str, problem: str | None) -> None:
    found = check_authkeys(new, [old])
    assert len(found) == (problem is not None)
    assert all(problem in one.problem and one.level == ERROR for one in found)
    assert not {"sesame", "friend"} & set(str(found).split("'"))


ONE, BEGUN = "auth 1\n1 sha1 sesame\n", f"auth 1\n{BOTH}"
SIGNS, ENDED = f"auth 2\n{BOTH}", "auth 2\n2 sha1 friend\n"


@pytest.mark.parametrize(
    ("installed", "new", "problem"),
    [
        ([ONE, BEGUN], BEGUN, None),
        ([ONE, BEGUN], SIGNS, "make it active in the next"),
        ([BEGUN, SIGNS], SIGNS, None),
        ([BEGUN, SIGNS], BEGUN, None),
        ([SIGNS, BEGUN], ENDED, "keep it under this number"),
        ([SIGNS, SIGNS, BEGUN], ENDED, "keep it under this number"),  # installed on both, and not loaded
        ([ONE, ENDED], ONE, None),  # parted already
        ([ONE, ENDED], SIGNS, None),
    ],
)
def test_a_rotation_that_was_killed_goes_on_with_the_same_step(
    installed: list[str], new: str, problem: str | None
) -> None:
    found = check_authkeys(new, installed)
    assert [one.problem.find(problem or "") >= 0 for one in found] == [True] * (problem is not None)


@pytest.mark.parametrize(
    ("installed", "new", "refused"),
    [
        ([], ONE, False),  # the first installation
        (["no keys at all\n"], ONE, False),
        ([ONE], "# moved\nauth 1\n1 sha1 sesame\n", False),
        ([BEGUN], "auth 1\n2 sha1 friend\n1 sha1 sesame\n", False),
        ([SIGNS, BEGUN], SIGNS, False),  # installed and not loaded, as a killed run has left it
        ([SIGNS, BEGUN], BEGUN, False),
        ([ONE], BEGUN, True),
        ([BEGUN], SIGNS, True),
        ([SIGNS], ENDED, True),
    ],
)
def test_keys_change_only_where_every_director_learns_of_it(installed: list[str], new: str, refused: bool) -> None:
    """Each step parts nobody, and dir2 would come back with nothing but the first key."""
    found = check_authkeys(new, installed, ["dir2"])
    assert [(one.level, "the keys change, and dir2 would not learn" in one.problem) for one in found] == (
        [(ERROR, True)] * refused
    )
    assert not {"sesame", "friend"} & set(re.split(r"\W", str(found)))
    assert check_authkeys(new, installed) == []


def test_keys_do_not_print_their_secrets() -> None:
    keys, _problems = parse_authkeys("auth 3\n1 crc\n3 md5 Hello!\n")
    assert keys.active == 3
    assert {number: (key.method, key.secret) for number, key in keys.keys.items()} == {
        1: ("crc", None),
        3: ("md5", "Hello!"),
    }
    assert "Hello" not in repr(keys)


# ---- haresources -----------------------------------------------------------------------------------------------------

NODES = ("dir1", "dir2")
VIP = "IPaddr2::192.0.2.10/24/eth0"
OTHER = "IPaddr2::192.0.2.11/24/eth0"
VIP6 = "IPv6addr2::2001:0db8:0000:0000:0000:0000:0000:0010/64/eth1"


def resource_complaints(text: str) -> list[Problem]:
    """Return what is wrong with an haresources, on a host with eth0 and the usual scripts."""
    scripts = ("IPaddr2", "IPv6addr2", "VIPaddr2", "IPaddr", "ldirectord", "MailTo")
    return check_haresources(text, NODES, scripts=scripts, interfaces=("eth0", "eth0.5", "eth1"), here="dir1")


@pytest.mark.parametrize(
    "text",
    [
        f"dir1 {VIP}\n",
        f"# comment\n\n  DIR1\t{VIP}   ldirectord # comment\ndir2 {OTHER} ldirectord::web.cf",
        f"dir1 \\\n {VIP} \\\n ldirectord\n",
        f"dir1 {VIP}\n# comment \\\n",
        "dir1 IPaddr2::192.0.2.10/24/eth0:vip/192.0.2.255 MailTo::root::Takeover",
        "dir1 IPv6addr2::2001:0db8:0000:0000:0000:0000:0000:0010/64/eth1",
        "dir1 VIPaddr2::192.0.2.10/24/eth0@dir1,ens3@dir2",
        "dir1 VIPaddr2::2001:0db8:0000:0000:0000:0000:0000:0010/64/eth0.5@dir1,ens3@dir2",
    ],
)
def test_good_haresources(text: str) -> None:
    assert resource_complaints(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"dir3 {VIP}\n", "is no node of ha.cf, which has dir1, dir2"),
        (f"dir1,{VIP}\n", "is no node"),
        ("dir1\n", "has no resources"),
        ("dir1 ldirectord\ndir2 ldirectord\n", "starts this group"),
        # ResourceManager greps for the key, so that a place further back collides as well.
        (f"dir1 ldirectord {VIP}\ndir2 {OTHER} ldirectord\n", "starts this group"),
        (f"dir1 {VIP}\ndir2 {OTHER} {VIP}\n", "is moved by line 1 already"),
        ("dir1 192.0.2.10\n", "write IPaddr2::192.0.2.10/PREFIX/INTERFACE"),
        ("dir1 192.0.2.10/24/eth0\n", "write IPaddr2::192.0.2.10/PREFIX/INTERFACE"),
        ("dir1 IPaddr::192.0.2.10\n", "write IPaddr2::192.0.2.10/PREFIX/INTERFACE"),
        ("dir1 IPaddr2::192.0.2.10\n", "without an interface"),
        ("dir1 IPaddr2::192.0.2.10\n", "the prefix must be"),
        ("dir1 IPaddr2::192.0.2.10/33/eth0\n", "a length from 1 to 32"),
        ("dir1 IPaddr2::192.0.2.10/255.255.255.0/eth0\n", "the prefix must be"),
        ("dir1 IPaddr2::192.0.2.300/24/eth0\n", "is no address"),
        ("dir1 IPaddr2::192.0.2.10/24/eth9\n", "no such network interface eth9"),
        ("dir1 IPaddr2::192.0.2.10/24/0eth\n", "can't begin with a digit"),
        ("dir1 IPaddr2::192.0.2.10/24/eth0:averylonglabel\n", "longer than 15"),
        ("dir1 IPaddr2::192.0.2.10/24/eth0/x\n", "broadcast address"),
        ("dir1 IPaddr2::192.0.2.10/24/eth0/192.0.2.255/x\n", "must be written IPaddr2"),
        ("dir1 IPaddr2\n", "must be written IPaddr2"),
        *(
            (f"dir1 {wrong}/64/eth0\n", "write IPv6addr2::2001:0db8:0000:0000:0000:0000:0000:0010/64/eth0: ")
            for wrong in (
                "IPaddr2::2001:db8::10",
                "IPv6addr2::2001:db8::10",
                "IPaddr2::2001:0db8:0000:0000:0000:0000:0000:0010",
            )
        ),
        ("dir1 IPv6addr2::192.0.2.10/24/eth0\n", "write IPaddr2::192.0.2.10/24/eth0: "),
        (f"dir1 {VIP6}:vip\n", "must be written IPv6addr2::ADDRESS/PREFIX/INTERFACE"),
        (f"dir1 {VIP6}/192.0.2.255\n", "must be written IPv6addr2::ADDRESS/PREFIX/INTERFACE"),
        (f"dir1 {VIP6.replace('/64', '/129')}\n", "a length from 1 to 128"),
        (f"dir1 {VIP6}\ndir2 {OTHER} {VIP6.replace('0db8', 'DB8')}\n", "is moved by line 1 already"),
        ("dir1 VIPaddr2::192.0.2.10/24/eth0\n", "must be written VIPaddr2::ADDRESS/PREFIX/INTERFACE@NODE"),
        ("dir1 VIPaddr2::192.0.2.10/33/eth0@dir1,ens3@dir2\n", "must be written VIPaddr2::"),
        ("dir1 VIPaddr2::2001:db8::10/64/eth0@dir1,ens3@dir2\n", "must be written VIPaddr2::"),
        ("dir1 VIPaddr2::192.0.2.10/24/eth0@dir1,ens3@dir3\n", "names no interface of dir2"),
        ("dir1 VIPaddr2::192.0.2.10/24/eth5@dir1,ens3@dir2\n", "no such network interface eth5 on dir1, which has"),
        (f"dir1 VIPaddr2::192.0.2.10/24/eth0@dir1,ens3@dir2\ndir2 {OTHER} {VIP}\n", "is moved by line 1 already"),
        ("dir1 ::x\n", "without empty parts"),
        ("dir1 MailTo::root::\n", "without empty parts"),
        ("dir1 MailTo::*\n", "a shell reads it"),
        ("dir1 MailTo::$(reboot)\n", "a shell reads it"),
        (f"dir1 {VIP} \\ \n MailTo::root\n", "only as its very last character"),
        (f"dir1 {VIP} \\\n ldirectord # comment\n", "can't hold a comment"),
        (f"dir1 {VIP} # comment \\\n", "a comment can't end with a backslash"),
        (f"dir1 {VIP} \\\n", "no line follows"),
        (f"dir1 {VIP} \\", "no line follows"),
        (f"dir1 {VIP}\r\n", "DOS line end"),
        ("dir1 " + "MailTo::root " * 400, "must be shorter"),
    ],
)
def test_bad_haresources(text: str, problem: str) -> None:
    found = resource_complaints(text)
    assert [one for one in found if problem in one.problem and one.level == ERROR], found


def test_missing_scripts_and_no_resources() -> None:
    (missing,) = resource_complaints(f"dir1 {VIP} httpd::x\n")
    assert (missing.level, missing.line, missing.directive, missing.value) == (MISSING, 1, "dir1", "httpd::x")
    assert [problem.level for problem in resource_complaints("# none\n")] == [WARNING]
    assert check_haresources("anywhere httpd\n") == []


def test_a_continued_line_is_joined_without_a_blank() -> None:
    groups, problems = parse_haresources("# one\nDir1 \\\n  MailTo\\\n::root  x\n\ndir2 192.0.2.1::y\n")
    assert problems == []
    assert [(group.line, group.node) for group in groups] == [(2, "dir1"), (6, "dir2")]
    assert [(one.script, one.arguments) for one in groups[0].resources] == [("MailTo", ("root",)), ("x", ())]
    assert [(one.script, one.arguments) for one in groups[1].resources] == [("IPaddr", ("192.0.2.1", "y"))]


# ---- Any text --------------------------------------------------------------------------------------------------------

WORDS = """
node ucast ucast6 mcast mcast6 bcast serial baud udpport keepalive deadtime initdead warntime deadping use_logd logfile
logfacility respawn apiauth stonith stonith_host auto_failback autojoin crm env ping ping_group auth sha1 md5 crc dir1
dir2 eth0 192.0.2.1 225.0.0.1 ff02::1 2001:db8::1 694 0 1 2 10 200ms 1.5 on off legacy /bin/sh uid=0
IPaddr2::192.0.2.10/24/eth0 IPaddr::192.0.2.10 192.0.2.10 ldirectord :: # \\ , * = x
"""
LIKELY = st.lists(st.sampled_from([*WORDS.split(), "\n", "\n", "\\\n", "\t", "\r\n", "\x00", "é"])).map(" ".join)
ANYTHING = st.one_of(st.text(), LIKELY)


@given(ANYTHING)
def test_checks_take_any_text(text: str) -> None:
    lines = text.count("\n") + 1
    for found in (
        check_ha_cf(text, "dir1", **HOST),
        check_ha_cf(text, text),
        check_authkeys(text),
        check_haresources(text, NODES, scripts=(), interfaces=()),
        check_haresources(text),
    ):
        assert all(0 <= problem.line <= lines and problem.problem for problem in found)
        assert all(problem.level in (ERROR, WARNING, MISSING) for problem in found)
    assert parse_ha_cf(text)[0].meaning() is not None


@given(st.text("abcXYZ019!#=$", min_size=8), LIKELY)
def test_no_problem_shows_a_secret(secret: str, text: str) -> None:
    found = check_authkeys(f"auth 1\n1 sha1 {secret}\n2 {secret}\n3 {secret} md5\n{secret} 1\n4 crc {secret}\n{text}\n")
    assert secret not in str(found)


@given(st.permutations(GOOD.splitlines()))
def test_only_the_port_depends_on_the_order(lines: list[str]) -> None:
    found = complaints("\n".join(lines))
    assert {problem.directive for problem in found} <= {"udpport"}
    first_link = min(lines.index("ucast eth0 192.0.2.1"), lines.index("ucast eth0 192.0.2.2"))
    assert bool(found) == (lines.index("udpport 694") > first_link)


NOW = datetime(2026, 11, 24, 22, 25)
# Its form is that of Heartbeat's own lines; the first is one.
LOG = """\
Nov 24 22:25:00 vm heartbeat: [3]: ERROR: Illegal directive [bogus] in /etc/ha.d//ha.cf
Nov  9 10:00:00 dir1 heartbeat: [812]: WARN: Late heartbeat: Node dir2: interval 4900 ms
Nov 20 10:00:00 dir1 heartbeat: [812]: WARN: Late heartbeat: Node dir2: interval 1310 ms
Nov 20 11:00:00 dir1 heartbeat: [812]: WARN: Late heartbeat: Node DIR1: interval 700 ms
Nov 21 10:00:00 dir1 heartbeat: [812]: CRIT: Late heartbeat: Node dir2: interval 61000 ms (> deadtime)
Nov 22 10:00:00 dir1 heartbeat: [812]: WARN: Late heartbeat: Node 192.0.2.254: interval 4800 ms
Nov 31 10:00:00 dir1 heartbeat: [812]: WARN: Late heartbeat: Node dir2: interval 4700 ms
"""


def test_the_worst_late_heartbeat_of_a_week() -> None:
    config = parse_ha_cf(GOOD)[0]
    found = list(late_heartbeats(LOG.splitlines(), NOW))
    assert len(found) == 5
    assert worst_late(found, config, NOW - timedelta(days=7)) == {
        "count": 2,
        "since": "2026-11-17 22:25:00",
        "worst_ms": 1310,
        "worst_node": "dir2",
        "worst_at": "2026-11-20 10:00:00",
    }
    assert worst_late(found, config, NOW - timedelta(days=30))["worst_ms"] == 4900
    none = {"count": 0, "since": "2026-11-24 22:25:00", "worst_ms": 0, "worst_node": "", "worst_at": ""}
    assert worst_late(found, config, NOW) == none
    assert worst_late(found, parse_ha_cf("")[0], NOW - timedelta(days=30))["count"] == 0


def test_the_deadtime_of_a_file() -> None:
    assert deadtime_of(parse_ha_cf(GOOD)[0]) == 5000
    assert deadtime_of(parse_ha_cf(without("deadtime"))[0]) == 30_000
    assert deadtime_of(parse_ha_cf(without("deadtime") + "deadtime soon\n")[0]) == 0


@given(st.datetimes(datetime(2024, 3, 1), datetime(2032, 1, 1)), st.timedeltas(timedelta(), timedelta(days=360)))
def test_a_log_has_no_years(now: datetime, ago: timedelta) -> None:
    at = (now - ago).replace(microsecond=0)
    line = (
        f"{calendar.month_abbr[at.month]} {at.day:2} {at:%H:%M:%S} dir1 heartbeat: [1]: WARN: Late heartbeat: Node a: "
    )
    assert [each.at for each in late_heartbeats([f"{line}interval 7 ms"], now)] == [at]


@given(st.lists(st.sampled_from(LOG.splitlines()) | st.text()), st.datetimes(datetime(2000, 1, 1)))
def test_any_log_can_be_read(lines: list[str], now: datetime) -> None:
    assert len(list(late_heartbeats(lines, now))) <= len(lines)


@pytest.mark.parametrize(
    ("holds", "stopped"),
    [
        ("all", ["gone"]),
        *((word, ["moved", "gone"]) for word in ("local", "foreign", "none", "transition", "")),
    ],
)
def test_who_holds_all_keeps_what_only_has_another_preferred_director(holds: str, stopped: list[str]) -> None:
    """It was stopped before two reloads, and started again after them on the same director."""

    def resource(node: str, name: str, prefix: int = 24) -> dict[str, Any]:
        return {"node": node, "script": "IPaddr2", "arguments": [f"{name}/{prefix}/eth0"]}

    known = [resource("dir1", "stays"), resource("dir1", "moved"), resource("dir1", "gone")]
    wanted = [resource("dir1", "stays"), resource("dir2", "moved"), resource("dir2", "gone", 32)]
    assert [each["arguments"][0].split("/")[0] for each in released(known, wanted, holds)] == stopped
    # Where heartbeat-vips gives way, the other director has it first.
    assert [each["arguments"][0].split("/")[0] for each in released(known, wanted, holds, gives_way=True)] == ["gone"]


def test_heartbeat_vips_gives_nothing_but_addresses_away() -> None:
    known, wanted = [[{"node": node, "script": "other", "arguments": ["moved"]}] for node in ("dir1", "dir2")]
    assert released(known, wanted, "local", gives_way=True) == known
