# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about virtual services and their real servers.

'ldirectord' below means the source of ldirectord 4.12, 'ip_vs' the kernel's and ipvsadm 1.31's behaviour.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.options import LONGEST, read
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import LONGEST_IDLE, is_netmask
from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, did_you_mean, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Address,
    Cluster,
    RealServer,
    Service,
    known,
    to_address,
    unusable,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import fault_in
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import (
    FALLBACK,
    Complaint,
    fallback_address,
    is_watched,
    rule,
)

CHECK_RANGES = {
    "interval": (1, 3600),
    "timeout": (1, 3600),
    "negotiate_timeout": (1, 3600),
    "failures": (1, 100),
    "connects": (1, 100),
    "pings": (1, 100),
    "port": (1, 65535),
}
SETTING_RANGES = {
    "ha_detection_budget": (0, 86400),
    "ldirectord_check_interval": (1, 3600),
    "ldirectord_check_timeout": (1, 3600),
    "ldirectord_negotiate_timeout": (1, 3600),
    "ldirectord_failure_count": (1, 100),
    "heartbeat_udp_port": (1, 65535),
    "ha_hook_mail_port": (1, 65535),
    "ha_hook_timeout": (1, 3600),
}


@rule("no_services")
def no_services(cluster: Cluster) -> Iterator[Complaint]:
    """A cluster without services has nothing to do."""
    if not cluster.settings.get("ha_virtual_services") and not cluster.is_without_balancing:
        problem = "there is no virtual service"
        remedy = "add at least one, with name, vip and port, to the variables of the group all"
        yield Complaint("ha_virtual_services", "", problem, remedy)


@rule("bad_service_name")
def bad_service_name(cluster: Cluster) -> Iterator[Complaint]:
    """The name becomes part of file names and of lines in reports."""
    for service in cluster.services:
        name = service.get("name")
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            problem = "must be 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit"
            yield _complaint(service, "name", problem, "choose such a name")


@rule("duplicate_service_name")
def duplicate_service_name(cluster: Cluster) -> Iterator[Complaint]:
    """Messages, reports and file names know a service by its name only."""
    yield from _duplicates(cluster, lambda service: service.get("name"), "name", "the name", "give each its own name")


@rule("vip_or_fwmark")
def vip_or_fwmark(cluster: Cluster) -> Iterator[Complaint]:
    """A service is selected by address and port, or by a mark that the firewall sets."""
    for service in cluster.services:
        if service.given("vip") == service.given("fwmark"):
            problem = "has both vip and fwmark" if service.given("vip") else "has neither vip nor fwmark"
            remedy = "give exactly one of them; the addresses that a mark selects are its vips"
            yield Complaint(service.variable, show(service.get("name") or ""), problem, remedy)


@rule("fwmark_port")
def fwmark_port(cluster: Cluster) -> Iterator[Complaint]:
    """A mark selects packets of any port."""
    for service in cluster.services:
        if service.given("fwmark") and service.given("port") and not service.given("vip"):
            yield _complaint(
                service, "port", "a service that a mark selects has no port", "remove it, or name it as check.port"
            )


@rule("missing_port")
def missing_port(cluster: Cluster) -> Iterator[Complaint]:
    """ipvsadm wants a port with every address."""
    for service in cluster.services:
        if service.given("vip") and not service.given("port"):
            problem = "a service with a vip needs a port"
            yield Complaint(f"{service.variable}.port", "", problem, "add it; 0, with persistence, means every port")


@rule("port_zero")
def port_zero(cluster: Cluster) -> Iterator[Complaint]:
    """ipvsadm: 'Zero port specified for non-persistent service'."""
    for service in cluster.services:
        if service.get("port") == 0 and service.given("vip") and not service.given("persistence"):
            problem = "0 (every port) is possible only with persistence"
            yield _complaint(service, "port", problem, "add persistence: {timeout: 300}, or give one port")


@rule("out_of_range")
def out_of_range(cluster: Cluster) -> Iterator[Complaint]:
    """Limits of ip_vs (fwmark 32 bits, persistence 31 days, weight as ldirectord's users know it) and of ldirectord."""
    for name, (low, high) in SETTING_RANGES.items():
        yield from _range(name, cluster.settings.get(name), low, high)
    for name, seconds in (cluster.get("lvs_director_timeouts") or {}).items():
        yield from _range(f"lvs_director_timeouts.{name}", seconds, 1, LONGEST_IDLE)
    for index, port in enumerate(cluster.get("lvs_director_reserved_ports") or ()):
        yield from _range(f"lvs_director_reserved_ports[{index}]", port, 1, 65535)
    for service in cluster.services:
        yield from _range(f"{service.variable}.fwmark", service.options["fwmark"], 1, 2**32 - 1)
        yield from _range(f"{service.variable}.port", service.options["port"], 0, 65535)
        timeout = (service.get("persistence") or {}).get("timeout")
        yield from _range(f"{service.variable}.persistence.timeout", timeout, 1, LONGEST)
        for server in _listed(service):
            yield from _range(f"{server.variable}.weight", server.weight, 0, 65535)
            if server.port != service.get("port"):
                yield from _range(f"{server.variable}.port", server.port, 0 if service.get("port") == 0 else 1, 65535)
        for name, (low, high) in CHECK_RANGES.items():
            yield from _range(f"{service.variable}.check.{name}", service.check.get(name), low, high)


@rule("duplicate_service")
def duplicate_service(cluster: Cluster) -> Iterator[Complaint]:
    """The kernel keeps one service for each address, port and protocol, or mark and family.

    ldirectord refuses the second.
    """

    def key(service: Service) -> object:
        if service.given("fwmark"):
            return service.get("fwmark") and service.family and (service.get("fwmark"), service.family)
        usable = service.vip and service.get("port") is not None and service.get("protocol")
        return (service.vip, service.get("port"), service.get("protocol")) if usable else None

    what = "the address, port and protocol (or fwmark)"
    yield from _duplicates(cluster, key, "", what, "merge the two, or change one")


@rule("unsupported_protocol")
def unsupported_protocol(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord: 'protocol must be tcp or udp if the virtual service is an address and port'. ip_vs knows sctp."""
    for service in cluster.services if is_watched(cluster) else ():
        if service.get("protocol") == "sctp" and service.given("vip"):
            remedy = "use tcp or udp, select the packets by a fwmark, or balance without ldirectord (ha_checker: none)"
            yield _complaint(service, "protocol", "ldirectord knows no sctp", remedy)


@rule("vip_on_two_directors")
def vip_on_two_directors(cluster: Cluster) -> Iterator[Complaint]:
    """An address can only be in one place: all services of a VIP have the same preferred director."""
    first: dict[object, tuple[Service, str | None]] = {}
    for service in cluster.services:
        director = cluster.holder(service)
        other, holder = first.setdefault(service.vip or service.variable, (service, director))
        if holder != director:
            problem = f"VIP {service.vip} prefers {holder} in {_label(other)}, {director} here"
            yield _complaint(
                service, "preferred_director", problem, "name the same director in all services of one VIP"
            )


@rule("unknown_director")
def unknown_director(cluster: Cluster) -> Iterator[Complaint]:
    """Only directors can hold a VIP."""
    for service in cluster.services:
        name = service.get("preferred_director")
        if name is not None and name not in cluster.directors:
            remedy = did_you_mean(name, cluster.directors, "name a host of the group directors")
            yield _complaint(service, "preferred_director", "is not in the group directors", remedy)


@rule("unknown_real_server")
def unknown_real_server(cluster: Cluster) -> Iterator[Complaint]:
    """Only hosts of real_servers get the VIP and its ARP settings."""
    group = cluster.groups.get("real_servers", ())
    members = set(group)
    for service in cluster.services:
        for server in _listed(service):
            if server.host not in members and not server.is_elsewhere:
                state = (
                    "is not in the group real_servers" if server.host in cluster.hosts else "is not in the inventory"
                )
                remedy = did_you_mean(server.host, group, "add it to the group real_servers")
                if server.host in cluster.hosts:
                    remedy = "add it to the group real_servers"
                yield Complaint(f"{server.variable}.host", show(server.host), f"the host {state}", remedy)


@rule("bad_real_server")
def bad_real_server(cluster: Cluster) -> Iterator[Complaint]:
    """A host has several addresses, of which the plan takes one; of who is no host here, only the address is known."""
    taken = {service.vip: "a VIP" for service in cluster.services if service.vip}
    taken |= dict.fromkeys(cluster.gateways, "a gateway of the directors")
    families: dict[str, set[int | None]] = {}
    for service in cluster.services:
        families.setdefault(service.variable, set()).add(service.family)
    seen = set()
    for service in cluster.services:
        entries = known(service.options["real_servers"]) or () if service.variable not in seen else ()
        written: Any = service.written.get("real_servers")
        seen.add(service.variable)
        for index, entry in enumerate(entries):
            # Of one with an unknown option, that is reported: it may be the misspelt name.
            wrong = entry is UNUSABLE or not set(written[index]) <= set(entry)
            both = len(families[service.variable]) > 1
            fault = None if wrong else _real_server_fault(cluster, service, entry, taken, both)
            if fault:
                variable, value, problem, remedy = fault
                yield Complaint(f"{service.variable}.real_servers[{index}]{variable}", value, problem, remedy)


def _real_server_fault(
    cluster: Cluster, service: Service, entry: Mapping[str, Any], taken: Mapping[Address, str], both: bool
) -> tuple[str, str, str, str] | None:
    """Return what is wrong with the name or address of an entry: where in it, value, problem and remedy.

    both: the service has VIPs of both families.
    """
    text = entry["address"]
    if text is None:
        lacks = not entry["host"]
        return (
            ("", "", "names no real server", "write a host, or the address of one that is no host") if lacks else None
        )
    if entry["host"] is not None:
        return (
            ".address",
            show(text),
            "is beside a host, whose address follows from ha_interfaces",
            "keep one of the two",
        )
    address = to_address(known(text))
    owner = cluster.all_addresses.get(address) if address else None
    if text is UNUSABLE:
        return None  # reported by the schema
    if address is None:
        problem, remedy = "must be an IPv4 or IPv6 address without prefix length", "write it like 192.0.2.50"
    elif owner:
        problem, remedy = f"is the address of {owner.host} ({owner.variable})", f"write host: {owner.host}"
    elif address in taken or (fault := unusable(address) or fault_in(address, _networks_around(cluster, address))):
        problem, remedy = f"is {taken.get(address) or fault}", "write the real server's own address"
    elif both:
        problem = f"is IPv{address.version}, and the service has VIPs of both families"
        remedy = "divide the service into one for each family"
    elif service.family and address.version != service.family:
        problem, remedy = f"is IPv{address.version}, and the service is IPv{service.family}", "write such an address"
    else:
        return None
    return ".address", show(text), problem, remedy


@rule("duplicate_real_server")
def duplicate_real_server(cluster: Cluster) -> Iterator[Complaint]:
    """ip_vs: 'Destination already exists'; NAT may reach several ports of one host."""
    for service in cluster.services:
        first: dict[tuple[str, int | None], RealServer] = {}
        for server in _listed(service):
            other = first.setdefault((server.host, server.port), server)
            if other is not server:
                problem = f"is the same real server and port as {other.variable}"
                option = "address" if server.is_elsewhere else "host"
                remedy = "keep one, with the sum of the weights"
                yield Complaint(f"{server.variable}.{option}", show(server.host), problem, remedy)


@rule("port_mapping")
def port_mapping(cluster: Cluster) -> Iterator[Complaint]:
    """ip_vs silently puts the service's port in place of the real server's, except with NAT."""
    for service in cluster.services:
        for server in _listed(service):
            ports = (server.port, service.get("port"))
            if (
                service.given("vip")
                and None not in ports
                and ports[0] != ports[1]
                and server.forwarding in ("direct", "tunnel")
            ):
                problem = f"{server.forwarding} forwarding keeps the port of the service, {ports[1]}"
                yield Complaint(
                    f"{server.variable}.port", show(server.port), problem, "leave it out, or use forwarding: nat"
                )


@rule("bad_scheduler_flags")
def bad_scheduler_flags(cluster: Cluster) -> Iterator[Complaint]:
    """ip_vs: a flag is a bit whose meaning each scheduler chooses. ldirectord and ipvsadm(8): one packet is for UDP."""
    for service in _each(cluster):
        scheduler = service.get("scheduler")
        for index, flag in enumerate(service.get("scheduler_flags") or ()):
            if scheduler is not None and known(flag) is not None and not flag.startswith(f"{scheduler}-"):
                problem = f"is no flag of the scheduler {scheduler}"
                variable = f"{service.variable}.scheduler_flags[{index}]"
                yield Complaint(variable, show(flag), problem, "remove it, or use its scheduler")
        if service.get("one_packet") and (service.get("protocol") != "udp" or service.given("fwmark")):
            problem = "is for services of UDP with an address"
            yield _complaint(service, "one_packet", problem, "remove it, or write protocol: udp")


@rule("hash_without_fallback", "warning")
def hash_without_fallback(cluster: Cluster) -> Iterator[Complaint]:
    """ip_vs_sh.c, ip_vs_mh.c, ip_vs_dh.c: without the flag, a client whose real server has weight 0 gets none."""
    for service in _each(cluster):
        scheduler, flags = service.get("scheduler"), service.get("scheduler_flags") or ()
        if scheduler in ("dh", "mh", "sh") and f"{scheduler}-fallback" not in flags:
            problem = "chooses no other real server for a client whose own one is drained or has failed"
            better = "use mh with mh-fallback" if scheduler == "dh" else f"add scheduler_flags: [{scheduler}-fallback]"
            yield _complaint(service, "scheduler", problem, better)


def _each(cluster: Cluster) -> Iterator[Service]:
    """Yield each service once, also one that a mark selects at several addresses."""
    seen = set()
    for service in cluster.services:
        if service.variable not in seen:
            seen.add(service.variable)
            yield service


@rule("empty_real_servers")
def empty_real_servers(cluster: Cluster) -> Iterator[Complaint]:
    """Left out, it means all real servers. With all its entries removed it can't mean the same."""
    seen = set()
    for service in cluster.services:
        written = "real_servers" in service.written and not service.options["real_servers"]
        if written and service.variable not in seen:
            seen.add(service.variable)
            problem = "is empty, and only without this line all hosts of the group real_servers serve"
            yield Complaint(f"{service.variable}.real_servers", "", problem, "list hosts, or leave it out")


@rule("no_weight", "warning")
def no_weight(cluster: Cluster) -> Iterator[Complaint]:
    """Weight 0 takes no new connections."""
    for service in cluster.services:
        if service.real_servers and not any(server.weight for server in service.real_servers):
            problem = "all real servers have weight 0: nobody takes a new connection"
            yield Complaint(f"{service.variable}.real_servers", "", problem, "give one of them a weight of at least 1")


@rule("bad_netmask")
def bad_netmask(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord: dotted quad for IPv4, prefix length 1 to 128 for IPv6; ipvsadm wants the bits in one run."""
    for service in cluster.services:
        netmask = known((service.get("persistence") or {}).get("netmask"))
        if netmask is not None and service.family and not is_netmask(service.family, netmask):
            allowed = "a dotted mask such as 255.255.255.0" if service.family == 4 else "a prefix length from 1 to 128"
            variable = f"{service.variable}.persistence.netmask"
            problem = f"must be {allowed} for IPv{service.family}"
            yield Complaint(variable, show(netmask), problem, "write such a value, or leave it out")


@rule("bad_fallback")
def bad_fallback(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord's parse_fallback(): always gate, so address and port of a packet stay; IPv6 needs its brackets."""
    for service in cluster.services:
        text = service.get("fallback")
        fault = _fallback_fault(cluster, service, text) if text is not None and service.family else None
        if fault:
            yield _complaint(service, "fallback", *fault)


@rule("director_is_real_server")
def director_is_real_server(cluster: Cluster) -> Iterator[Complaint]:
    """A standby with a full table balances a packet that was forwarded to it once more, in circles.

    One that is reached by NAT answers the client itself, past the director that has to put the VIP back.
    """
    is_hot = cluster.get("ha_standby") == "hot"
    for service in cluster.services:
        for server in service.real_servers:
            if server.host not in cluster.directors:
                continue
            if server.forwarding == "nat":
                problem = (
                    f"director {server.host} is a real server of a nat service: its answers bypass the other director"
                )
                yield Complaint(server.variable, show(server.host), problem, "take it out of the service")
            elif is_hot and server.forwarding in ("direct", "tunnel"):
                problem = f"director {server.host} is a real server of a {server.forwarding} service in hot standby"
                remedy = "set ha_standby: cold, or take it out of the service"
                yield Complaint(server.variable, show(server.host), problem, remedy)


@rule("ldirectord_on_two_directors")
def ldirectord_on_two_directors(cluster: Cluster) -> Iterator[Complaint]:
    """Heartbeat would start one ldirectord for two groups, and releasing either group would stop it for both."""
    if cluster.get("ha_standby") != "cold":
        return
    if len({cluster.holder(service) for service in cluster.services if service.vip}) > 1:
        problem = (
            "Heartbeat can start ldirectord for one director's VIPs only; here services prefer different directors"
        )
        remedy = "set ha_standby: hot, or one preferred_director for all services"
        yield Complaint("ha_standby", "cold", problem, remedy)


@rule("static_and_managed")
def static_and_managed(cluster: Cluster) -> Iterator[Complaint]:
    """In cold standby Heartbeat starts the checker, which a static table does without."""
    if cluster.get("ha_checker") == "none" and cluster.get("ha_standby") == "cold":
        problem = "in cold standby Heartbeat starts the checker, and there is none (ha_checker)"
        yield Complaint("ha_standby", "cold", problem, "set ha_standby: hot, or leave out ha_checker")


@rule("bad_table")
def bad_table(cluster: Cluster) -> Iterator[Complaint]:
    """What the module codalvs.ha.ipvs would refuse on the directors."""
    table = known(cluster.get("lvs_director_table")) or ()
    reported = {f"services[{index}]" for index, entry in enumerate(table) if entry is UNUSABLE}
    for problem in read(table)[1]:
        if problem.path in reported:
            continue
        variable = re.sub(r"^services(\[\d+\])( \([^)]*\))?", r"lvs_director_table\1", problem.path)
        yield Complaint(variable, problem.value, problem.problem, problem.remedy)


@rule("unwatched_table", severity="warning")
def unwatched_table(cluster: Cluster) -> Iterator[Complaint]:
    """Without ldirectord, checks and fallbacks mean nothing."""
    agreed = not cluster.directors_differ("ha_checker")  # else one of them is a mistake
    if agreed and not is_watched(cluster):
        problem = "nobody checks the real servers: a failed one goes on getting connections, and fallbacks get none"
        yield Complaint("ha_checker", "none", problem, "let ldirectord keep the table (ha_checker: ldirectord)")


def _complaint(service: Service, name: str, problem: str, remedy: str) -> Complaint:
    value = service.get(name)
    return Complaint(f"{service.variable}.{name}", "" if value is None else show(value), problem, remedy)


def _label(service: Service) -> str:
    return f"{service.variable} ({show(service.get('name'))})" if service.get("name") else service.variable


def _duplicates(
    cluster: Cluster, key: Callable[[Service], object], name: str, what: str, remedy: str
) -> Iterator[Complaint]:
    first: dict[object, Service] = {}
    for service in cluster.services:
        mark = key(service)
        other = service if mark is None else first.setdefault(mark, service)
        if other.variable != service.variable:
            variable = f"{service.variable}.{name}" if name else service.variable
            yield Complaint(variable, show(service.get("name") or ""), f"has {what} of {_label(other)}", remedy)


def _listed(service: Service) -> Sequence[RealServer]:
    """Return the real servers that the inventory lists one by one, not the default."""
    return () if service.options["real_servers"] is None else service.real_servers


def _range(variable: str, value: object, low: int, high: int) -> Iterator[Complaint]:
    if isinstance(value, int) and not low <= value <= high:
        yield Complaint(
            variable, show(value), f"must be a whole number from {low} to {high}", "write a number in that range"
        )


def _networks_around(cluster: Cluster, address: Address) -> list[Any]:
    """Return the directors' own addresses in networks that hold an address."""
    return [own.address for host in cluster.directors for own in cluster.interfaces_towards(host, address)]


def _fallback_fault(cluster: Cluster, service: Service, text: str) -> tuple[str, str] | None:
    """Return problem and remedy of a fallback, None for a usable one."""
    example = "127.0.0.1:80" if service.family == 4 else "[::1]:80"
    match, address = FALLBACK.fullmatch(text), fallback_address(service)
    if match is None or address is None:
        return f"must be an IPv{service.family} address, or address:port", f"write it like {example}"
    fault = None if address.is_loopback else unusable(address) or fault_in(address, _networks_around(cluster, address))
    if fault:
        return f"is {fault}", f"name a server, or the director itself: {example}"
    if address in {other.vip for other in cluster.services}:
        return (
            "is a VIP: a connection would come back to the directors",
            f"name a server, or the director itself: {example}",
        )
    owner = cluster.all_addresses.get(address)
    if owner and owner.host in cluster.directors and owner.host not in {s.host for s in service.real_servers}:
        # Its packets keep their address, the VIP, which only the director has that sends them.
        return f"is the address of {owner.host}, which drops what the other director sends it", f"write {example}"
    port, wanted = int(match["port"]) if match["port"] else None, service.get("port")
    if port is not None and (port != wanted if wanted and service.given("vip") else not 1 <= port <= 65535):
        allowed = f"{wanted}, the service's: the port of a packet stays as it is" if wanted else "from 1 to 65535"
        return f"its port must be {allowed}", "leave the port out"
    known_networks = [
        cluster.networks(host, address.version) for host in cluster.directors if cluster.addresses.get(host)
    ]
    if (
        not address.is_loopback
        and known_networks
        and not all(any(address in net for net in own) for own in known_networks)
    ):
        problem = "is in no network of both directors, which could not reach it: its packets keep their address"
        return problem, f"name a server there, or the director itself: {example}"
    return None
