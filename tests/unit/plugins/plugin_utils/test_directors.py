# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks at two directors say together."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._directors import (
    ENOUGH,
    FEW,
    intruders,
    lacking,
    move,
    unheard,
    unwanted,
)

VIP = "192.0.2.30"
SERVER = {"address": "192.0.2.21", "port": 80, "forwarding": "direct", "weight": 1}
SERVICE = {"vip": VIP, "port": 80, "protocol": "tcp", "scheduler": "wrr", "real_servers": [SERVER]}
RESOLVED = {
    "endpoint": f"{VIP}:80",
    "protocol": "tcp",
    "real_servers": [{"endpoint": "192.0.2.21:80", "forwarding": "direct"}],
}
CLUSTER = {
    "checker": "ldirectord",
    "standby": "hot",
    "vips": [{"address": VIP}],
    "table": [SERVICE],
    "services": [RESOLVED],
}
DAEMONS = [{"role": "master"}, {"role": "backup"}]


def prints(lasting: int = 0, seen: int | None = None) -> dict[str, Any]:
    """Return what ipvs_info says of so many connections."""
    names = [f"{number:04}" for number in range(max(lasting, seen or 0))]
    return {
        "count": lasting,
        "lasting": names[:lasting],
        "seen": names[: lasting if seen is None else seen],
        "whole": True,
    }


def look(
    held: tuple[str, ...] = (),
    expected: tuple[str, ...] = (),
    nodes: dict[str, str] | None = None,
    services: list[Any] | None = None,
    daemons: list[Any] | None = None,
    fingerprints: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a look at one director, which is well unless the arguments say otherwise."""
    known = {"dir1": "active", "dir2": "active"} if nodes is None else nodes
    return {
        "heartbeat": {"held": list(held), "expected": list(expected), "nodes": known},
        "ipvs": {
            "services": [SERVICE] if services is None else services,
            "daemons": DAEMONS if daemons is None else daemons,
            "fingerprints": fingerprints or prints(),
        },
    }


def found(
    until: str, dir1: dict[str, Any], dir2: dict[str, Any], absent: tuple[str, ...] = (), standby: str = "hot"
) -> str:
    """Return what is lacking as one text."""
    return " | ".join(lacking(until, {"dir1": dir1, "dir2": dir2}, {**CLUSTER, "standby": standby}, absent))


GOOD = look(held=(VIP,), expected=(VIP,))


@pytest.mark.parametrize("until", ["one_holder", "balanced", "synced"])
def test_a_cluster_that_stands_still_lacks_nothing(until: str) -> None:
    assert found(until, GOOD, look()) == found(until, look(), GOOD) == ""


@pytest.mark.parametrize("until", ["one_holder", "balanced"])
@pytest.mark.parametrize(
    ("dir1", "dir2", "absent", "expected"),
    [
        (look(), look(), (), "192.0.2.30 is on none of dir1 and dir2"),
        (look(), look(expected=(VIP,)), (), "is on none of dir1 and dir2; Heartbeat believes it to be on dir2"),
        (look(expected=(VIP,)), look(expected=(VIP,)), (), "; Heartbeat believes it to be on dir1 and dir2"),
        (look(), look(), ("dir3",), "is on none of dir1 and dir2; dir3 may not be as absent as ha_absent says"),
        (GOOD, GOOD, (), "192.0.2.30 is on dir1 and dir2: restart Heartbeat"),
        (GOOD, look(nodes={}), (), "Heartbeat does not run on dir2"),
        (GOOD, look(nodes={"dir1": "dead", "dir2": "active"}), (), "Heartbeat on dir2 says that dir1 is dead"),
        (GOOD, look(nodes={"dir1": "", "dir2": "active"}), (), "Heartbeat on dir2 says that dir1 is unknown"),
    ],
)
def test_one_holder_each_and_heartbeat_everywhere(
    until: str, dir1: dict[str, Any], dir2: dict[str, Any], absent: tuple[str, ...], expected: str
) -> None:
    assert expected in found(until, dir1, dir2, absent)


def test_what_is_said_of_an_absent_director_does_not_count() -> None:
    one = look(held=(VIP,), nodes={"dir1": "active", "dir2": "dead"})
    assert lacking("balanced", {"dir1": one}, CLUSTER, ["dir2"]) == []
    assert lacking("balanced", {"dir1": one}, CLUSTER, []) == ["Heartbeat on dir1 says that dir2 is dead"]


def test_a_director_alone_lacks_an_address_in_the_singular() -> None:
    assert lacking("one_holder", {"dir1": look()}, CLUSTER, []) == ["192.0.2.30 is not on dir1"]


def test_the_kernel_s_spelling_counts() -> None:
    cluster = {"vips": [{"address": "2001:DB8::30"}], "table": []}
    assert lacking("one_holder", {"dir1": look(held=("2001:db8::30",))}, cluster, []) == []


@pytest.mark.parametrize(
    "services",
    [
        [],
        [{**SERVICE, "real_servers": []}],
        [{**SERVICE, "real_servers": [{**SERVER, "weight": 0}]}],
        [{**SERVICE, "real_servers": [{**SERVER, "address": "127.0.0.1"}]}],  # the fallback
        [{**SERVICE, "vip": "192.0.2.31"}],
    ],
)
def test_every_service_has_a_real_server_of_its_own(services: list[Any]) -> None:
    assert (
        "in the IPVS table of dir2 these services have no real server that takes connections: tcp 192.0.2.30:80;"
        in (found("balanced", GOOD, look(services=services)))
    )
    assert found("one_holder", GOOD, look(services=services)) == ""


@pytest.mark.parametrize(("checker", "hinted"), [("ldirectord", True), ("none", False)])
def test_only_ldirectord_has_a_log(checker: str, hinted: bool) -> None:
    looks = {"dir1": GOOD, "dir2": look(services=[])}
    [text] = lacking("balanced", looks, {**CLUSTER, "checker": checker}, [])
    assert text.endswith("; see /var/log/ldirectord.log there") == hinted
    assert text.removesuffix("; see /var/log/ldirectord.log there").endswith("takes connections: tcp 192.0.2.30:80")


def test_a_standby_may_have_an_empty_table_where_heartbeat_starts_ldirectord() -> None:
    assert found("balanced", GOOD, look(services=[]), standby="cold") == ""
    assert "dir2 holds no address, but its IPVS table still has" in found("balanced", GOOD, look(), standby="cold")
    assert "IPVS table of dir1" in found("balanced", look(held=(VIP,), services=[]), look(services=[]), standby="cold")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"forwarding": "nat"}, "192.0.2.21 (nat) of tcp 192.0.2.30:80"),
        ({"forwarding": "local"}, ""),  # a director that is a real server
        ({"address": "192.0.2.29", "forwarding": "nat"}, ""),  # not ours to judge
    ],
)
def test_a_director_that_forwards_in_an_old_way_is_named(row: dict[str, Any], named: str) -> None:
    """It was down while another way was rolled out, and its services and real servers are the right ones."""
    services = [{**SERVICE, "real_servers": [SERVER, {**SERVER, **row}]}, {**SERVICE, "port": 81}]
    said = found("balanced", GOOD, look(services=services))
    assert said == (named and f"dir2 forwards in another way than the inventory asks for: {named}; run site")
    assert found("one_holder", GOOD, look(services=services)) == ""


@pytest.mark.parametrize(
    ("daemons", "runs"), [([], "neither"), (DAEMONS[:1], "master"), (DAEMONS * 2, "backup, backup")]
)
def test_both_sync_daemons_run(daemons: list[Any], runs: str) -> None:
    assert f"dir2 must run both sync daemons, master and backup, and runs {runs}" in (
        found("synced", GOOD, look(daemons=daemons))
    )


@pytest.mark.parametrize(
    ("lasting", "seen", "well"),
    [
        (100, 100, True),
        (100, 95, True),
        (100, 94, False),
        (10, 5, True),
        (FEW, 0, True),
        (FEW + 1, 0, False),
        (0, 0, True),
    ],
)
def test_the_other_director_knows_almost_all(lasting: int, seen: int, well: bool) -> None:
    assert ENOUGH == 0.95
    holder, other = look(held=(VIP,), fingerprints=prints(lasting)), look(fingerprints=prints(0, seen))
    assert (found("synced", holder, other) == "") == well
    # What a standby has, nobody needs to know.
    assert found("synced", look(fingerprints=prints(lasting)), look(held=(VIP,))) == ""


def test_a_director_alone_cannot_be_compared() -> None:
    alone = ["dir1 has no other director in this run to compare with"]
    assert lacking("synced", {"dir1": GOOD}, CLUSTER, []) == alone


def test_how_much_is_known_is_told() -> None:
    text = found("synced", look(held=(VIP,), fingerprints=prints(40)), look(fingerprints=prints(0, 30)))
    assert text.startswith(
        "dir1 has 40 connections and persistence templates, of which the other director knows 75.0 %."
    )


LINKS = [{"interface": "eth1"}, {"interface": "eth0"}, {"interface": "eth1"}]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ('{"links": {"eth0": true, "eth1": true}}', []),
        ('{"links": {"eth0": true, "eth1": false}}', ["eth1"]),
        ('{"links": {"eth0": true, "eth2": true}}', ["eth1"]),
        *((text, ["eth1", "eth0"]) for text in ("", "{}", '{"links": null}', '{"links": ["eth0"]}', "[]", "{", "7")),
    ],
)
def test_a_link_is_heard_where_heartbeat_vips_says_so(status: str, expected: list[str]) -> None:
    assert unheard(LINKS, status) == expected


SS = """
LISTEN 0      511          0.0.0.0:80         0.0.0.0:*    users:(("nginx",pid=7,fd=6))
LISTEN 0      4096       127.0.0.1:8443       0.0.0.0:*
LISTEN 0      4096   192.0.2.11:443           0.0.0.0:*    users:(("haproxy",pid=8,fd=6))
LISTEN 0      511                *:8080             *:*
LISTEN 0      511             [::]:80            [::]:*    users:(("nginx",pid=7,fd=7))
"""


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([80], ["0.0.0.0:80", "[::]:80"]),
        ([8080, 443], ["*:8080"]),
        ([8, 0, 808, 8443], []),
        ([], []),
    ],
)
def test_who_listens_on_all_addresses_is_in_the_way(ports: list[int], expected: list[str]) -> None:
    found = intruders(SS.splitlines(), ports)
    assert [line.split(" ")[3] for line in found] == expected


def test_an_intruder_is_shown_in_one_line() -> None:
    assert intruders(SS.splitlines(), [80])[0] == 'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=6))'


def resolved(forwarding: str, *addresses: str, **service: Any) -> dict[str, Any]:
    """Return a service as cluster() does."""
    servers = [{"endpoint": f"{address}:80", "forwarding": forwarding, "weight": 1} for address in addresses]
    plain = {"endpoint": f"{VIP}:80", "fwmark": None, "family": 4, "protocol": "tcp", "fallback": None}
    return {**plain, "real_servers": servers, **service}


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ([resolved("direct", "192.0.2.21", "192.0.2.22")], []),
        ([resolved("tunnel", "192.0.2.21")], [f"192.0.2.21 (direct) of tcp {VIP}:80"]),
        ([resolved("direct", "192.0.2.22")], [f"192.0.2.21 (direct) of tcp {VIP}:80"]),
        ([resolved("direct", "192.0.2.21", protocol="udp")], [f"tcp {VIP}:80"]),
        ([resolved("direct", "192.0.2.21", endpoint="1", fwmark=1)], [f"tcp {VIP}:80"]),
        ([resolved("direct", "192.0.2.22", fallback="192.0.2.21:8080")], []),
        ([resolved("direct", "192.0.2.22", fallback="192.0.2.21 gate")], []),
        ([], [f"tcp {VIP}:80"]),
    ],
)
def test_what_ldirectord_has_not_yet_taken_out_is_named(services: list[Any], expected: list[str]) -> None:
    assert unwanted([SERVICE], services) == expected
    assert unwanted([], services) == []


def test_a_mark_is_one_service_for_each_family() -> None:
    six = {"endpoint": "[2001:db8::21]:80", "forwarding": "nat", "weight": 1}
    services = [
        resolved("nat", "192.0.2.21", endpoint="1", fwmark=1),
        {**resolved("nat", endpoint="1", fwmark=1, family=6), "real_servers": [six]},
    ]
    four = {"fwmark": 1, "family": 4, "real_servers": [{**SERVER, "forwarding": "nat", "port": 0}]}
    other = {"fwmark": 1, "family": 6, "real_servers": [{**SERVER, "address": "2001:db8::21", "forwarding": "local"}]}
    assert unwanted([four, other], services) == []
    assert unwanted([{**four, "fwmark": 2}, other], services[:1]) == ["fwmark 2", "fwmark 1"]


A, B, C = "192.0.2.30", "192.0.2.31", "2001:db8::31"
TWO = {
    "nodes": ["one", "two"],  # Heartbeat's names need not be those of the inventory
    "vips": [{"address": C, "node": "two"}, {"address": A, "node": "one"}, {"address": B, "node": "two"}],
    "doors": [{"name": "web", "address": A, "port": 80}, {"name": "shop", "address": B, "port": 443}],
}
APART = {"dir1": [A], "dir2": [B, C]}


@pytest.mark.parametrize(
    ("held", "to", "target", "wanted", "door"),
    [
        pytest.param({"dir1": [A, B, C], "dir2": []}, "", "dir2", {"dir1": [], "dir2": [A, B, C]}, A, id="idle"),
        pytest.param(APART, "dir1", "dir1", {"dir1": [A, B, C], "dir2": []}, B, id="a client sees what moves"),
        pytest.param(APART, "dir2", "dir2", {"dir1": [], "dir2": [A, B, C]}, A, id="the other way"),
        pytest.param({"dir1": [A, B, C], "dir2": []}, "preferred", "dir2", APART, B, id="dir2 lacks its own"),
        pytest.param({"dir1": [], "dir2": [A, C, B]}, "preferred", "dir1", APART, A, id="dir1 lacks its own"),
        pytest.param({"dir1": [A, B], "dir2": [C]}, "preferred", "dir2", APART, B, id="one of two is away"),
        pytest.param(APART, "preferred", "dir1", APART, A, id="all is in place"),
    ],
)
def test_where_a_switchover_goes(
    held: dict[str, list[str]], to: str, target: str, wanted: dict[str, list[str]], door: str
) -> None:
    found = move(held, TWO, to)
    assert (found["refused"], found["target"], found["wanted"]) == ("", target, wanted)
    assert found["source"] == ("dir1" if target == "dir2" else "dir2")
    assert found["door"]["address"] == door
    assert found["only_own"] == (to == "preferred")


@pytest.mark.parametrize(("to", "door"), [("dir1", {}), ("dir2", TWO["doors"][0])])
def test_nobody_measures_an_address_that_stays(to: str, door: dict[str, Any]) -> None:
    """dir2's addresses are UDP's alone."""
    assert move(APART, {**TWO, "doors": TWO["doors"][:1]}, to)["door"] == door


@pytest.mark.parametrize(
    ("held", "to", "reason"),
    [
        (APART, "", "switchover_to = (not given): must be one of dir1, dir2 or preferred; dir1 has 192.0.2.30; "),
        ({"dir1": [], "dir2": []}, "", "must be one of dir1, dir2 or preferred; dir1 has none; dir2 has none"),
        (APART, "dir3", "switchover_to = dir3: must be one of dir1, dir2"),
        ({"dir1": [B, C], "dir2": [A]}, "preferred", "one director at a time takes its VIPs back; dir1 has 192.0.2."),
    ],
)
def test_a_switchover_that_goes_nowhere_says_why(held: dict[str, list[str]], to: str, reason: str) -> None:
    assert reason in move(held, TWO, to)["refused"]


def test_a_director_may_be_called_preferred() -> None:
    assert not move({"dir1": [A], "preferred": [B]}, {**TWO, "doors": []}, "preferred")["only_own"]
