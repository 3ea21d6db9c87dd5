# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From virtual services of one or several clusters to the records and the file of a DNS zone, without I/O.

Preflight's rules ask the same functions about one value each, so that what is refused is written once, here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.codalvs.ha.plugins.module_utils._schema import did_you_mean, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Address,
    ClusterError,
    to_address,
    unusable,
)

VARIABLE = "dns_zone_names"
LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")  # RFC 952 and RFC 1123: what BIND takes as a host's name
LONGEST = 253  # characters of a whole name
LONGEST_TTL = 604800  # a week, longer than which BIND's resolvers keep nothing
LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*")
HEAD = "; Managed by Ansible: the role dns_zone of codalvs.ha writes this file."
SERIAL = re.compile(r"^ +([0-9]+) ; serial$", re.MULTILINE)
# How often secondaries ask, how soon again after a failure, how long they answer without the primary; and how long
# resolvers remember that a name is not there, so that a new one is found soon.
REFRESH, RETRY, EXPIRE, ABSENT = 3600, 600, 1209600, 60
DEFAULT_TTL = 3600  # of what does not follow clusters: SOA, NS, and included records without one of their own


class FaultError(ClusterError):
    """One value is wrong: the problem, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


class Record(NamedTuple):
    """One address of one name, which is relative to the zone, or @ for the zone itself."""

    name: str
    ttl: int
    address: Address

    @property
    def kind(self) -> str:
        """The type of the record."""
        return "A" if self.address.version == 4 else "AAAA"


def host_name(text: str) -> str:
    """Return a host's name, or a part of one, in lower case and without a final dot; raise FaultError if it is none."""
    name = text.removesuffix(".")
    if len(name) > LONGEST or not all(LABEL.fullmatch(label) for label in name.split(".")):
        problem = "is no host name: words of letters, digits and inner hyphens, with dots between them"
        raise FaultError(problem, "write it like www, and what is not ASCII as DNS does (xn--)")
    return name.lower()


def full_name(text: str) -> str:
    """Return a name that says all of itself, as a zone or a name server has it; raise FaultError if it does not."""
    name = host_name(text)
    last = name.rpartition(".")
    if not last[0] or last[2].isdigit():
        raise FaultError("must be a whole name, with a dot in it", "write it like ns1.example.org")
    return name


def owner(text: str, origin: str) -> str:
    """Return a name relative to its zone, @ for the zone itself; raise FaultError if it is none, or not in the zone.

    text: relative, or with a final dot whole; its first label may be *.
    """
    if text in ("@", "*"):
        return text
    star, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    short = host_name(name)
    is_inside = f".{short}".endswith(f".{origin}")
    inside = f".{short}"[: -len(origin) - 1].removeprefix(".")
    if name.endswith("."):
        if not is_inside:
            raise FaultError(f"is not in the zone {origin}", "leave it out, or correct dns_zone_origin")
        short = inside
    elif is_inside:
        problem = f"is relative to the zone, and would be {star}{short}.{origin}"
        raise FaultError(problem, f"write {_joined(star, inside)}, or put a dot at its end")
    found = _joined(star, short)
    if len(found) + 1 + len(origin) > LONGEST:
        raise FaultError(f"is longer than {LONGEST} characters with its zone", "shorten it")
    return found


def _joined(star: str, name: str) -> str:
    return (star + name).removesuffix(".") or "@"


def mailbox(text: str) -> str:
    """Return a mail address as a SOA record has it, without the final dot; raise FaultError if it is none."""
    local, _at, domain = text.rpartition("@")
    if not LOCAL_PART.fullmatch(local):
        raise FaultError("must be a mail address", "write it like hostmaster@example.org")
    return rf"{local.replace('.', chr(92) + '.')}.{full_name(domain)}"


def checked_ttl(seconds: int) -> int:
    """Return a time to live; raise FaultError if it is none."""
    if not 0 < seconds <= LONGEST_TTL:
        raise FaultError(f"must be from 1 to {LONGEST_TTL} seconds", "write 60, or another small number")
    return seconds


def vips_of(services: object, cluster: str = "") -> dict[str, tuple[str, ...]]:
    """Return the VIPs of a list of services by name, none for one whose packets somebody else marks.

    cluster: the name of another cluster, whose services are called CLUSTER/NAME. What else they have, such as ports, is
    not looked at. Raises FaultError if it is no list of services.
    """
    found: dict[str, tuple[str, ...]] = {}
    for each in services if isinstance(services, list | tuple) else [None]:
        service = each if isinstance(each, Mapping) else {}
        name, vips = service.get("name"), service.get("vips") or ()
        own = () if service.get("vip") is None else (service["vip"],)
        texts = (*own, *(vips if isinstance(vips, list | tuple) else [None]))
        if not isinstance(name, str) or not all(isinstance(text, str) for text in texts):
            raise FaultError(
                "must be a list of services, each with name and vip", "write [{name: web, vip: 192.0.2.30}]"
            )
        known_as = f"{cluster}/{name}" if cluster else name
        # A mark with VIPs of both families is two services of one name in a plan.
        found[known_as] = (*found.get(known_as, ()), *own, *vips)
    return found


def service_addresses(name: str, vips: Mapping[str, Sequence[str]]) -> set[Address]:
    """Return the VIPs of a service; raise FaultError if there is none."""
    if name not in vips:
        raise FaultError("is no service", did_you_mean(name, vips, "name a service, or CLUSTER/SERVICE"))
    if not vips[name]:
        raise FaultError("has no VIP, because a mark selects its packets", "write its address in `addresses`")
    return {usable_address(vip) for vip in vips[name]}


def usable_address(text: str) -> Address:
    """Return an address that clients can reach; raise FaultError if it is none."""
    address = to_address(text)
    if address is None:
        raise FaultError("must be an IPv4 or IPv6 address without prefix length", "write it like 192.0.2.30")
    reason = unusable(address)
    if reason:
        raise FaultError(f"is {reason}", "name an address that clients can reach")
    return address


def records(
    names: Sequence[Mapping[str, Any]], vips: Mapping[str, Sequence[str]], origin: str, ttl: int
) -> list[Record]:
    """Return the zone's records, each address of a name once, sorted; raise ClusterError, naming the place, at a fault.

    names: dns_zone_names as argument_specs has it; vips: of all clusters, as vips_of returns them.
    """
    found: list[Record] = []
    seen: set[str] = set()
    origin = full_name(origin)
    for index, entry in enumerate(names):
        place = f"{VARIABLE}[{index}]"
        try:
            name = owner(entry["name"], origin)
            seconds = checked_ttl(ttl if entry.get("ttl") is None else entry["ttl"])
            addresses = {vip for each in entry.get("services") or () for vip in service_addresses(each, vips)}
            addresses |= {usable_address(each) for each in entry.get("addresses") or ()}
        except FaultError as fault:
            raise ClusterError(f"{place} ({show(entry.get('name'))}): {fault}") from fault
        if name in seen or not addresses:
            raise ClusterError(
                f"{place} ({show(entry['name'])}): {'is there twice' if addresses else 'has no address'}"
            )
        seen.add(name)
        found += [Record(name, seconds, address) for address in addresses]
    return sorted(found, key=_order)


def _order(record: Record) -> tuple[Any, ...]:
    labels = record.name.split(".")[::-1]
    return record.name != "@", labels, record.address.version, int(record.address)


class Zone(NamedTuple):
    """What a zone's file says besides its records."""

    origin: str
    nameservers: Sequence[str]
    contact: str
    includes: Sequence[Mapping[str, str]] = ()  # {path, checksum} of files with other people's records


def zone_text(zone: Zone, found: Iterable[Record], old: str | None, today: str) -> str:
    """Return the text of the zone's file; the old one where nothing has changed but the day.

    old: what the file holds now, None without one; today: as 20261129. Raises ClusterError at another's file.
    """
    serial = serial_of(old)
    if old is not None and serial is None:
        remedy = "move its records into a file of dns_zone_includes, without SOA and NS, and the file itself away"
        raise ClusterError(
            f"the zone's file was not written by the role dns_zone, or has lost its serial number; {remedy}"
        )
    listed = list(found)
    if old is not None and serial is not None and _render(zone, listed, serial) == old:
        return old
    return _render(zone, listed, next_serial(serial, today))


def serial_of(text: str | None) -> int | None:
    """Return the serial number of a file that zone_text has made, None of any other."""
    match = SERIAL.search(text) if text is not None and text.startswith(HEAD) else None
    return int(match[1]) if match else None


def next_serial(serial: int | None, today: str) -> int:
    """Return a later serial number: the first one of today where that is later, else the next one.

    What is later is what RFC 1982 says; secondaries take nothing else. 0 is left out, which some take as none.
    """
    first = int(today) * 100
    if serial is None or 0 < (first - serial) % 2**32 < 2**31:
        return first
    return (serial + 1) % 2**32 or 1


def _render(zone: Zone, found: Sequence[Record], serial: int) -> str:
    origin = full_name(zone.origin)
    servers = [full_name(name) for name in zone.nameservers]
    if not servers:
        raise ClusterError("a zone needs a name server")
    times = {"serial": serial, "refresh": REFRESH, "retry": RETRY, "expire": EXPIRE, "absent": ABSENT}
    lines = [
        HEAD,
        "; Changes by hand are lost. Other records belong into files of dns_zone_includes.",
        f"$ORIGIN {origin}.",
        f"$TTL {DEFAULT_TTL}",
        f"@ IN SOA {servers[0]}. {mailbox(zone.contact)}. (",
        *(f"    {value} ; {name}" for name, value in times.items()),
        ")",
        *(f"@ IN NS {name}." for name in dict.fromkeys(servers)),
        *(f"{each.name} {each.ttl} IN {each.kind} {each.address}" for each in found),
    ]
    for each in zone.includes:
        lines += [f"; {each['checksum']}", f'$INCLUDE "{each["path"]}"']
    return "\n".join((*lines, ""))
