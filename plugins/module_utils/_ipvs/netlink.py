# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speak to the kernel's IPVS by generic netlink, with nothing but Python's standard library.

Why not ipvsadm: `-S` leaves out the thresholds; `-R` goes on after an error, forgets it, and does not say which line
was refused. Here every refusal comes back with the number of its request. Requests go in batches. The kernel
acknowledges only the last one of a batch, and reports the others only if it refuses them (netlink_rcv_skb() in
net/netlink).

Numbers of commands and attributes: include/uapi/linux/ip_vs.h. Needs CAP_NET_ADMIN.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import ANY_CLIENT, Key, Operation, Server, Service

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
FORWARDING = {"nat": 0, "local": 1, "tunnel": 2, "direct": 3, "bypass": 4}  # IP_VS_CONN_F_FWD_MASK
TUNNELS = {"ipip": 0, "gue": 1, "gre": 2}
CHECKSUMS = {"none": 0, "full": 1, "remote": 2}
STATES = {"master": 1, "backup": 2}  # IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP
COUNTERS = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes")
RATES = tuple(f"{name}_per_second" for name in COUNTERS)
COMMANDS = {
    "add_service": 1,
    "edit_service": 2,
    "delete_service": 3,
    "add_server": 5,
    "edit_server": 6,
    "delete_server": 7,
}
GET_SERVICE, GET_DEST, NEW_DAEMON, DEL_DAEMON, GET_DAEMON = 4, 8, 9, 10, 11
SET_CONFIG, GET_CONFIG, GET_INFO = 12, 13, 15
PERSISTENT, ONE_PACKET, FIRST_FLAG = 1, 4, 8  # IP_VS_SVC_F_*
FLAG_BITS = PERSISTENT | ONE_PACKET | 7 * FIRST_FLAG

_HEADER = struct.Struct("=IHHIIBBxx")  # nlmsghdr, genlmsghdr
_ATTRIBUTE = struct.Struct("=HH")
_GENERIC = 16  # NETLINK_GENERIC
_CONTROL, _GET_FAMILY = 16, 3  # GENL_ID_CTRL, CTRL_CMD_GETFAMILY
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _CAP_ACK = 270, 10
_NESTED, _TYPE = 0x8000, 0x3FFF
_BATCH = 32 * 1024  # bytes of requests handed over at once
_BUFFER = 1024 * 1024


class Counted(NamedTuple):
    """What the kernel counts of a service or, with connections, of one of its real servers."""

    totals: tuple[int, ...]  # in the order of COUNTERS
    rates: tuple[int, ...]  # a second
    connections: tuple[int, int, int] = (0, 0, 0)  # active, inactive, persistent


class Daemon(NamedTuple):
    """One daemon of connection synchronisation."""

    role: str  # master or backup
    interface: str
    syncid: int
    maxlen: int  # bytes of a datagram's payload; 0: the kernel chooses
    group: str  # multicast address, IPv4 or IPv6
    port: int
    ttl: int


class Refused(NamedTuple):
    """An operation that the kernel did not do."""

    operation: Operation
    error: int  # errno

    def __str__(self) -> str:
        return f"{self.operation}: {reason(self.operation, self.error)}"


def reason(operation: Operation, error: int) -> str:
    """Return in words why the kernel refused (the errors of ip_vs_ctl.c, as ipvsadm(8) words them)."""
    service = operation.service
    if error == errno.ENOENT and operation.server is None and operation.kind != "delete_service":
        engine = f" or the persistence engine {service.engine}" if service.engine else ""
        return f"this kernel has not got the scheduler {service.scheduler}{engine}"
    if error == errno.EINVAL and operation.server is not None:
        return (
            "not accepted: the address must be a unicast one, and a real server of another address family is refused"
            " while a sync daemon runs"
        )
    return {
        errno.EPERM: "permission denied: this needs root (CAP_NET_ADMIN)",
        errno.EEXIST: "exists already",
        errno.ESRCH: "there is no such service",
        errno.ENOENT: "there is no such real server",
        errno.EAFNOSUPPORT: "this kernel has no IPVS for that address family",
        errno.ERANGE: "a weight or threshold is out of range",
        errno.ENOMEM: "the kernel has no memory for it",
    }.get(error, os.strerror(error))


# --- bytes, without I/O


def attribute(kind: int, value: bytes) -> bytes:
    """Return one netlink attribute."""
    return _ATTRIBUTE.pack(len(value) + 4, kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes | memoryview, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Return where in the data each attribute's value begins and ends, by type."""
    found = {}
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4:
            break
        found[kind & _TYPE] = (start + 4, start + length)
        start += (length + 3) & ~3
    return found


def _packed(address: str) -> bytes:
    # The kernel reads a union of both families.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).ljust(16, b"\0")


def encode_key(key: Key) -> bytes:
    """Return the attributes that identify a service."""
    family = attribute(1, struct.pack("=H", FAMILIES[key.family]))
    if key.fwmark:
        return family + attribute(5, struct.pack("=I", key.fwmark))
    return (
        family
        + attribute(2, struct.pack("=H", PROTOCOLS[key.protocol]))
        + attribute(3, _packed(key.address))
        + attribute(4, struct.pack("!H", key.port))
    )


def encode_service(service: Service) -> bytes:
    """Return all attributes of a service."""
    flags = service.flags * FIRST_FLAG | (PERSISTENT if service.timeout else 0)
    flags |= ONE_PACKET if service.one_packet else 0
    # For IPv6 it is the prefix length, as a plain number.
    prefix = service.key.family == 6
    netmask = struct.pack("=I", int(service.netmask)) if prefix else socket.inet_aton(service.netmask)
    return (
        encode_key(service.key)
        + attribute(6, service.scheduler.encode() + b"\0")
        + attribute(7, struct.pack("=II", flags, FLAG_BITS))
        + attribute(8, struct.pack("=I", service.timeout))
        + attribute(9, netmask)
        + (attribute(11, service.engine.encode() + b"\0") if service.engine else b"")
    )


def encode_server(server: Server, whole: bool) -> bytes:
    """Return the attributes that identify a real server, or all of them."""
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    identity = (
        attribute(1, _packed(server.address))
        + attribute(2, struct.pack("!H", server.port))
        + attribute(11, struct.pack("=H", family))
    )
    if not whole:
        return identity
    return (
        identity
        + attribute(3, struct.pack("=I", FORWARDING[server.forwarding]))
        + attribute(4, struct.pack("=I", server.weight))
        + attribute(5, struct.pack("=I", server.upper))
        + attribute(6, struct.pack("=I", server.lower))
        + attribute(13, struct.pack("=B", TUNNELS[server.tunnel]))
        + attribute(14, struct.pack("!H", server.tunnel_port))
        + attribute(15, struct.pack("=H", CHECKSUMS[server.checksum]))
    )


def encode_operation(operation: Operation) -> bytes:
    """Return what follows the headers of an operation's message."""
    service, server = operation.service, operation.server
    if server is not None:
        whole = operation.kind != "delete_server"
        nested = attribute(1 | _NESTED, encode_key(service.key))
        return nested + attribute(2 | _NESTED, encode_server(server, whole))
    whole = operation.kind != "delete_service"
    return attribute(1 | _NESTED, encode_service(service) if whole else encode_key(service.key))


def encode_daemon(daemon: Daemon, whole: bool) -> bytes:
    """Return the attribute that identifies a daemon, or describes all of it."""
    values = attribute(1, struct.pack("=I", STATES[daemon.role]))
    if whole:
        version6 = ":" in daemon.group
        values += attribute(2, daemon.interface.encode() + b"\0") + attribute(3, struct.pack("=I", daemon.syncid))
        if daemon.maxlen:
            values += attribute(4, struct.pack("=H", daemon.maxlen))
        values += attribute(6 if version6 else 5, _packed(daemon.group)[: 16 if version6 else 4])
        values += attribute(7, struct.pack("=H", daemon.port)) + attribute(8, struct.pack("=B", daemon.ttl))
    return attribute(3 | _NESTED, values)


def decode_daemon(data: bytes, start: int, end: int) -> Daemon:
    """Return a daemon from the attributes of the kernel's answer."""
    found = attributes(data, *attributes(data, start, end)[3])
    group = _address(data, found[6], 6) if 6 in found else _address(data, found[5], 4)
    return Daemon(
        _STATE_NAMES[_number(data, found[1])],
        _text(data, found[2]),
        _number(data, found[3]),
        _number(data, found.get(4)),
        group,
        _number(data, found.get(7)),
        _number(data, found.get(8)),
    )


_STATE_NAMES = {number: name for name, number in STATES.items()}
_FAMILY_NUMBERS = {int(number): family for family, number in FAMILIES.items()}
_PROTOCOL_NAMES = {int(number): name for name, number in PROTOCOLS.items()}
_FORWARDING_NAMES = {number: name for name, number in FORWARDING.items()}
_TUNNEL_NAMES = {number: name for name, number in TUNNELS.items()}
_CHECKSUM_NAMES = {number: name for name, number in CHECKSUMS.items()}


def _number(data: bytes, place: tuple[int, int] | None, network: bool = False) -> int:
    return int.from_bytes(data[place[0] : place[1]], "big" if network else _ORDER) if place else 0


_ORDER: Any = "little" if struct.pack("=H", 1)[0] else "big"


def _text(data: bytes, place: tuple[int, int]) -> str:
    return bytes(data[place[0] : place[1]]).partition(b"\0")[0].decode()


def _address(data: bytes, place: tuple[int, int], family: int) -> str:
    number = FAMILIES[family]
    return socket.inet_ntop(number, bytes(data[place[0] : place[0] + (4 if family == 4 else 16)]))


def decode_service(data: bytes, start: int, end: int, counted: bool) -> tuple[Service, Counted | None]:
    """Return a service, without its real servers, and what was counted of it."""
    found = attributes(data, start, end)
    family = _FAMILY_NUMBERS[_number(data, found[1])]
    if 5 in found:
        key = Key(family, "", "", 0, _number(data, found[5]))
    else:
        protocol = _PROTOCOL_NAMES.get(_number(data, found[2]), "tcp")
        key = Key(family, protocol, _address(data, found[3], family), _number(data, found[4], network=True), 0)
    flags = _number(data, (found[7][0], found[7][0] + 4))
    timeout = _number(data, found[8]) if flags & PERSISTENT else 0
    place = found[9]
    if not timeout:
        netmask = ANY_CLIENT[family]
    else:
        netmask = str(_number(data, place)) if family == 6 else socket.inet_ntoa(bytes(data[place[0] : place[1]]))
    service = Service(
        key,
        _text(data, found[6]),
        flags // FIRST_FLAG & 7,
        bool(flags & ONE_PACKET),
        timeout,
        netmask,
        _text(data, found[11]) if 11 in found else "",
        {},
    )
    return service, _decode_counted(data, found.get(12) or found[10], (0, 0, 0)) if counted else None


def decode_server(data: bytes, start: int, end: int, family: int, counted: bool) -> tuple[Server, Counted | None]:
    """Return a real server and what was counted of it; family: the service's, for a kernel that names none."""
    found = attributes(data, start, end)
    if 11 in found:
        family = _FAMILY_NUMBERS.get(_number(data, found[11]), family)
    forwarding = _FORWARDING_NAMES.get(_number(data, found[3]) & 7, "direct")
    kind = _TUNNEL_NAMES.get(_number(data, found.get(13)), "ipip") if forwarding == "tunnel" else "ipip"
    server = Server(
        _address(data, found[1], family),
        _number(data, found[2], network=True),
        forwarding,
        _number(data, found[4]),
        _number(data, found[5]),
        _number(data, found[6]),
        kind,
        _number(data, found.get(14), network=True) if kind == "gue" else 0,
        _CHECKSUM_NAMES.get(_number(data, found.get(15)), "none") if kind != "ipip" else "none",
    )
    if not counted:
        return server, None
    connections = (_number(data, found[7]), _number(data, found[8]), _number(data, found[9]))
    return server, _decode_counted(data, found.get(12) or found[10], connections)


def _decode_counted(data: bytes, place: tuple[int, int], connections: tuple[int, int, int]) -> Counted:
    found = attributes(data, *place)
    values = [_number(data, found.get(kind)) for kind in range(1, 11)]
    return Counted(tuple(values[:5]), tuple(values[5:]), connections)


def _deletes(operation: Operation) -> bool:
    return operation.kind.startswith("delete")


# --- the kernel


class Kernel:
    """A connection to the IPVS of this network namespace; FileNotFoundError where the kernel has not loaded it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _GENERIC)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self.socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # refusals without a copy of the request
        self.socket.bind((0, 0))
        self.sequence = 0
        self.family = _CONTROL
        try:
            data, start, end = next(self._ask(_GET_FAMILY, attribute(2, b"IPVS\0"), 0))
        except (OSError, StopIteration) as error:
            self.socket.close()
            if isinstance(error, StopIteration) or error.errno == errno.ENOENT:
                raise FileNotFoundError(errno.ENOENT, "this kernel has not loaded ip_vs") from None
            raise
        self.family = _number(data, attributes(data, start, end)[1])

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.socket.close()

    def table(self) -> dict[Key, Service]:
        """Return the whole table."""
        return {key: service for key, service, _counted, _servers in self._services(counted=False)}

    def counted(self) -> list[tuple[Service, Counted, list[tuple[Server, Counted]]]]:
        """Return the whole table with what the kernel counts."""
        found = []
        for _key, service, counted, servers in self._services(counted=True):
            found.append(
                (service, counted or Counted((), ()), [(server, c or Counted((), ())) for server, c in servers])
            )
        return found

    def _services(self, counted: bool) -> Iterator[Any]:
        services = [
            decode_service(data, *attributes(data, start, end)[1], counted)
            for data, start, end in self._ask(GET_SERVICE, b"", _DUMP)
        ]
        for service, numbers in services:
            key = service.key
            servers = [
                decode_server(data, *attributes(data, start, end)[2], key.family, counted)
                for data, start, end in self._ask(GET_DEST, attribute(1 | _NESTED, encode_key(key)), _DUMP)
            ]
            by_place = {(server.address, server.port): server for server, _counted in servers}
            yield key, service._replace(servers=by_place), numbers, servers

    def apply(self, operations: Sequence[Operation]) -> tuple[list[Operation], list[Refused], list[Operation]]:
        """Do the operations in order; return those done, those refused, and those not tried after a refusal."""
        done: list[Operation] = []
        position = 0
        while position < len(operations):
            batch: list[bytes] = []
            first, size = self.sequence + 1, 0
            while position < len(operations) and size < _BATCH:
                operation = operations[position]
                if batch and _deletes(operation) and not _deletes(operations[position - 1]):
                    break  # a refused addition must not be followed by the removals that rely on it
                batch.append(self._message(COMMANDS[operation.kind], encode_operation(operation), 0))
                size += len(batch[-1])
                position += 1
            begin = position - len(batch)
            # Only the last one needs an acknowledgement: the kernel reports a refused one anyway.
            batch[-1] = batch[-1][:6] + struct.pack("=H", _REQUEST | _ACK) + batch[-1][8:]
            self.socket.send(b"".join(batch))
            errors = self._errors(first, self.sequence)
            refused = [Refused(operations[begin + number - first], error) for number, error in sorted(errors.items())]
            done += [operations[begin + n] for n in range(len(batch)) if first + n not in errors]
            if refused:
                return done, refused, list(operations[position:])
        return done, [], []

    def timeouts(self) -> dict[str, int]:
        """Return the timeouts of connections in s, by tcp, tcp_fin and udp."""
        data, start, end = next(self._ask(GET_CONFIG, b"", 0))
        found = attributes(data, start, end)
        return {name: _number(data, found.get(kind)) for kind, name in ((4, "tcp"), (5, "tcp_fin"), (6, "udp"))}

    def set_timeouts(self, timeouts: Mapping[str, int]) -> None:
        """Set those timeouts that are given, in s."""
        kinds = {"tcp": 4, "tcp_fin": 5, "udp": 6}
        self._do(SET_CONFIG, b"".join(attribute(kinds[name], struct.pack("=I", s)) for name, s in timeouts.items()))

    def daemons(self) -> list[Daemon]:
        """Return the sync daemons that run."""
        return sorted(decode_daemon(*answer) for answer in self._ask(GET_DAEMON, b"", _DUMP))

    def start_daemon(self, daemon: Daemon) -> None:
        """Start a sync daemon."""
        self._do(NEW_DAEMON, encode_daemon(daemon, whole=True))

    def stop_daemon(self, daemon: Daemon) -> None:
        """Stop the sync daemon of that role."""
        self._do(DEL_DAEMON, encode_daemon(daemon, whole=False))

    def info(self) -> dict[str, Any]:
        """Return version and size of the connection table."""
        data, start, end = next(self._ask(GET_INFO, b"", 0))
        found = attributes(data, start, end)
        version = _number(data, found[1])
        return {
            "version": f"{version >> 16}.{version >> 8 & 255}.{version & 255}",
            "connection_table_size": _number(data, found[2]),
        }

    def _do(self, command: int, payload: bytes) -> None:
        """Make one request; raises OSError when it is refused."""
        self.socket.send(self._message(command, payload, _ACK))
        errors = self._errors(self.sequence, self.sequence)
        if errors:
            error = errors[self.sequence]
            raise OSError(error, os.strerror(error))

    def _message(self, command: int, payload: bytes, flags: int) -> bytes:
        self.sequence += 1
        length = _HEADER.size + len(payload)
        return _HEADER.pack(length, self.family, _REQUEST | flags, self.sequence, 0, command, 1) + payload

    def _received(self) -> Iterator[tuple[bytes, int, int, int, int]]:
        """Yield data, type, sequence number, start and end of the attributes of each message received at once."""
        data = self.socket.recv(_BUFFER)
        position = 0
        while position + 16 <= len(data):
            length, kind, _flags, sequence, _port = struct.unpack_from("=IHHII", data, position)
            yield data, kind, sequence, position + 20, position + length
            position += (length + 3) & ~3

    def _errors(self, first: int, last: int) -> dict[int, int]:
        """Return the errors of requests by number, once the last of them is answered."""
        errors = {}
        while True:
            for data, kind, sequence, start, _end in self._received():
                if kind != _ERROR or not first <= sequence <= last:
                    continue
                (code,) = struct.unpack_from("=i", data, start - 4)
                if code:
                    errors[sequence] = -code
                if sequence == last:
                    return errors

    def _ask(self, command: int, payload: bytes, flags: int) -> Iterator[tuple[bytes, int, int]]:
        self.socket.send(self._message(command, payload, flags))
        expected = self.sequence
        while True:
            for data, kind, sequence, start, end in self._received():
                if sequence != expected:
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", data, start - 4)
                    raise OSError(-code, os.strerror(-code))
                yield data, start, end
                if not flags:
                    return
