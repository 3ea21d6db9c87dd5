# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drain would roll out beside weights, and that no secret is shown of it."""

from __future__ import annotations

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._pending import SETTINGS, pending

CONFIG = """\
# Ansible managed
checkinterval = 1
# A comment.
cleanstop = no

# web
virtual = 198.18.20.30:80
    protocol = tcp
    scheduler = wrr
    real = 198.18.20.21:80 gate 1 "alive", "yes 1"
    real = 198.18.20.22:80 gate 3
    fallback = 127.0.0.1:80 gate
    passwd = "hunter2"

# dns
virtual6 = [2001:db8::30]:53
    protocol = udp
    real6 = [2001:db8::21]:53 masq 1
"""
RULES = """\
# Ansible managed
-A -t 198.18.20.30:80 -s wrr
-a -t 198.18.20.30:80 -r 198.18.20.21:80 -g -w 1
-a -t 198.18.20.30:80 -r 198.18.20.22:80 -g -w 3
-A -f 1 -s rr -6
-a -f 1 -6 -r [2001:db8::21]:0 -m -w 1
--set 900 120 300
"""


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("gate 1 ", "gate 0 ", []),  # drained, or undrained, or a run was killed between
        ("gate 3", "gate 0", []),
        ("masq 1", "masq 7", []),
        ("# Ansible managed", "# by somebody else", []),
        ('"yes 1"', '"yes 0"', ["web (198.18.20.21:80)"]),
        ("198.18.20.22:80 gate", "198.18.20.22:80 ipip", ["web (198.18.20.22:80)"]),
        ("    real = 198.18.20.22:80 gate 3\n", "", ["web (198.18.20.22:80)"]),
        ("198.18.20.22:80", "198.18.20.23:80", ["web (198.18.20.22:80, 198.18.20.23:80)"]),
        ("virtual = 198.18.20.30:80", "virtual = 198.18.20.31:80", ["web"]),
        ("127.0.0.1:80 gate", "198.18.20.40:80 gate", ["web"]),
        ("hunter2", "hunter3", ["web"]),
        ("virtual6 = [2001:db8::30]:53", "virtual6 = [2001:db8::31]:53", ["dns"]),
        ("checkinterval = 1", "checkinterval = 2", [SETTINGS]),
        (CONFIG[CONFIG.index("\n# dns") :], "", ["dns ([2001:db8::21]:53)"]),
    ],
)
def test_a_drain_changes_weights_alone_in_ldirectords_file(old: str, new: str, found: list[str]) -> None:
    assert CONFIG.count(old) == 1
    other = CONFIG.replace(old, new)
    assert pending(CONFIG, other) == found
    assert pending(other, CONFIG) == found
    assert "hunter" not in str(pending(CONFIG, ""))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("-w 3", "-w 0", []),
        ("198.18.20.22:80 -g", "198.18.20.22:80 -i", ["tcp 198.18.20.30:80 (198.18.20.22:80)"]),
        ("-s wrr", "-s wlc", ["tcp 198.18.20.30:80"]),
        ("-r [2001:db8::21]:0 -m", "-r [2001:db8::22]:0 -m", ["fwmark 1 ([2001:db8::21]:0, [2001:db8::22]:0)"]),
        ("--set 900", "--set 60", [SETTINGS]),
    ],
)
def test_a_drain_changes_weights_alone_in_a_table_without_ldirectord(old: str, new: str, found: list[str]) -> None:
    assert RULES.count(old) == 1
    other = RULES.replace(old, new)
    assert pending(RULES, other) == found
    assert pending(other, RULES) == found


def test_a_director_without_a_file_lacks_all() -> None:
    shown = ["dns ([2001:db8::21]:53)", "web (198.18.20.21:80, 198.18.20.22:80)", SETTINGS]
    assert pending(CONFIG, "") == sorted(shown)
    assert pending(CONFIG, CONFIG) == []
