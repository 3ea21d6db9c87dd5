# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an operator's list of services to the table that it means, and back: check, normalise, describe."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import (
    ANY_CLIENT,
    CHECKSUMS,
    FLAGS,
    FORWARDING,
    MOST,
    OWN_FLAGS,
    PROTOCOLS,
    Key,
    Server,
    Service,
    Table,
    address_of,
    endpoint,
    flag_names,
    is_netmask,
)
from ansible_collections.codalvs.ha.plugins.module_utils._schema import (
    UNUSABLE,
    Problem,
    closest,
    conform,
    did_you_mean,
    show,
)

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos")
LONGEST = 31 * 86400  # s; longest persistence that ipvsadm(8) takes
MOST_CONNECTIONS = 65535  # highest threshold that ipvsadm(8) takes


_TUNNEL = {
    "type": {"type": "str", "choices": ["ipip", "gue", "gre"], "default": "ipip"},
    "port": {"type": "int"},
    "checksum": {"type": "str", "choices": list(CHECKSUMS)},
}
_SERVER = {
    "address": {"type": "str", "required": True, "description": "the real server's address"},
    "port": {"type": "int"},
    "forwarding": {"type": "str", "choices": list(FORWARDING)},
    "weight": {"type": "int", "default": 1},
    "upper_threshold": {"type": "int", "default": 0},
    "lower_threshold": {"type": "int", "default": 0},
    "tunnel": {"type": "dict", "options": _TUNNEL},
}
_PERSISTENCE = {
    "timeout": {"type": "int", "default": 300},
    "netmask": {"type": "str"},
    "engine": {"type": "str", "choices": ["sip"]},
}
# The vocabulary of a service; the documentation of the module ipvs says what the values mean.
OPTIONS = {
    "vip": {"type": "str"},
    "port": {"type": "int", "default": 0},
    "protocol": {"type": "str", "choices": list(PROTOCOLS)},
    "fwmark": {"type": "int"},
    "family": {"type": "int", "choices": [4, 6]},
    "scheduler": {"type": "str", "default": "wlc"},
    "scheduler_flags": {"type": "list", "elements": "str", "default": []},
    "one_packet": {"type": "bool", "default": False},
    "persistence": {"type": "dict", "options": _PERSISTENCE},
    "forwarding": {"type": "str", "choices": list(FORWARDING), "default": "direct"},
    "real_servers": {"type": "list", "elements": "dict", "options": _SERVER},
}


def read(
    given: Sequence[object],
    schedulers: Collection[str] | None = None,
    identify: bool = False,
    families: Collection[int] = (4, 6),
) -> tuple[dict[Key, Service], list[Problem]]:
    """Return the table that a list of services describes, and everything wrong with it.

    given: dicts in the vocabulary of OPTIONS. schedulers: those that this kernel has, None if that is not known.
    identify: only the identities matter, because the services are to be removed. families: those that this kernel has.
    """
    problems: list[Problem] = []
    table: dict[Key, Service] = {}
    places: dict[Key, str] = {}
    option = {"type": "dict", "options": OPTIONS}
    for index, entry in enumerate(given):
        path = f"services[{index}]"
        fields = conform(option, entry, path, problems)
        if fields is UNUSABLE or fields is None:
            if fields is None:
                problems.append(
                    Problem("wrong_type", path, "empty", "must be a dictionary", "describe a service, or remove it")
                )
            continue
        reader = _Reader(path, problems)
        key = reader.key(fields)
        if key is None:
            # Everything else that is wrong is named too, except what depends on the missing identity.
            reader.blind = True
            reader.service(Key(4, "tcp", "", 0, 0), fields, schedulers, identify)
            continue
        reader.path = f"{path} ({key})"
        if key.family not in families:
            problem = f"this kernel has no IPv{key.family}"
            reader.wrong("no_family", "", "", problem, "remove it, or start the kernel with that address family")
        service = reader.service(key, fields, schedulers, identify)
        if key in places:
            reader.wrong("duplicate_service", "", "", f"is the same service as {places[key]}", "remove one of the two")
        elif not identify or fields["real_servers"] != []:  # an empty list of real servers to remove removes none
            table[key] = service
        places.setdefault(key, path)
    return table, problems


_NEED_IDENTITY = ("mixed_families", "one_packet", "port_not_rewritten", "wrong_engine", "wrong_netmask", "zero_port")


class _Reader:
    """Reads one service; collects what is wrong with it."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self.blind = False  # the service has no identity: rules that need it are left out

    def wrong(self, rule: str, field: str, value: object, problem: str, remedy: str) -> None:
        if self.blind and rule in _NEED_IDENTITY:
            return
        path = f"{self.path}.{field}" if field else self.path
        self.problems.append(Problem(rule, path, "" if value == "" else show(value), problem, remedy))

    def number(self, field: str, value: Any, least: int, most: int, default: int = 0) -> int:
        """Return the value if it is within its bounds, else the default."""
        if value is None or value is UNUSABLE:
            return default
        if not least <= value <= most:
            self.wrong("out_of_range", field, value, f"must be {least} to {most}", "correct the number")
            return default
        return int(value)

    def key(self, fields: dict[str, Any]) -> Key | None:
        """Return the identity of a service."""
        vip, mark, family = fields["vip"], fields["fwmark"], fields["family"]
        if UNUSABLE in (vip, mark, family, fields["protocol"], fields["port"]):
            return None
        if (vip is None) == (mark is None):
            self.wrong("vip_or_fwmark", "vip", "", "either vip or fwmark is needed, and only one", "give one of them")
            return None
        if mark is not None:
            if fields["port"] or fields["protocol"]:
                field = "port" if fields["port"] else "protocol"
                self.wrong("fwmark_service", field, fields[field], "a service by mark has none", "remove it")
            mark = self.number("fwmark", mark, 1, 2**32 - 1)
            return Key(family or 4, "", "", 0, mark) if mark else None
        known = address_of(vip)
        if known is None:
            self.wrong(
                "wrong_address", "vip", vip, "must be an IPv4 or IPv6 address", "no name, no prefix length, no port"
            )
            return None
        if family not in (None, known[0]):
            self.wrong("wrong_family", "family", family, f"{known[1]} is IPv{known[0]}", "remove it: the vip tells")
        port = self.number("port", fields["port"], 0, 65535, default=-1)
        return Key(known[0], fields["protocol"] or "tcp", known[1], port, 0) if port >= 0 else None

    def service(self, key: Key, fields: dict[str, Any], schedulers: Collection[str] | None, identify: bool) -> Service:
        """Return a service, with defaults in place of unusable values."""
        scheduler = "wlc" if identify else self.scheduler(fields["scheduler"], schedulers)
        flags = 0 if identify else self.flags(scheduler, fields["scheduler_flags"])
        timeout, netmask, engine = 0, ANY_CLIENT[key.family], ""
        one_packet = fields["one_packet"] is True
        if not identify:
            timeout, netmask, engine = self.persistence(key, fields["persistence"])
            if key.port == 0 and not key.fwmark and not timeout and fields["persistence"] is None:
                self.wrong(
                    "zero_port",
                    "port",
                    0,
                    "stands for every port, only with persistence",
                    "name a port, or add persistence",
                )
            if one_packet and key.protocol not in ("udp", ""):
                self.wrong("one_packet", "one_packet", True, "is for udp and fwmark services only", "remove it")
        servers: dict[tuple[str, int], Server] = {}
        entries = fields["real_servers"]
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if entry is UNUSABLE:
                continue
            server = self.server(f"real_servers[{index}]", key, entry, fields["forwarding"], identify)
            if server is None:
                continue
            if server[:2] in servers:
                where = endpoint(server.address, server.port)
                self.wrong(
                    "duplicate_server", f"real_servers[{index}]", where, "is there twice", "remove one of the two"
                )
            servers[server[:2]] = server
        return Service(key, scheduler, flags, one_packet, timeout, netmask, engine, servers)

    def scheduler(self, name: Any, available: Collection[str] | None) -> str:
        if name is UNUSABLE:
            return "wlc"
        if not re.fullmatch(r"[a-z0-9_]{1,15}", name):
            self.wrong(
                "unknown_scheduler", "scheduler", name, f"must be one of {', '.join(SCHEDULERS)}", "see ipvsadm(8)"
            )
            return "wlc"
        if available is not None and name not in available:
            if name in SCHEDULERS:
                problem, remedy = (
                    f"this kernel has no module ip_vs_{name}",
                    f"choose one of {', '.join(sorted(available))}",
                )
            else:
                problem = f"must be one of {', '.join(sorted(available))}"
                remedy = did_you_mean(name, available, "choose one of them")
            self.wrong("unknown_scheduler", "scheduler", name, problem, remedy)
        elif available is None and name not in SCHEDULERS and (meant := closest(name, SCHEDULERS, cutoff=0.5)):
            self.wrong(
                "unknown_scheduler",
                "scheduler",
                name,
                f"must be one of {', '.join(SCHEDULERS)}",
                f"did you mean {meant!r}?",
            )
        return str(name)

    def flags(self, scheduler: str, names: Any) -> int:
        known = {**OWN_FLAGS.get(scheduler, {}), **FLAGS}
        bits = 0
        for name in names if isinstance(names, list) else ():
            if name is UNUSABLE:
                continue
            if name in known:
                bits |= known[name]
            else:
                allowed = ", ".join(known)
                self.wrong(
                    "unknown_flag",
                    "scheduler_flags",
                    name,
                    f"with scheduler {scheduler}, must be one of {allowed}",
                    "correct or remove it",
                )
        return bits

    def persistence(self, key: Key, given: Any) -> tuple[int, str, str]:
        """Return timeout, netmask and engine."""
        none = (0, ANY_CLIENT[key.family], "")
        if given is None or given is UNUSABLE:
            return none
        timeout = self.number("persistence.timeout", given["timeout"], 1, LONGEST)
        netmask = given["netmask"]
        if netmask is None or netmask is UNUSABLE:
            netmask = ANY_CLIENT[key.family]
        elif not is_netmask(key.family, netmask):
            allowed, example = (
                ("a netmask of four numbers, ones before zeros", "255.255.255.0 for /24")
                if key.family == 4
                else ("a prefix length, 1 to 128", "64")
            )
            problem = f"for IPv{key.family}, must be {allowed}, such as {example}"
            remedy = "write such a value, or remove it: then each client is one by itself"
            self.wrong("wrong_netmask", "persistence.netmask", netmask, problem, remedy)
            netmask = ANY_CLIENT[key.family]
        engine = given["engine"] or ""
        if engine is UNUSABLE:
            engine = ""
        if engine and key.protocol not in ("udp", ""):
            self.wrong("wrong_engine", "persistence.engine", engine, "is for udp and fwmark services only", "remove it")
        return timeout, str(netmask), engine

    def server(self, place: str, key: Key, given: dict[str, Any], forwarding: Any, identify: bool) -> Server | None:
        """Return a real server, or None if not even its address is right."""
        known = None if given["address"] is UNUSABLE else address_of(given["address"])
        if known is None and given["address"] is not UNUSABLE:
            self.wrong(
                "wrong_address",
                f"{place}.address",
                given["address"],
                "must be an IPv4 or IPv6 address",
                "no name, no prefix length, no port",
            )
        usable = known is not None
        known = known or (key.family, "")
        method = given["forwarding"] or forwarding
        port = self.number(f"{place}.port", given["port"], 0, 65535, default=key.port)
        if identify or method is UNUSABLE:
            return Server(known[1], port) if usable else None
        if method != "nat" and not key.fwmark and port != key.port:
            remedy = f"remove it, or choose nat; {method} delivers to the service's port"
            self.wrong("port_not_rewritten", f"{place}.port", port, f"with {method}, must be {key.port}", remedy)
        if method != "tunnel" and known[0] != key.family:
            self.wrong(
                "mixed_families",
                f"{place}.address",
                known[1],
                f"with {method}, must be IPv{key.family} as the service is",
                "choose tunnel",
            )
        upper = self.number(f"{place}.upper_threshold", given["upper_threshold"], 0, MOST_CONNECTIONS)
        lower = self.number(f"{place}.lower_threshold", given["lower_threshold"], 0, MOST_CONNECTIONS)
        if lower > upper:
            allowed = f"must not be above upper_threshold, {upper}"
            self.wrong("lower_above_upper", f"{place}.lower_threshold", lower, allowed, "lower one or raise the other")
        weight = self.number(f"{place}.weight", given["weight"], 0, MOST)
        tunnel = self.tunnel(place, method, given["tunnel"])
        return Server(known[1], port, method, weight, upper, lower, *tunnel) if usable else None

    def tunnel(self, place: str, method: str, given: Any) -> tuple[str, int, str]:
        """Return type, port and checksum."""
        if given is None or given is UNUSABLE:
            return "ipip", 0, "none"
        kind, port, checksum = (
            None if given[name] is UNUSABLE else given[name] for name in ("type", "port", "checksum")
        )
        kind = kind or "ipip"
        place = f"{place}.tunnel"
        if method != "tunnel":
            self.wrong("no_tunnel", place, "", f"means nothing with {method}", "remove it, or choose tunnel")
            return "ipip", 0, "none"
        if kind == "gue" and given["port"] is None:
            self.wrong("gue_port", f"{place}.port", "", "is required for gue", "add the port, often 6080")
        elif kind != "gue" and port is not None:
            self.wrong("gue_port", f"{place}.port", port, f"{kind} has none", "remove it")
        allowed = {"ipip": (), "gre": ("none", "full"), "gue": tuple(CHECKSUMS)}[kind]
        if checksum is not None and checksum not in allowed:
            problem = f"must be one of {', '.join(allowed)}" if allowed else "ipip has none"
            self.wrong("tunnel_checksum", f"{place}.checksum", checksum, problem, "correct or remove it")
            checksum = None
        return kind, self.number(f"{place}.port", port, 1, 65535) if kind == "gue" else 0, checksum or "none"


def describe(table: Table) -> list[dict[str, Any]]:
    """Return a table in the vocabulary of OPTIONS, sorted, without what is not set; read() takes it back."""
    return [_describe(table[key]) for key in sorted(table)]


def _describe(service: Service) -> dict[str, Any]:
    key = service.key
    found: dict[str, Any] = (
        {"fwmark": key.fwmark, "family": key.family}
        if key.fwmark
        else {"vip": key.address, "port": key.port, "protocol": key.protocol}
    )
    found["scheduler"] = service.scheduler
    if service.flags:
        found["scheduler_flags"] = flag_names(service)
    if service.one_packet:
        found["one_packet"] = True
    if service.timeout:
        found["persistence"] = {"timeout": service.timeout}
        if service.netmask != ANY_CLIENT[key.family]:
            found["persistence"]["netmask"] = service.netmask
        if service.engine:
            found["persistence"]["engine"] = service.engine
    found["real_servers"] = [_describe_server(service.servers[place]) for place in sorted(service.servers)]
    return found


def _describe_server(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = {
        "address": server.address,
        "port": server.port,
        "forwarding": server.forwarding,
        "weight": server.weight,
    }
    if server.upper:
        found["upper_threshold"] = server.upper
    if server.lower:
        found["lower_threshold"] = server.lower
    if server.tunnel != "ipip":
        found["tunnel"] = {"type": server.tunnel, "checksum": server.checksum}
        if server.tunnel_port:
            found["tunnel"]["port"] = server.tunnel_port
    return found
