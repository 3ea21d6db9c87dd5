"""Records and zones: sorted, stable, without duplicates, and what is written reads back."""

from __future__ import annotations

import random
import re
from datetime import date
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory import dns
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.dns import (
    Record,
    Zone,
    next_serial,
    owner,
    records,
    serial_of,
    vips_of,
    zone_text,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import ClusterError

ORIGIN = "lb.example.org"
VIPS = {
    "web": ("198.51.100.30",),
    "web6": ("2001:db8::30",),
    "https": ("198.51.100.30",),
    "berlin/web": ("203.0.113.30",),
    "ftp": (),
}
ZONE = Zone(ORIGIN, ["ns1.example.net", "ns2.example.net"], "host.master@example.org")
TODAY = "20261129"


def parsed(text: str) -> tuple[int, list[str], list[Record]]:
    """Return the serial number, the name servers and the address records of a zone's file, as RFC 1035 reads it."""
    text = re.sub(r";.*", "", text)
    origin, ttl, soa, rest = re.fullmatch(
        r"\s*\$ORIGIN (\S+)\n\$TTL ([0-9]+)\n@ IN SOA ([^(]*\([^)]*\))\n(.*)", text, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    assert (origin, ttl) == (f"{ORIGIN}.", "3600")
    _primary, _contact, _bracket, serial, *times = soa.rstrip(")").split()
    assert [int(value) > 0 for value in times] == [True] * 4
    servers, found = [], []
    for words in map(str.split, rest.splitlines()):
        if words[1:3] == ["IN", "NS"]:
            servers.append(words[3])
        elif words and words[0] != "$INCLUDE":
            name, seconds, _class, kind, address = words
            found.append(Record(name, int(seconds), ip_address(address)))
            assert found[-1].kind == kind
    return int(serial), servers, found


def entry(name: str, *services: str, **others: Any) -> dict[str, Any]:
    return {"name": name, "services": list(services), **others}


def test_a_name_has_the_addresses_of_all_its_services_each_once() -> None:
    names = [
        entry("www", "web6", "https", "web", "berlin/web"),
        entry("@", "web", ttl=5),
        entry("*.Shop.LB.example.org.", "web6"),
    ]
    assert [(each.name, each.ttl, each.kind, str(each.address)) for each in records(names, VIPS, ORIGIN, 60)] == [
        ("@", 5, "A", "198.51.100.30"),
        ("*.shop", 60, "AAAA", "2001:db8::30"),
        ("www", 60, "A", "198.51.100.30"),
        ("www", 60, "A", "203.0.113.30"),
        ("www", 60, "AAAA", "2001:db8::30"),
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([entry("www")], r"dns_zone_names\[0\] \(www\): has no address"),
        ([entry("www", "web"), entry("WWW.lb.example.org.", "web")], r"dns_zone_names\[1\] .*: is there twice"),
        ([entry("www", "wep")], "is no service; did you mean 'web'"),
        ([entry("www", "ftp")], "has no VIP"),
        ([entry("www", addresses=["203.0.113.0/24"])], "without prefix length"),
        ([entry("www", addresses=["127.0.0.1"])], "a loopback address"),
        ([entry("www", "web", ttl=0)], "must be from 1 to 604800"),
        ([entry("w_w", "web")], "is no host name"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(names: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        records(names, VIPS, ORIGIN, 60)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("@", "@"),
        ("*", "*"),
        ("*.lb.example.org.", "*"),
        ("LB.example.org.", "@"),
        ("WWW", "www"),
        ("a.b.lb.example.org.", "a.b"),
        ("*.b", "*.b"),
        ("2024", "2024"),
        ("xn--bcher-kva", "xn--bcher-kva"),
    ],
)
def test_a_name_is_relative_to_its_zone(text: str, name: str) -> None:
    assert owner(text, ORIGIN) == name


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "-a",
            "a-",
            "a..b",
            "a b",
            "a*",
            "a.*",
            "*.",
            "*.*.a",
            "*.@",
            "büro",
            "\u212aiosk",
            "a;b",
            "a\n",
            '"a"',
        ),
        *("www.lb.example.org", "lb.example.org", "*.lb.example.org", "www.example.net.", "xlb.example.org."),
        *("a" * 64, ".".join(["a" * 60] * 4)),
    ],
)
def test_what_is_no_name_in_the_zone_is_refused(text: str) -> None:
    with pytest.raises(dns.FaultError):
        owner(text, ORIGIN)


@pytest.mark.parametrize("text", ["ns1", "192.0.2.1", "example.", "", "a_b.example.org", "-.org"])
def test_a_zone_and_a_name_server_have_whole_names(text: str) -> None:
    with pytest.raises(dns.FaultError):
        dns.full_name(text)


def test_a_mail_address_is_one_name() -> None:
    assert dns.mailbox("host.master@Example.org") == r"host\.master.example.org"
    for wrong in ("hostmaster", "@example.org", "a..b@example.org", "a b@example.org", "a@b"):
        with pytest.raises(dns.FaultError):
            dns.mailbox(wrong)


@pytest.mark.parametrize("services", [None, {"web": "192.0.2.1"}, [{"vip": "192.0.2.1"}], ["web"], [{"name": 1}]])
def test_what_is_no_list_of_services_is_refused(services: object) -> None:
    with pytest.raises(dns.FaultError):
        vips_of(services)


def test_services_of_another_cluster_have_its_name_before_theirs() -> None:
    services = [{"name": "web", "vip": "203.0.113.30", "port": 80, "check": {}}, {"name": "ftp", "fwmark": 1}]
    assert vips_of([{"name": "shop", "vip": None, "vips": [each]} for each in ("192.0.2.30", "2001:db8::30")]) == {
        "shop": ("192.0.2.30", "2001:db8::30")
    }
    assert vips_of(services, "berlin") == {"berlin/web": ("203.0.113.30",), "berlin/ftp": ()}


def test_a_serial_number_begins_with_the_day_and_grows() -> None:
    assert next_serial(None, TODAY) == 2026112900
    assert next_serial(2026112900, TODAY) == 2026112901
    assert next_serial(2026112999, TODAY) == 2026113000  # the hundredth change of a day
    assert next_serial(2026113000, "20261130") == 2026113001
    assert next_serial(7, TODAY) == 2026112900
    assert next_serial(2038010100, TODAY) == 2038010101  # somebody's mistake, which secondaries know already
    assert next_serial(2**32 - 1, "22000101") == 1


@given(st.integers(1, 2**32 - 1), st.dates(date(2026, 1, 1), date(4293, 12, 31)))
def test_a_later_serial_number_is_later_as_secondaries_see_it(serial: int, day: date) -> None:
    later = next_serial(serial, day.strftime("%Y%m%d"))
    assert 0 < (later - serial) % 2**32 < 2**31
    assert 0 < later < 2**32


def test_the_file_changes_only_with_what_it_says() -> None:
    www = records([entry("www", "web")], VIPS, ORIGIN, 60)
    first = zone_text(ZONE, www, None, TODAY)
    assert serial_of(first) == 2026112900
    assert zone_text(ZONE, www, first, "20261130") == first
    more = zone_text(ZONE, records([entry("www", "web", "web6")], VIPS, ORIGIN, 60), first, TODAY)
    assert serial_of(more) == 2026112901
    included = ZONE._replace(includes=[{"path": "/etc/bind/others", "checksum": "a"}])
    third = zone_text(included, www, more, TODAY)
    assert serial_of(third) == 2026112902
    assert '\n$INCLUDE "/etc/bind/others"\n' in third
    fourth = zone_text(included._replace(includes=[{"path": "/etc/bind/others", "checksum": "b"}]), www, third, TODAY)
    assert serial_of(fourth) == 2026112903


@pytest.mark.parametrize("old", ["", "$TTL 60\n@ IN SOA a. b. (\n    7 ; serial\n1 1 1 1 )\n", f"{dns.HEAD}\n"])
def test_a_file_of_somebody_else_is_not_replaced(old: str) -> None:
    with pytest.raises(ClusterError, match="not written by the role dns_zone, or has lost its serial"):
        zone_text(ZONE, [], old, TODAY)


def test_a_zone_needs_a_name_server() -> None:
    with pytest.raises(ClusterError):
        zone_text(ZONE._replace(nameservers=[]), [], None, TODAY)


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAMES = st.one_of(
    st.just("@"),
    st.just("*"),
    st.tuples(st.sampled_from(["", "*."]), st.lists(LABELS, min_size=1, max_size=3)).map(
        lambda found: found[0] + ".".join(found[1])
    ),
)
REACHABLE = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(lambda address: not dns.unusable(address))
ENTRIES = st.lists(
    st.builds(
        dict,
        name=NAMES.filter(lambda name: not f".{name}".endswith(f".{ORIGIN}")),
        addresses=st.lists(REACHABLE.map(str), min_size=1, max_size=4),
        services=st.lists(st.sampled_from(sorted(set(VIPS) - {"ftp"}))),
        ttl=st.one_of(st.none(), st.integers(1, dns.LONGEST_TTL)),
    ),
    max_size=6,
    unique_by=lambda each: each["name"],
)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_what_is_written_reads_back_and_order_does_not_matter(
    names: list[dict[str, Any]], chance: random.Random
) -> None:
    found = records(names, VIPS, ORIGIN, 60)
    assert len(set(found)) == len(found)
    wanted = {
        Record(each["name"], each["ttl"] or 60, ip_address(text))
        for each in names
        for text in (*each["addresses"], *(vip for service in each["services"] for vip in VIPS[service]))
    }
    assert set(found) == wanted
    shuffled = [
        {**each, "addresses": chance.sample(each["addresses"], len(each["addresses"]))}
        for each in chance.sample(names, len(names))
    ]
    assert records(shuffled, VIPS, ORIGIN, 60) == found
    text = zone_text(ZONE, found, None, TODAY)
    assert parsed(text) == (2026112900, ["ns1.example.net.", "ns2.example.net."], found)
    assert zone_text(ZONE, found, text, "20270101") == text
