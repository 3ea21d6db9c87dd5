# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared code has one parser for each grammar, and programs on hosts have their own. Here all get the same texts."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldirectord_config import parse as parse_ldirectord
from programs import load

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat import values
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table, print_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import read
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import KEPT, is_netmask

vips = load("roles/heartbeat/files/heartbeat-vips")
guard = load("roles/lvs_director/files/ipvs-guard")

NUMBERS = st.from_regex(r"[0-9]{0,13}(\.[0-9]{0,10})?", fullmatch=True)
UNITS = st.sampled_from(["", "ms", "MS", "msec", "Msec", "us", "uSEC", "s", "m", "m\u017f", " ms", "sec", "\n"])
TIMES = st.builds(str.__add__, NUMBERS, UNITS) | st.text(alphabet="0123456789.msuecMSUEC +-eE_\n") | st.text()


def outcome(read_it: Callable[[str], object], text: str) -> object:
    """Return what a parser makes of a text, or that it refuses it."""
    try:
        return read_it(text)
    except ValueError:
        return "refused"


@given(TIMES)
@example("500MS")
@example("500msec")
@example("1e3")
@example("nan")
@example("1_0")
def test_a_time_of_ha_cf(text: str) -> None:
    """heartbeat-vips reads what heartbeat_check and preflight accept, as the same time."""
    assert outcome(vips.seconds, text) == outcome(values.seconds, text)


FOUR = [str(ip_network(f"0.0.0.0/{length}").netmask) for length in range(33)]
SIX = [str(length) for length in range(130)]
NEAR = st.sampled_from([*FOUR, *SIX]).flatmap(lambda text: st.sampled_from([text, f"0{text}", f"{text} ", f"{text}0"]))
DOTTED = st.ip_addresses(v=4).map(str)


@pytest.mark.parametrize(("family", "every", "allowed"), [(4, FOUR, FOUR[1:]), (6, SIX, SIX[1:129])])
def test_which_netmasks_there_are(family: int, every: list[str], allowed: list[str]) -> None:
    assert [text for text in every if is_netmask(family, text)] == allowed


@given(st.sampled_from([4, 6]), NEAR | DOTTED | st.text(alphabet="0123456789./:ah"))
@example(6, "064")
@example(4, "255.255.255.000")
@example(4, "24")
def test_a_netmask_of_persistence(family: int, text: str) -> None:
    """Each later reader takes what preflight and the module ipvs accept, as the same network."""
    vip, real = ("192.0.2.30", "192.0.2.21") if family == 4 else ("2001:db8::30", "2001:db8::21")
    service = {"vip": vip, "port": 80, "persistence": {"netmask": text}, "real_servers": [{"address": real}]}
    table, problems = read([service])
    assert is_netmask(family, text) == (not [each for each in problems if each.rule == "wrong_netmask"])
    if problems:
        return
    length = int(text) if family == 6 else ip_network(f"0.0.0.0/{text}").prefixlen
    lines = print_table(table)
    assert parse_table(lines) == table  # what ipvsadm is given, and the role's table at boot
    assert guard.prefix_length(text) == length
    (wanted,) = guard.read_rules(lines).values()
    assert wanted.kind.prefix == length
    word, host = ("virtual6", f"[{vip}]") if family == 6 else ("virtual", vip)
    config = f"{word}={host}:80\n\tpersistent=300\n\tnetmask={text}\n"
    (written,) = guard.read_config(config).values()
    assert written.kind.prefix == length
    (found,) = parse_ldirectord(config)["virtual"]
    assert str(found["netmask"]) == text


def test_the_mark_of_who_is_kept_in() -> None:
    """The guard sets it, and whoever drains another one must not count on it."""
    assert guard.KEPT == KEPT
    marked = "-a -t 192.0.2.30:80 -r 192.0.2.21:80 -g -w 1"
    table = parse_table(["-A -t 192.0.2.30:80 -s rr", f"{marked} -x {guard.KEPT}"])
    assert [server.upper for service in table.values() for server in service.servers.values()] == [KEPT]
