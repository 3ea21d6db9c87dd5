# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and check haresources: which resources start on which node. All checks take any text and never raise."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import (
    ERROR,
    LONGEST_LINE,
    MISSING,
    WARNING,
    Problem,
    check_ipv4,
)


@dataclass(frozen=True)
class Resource:
    """One resource: a script of resource.d or init.d and its arguments."""

    script: str
    arguments: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Group:
    """One logical line of haresources: what starts from left to right on its preferred node."""

    line: int
    node: str
    resources: tuple[Resource, ...]


def parse_resource(text: str) -> Resource:
    """Return a resource as Heartbeat's ResourceManager reads it: script::argument::argument, or a bare address."""
    if re.fullmatch(r"[0-9][^.]*\.[0-9][^.]*\.[0-9][^.]*\.[0-9].*", text, re.DOTALL):
        return Resource("IPaddr", tuple(text.split("::")), text)
    script, *arguments = text.split("::")
    return Resource(script, tuple(arguments), text)


def parse_haresources(text: str) -> tuple[list[Group], list[Problem]]:
    """Return the groups of an haresources file, and the lines that Heartbeat's two readers understand differently."""
    groups: list[Group] = []
    problems: list[Problem] = []
    start, logical = 0, ""
    lines = text.split("\n")
    for number, raw in enumerate(lines, 1):
        continued = start != 0
        start = start or number
        # Heartbeat strips comments before it joins lines, so in a joined line they would be resources.
        line, hashed, comment = raw.partition("#")
        if continued and hashed:
            problems.append(Problem(number, "", "", "a continued line can't hold a comment"))
        if hashed and comment.endswith("\\") and (line.strip() or continued):
            problems.append(Problem(number, "", "", "a comment can't end with a backslash"))
        if re.search(r"[^\t\x20-\U0010ffff]", raw):
            problems.append(Problem(number, "", "", "has a control character, perhaps a DOS line end"))
            line = re.sub(r"[^\t\x20-\U0010ffff]", " ", line)
        if len(raw.encode("utf-8", "replace")) >= LONGEST_LINE:
            problems.append(Problem(number, "", "", f"must be shorter than {LONGEST_LINE} bytes"))
        if line.endswith("\\") and not hashed:
            logical += line[:-1]
            if number < len(lines) and any(rest.strip() for rest in lines[number:]):
                continue
            problems.append(Problem(number, "", "", "ends with a backslash, and no line follows"))
        else:
            if line.rstrip(" \t").endswith("\\"):
                problems.append(Problem(number, "", "", "a backslash continues a line only as its very last character"))
            logical += line
        words = re.split(r"[ \t]+", logical.strip(" \t"))
        if words != [""]:
            resources = tuple(parse_resource(word) for word in words[1:] if word != "\\")
            groups.append(Group(start, words[0].lower(), resources))
        start, logical = 0, ""
    return groups, problems


_RESOURCE_D = "/etc/ha.d/resource.d or /etc/init.d"


# The scripts that move addresses, by family: Debian's refuses IPv6, so the role brings its own (IPv6addr2).
ADDRESS_SCRIPTS = {"IPaddr2": 4, "IPv6addr2": 6}
# Of either family, where the directors call the interface by different names. It starts one of the above.
BY_NODE = "VIPaddr2"


def address_resource(address: str, prefix: int, interface: str) -> str:
    """Return the resource that moves an address. '::' separates arguments, so an IPv6 address is written out.

    interface: its name, or one for each node: name@node,name@node. No name of an interface has an @.
    """
    own = ip_address(address)
    script = next(script for script, version in ADDRESS_SCRIPTS.items() if version == own.version)
    return f"{BY_NODE if '@' in interface else script}::{own.exploded}/{prefix}/{interface}"


def moved_address(resource: Resource) -> IPv4Address | IPv6Address | None:
    """Return the address that a resource moves, None if it moves none or a malformed one."""
    if resource.script not in (*ADDRESS_SCRIPTS, BY_NODE, "IPaddr") or not resource.arguments:
        return None
    try:
        return ip_address(resource.arguments[0].split("/")[0])
    except ValueError:
        return None


def released(
    known: list[dict[str, Any]], wanted: list[dict[str, Any]], holds: str, gives_way: bool = False
) -> list[dict[str, Any]]:
    """Return the resources, {node, script, arguments} each, that a director stops because haresources has changed.

    known, wanted: those of the file that Heartbeat has read, and of the new one. holds: whose groups this director has
    by `cl_status rscstatus`. Who holds all groups keeps a resource that only has another preferred director now.
    gives_way: so does everybody with an address, because heartbeat-vips gives it up when the other director has it.
    """
    kept = [
        (each["script"], each["arguments"])
        for each in wanted
        if holds == "all" or (gives_way and each["script"] in (*ADDRESS_SCRIPTS, BY_NODE))
    ]
    return [each for each in known if each not in wanted and (each["script"], each["arguments"]) not in kept]


def check_haresources(
    text: str,
    nodes: Collection[str] | None = None,
    *,
    scripts: Container[str] | None = None,
    interfaces: Collection[str] | None = None,
    here: str = "",
) -> list[Problem]:
    """Return everything wrong with an haresources file.

    `nodes` are those of ha.cf; scripts (names of executable files in resource.d or init.d) and network interfaces are
    those of the host, whose own node is `here`. Each is checked only where it is given.
    """
    groups, problems = parse_haresources(text)
    known = None if nodes is None else {node.lower() for node in nodes}
    if not groups and not problems:
        problems.append(Problem(0, "", "", "has no resources: nothing would move to the surviving director", WARNING))
    for group in groups:
        if known is not None and group.node not in known:
            names = ", ".join(sorted(known)) or "none"
            problems.append(Problem(group.line, group.node, "", f"is no node of ha.cf, which has {names}"))
        if not group.resources:
            problems.append(Problem(group.line, group.node, "", "has no resources"))
    problems += check_resources(groups, scripts, interfaces)
    problems += check_names(groups, known or (), {} if interfaces is None else {here: interfaces})
    problems += check_addresses(groups)
    problems += check_keys(groups)
    return sorted(set(problems), key=lambda problem: (problem.line, problem.directive, problem.value, problem.problem))


def check_resources(
    groups: Iterable[Group], scripts: Container[str] | None = None, interfaces: Collection[str] | None = None
) -> Iterator[Problem]:
    """Yield what is wrong with the resources; scripts and interfaces as in check_haresources."""
    for group in groups:
        for resource in group.resources:
            yield from _check_resource(group, resource, scripts, interfaces)


def check_addresses(groups: Iterable[Group]) -> Iterator[Problem]:
    """Yield the addresses that are moved a second time."""
    first: dict[object, int] = {}
    for group in groups:
        for resource in group.resources:
            address = moved_address(resource)
            if address in first:
                text = f"the address is moved by line {first[address]} already"
                yield Problem(group.line, group.node, resource.text, text)
            if address:
                first.setdefault(address, group.line)


def check_keys(groups: Collection[Group]) -> Iterator[Problem]:
    """Check that each group is found by its first resource.

    ResourceManager searches all lines for that resource, as a pattern and at any place. So no other group may have it.
    """
    for group in groups:
        if not group.resources:
            continue
        key = group.resources[0].text
        pattern = re.compile(".".join(re.escape(part) for part in key.split(".")), re.DOTALL)
        for other in groups:
            if other is not group and any(pattern.fullmatch(resource.text) for resource in other.resources):
                problem = f"starts this group, so no other one may have it; line {other.line} does"
                yield Problem(group.line, group.node, key, problem)


def _check_resource(
    group: Group,
    resource: Resource,
    scripts: Container[str] | None,
    interfaces: Collection[str] | None,
) -> Iterator[Problem]:
    def problem(text: str, level: str = ERROR, value: str = resource.text) -> Problem:
        return Problem(group.line, group.node, value, text, level)

    if not re.fullmatch(r"[A-Za-z0-9_./:@%=,~-]+", resource.text):
        yield problem("may hold only letters, digits and _./:@%=,~- : a shell reads it without quotes")
    elif not re.fullmatch(r"[A-Za-z0-9_.-]+", resource.script) or "" in resource.arguments:
        yield problem("must be written SCRIPT::ARGUMENT::ARGUMENT, without empty parts")
    elif resource.script == "IPaddr":
        address = resource.arguments[0] if resource.arguments else "ADDRESS"
        better = f"IPaddr2::{address.split('/')[0]}/PREFIX/INTERFACE"
        yield problem(f"write {better}: a bare address is IPaddr, which needs ifconfig and leaves the VIP nowhere")
    elif resource.script == BY_NODE and _names(resource) is None:
        syntax = f"{BY_NODE}::ADDRESS/PREFIX/INTERFACE@NODE,INTERFACE@NODE"
        yield problem(f"must be written {syntax}, and an IPv6 address without '::'")
    elif resource.script in ADDRESS_SCRIPTS:
        for text in _check_address_resource(resource, interfaces):
            yield problem(text)
    if scripts is not None and resource.script not in scripts:
        text = f"no executable file {resource.script} in {_RESOURCE_D} on this host"
        yield problem(text, MISSING)


def _names(resource: Resource) -> dict[str, str] | None:
    """Return the interfaces of a BY_NODE by node; None if it is malformed."""
    pair = r"[^/@,0-9][^/@,]{0,14}@[^/@,]+"
    match = re.fullmatch(rf"([^/]+)/([0-9]{{1,3}})/({pair}(?:,{pair})+)", "::".join(resource.arguments))
    address = moved_address(resource)
    if match is None or address is None or len(resource.arguments) != 1:
        return None
    names = {node: name for name, node in (each.split("@") for each in match[3].split(","))}
    return names if 1 <= int(match[2]) <= address.max_prefixlen else None


def check_names(
    groups: Iterable[Group], nodes: Iterable[str], interfaces: Mapping[str, Collection[str]]
) -> Iterator[Problem]:
    """Yield what would not start on a node of ha.cf, nor would anything else of its line.

    interfaces: those of each node that is known.
    """
    for group in groups:
        for resource in group.resources:
            names = _names(resource) if resource.script == BY_NODE else None
            if names is None:
                continue
            lacking = sorted(node for node in nodes if node not in names)
            if lacking:
                problem = f"names no interface of {', '.join(lacking)}"
                yield Problem(group.line, group.node, resource.text, problem)
            for node in sorted(interfaces.keys() & names.keys()):
                if names[node].partition(":")[0] not in interfaces[node]:
                    has = ", ".join(sorted(interfaces[node])) or "none"
                    problem = f"no such network interface {names[node]} on {node}, which has {has}"
                    yield Problem(group.line, group.node, resource.text, problem)


def _check_address_resource(resource: Resource, interfaces: Collection[str] | None) -> Iterator[str]:
    own = ADDRESS_SCRIPTS[resource.script]
    more = "[:LABEL][/BROADCAST]" if own == 4 else ""
    syntax = f"must be written {resource.script}::ADDRESS/PREFIX/INTERFACE{more}"
    address, prefix, device, broadcast, *rest = [*"::".join(resource.arguments).split("/"), "", "", ""]
    try:
        version = ip_address(address).version
    except ValueError:
        yield f"{syntax}; {address!r} is no address"
        return
    if version != own or (version == 6 and len(resource.arguments) != 1):
        better = address_resource(address, 0, "").removesuffix("0/")
        why = "IPaddr2 refuses IPv6 addresses, and '::' separates arguments" if version == 6 else "it is for IPv6"
        yield f"write {better}{prefix or 'PREFIX'}/{device or 'INTERFACE'}: {why}"
        return
    if any(rest) or (own == 6 and broadcast) or len(resource.arguments) != 1:
        yield syntax
        return
    longest = 32 if own == 4 else 128
    if not re.fullmatch(r"[0-9]{1,3}", prefix) or not 1 <= int(prefix) <= longest:
        yield f"{syntax}; the prefix must be a length from 1 to {longest}"
    if not device:
        yield f"{syntax}; without an interface it is wherever a route leads"
    elif device[0].isdigit() or len(device) > 15 or (own == 6 and ":" in device):
        yield f"{syntax}; an interface or label can't begin with a digit or be longer than 15 characters"
    elif interfaces is not None and device.partition(":")[0] not in interfaces:
        has = ", ".join(sorted(interfaces)) or "none"
        yield f"no such network interface {device.partition(':')[0]} on this host, which has {has}"
    if broadcast and check_ipv4(broadcast):
        yield f"{syntax}; the broadcast address must be an IPv4 address"
