# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPVS table as data, in the kernel's spelling, so that equal tables compare equal; and ipvsadm(8)'s words for it.

A table is a dict from Key to Service, a service's servers a dict from (address, port) to Server: the identities that
the kernel uses (net/netfilter/ipvs/ip_vs_ctl.c). A change of it is an Operation.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from typing import NamedTuple

PROTOCOLS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
FORWARDING = {"direct": "-g", "nat": "-m", "tunnel": "-i"}
CHECKSUMS = {"none": "--tun-nocsum", "full": "--tun-csum", "remote": "--tun-remcsum"}
# Bits of the scheduler flags (ip_vs.h: IP_VS_SVC_F_SCHED1 and on), and what ipvsadm(8) calls them for sh and mh.
FLAGS = {"flag-1": 1, "flag-2": 2, "flag-3": 4}
OWN_FLAGS = {"sh": {"sh-fallback": 1, "sh-port": 2}, "mh": {"mh-fallback": 1, "mh-port": 2}}
ANY_CLIENT = {4: "255.255.255.255", 6: "128"}  # the netmask of persistence that tells every two clients apart
LONGEST_IDLE = (
    2**31 - 1
) // 1000  # s; the kernel keeps timeouts as int, in ticks of which there are up to 1000 a second
MOST = 2**31 - 1  # the kernel keeps weights as int
KEPT = 2_000_000_000  # the limit of connections by which ipvs-guard marks who is in although the check fails
TIMEOUTS = ("tcp", "tcp_fin", "udp")


class Key(NamedTuple):
    """What tells two virtual services apart: family, protocol, address and port, or family and firewall mark."""

    family: int  # 4 or 6
    protocol: str  # tcp, udp, sctp; empty with a mark
    address: str  # empty with a mark
    port: int
    fwmark: int  # 0: none

    def __str__(self) -> str:
        if self.fwmark:
            return f"fwmark {self.fwmark}{' IPv6' if self.family == 6 else ''}"
        return f"{self.protocol} {endpoint(self.address, self.port)}"


class Server(NamedTuple):
    """One real server of one service."""

    address: str
    port: int
    forwarding: str = "direct"
    weight: int = 1
    upper: int = 0  # with this many connections it gets no new ones; 0: no limit
    lower: int = 0  # below this many it gets new ones again
    tunnel: str = "ipip"  # ipip, gue, gre; ipip where forwarding is not tunnel
    tunnel_port: int = 0  # of gue
    checksum: str = "none"  # none, full, remote


class Service(NamedTuple):
    """One virtual service with its real servers, by (address, port)."""

    key: Key
    scheduler: str
    flags: int  # bits, see FLAGS
    one_packet: bool
    timeout: int  # s of persistence; 0: none
    netmask: str  # dotted for IPv4, prefix length for IPv6
    engine: str  # of persistence; empty: the client's address
    servers: Mapping[tuple[str, int], Server]


Table = Mapping[Key, Service]


class Operation(NamedTuple):
    """One change of the table, to be applied in order."""

    kind: str  # add_service, edit_service, delete_service, add_server, edit_server, delete_server
    service: Service
    server: Server | None = None

    def __str__(self) -> str:
        if self.server is None:
            word = {"add_service": "-A", "edit_service": "-E", "delete_service": "-D"}[self.kind]
            tail = _service_words(self.service) if self.kind != "delete_service" else ""
            return f"{word} {_named(self.service.key)}{tail}"
        word = {"add_server": "-a", "edit_server": "-e", "delete_server": "-d"}[self.kind]
        tail = _server_words(self.server) if self.kind != "delete_server" else ""
        return f"{word} {_named(self.service.key)} -r {endpoint(self.server.address, self.server.port)}{tail}"


def endpoint(address: str, port: int) -> str:
    """Return address and port as ipvsadm(8) has it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def address_of(text: object) -> tuple[int, str] | None:
    """Return (4 or 6, the address in the kernel's spelling), or None."""
    for family, number in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        try:
            return family, socket.inet_ntop(number, socket.inet_pton(number, str(text)))
        except (OSError, ValueError):
            continue
    return None


def is_netmask(family: int, text: str) -> bool:
    """Tell whether ipvsadm takes the text as a netmask of persistence: dotted for IPv4, a prefix length for IPv6."""
    if family == 6:
        return re.fullmatch("[1-9][0-9]{0,2}", text) is not None and int(text) <= 128
    known = address_of(text)
    if known is None or known[0] != 4:
        return False
    bits = int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    return bits > 0 and (~bits & 2**32 - 1) & (~bits + 1 & 2**32 - 1) == 0  # ones, then zeros


def flag_names(service: Service) -> list[str]:
    known = {bit: name for names in (FLAGS, OWN_FLAGS.get(service.scheduler, {})) for name, bit in names.items()}
    return [name for bit, name in sorted(known.items()) if service.flags & bit]


def additions(service: Service) -> Iterator[Operation]:
    yield Operation("add_service", service)
    for place in sorted(service.servers):
        yield Operation("add_server", service, service.servers[place])


def _named(key: Key) -> str:
    if key.fwmark:
        return f"-f {key.fwmark}{' -6' if key.family == 6 else ''}"
    return f"{PROTOCOLS[key.protocol]} {endpoint(key.address, key.port)}"


def _service_words(service: Service) -> str:
    words = [f" -s {service.scheduler}"]
    if service.one_packet:
        words.append("-o")
    if service.timeout:
        words.append(f"-p {service.timeout}")
        if service.netmask != ANY_CLIENT[service.key.family]:
            words.append(f"-M {service.netmask}")
        if service.engine:
            words.append(f"--pe {service.engine}")
    if service.flags:
        words.append(f"-b {','.join(flag_names(service))}")
    return " ".join(words)


def _server_words(server: Server) -> str:
    words = [f" {FORWARDING[server.forwarding]} -w {server.weight}"]
    if server.upper:
        words.append(f"-x {server.upper}")
    if server.lower:
        words.append(f"-y {server.lower}")
    if server.tunnel != "ipip":
        words.append(f"--tun-type {server.tunnel}")
        if server.tunnel_port:
            words.append(f"--tun-port {server.tunnel_port}")
        words.append(CHECKSUMS[server.checksum])
    return " ".join(words)
