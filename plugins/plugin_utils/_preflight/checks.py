# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about health checks: each must be able to pass, and able to fail.

'ldirectord' below means the source of ldirectord 4.12; `check_NAME()` are its functions.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.codalvs.ha.plugins.module_utils._schema import HIDDEN, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    Cluster,
    RealServer,
    Service,
    known,
    to_address,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import (
    CHECKS,
    SERVICE_OF_PORT,
    SERVICE_PORTS,
    Check,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, is_watched, rule

# Written between double quotes to ldirectord.cf; an empty pair of quotes is a configuration error there.
QUOTED = ("request", "receive", "login", "password", "database", "secret")
SECRETS = ("password", "secret")
OF_SERVERS = ("request", "receive")  # which a real server may have of its own
HTTP = ("http", "https", "http_proxy")
# ldirectord(8), "IPv6".
CHECKS_OF_IPV6 = ("dns", "http", "https", "nntp", "none", "simpletcp", "sip")


@rule("missing_check_port")
def missing_check_port(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord's ld_checkport(): check port, else the real server's, else the usual one of the protocol."""
    for service in cluster.services if is_watched(cluster) else ():
        if _lacks_port(service):
            what = "a fwmark service" if service.given("fwmark") else "a service on every port"
            problem = f"ldirectord can't know which port of {what} to check"
            variable = f"{service.variable}.check.port"
            yield Complaint(
                variable, "", problem, "add check.port and check.service, or use check.type ping or external"
            )


@rule("check_checks_nothing", "warning")
def check_checks_nothing(cluster: Cluster) -> Iterator[Complaint]:
    """check_none(), check_pop(), check_imap(), check_ftp(): without these, dead and living real servers look alike."""
    for asked in _all_asked(cluster):
        found = _proves_nothing(asked.service)
        if found:
            name, problem, remedy = found
            given = known(asked.service.check.get(name))
            yield Complaint(asked.place(name), show(given) if given else "", problem, remedy)


@rule("missing_check_command")
def missing_check_command(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord's default command is /bin/true, which finds every real server up."""
    for service in cluster.services if is_watched(cluster) else ():
        command = service.check.get("command")
        path = known(command)
        variable = f"{service.variable}.check.command"
        if str(service.check.get("type")).startswith("external") and command is None:
            yield Complaint(variable, "", "an external check needs its program", "add its absolute path")
        elif path is not None and not path.startswith("/"):
            yield Complaint(variable, show(path), "must be an absolute path on the directors", "write it from / on")
        elif path is not None and path.endswith("/"):
            yield Complaint(variable, show(path), "must be a program, and is a folder", "name a program in it")


@rule("check_never_passes")
def check_never_passes(cluster: Cluster) -> Iterator[Complaint]:
    """A check that finds every real server down, whatever it answers, is an outage that lasts."""
    for asked in _all_asked(cluster):
        service = asked.service
        for name, problem, remedy in (*_never_passes(service), *_asks_another_port(service), *_asks_elsewhere(asked)):
            value = known(service.check.get(name))
            shown = "" if value is None else HIDDEN if name in SECRETS else show(value)
            yield Complaint(asked.place(name), shown, problem, remedy)


@rule("check_without_ipv6", "warning")
def check_without_ipv6(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord(8) names the checks that it has for IPv6."""
    for service in cluster.services if is_watched(cluster) else ():
        asked = asked_protocol(service)
        if service.family == 6 and asked and asked not in CHECKS_OF_IPV6:
            problem = f"ldirectord's manual names no check of {asked} for IPv6: it may find every real server down"
            remedy = f"use check.type connect, or one of {', '.join(each for each in CHECKS_OF_IPV6 if each != 'none')}"
            yield Complaint(f"{service.variable}.check.service", asked, problem, remedy)


@rule("check_needs_driver", "warning")
def check_needs_driver(cluster: Cluster) -> Iterator[Complaint]:
    """check_sql() loads a driver, and ldirectord ends where that is missing; Debian packages none for Oracle."""
    for service in cluster.services if is_watched(cluster) else ():
        if asked_protocol(service) == "oracle":
            problem = "needs Perl's DBD::Oracle, which is in no package of Debian; without it ldirectord ends"
            remedy = "install it on both directors, or use check.type connect or external"
            yield Complaint(f"{service.variable}.check.service", "oracle", problem, remedy)


@rule("check_waits_for_ever", "warning")
def check_waits_for_ever(cluster: Cluster) -> Iterator[Complaint]:
    """Mail::POP3Client and DBI, once connected, wait without a limit, and Net::IMAP::Simple where it signs on.

    In one process that is the end of all checks. In a process of its own the service keeps what it had. But when
    ldirectord starts or reads its file again, one process makes the first check of all.
    """
    services = {(service.variable, service.family) for service in cluster.services}
    if not is_watched(cluster) or len(services) < 2:
        return
    ends = "all checks of all services"
    if cluster.forks:
        ends = "the checks of this service, and at ldirectord's next start or change those of all services"
    forks = "set ldirectord_fork: true, which leaves the others alone until ldirectord's next start or change, or "
    for service in cluster.services:
        asked = asked_protocol(service)
        if asked and _grammar(asked).waits and _is_asked(service):
            problem = f"a server of {asked} that takes a connection and says nothing stops {ends}"
            remedy = f"{forks if cluster.may_fork and not cluster.forks else ''}use check.type connect or external"
            yield Complaint(f"{service.variable}.check.service", asked, problem, remedy)


@rule("not_read", "warning")
def option_not_read(cluster: Cluster) -> Iterator[Complaint]:
    """What the check of this protocol does not look at proves nothing, whatever it says."""
    options = ("request", "receive", "virtualhost", "http_method", "login", "password", "database", "secret")
    for service in cluster.services if is_watched(cluster) else ():
        asked = asked_protocol(service)
        for name in options if asked in CHECKS else ():
            if service.check.get(name) is not None and name not in _grammar(asked).reads:
                value = known(service.check.get(name))
                shown = "" if value is None else HIDDEN if name in SECRETS else show(value)
                problem = f"the check of {asked} does not read this"
                yield Complaint(f"{service.variable}.check.{name}", shown, problem, "remove it, or use another service")
        yield from _not_read_of_servers(service)
        pings, kind = known(service.check.get("pings")), known(service.check.get("type"))
        if pings is not None and kind and not is_ping(service):
            problem = f"a check of type {kind} does not ping" + (" by TCP" if kind == "connect" else "")
            remedy = "use check.failures, which counts failed checks in a row"
            yield Complaint(f"{service.variable}.check.pings", show(pings), problem, remedy)


@rule("check_shared")
def check_shared(cluster: Cluster) -> Iterator[Complaint]:
    """get_real_id_str(): of checks that differ only in what it leaves out, ldirectord makes one, for all of them."""
    alike: dict[object, list[Service]] = {}
    for service in cluster.services if is_watched(cluster) else ():
        if asked_protocol(service):
            alike.setdefault(check_told_apart_by(service), []).append(service)
    for services in alike.values():
        seen: dict[object, Service] = {}
        for service in services if any(_untold(each) != _untold(services[0]) for each in services) else ():
            keys = [told_apart_by(service, each) for each in service.real_servers]
            other = next((seen[key] for key in keys if key in seen and _untold(seen[key]) != _untold(service)), None)
            for key in keys:
                seen.setdefault(key, service)
            if other:
                mine, its = _untold(service), _untold(other)
                differ = " and ".join(name for name in mine if mine[name] != its[name])
                problem = f"ldirectord takes this check for that of {other.variable}: they differ in {differ} only"
                reads = _grammar(asked_protocol(service)).reads
                another = " or ".join([*(name for name in ("request", "receive") if name in reads), "weight"])
                remedy = f"give one of them another {another}, or both the same {differ}"
                yield Complaint(f"{service.variable}.check", "", problem, remedy)


@rule("connects_without_negotiate")
def connects_without_negotiate(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord's checktype is one word: a number means connect and negotiate, whatever type is asked for."""
    for service in cluster.services if is_watched(cluster) else ():
        kind, number = known(service.check.get("type")), known(service.check.get("connects"))
        if number is not None and kind not in (None, "negotiate"):
            problem = f"would replace check.type {kind}: the checks would be connect and negotiate"
            remedy = "remove it, or use check.type negotiate, the default"
            yield Complaint(f"{service.variable}.check.connects", show(number), problem, remedy)


@rule("bad_check_text")
def bad_check_text(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord cuts every line at '#', makes four blanks of a tab, and knows no way to escape either.

    Double quotes are fine inside of quoted values: the parser takes the last one of the line as the end. Where a real
    server has texts of its own, both are in one line, and the last two quotes with a blank or a comma between them,
    and nothing else but blanks, are where the first text ends and the second one begins.
    """
    for service in cluster.services:
        for name in (*QUOTED, "virtualhost", "command"):
            text = known(service.check.get(name))
            fault = None if text is None else _text_fault(name, text)
            if fault:
                value = HIDDEN if name in SECRETS else show(text)
                yield Complaint(f"{service.variable}.check.{name}", value, fault, "leave it out, or write it without")
        for variable, name, text in _texts_of_servers(service):
            fault = _text_fault(name, text)
            if fault:
                yield Complaint(variable, show(text), fault, "leave it out, or write it without")
        for server in filter(_has_own_texts, service.real_servers):
            receive = service.texts_for(server)[1]
            fault = None if receive is None else _quotes_fault(receive)
            if fault:
                place = service.variable + ".check" if server.receive is None else server.variable
                yield Complaint(f"{place}.receive", show(receive), fault, "write it without")


@rule("bad_check_pattern")
def bad_check_pattern(cluster: Cluster) -> Iterator[Complaint]:
    """A pattern that Perl can't compile makes ldirectord's check die."""
    for service in cluster.services:
        own = [(variable, text) for variable, name, text in _texts_of_servers(service) if name == "receive"]
        for variable, text in [(f"{service.variable}.check.receive", known(service.check.get("receive"))), *own]:
            fault = None if text is None else _pattern_fault(text)
            if not fault:
                continue
            problem = f"is no valid regular expression: {fault}"
            yield Complaint(variable, show(text), problem, "correct it; a backslash makes a character ordinary")


@rule("interval_without_fork")
def interval_without_fork(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord: 'checkinterval in virtual service … ignored when fork=no'."""
    for service in cluster.services:
        interval = known(service.check.get("interval"))
        if interval is not None and not cluster.forks:
            variable = f"{service.variable}.check.interval"
            problem = "ldirectord ignores the interval of one service unless it forks"
            remedy = "use ldirectord_check_interval"
            if cluster.may_fork:
                remedy = f"set ldirectord_fork: true or {remedy}"
            yield Complaint(variable, show(interval), problem, remedy)


# What ldirectord does not look at, to know one check from another.
_NOT_TOLD_APART = ("http_method", "login", "password", "database", "secret", "connects")


def _grammar(asked: str | None) -> Check:
    """Return what the check of a protocol reads and needs; nothing where there is none."""
    return CHECKS.get(asked or "", Check())


def check_told_apart_by(service: Service) -> tuple[object, ...]:
    """Return what get_real_id_str() knows a check by, beside the real server, whose address the family decides."""
    check = service.check
    kind = known(check.get("type"))
    return (
        kind,
        asked_protocol(service),
        str(check.get("command")) if str(kind).startswith("external") else "",
        check.get("connects") is not None,  # combined:PROTOCOL there, else negotiate:PROTOCOL
        "fwm" if service.given("fwmark") else service.get("protocol"),
        service.family,
        *(str(check.get(name)) for name in ("port", "virtualhost")),
        # What is asked at a VIP is written as a part of the virtualhost.
        service.variable if known(check.get("path")) == "vip" else "",
    )


def told_apart_by(service: Service, server: RealServer) -> tuple[object, ...]:
    """Return what get_real_id_str() knows a real server by, beside the check."""
    request, receive = service.texts_for(server)
    asked = request or ""
    asked = asked if asked.startswith("/") else f"/{asked}"  # as read_config() has it
    return server.host, server.port, server.weight, server.forwarding, asked, receive or ""


def _untold(service: Service) -> dict[str, str]:
    """Return the options that a check reads, and that ldirectord does not look at to know it from another."""
    reads = (*_grammar(asked_protocol(service)).reads, "connects")
    found = {name: service.check.get(name) for name in _NOT_TOLD_APART if name in reads}
    return {name: str("GET" if name == "http_method" and value is None else value) for name, value in found.items()}


def _is_asked(service: Service) -> bool:
    """Tell whether a check waits for an answer: imap does if it signs on; oracle has no driver, which others say."""
    asked = asked_protocol(service)
    return service.check.get("login") is not None if asked in ("imap", "imaps") else asked != "oracle"


def _protocol(service: Service) -> str | None:
    """Return what a negotiate check speaks: given, or guessed by ldirectord from the port of the virtual service."""
    given: object = service.check.get("service")
    if given is not None:
        return given if isinstance(given, str) else None
    if service.given("fwmark"):
        return "none"
    port = service.get("port")
    return SERVICE_OF_PORT.get(port, "none") if port is not None and 0 <= port <= 65535 else None


def _protocol_remedy(service: Service) -> str:
    return "use check.type ping or external" if _is_udp(service) else "use check.type connect"


def _is_udp(service: Service) -> bool:
    """Tell whether ldirectord knows the service by UDP; one of a mark it connects to by TCP."""
    return service.get("protocol") == "udp" and not service.given("fwmark")


def _lacks_port(service: Service) -> bool:
    check = service.check
    portless = service.given("fwmark") or service.get("port") == 0
    if not portless or check.get("type") not in ("negotiate", "connect") or check.get("port") is not None:
        return False
    if check.get("service") is not None and known(check["service"]) not in ("none", "simpletcp"):
        return False
    return not service.real_servers or not all(server.port for server in service.real_servers)


def _text_fault(name: str, text: str) -> str | None:
    if not text:
        return "is empty" if name in QUOTED else None
    if any(ord(character) < 32 or character == "\x7f" for character in text):
        return "contains a line break, tab or other control character, which ldirectord.cf can't hold"
    if "#" in text:
        return "contains a '#', where ldirectord cuts its line"
    if name == "virtualhost" and '"' in text:
        return "contains a double quote, where ldirectord cuts the name"
    return None


def _pattern_fault(pattern: str) -> str | None:
    """Return what both Perl and Python reject; Perl knows much that Python does not, so anything else passes."""
    if pattern[:1] in ("*", "+", "?"):
        return f"nothing before the {pattern[0]!r} to repeat"
    if any(perl_only in pattern for perl_only in ("[:", "(*", "(?{", "(??")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error as error:
        common = (
            *("missing )", "unbalanced parenthesis", "unterminated character set", "bad escape (end of pattern)"),
            "missing >, unterminated name",
        )
        # Perl takes {,n} and {} as they are written, so what follows them repeats a brace.
        repeats = error.msg == "multiple repeat" and "{" not in pattern
        wrong_range = re.fullmatch(r"bad character range \w-\w", error.msg)
        # Of more digits it may be a character by its octal number.
        no_group = re.fullmatch(r"invalid group reference [1-9]", error.msg)
        return error.msg if error.msg.startswith(common) or repeats or wrong_range or no_group else None
    except (OverflowError, RecursionError, ValueError):
        return None
    return None


@dataclass(frozen=True)
class _Asked:
    """A service as some of its real servers are asked: with their texts in its check."""

    service: Service
    own: Mapping[str, str] = field(default_factory=dict)  # where the texts are that are not the check's

    def place(self, name: str) -> str:
        return self.own.get(name, f"{self.service.variable}.check.{name}")


def _all_asked(cluster: Cluster) -> Iterator[_Asked]:
    """Yield every service as its real servers are asked, those with texts of their own one by one."""
    for service in cluster.services if is_watched(cluster) else ():
        own: dict[str, dict[str, tuple[str, str]]] = {}
        for variable, name, text in _texts_of_servers(service):
            own.setdefault(variable.rpartition(".")[0], {})[name] = variable, text
        if len(own) < len(service.real_servers) or not own or not service.check:
            yield _Asked(service)
        for texts in own.values() if service.check else ():
            check = {**service.check, **{name: text for name, (_variable, text) in texts.items()}}
            places = {name: variable for name, (variable, _text) in texts.items()}
            yield _Asked(replace(service, options={**service.options, "check": check}), places)


def _texts_of_servers(service: Service) -> Iterator[tuple[str, str, str]]:
    """Yield the texts that real servers have of their own: where, of which option, and what."""
    for server in filter(_has_own_texts, service.real_servers):
        for name, text in zip(OF_SERVERS, (server.request, server.receive), strict=True):
            if text is not None:
                yield f"{server.variable}.{name}", name, text


def _has_own_texts(server: RealServer) -> bool:
    return server.request is not None or server.receive is not None


def _not_read_of_servers(service: Service) -> Iterator[Complaint]:
    asked, kind = asked_protocol(service), known(service.check.get("type"))
    if kind is None or (kind == "negotiate" and asked not in (*CHECKS, "none")):
        return  # what is wrong with that comes first
    for variable, name, text in _texts_of_servers(service):
        if name not in _grammar(asked).reads:
            what = f"the check of {asked}" if asked else f"a check of type {kind}"
            remedy = "remove it, or use check.type negotiate with a service that reads it"
            yield Complaint(variable, show(text), f"{what} does not read this", remedy)


def _quotes_fault(text: str) -> str | None:
    """Tell whether ldirectord would end the first of two texts in the midst of the second one."""
    if re.search(r'"[, ]\s*"', f'"{text}"'):
        return "contains two double quotes with only a blank or comma between them, where ldirectord cuts the text"
    return None


def is_ping(service: Service) -> bool:
    """Tell whether the check is an ICMP echo; a connect without TCP is one."""
    kind = known(service.check.get("type"))
    udp = service.get("protocol") == "udp" and not service.given("fwmark")
    return kind == "ping" or (kind == "connect" and udp)


def _asks_elsewhere(asked: _Asked) -> Iterator[tuple[str, str, str]]:
    """ld_setup() takes a real server's own request for a whole address if it has one anywhere in it.

    add_real_server() forgets both texts if the first one begins with a slash. The plan leaves one slash out.
    """
    protocol, request = asked_protocol(asked.service), known(asked.service.check.get("request")) or ""
    if not asked.own:
        return
    if request.startswith("//"):
        problem = "begins with two slashes, with which ldirectord forgets all texts of a real server's own"
        yield "request", problem, "leave the first one out"
    # At the beginning it is wrong for all.
    elif protocol in ("http", "https") and f"{protocol}://" in request and not re.match(r"/?https?://", request):
        problem = f"has {protocol}:// in it, so ldirectord takes all of it for an address, which is none"
        yield "request", problem, "write :// as %3A%2F%2F, or ask for another page"


def asked_protocol(service: Service) -> str | None:
    """Return the protocol that a negotiate check speaks, None for a check of another type."""
    return _protocol(service) if known(service.check.get("type")) == "negotiate" else None


def _proves_nothing(service: Service) -> tuple[str, str, str] | None:
    """Return option, problem and remedy where a check finds dead real servers up, or living ones down, for ever."""
    check, kind, asked = service.check, known(service.check.get("type")), asked_protocol(service)
    if kind == "on":
        return "type", "takes every real server as up, dead or alive", "use another type"
    if kind == "off":
        return "type", "puts no real server into the table: nobody is served", "use another type"
    if asked == "none" and not _lacks_port(service):
        problem = "a negotiate check of no known protocol finds every real server up, dead or alive"
        return "service", problem, _protocol_remedy(service)
    if asked in ("pop", "pops", "imap", "imaps") and check.get("login") is None:
        problem = f"without a login, the check of {asked} asks nothing: a server that refuses every user is up"
        return "login", problem, "add login and password of a mailbox that is there for it"
    if asked == "http_proxy" and (known(check.get("request")) or "").lstrip("/").startswith("https:"):
        problem = "ldirectord asks an https address without the proxy, whose state makes no difference"
        return "request", problem, "write it like http://www.example.com/"
    if str(kind).startswith("external") and known(check.get("command")) in ("/bin/true", "/usr/bin/true"):
        return "command", "finds every real server up, dead or alive", "name a program that looks at the real server"
    if asked == "ftp" and check.get("receive") is None:
        problem = "without a pattern, the check of ftp finds every real server up, dead or alive"
        return "receive", problem, "add request, a file's name, and receive, a word in it"
    return None


def _never_passes(service: Service) -> Iterator[tuple[str, str, str]]:
    """Yield option, problem and remedy of all that no real server can ever satisfy."""
    check, kind, asked = service.check, known(service.check.get("type")), asked_protocol(service)
    for name, what in _grammar(asked).needs.items():
        if check.get(name) is None:
            yield name, f"the check of {asked} can't pass without it", f"add it: {what}"
    request, pattern = known(check.get("request")), known(check.get("receive"))
    absolute = bool(request and re.match(r"/?https?://", request))
    if asked == "http_proxy" and request and not absolute:
        yield "request", "a proxy is asked for a whole address", "write it like http://www.example.com/"
    if asked in ("http", "https") and absolute:
        yield "request", "must be a path on the real server", "name the host in virtualhost"
    if pattern is not None and not _pattern_fault(pattern):
        if asked in HTTP and known(check.get("http_method")) == "HEAD" and not _matches_nothing(pattern):
            yield "receive", "the answer to HEAD has no text that could match", "remove it, or use http_method: GET"
        if asked == "ftp" and request is None and not _matches_nothing(pattern):
            yield "request", "without a file to fetch there is no text that could match", "add it: a file's name"
        if asked == "dns" and re.fullmatch(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*", pattern):
            yield "receive", "ldirectord looks at records of IPv4 addresses and names only", "write such a pattern"
        elif asked == "dns" and _is_name(pattern) and request and to_address(request.removeprefix("/")) is None:
            problem = "is compared with the IPv4 address that the name has, and matches none"
            yield "receive", problem, "write that address, or a part of it"
        if "receive" in _grammar(asked).reads and _never_matches(pattern):
            remedy = "use ^ at the beginning and $ at the end, or a backslash before them; in {1,2}, the smaller first"
            yield "receive", "no text can match it", remedy
    yield from _compares_nothing(asked, request, pattern)
    command = known(check.get("command"))
    host = known(check.get("virtualhost"))
    if asked in ("http", "https") and host is not None and not re.fullmatch(r"[^\s/?#@\"]+", host):
        problem = "is no host name, and web servers refuse such a request"
        if not _text_fault("virtualhost", host):
            yield "virtualhost", problem, "write the name alone, like www.example.com; a path belongs in request"
    if command and str(kind).startswith("external") and has_arguments(command) and not _text_fault("command", command):
        problem = "is run as it stands, without a shell: what follows the blank is no argument"
        yield "command", problem, "name a program that needs no arguments"
    if service.family == 6 and (kind == "ping" or (kind == "connect" and _is_udp(service))):
        yield "type", "ldirectord pings by IPv4 alone", "use check.type external, or a check of the service itself"


def _asks_another_port(service: Service) -> Iterator[tuple[str, str, str]]:
    """Net::IMAP::Simple 1.2211 forgets the port that comes with a bare IPv4 address, and takes the usual one."""
    asked, given = asked_protocol(service), service.check.get("port")
    usual = SERVICE_PORTS[asked] if asked in ("imap", "imaps") else None
    ports = [server.port for server in service.real_servers] if given is None else [known(given)]
    wrong = next((port for port in ports if port and 0 < port <= 65535 and port != usual), None)
    if usual and wrong and service.family == 4:
        problem = f"the check of {asked} asks port {usual} of every IPv4 address, never {wrong}"
        yield "port", problem, f"let the real servers answer at {usual}, or use check.type connect or external"


def _compares_nothing(asked: str | None, request: str | None, pattern: str | None) -> Iterator[tuple[str, str, str]]:
    """check_ldap() compares the name of the entry, which the root lacks; check_simpletcp() an empty pattern."""
    compared = asked in ("ldap", "ldaps") and request is None and pattern is not None
    if compared and not _pattern_fault(pattern or "") and not _matches_nothing(pattern or ""):
        yield (
            "request",
            "the directory's root is asked, whose name is empty and matches nothing",
            "add it: an entry's name",
        )
    if asked == "simpletcp" and pattern is None and "\\n" in (request or ""):
        problem = (
            "Perl takes an empty pattern for the one that matched last, which is that of the line break in request"
        )
        yield "receive", problem, "add it: a pattern that a line of the answer matches"


def _is_name(pattern: str) -> bool:
    """Tell whether a pattern can match a name only, and no number: it has letters, and nothing that means others."""
    return re.fullmatch(r"[A-Za-z0-9.^$-]*[A-Za-z][A-Za-z0-9.^$-]*", pattern) is not None


def has_arguments(command: str) -> bool:
    """Tell whether there are arguments behind a program's path; a folder's name may have a blank, too."""
    folder, _slash, name = command.rpartition("/")
    return " " in name or re.search(r" [-/\"']", folder) is not None


def _matches_nothing(pattern: str) -> bool:
    """Tell whether the pattern matches an empty text; in doubt it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.search(pattern, "") is not None
    except (re.error, OverflowError, RecursionError, ValueError):
        return True


# One thing in a pattern: a quantifier, something escaped, a class, or a single character.
_PIECE = re.compile(r"(?P<times>[*+?]|\{[0-9]*,?[0-9]*\})|\\.|\[\^?\]?(?:[^]\\]|\\.)*\]|(?P<plain>.)", re.DOTALL)


def _never_matches(pattern: str) -> bool:
    """Tell whether Perl can match nothing with it: what has to stand before the beginning, or behind the end.

    Only patterns without groups and alternatives are looked at, and there only plain neighbours.
    """
    if any(character in pattern for character in "|()") or "[:" in pattern:
        return False
    pieces = list(_PIECE.finditer(pattern))
    for left, right, after in zip(pieces, pieces[1:], [*pieces[2:], None], strict=False):
        one, two = left["plain"] or "", right["plain"] or ""
        optional = after is not None and after["times"] is not None
        if (one == "$" and two.isalnum() and not optional) or (one.isalnum() and two == "^" and not optional):
            return True
    return any(
        piece["times"]
        and (numbers := re.fullmatch(r"\{([0-9]{1,5}),([0-9]{1,5})\}", piece["times"]))
        and int(numbers[1]) > int(numbers[2])
        for piece in pieces[1:]
    )
