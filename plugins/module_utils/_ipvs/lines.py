# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table as lines of ipvsadm(8), with the thresholds that `ipvsadm -S` leaves out; `ipvsadm -R` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import (
    ANY_CLIENT,
    CHECKSUMS,
    FLAGS,
    FORWARDING,
    OWN_FLAGS,
    PROTOCOLS,
    Key,
    Server,
    Service,
    Table,
    additions,
    address_of,
)


def print_table(table: Table) -> list[str]:
    """Return the lines of ipvsadm(8) that make this table, sorted."""
    return [str(operation) for key in sorted(table) for operation in additions(table[key])]


def parse_table(lines: Iterable[str]) -> dict[Key, Service]:
    """Return the table that lines of `ipvsadm -S -n` or print_table() make; ValueError quotes a bad line."""
    table: dict[Key, Service] = {}
    for line in lines:
        words = iter(line.split())
        try:
            command = next(words, "")
            if command == "-A":
                service = _parse_service(words)
                table[service.key] = service
            elif command == "-a":
                key, server = _parse_server(words)
                servers = {**table[key].servers, server[:2]: server}
                table[key] = table[key]._replace(servers=servers)
            elif command:
                raise ValueError(f"unknown command {command}")
        except (KeyError, StopIteration, TypeError, ValueError) as error:
            raise ValueError(f"{line.strip()!r}: {error}") from None
    return table


_PROTOCOL_WORDS = {word: name for name, word in PROTOCOLS.items()}
_FORWARDING_WORDS = {word: name for name, word in FORWARDING.items()}
_CHECKSUM_WORDS = {word: name for name, word in CHECKSUMS.items()}


def _parse_endpoint(text: str) -> tuple[int, str, int]:
    address, _colon, port = text.rpartition(":")
    known = address_of(address.strip("[]"))
    if known is None:
        raise ValueError(f"no address and port: {text}")
    return known[0], known[1], int(port)


def _parse_key(word: str, value: str) -> Key:
    if word == "-f":
        return Key(4, "", "", 0, int(value) % 2**32)  # ipvsadm prints high marks as negative numbers
    family, address, port = _parse_endpoint(value)
    return Key(family, _PROTOCOL_WORDS[word], address, port, 0)


def _parse_service(words: Iterator[str]) -> Service:
    key = _parse_key(next(words), next(words))
    service = Service(key, "wlc", 0, False, 0, "", "", {})
    flags: list[str] = []
    for word in words:
        if word == "-6":
            service = service._replace(key=key._replace(family=6))
        elif word == "-o":
            service = service._replace(one_packet=True)
        elif word == "-s":
            service = service._replace(scheduler=next(words))
        elif word == "-p":
            service = service._replace(timeout=int(next(words)))
        elif word == "-M":
            service = service._replace(netmask=next(words))
        elif word == "--pe":
            service = service._replace(engine=next(words))
        elif word == "-b":
            flags = next(words).split(",")
        else:
            raise ValueError(f"unknown option {word}")
    known = {**OWN_FLAGS.get(service.scheduler, {}), **FLAGS}
    return service._replace(
        flags=sum(known[name] for name in flags), netmask=service.netmask or ANY_CLIENT[service.key.family]
    )


def _parse_server(words: Iterator[str]) -> tuple[Key, Server]:
    key = _parse_key(next(words), next(words))
    server = Server("", 0)
    numbers = {"-w": "weight", "-x": "upper", "-y": "lower", "--tun-port": "tunnel_port"}
    for word in words:
        if word == "-6":
            key = key._replace(family=6)
        elif word == "-r":
            _family, address, port = _parse_endpoint(next(words))
            server = server._replace(address=address, port=port)
        elif word in _FORWARDING_WORDS:
            server = server._replace(forwarding=_FORWARDING_WORDS[word])
        elif word in numbers:
            values: dict[str, Any] = {numbers[word]: int(next(words))}
            server = server._replace(**values)
        elif word == "--tun-type":
            server = server._replace(tunnel=next(words))
        elif word in _CHECKSUM_WORDS:
            server = server._replace(checksum=_CHECKSUM_WORDS[word])
        else:
            raise ValueError(f"unknown option {word}")
    return key, server
