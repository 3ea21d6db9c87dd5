# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ldirectord's grammar.

Each case was given to ldirectord 4.12 (`ldirectord FILE status`). It agrees, but for values of which it silently uses a
part: 1.5, 'virtual=192.0.2.10' (a firewall mark 192), text behind a quote, u: before l:, an empty fallback, a request
of a real server's own that begins with a slash.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldirectord_config import ConfigError, effective, parse

V4 = "virtual=192.0.2.10:80\n"
V6 = "virtual6=[2001:db8::10]:80\n"
REAL = "\treal=198.51.100.1:80 gate\n"

EVERYTHING = """\
# globals
checktimeout = 3 # seconds
negotiatetimeout=4
checkinterval=2
failurecount=2
quiescent = yes
autoreload=yes
callback="/usr/local/bin/changed"
logfile="local0"
execute=one.cf
execute=two.cf
emailalert="root@example.org"
emailalertstatus=running, starting
supervised
fallback=127.0.0.1
maintenancedir=/etc/ha.d/maintenance

virtual = 192.0.2.10:443 # web
\treal=198.51.100.1->198.51.100.2:443 gate 3 "index.html", "a|b" l:2 u:9
    # a comment ends nothing
# nor does one at the margin
    real = web3 masq
      fallback=127.0.0.1:443 gate
\trequest="index.html" # of each
\treceive="happy"
\tscheduler=wrr
\tpersistent=120
\tnetmask=255.255.255.0
\tprotocol=tcp
\tchecktype=3
\thttpmethod=head
\tvirtualhost="www.example.org"
\tservice=https
\tquiescent=no

virtual6=[2001:DB8::10]:53
\treal6=[2001:db8::1]:53 ipip 0
\tfallback6=[::1]
\tnetmask=64
virtual=7
\tprotocol=fwm
"""


def test_everything_that_a_file_can_say() -> None:
    assert parse(EVERYTHING) == {
        "checktimeout": 3,
        "negotiatetimeout": 4,
        "checkinterval": 2,
        "failurecount": 2,
        "quiescent": True,
        "autoreload": True,
        "callback": "/usr/local/bin/changed",
        "logfile": "local0",
        "execute": ["one.cf", "two.cf"],
        "emailalert": "root@example.org",
        "emailalertstatus": ["running", "starting"],
        "supervised": True,
        "fallback": {"address": "127.0.0.1", "port": None, "forwarding": "gate"},
        "maintenancedir": "/etc/ha.d/maintenance",
        "virtual": [
            {
                "family": 4,
                "address": "192.0.2.10",
                "port": 443,
                "protocol": "tcp",
                "real_servers": [
                    *(
                        {
                            "address": f"198.51.100.{number}",
                            "port": 443,
                            "forwarding": "gate",
                            "weight": 3,
                            "request": "/index.html",
                            "receive": "a|b",
                            "lower_threshold": 2,
                            "upper_threshold": 9,
                        }
                        for number in (1, 2)
                    ),
                    {"address": "web3", "port": 0, "forwarding": "masq", "weight": 1},
                ],
                "fallback": {"address": "127.0.0.1", "port": 443, "forwarding": "gate"},
                "request": "/index.html",
                "receive": "happy",
                "scheduler": "wrr",
                "persistent": 120,
                "netmask": "255.255.255.0",
                "checktype": 3,
                "httpmethod": "HEAD",
                "virtualhost": "www.example.org",
                "service": "https",
                "quiescent": False,
            },
            {
                "family": 6,
                "address": "2001:db8::10",
                "port": 53,
                "protocol": "udp",
                "real_servers": [{"address": "2001:db8::1", "port": 53, "forwarding": "ipip", "weight": 0}],
                "fallback": {"address": "::1", "port": 53, "forwarding": "gate"},
                "netmask": 64,
            },
            {"family": 4, "fwmark": 7, "protocol": "fwm", "real_servers": []},
        ],
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (V4 + REAL, 1),
        (V4 + "    real=198.51.100.1:80 gate\n", 1),
        (V4 + "  \treal=198.51.100.1:80 gate\n", 1),
        (V4 + "\t\treal=198.51.100.1:80 gate 1 # last\n", 1),
        (V4 + REAL + "#\n   # comment\n" + REAL, 2),
        (V4 + REAL.rstrip("\n"), 1),
        (V4 + "\n", 0),
        (V4 + "# comment\n", 0),
        ("virtual = 192.0.2.10:http # web\n" + REAL, 1),
        (V4 + "\treal=198.51.100.1:http gate\n", 1),
        (V4 + "\treal=localhost gate 1 l:1 u:9\n", 1),
        (V4 + '\treal=198.51.100.1:80 gate 1 "a","b"\n', 1),
        (V4 + '\treal=198.51.100.1:80 gate 1 "a" "b" l:1\n', 1),
        (V6 + "\treal6=[2001:db8::1]:80 gate 3\n", 1),
    ],
)
def test_blocks(text: str, number: int) -> None:
    (service,) = parse(text)["virtual"]
    assert len(service["real_servers"]) == number


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        # Indentation
        (V4 + "  real=198.51.100.1:80 gate\n", 2, "less than four spaces"),
        (V4 + "real=198.51.100.1:80 gate\n", 2, "belongs into a virtual service"),
        (V4 + "\n" + REAL, 3, "outside a virtual service"),
        (V4 + REAL + "    \n" + REAL, 4, "outside a virtual service"),
        (V4 + REAL + "     \n", 3, "unknown command"),
        (" checktimeout=3\n", 1, "is indented"),
        (V4, 1, "can't end the file"),
        (V4 + REAL + V4 + REAL, 3, "given twice"),
        ("virtual=7\n\tprotocol=fwm\nvirtual=7\n\tprotocol=fwm\n", 3, "given twice"),
        # Words
        ("foo=bar\n", 1, "unknown command"),
        ("foo\n", 1, "unknown command"),
        (V4 + "\tfoo=bar\n", 2, "unknown command"),
        (V4 + "\tfoo\n", 2, "unknown command"),
        ("timeout=3\n", 1, "use checktimeout and negotiatetimeout"),
        ("connecttimeout=3\n", 1, "use negotiatetimeout"),
        (V4 + "\tconnecttimeout=3\n", 2, "use negotiatetimeout"),
        (V4 + "\tautoreload=yes\n", 2, "unknown command"),
        # Values
        ("checktimeout=1.5\n", 1, "whole number of at least 1"),
        ("checktimeout=0\n", 1, "whole number of at least 1"),
        ("checkinterval=x\n", 1, "whole number of at least 1"),
        ("quiescent=yes # c\n", 1, "not even a blank"),
        (V4 + "\tquiescent=yes # c\n", 2, "not even a blank"),
        (V4 + "\tquiescent=yes \n", 2, "not even a blank"),
        (V4 + "\tquiescent=yes\r\n", 2, "not even a blank"),
        ("supervised=maybe\n", 1, "must be yes or no"),
        ("logfile=/var/log/x\n", 1, "double quotes"),
        ("emailalertstatus=all,none\n", 1, "none excludes"),
        ("emailalertstatus=ok\n", 1, "must be one or more"),
        ("emailalertfreq=x\n", 1, "whole number"),
        ("smtp=[x]\n", 1, "host name or an address"),
        (V4 + "\trequest=index.html\n", 2, "double quotes"),
        (V4 + '\trequest=""\n', 2, "not be empty"),
        (V4 + '\tsecret="a#b"\n', 2, "double quotes"),
        (V4 + '\treceive="a" b\n', 2, "behind its closing quote"),
        (V4 + "\tchecktype=foo\n", 2, "must be one of connect"),
        (V4 + "\tservice=foo\n", 2, "must be one of ftp"),
        (V4 + "\tscheduler=WRR\n", 2, "lower-case"),
        (V4 + "\tpersistent=x\n", 2, "whole number"),
        (V4 + "\tcheckport=70000\n", 2, "at most 65535"),
        (V4 + "\tprotocol=sctp\n", 2, "must be one of tcp, udp, fwm"),
        (V4 + "\tprotocol=fwm\n", 2, "tcp or udp for an address"),
        ("virtual=7\n\tprotocol=tcp\n", 2, "must be fwm"),
        (V4 + "\tnetmask=24\n", 2, "four numbers"),
        (V4 + "\tnetmask=255.255.255.0 \n", 2, "nothing behind"),
        (V6 + "\tnetmask=129\n", 2, "from 1 to 128"),
        # Addresses
        ("virtual=192.0.2.10\n" + REAL, 1, "must be ADDRESS:PORT"),
        ("virtual=300.0.2.10:80\n" + REAL, 1, "no IPv4 address"),
        ("virtual=192.0.2.10:nosuch\n" + REAL, 1, "port 'nosuch' is unknown"),
        ("virtual=[2001:db8::10]:80\n", 1, "needs virtual6"),
        ("virtual6=[2001::db8::10]:80\n", 1, "no IPv6 address"),
        (V6 + REAL, 2, "write real6"),
        (V4 + "\treal6=[2001:db8::1]:80 gate\n", 2, "write real"),
        (V4 + "\tfallback6=[::1]:80\n", 2, "write fallback"),
        (V4 + "\tfallback=127.0.0.1:80 tunnel\n", 2, "one of gate, masq, ipip"),
        (V4 + "\tfallback=\n", 2, "must be ADDRESS"),
        (V4 + "\treal=198.51.100.1:80\n", 2, "gate|masq|ipip"),
        (V4 + "\treal=198.51.100.1:80 tunnel\n", 2, "one of gate, masq, ipip"),
        (V4 + "\treal=198.51.100.1:80 gate -1\n", 2, "must be ADDRESS"),
        (V4 + '\treal=198.51.100.1:80 gate 1 "/a", "b"\n', 2, "without its slash"),
        (V4 + "\treal=198.51.100.1:80 gate 1 u:9 l:1\n", 2, "must be ADDRESS"),
        (V4 + "\treal=198.51.100.1:99999 gate\n", 2, "above 65535"),
        (V4 + "\treal=198.51.100.3->198.51.100.1:80 gate\n", 2, "a range must end"),
        (V4 + "\treal=0.0.0.0->255.255.255.255:80 gate\n", 2, "at most 65536 addresses"),
        (V4 + "\treal=web1->web3:80 gate\n", 2, "not names"),
        (V6 + "\treal6=[2001:db8::1]->[2001:db8::2]:80 gate\n", 2, "needs IPv4"),
    ],
)
def test_errors_name_their_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert (caught.value.line, problem in caught.value.problem) == (line, True), caught.value


def test_defaults_are_those_of_the_program() -> None:
    found = effective(parse(V4 + "\treal=198.51.100.1:8080 gate\n\treal=198.51.100.1:8080 masq\n"))
    assert (found["quiescent"], found["fork"], found["cleanstop"], found["readdquiescent"]) == (
        False,
        False,
        True,
        False,
    )
    (service,) = found["virtual"]
    assert {name: service[name] for name in ("scheduler", "service", "checktype", "request", "receive")} == {
        "scheduler": "wrr",
        "service": "http",
        "checktype": "negotiate",
        "request": "/",
        "receive": "",
    }
    assert (service["checktimeout"], service["negotiatetimeout"], service["checkinterval"]) == (5, 30, 10)
    assert [server["port"] for server in service["real_servers"]] == [80, 8080]
    assert {(server["request"], server["receive"]) for server in service["real_servers"]} == {("/", "")}


@pytest.mark.parametrize(
    ("globally", "locally", "expected"),
    [
        ("checktimeout=3\n", "", (3, 3)),
        ("negotiatetimeout=7\n", "", (7, 7)),
        ("checktimeout=3\nnegotiatetimeout=7\n", "", (3, 7)),
        ("checktimeout=3\nnegotiatetimeout=7\n", "\tchecktimeout=1\n", (1, 1)),
        ("checktimeout=3\n", "\tnegotiatetimeout=9\n", (9, 9)),
    ],
)
def test_the_two_timeouts_stand_in_for_each_other(globally: str, locally: str, expected: tuple[int, int]) -> None:
    (service,) = effective(parse(globally + V4 + REAL + locally))["virtual"]
    assert (service["checktimeout"], service["negotiatetimeout"]) == expected


def test_what_a_service_inherits() -> None:
    text = "fork=no\nquiescent=yes\nfallback=127.0.0.1\nvirtual=192.0.2.10:21\n\tcheckinterval=3\n"
    (service,) = effective(parse(text))["virtual"]
    assert service["quiescent"] is True
    assert service["fallback"] == {"address": "127.0.0.1", "port": 21, "forwarding": "gate"}
    assert (service["service"], service["login"], service["checkinterval"]) == ("ftp", "anonymous", 10)
    (service,) = effective(parse(text.replace("fork=no", "fork=yes")))["virtual"]
    assert service["checkinterval"] == 3
    (service,) = effective(parse("fallback=127.0.0.1:80\nvirtual=7\n\n"))["virtual"]
    assert (service["service"], "fallback" in service) == ("none", False)


PIECES = st.lists(
    st.sampled_from(
        [line + "\n" for line in EVERYTHING.splitlines()]
        + [
            "virtual=",
            "virtual6=",
            "\t",
            "    ",
            "  ",
            "real=",
            "real6=",
            "fallback=",
            "->",
            ":80",
            " gate",
            " 1",
            '"',
            "#",
        ]
        + ["192.0.2.1", "[::1]", "=", " ", "\r\n", "\n", "\x00", "l:1", "u:2", "yes", "é"]
    )
).map("".join)


def parse_or_error(text: str) -> dict[str, Any] | ConfigError:
    """Return what parse returns or raises."""
    try:
        return parse(text)
    except ConfigError as error:
        return error


@given(st.one_of(st.text(), PIECES))
def test_any_text_parses_or_names_a_line(text: str) -> None:
    found = parse_or_error(text)
    if isinstance(found, ConfigError):
        assert 1 <= found.line <= text.count("\n") + 1
        assert found.problem
    else:
        assert effective(effective(found)) == effective(found)


@given(st.text("# \t\n"))
def test_blanks_and_comments_between_services_mean_nothing(noise: str) -> None:
    noise = "\n" + "".join("#" * bool(line) + line + "\n" for line in noise.split("\n"))
    assert parse(noise + V4 + REAL + noise + V6 + noise) == parse(V4 + REAL + V6 + "\n")
