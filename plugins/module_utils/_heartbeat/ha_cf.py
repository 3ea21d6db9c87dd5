# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and check ha.cf of Heartbeat 3.0.6 in haresources mode.

Heartbeat has no test mode, and one bad line stops it for good. So this follows its parser; each rule was tried on
Heartbeat itself. It also reports what Heartbeat silently ignores, such as a second value. All checks take any text and
never raise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.values import (
    ERROR,
    LONGEST_LINE,
    MISSING,
    WARNING,
    Check,
    Problem,
    anything,
    boolean,
    check_autojoin,
    check_boolean,
    check_env,
    check_failback,
    check_ipv4,
    check_ipv6,
    check_name,
    check_off,
    check_path,
    check_time,
    milliseconds,
    one_of,
    seconds,
    whole_number,
)

_MOST_LINKS = 63  # with 64, Heartbeat was seen to crash
MOST_MEDIA = 64  # links and ping nodes


_FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp"),
    *(f"local{number}" for number in range(8)),
    "none",
)
_MOST = 10**9 - 1


# Directives with one value. Heartbeat accepts several values and lines, and takes the last: never what was meant.
_SINGLE: dict[str, Check] = {
    **dict.fromkeys(("keepalive", "deadtime", "warntime", "initdead", "deadping", "conn_logd_time"), check_time),
    **dict.fromkeys(("realtime", "use_logd", "log_badpack", "syslogmsgfmt", "coredumps"), check_boolean),
    **dict.fromkeys(("traditional_compression", "use_apphbd", "nice_failback"), check_boolean),
    **dict.fromkeys(("record_config_changes", "record_pengine_inputs", "enable_config_writes"), check_boolean),
    **dict.fromkeys(("crm", "pacemaker"), check_off),
    **dict.fromkeys(("logfile", "debugfile", "coreroot", "watchdog"), check_path),
    **dict.fromkeys(("cluster", "quorum_server"), anything),
    **dict.fromkeys(("compression_threshold", "max_rexmit_delay", "memreserve"), whole_number(1, _MOST)),
    "auto_failback": check_failback,
    "autojoin": check_autojoin,
    "baud": one_of("9600", "19200", "38400", "57600", "115200", "230400", "460800"),
    "compression": one_of("zlib", "bz2"),
    "debug": whole_number(0, 255),
    "hbgenmethod": one_of("file", "time"),
    "hopfudge": whole_number(0, 255),
    "logfacility": one_of(*_FACILITIES),
    "msgfmt": one_of("classic", "netstring"),
    "rtprio": whole_number(1, 99),
    "udpport": whole_number(1, 65535),
    "uuidfrom": one_of("file", "nodename"),
}


# Directives with any number of values, separated by blanks or commas.
_LISTS: dict[str, Check] = {
    "node": check_name,
    "bcast": anything,
    "udp": anything,
    "serial": check_path,
    "ping": check_ipv4,
    "ping6": check_ipv6,
    "env": check_env,
}
# Directives that take the whole line, in which a comma separates nothing: their syntax and fewest words.
_LINES: dict[str, tuple[str, int]] = {
    "ucast": ("ucast INTERFACE ADDRESS", 2),
    "ucast6": ("ucast6 INTERFACE ADDRESS", 2),
    "mcast": ("mcast INTERFACE GROUP PORT TTL LOOP", 5),
    "mcast6": ("mcast6 INTERFACE GROUP PORT HOPS LOOP", 5),
    "ping_group": ("ping_group NAME ADDRESS...", 2),
    "respawn": ("respawn USER /PROGRAM [ARGUMENT...]", 2),
    "apiauth": ("apiauth CLIENT [uid=USER,...] [gid=GROUP,...]", 2),
    "stonith": ("stonith TYPE FILE", 2),
    "stonith_host": ("stonith_host HOST-or-* TYPE [PARAMETER...]", 2),
}
_EXACT = frozenset(("ucast", "ucast6", "mcast", "mcast6", "stonith"))
_KNOWN = frozenset((*_SINGLE, *_LISTS, *_LINES))
MEDIA = ("bcast", "udp", "ucast", "ucast6", "mcast", "mcast6", "serial")
_PINGS = ("ping", "ping6", "ping_group")
_INTERFACE_MEDIA = ("bcast", "udp", "ucast", "ucast6", "mcast", "mcast6")


@dataclass(frozen=True)
class Directive:
    """One line of ha.cf."""

    line: int
    name: str
    values: tuple[str, ...]

    @property
    def shown(self) -> str:
        """Return the values without those that may be a fencing device's password."""
        return " ".join(self.values[:2] if self.name == "stonith_host" else self.values)


@dataclass(frozen=True)
class HaCf:
    """An ha.cf: its lines of known directives, in their order, which matters."""

    directives: tuple[Directive, ...]

    def named(self, *names: str) -> list[Directive]:
        """Return the lines of these directives, in the order of the file."""
        return [directive for directive in self.directives if directive.name in names]

    def value(self, name: str) -> str | None:
        """Return the value of a directive that takes one; of several, the last one, as Heartbeat does."""
        values = [value for directive in self.named(name) for value in directive.values]
        return values[-1] if values else None

    @property
    def nodes(self) -> list[str]:
        """Return the names of the nodes, in lower case as Heartbeat has them."""
        return [value.lower() for directive in self.named("node") for value in directive.values]

    def meaning(self) -> dict[str, Any]:
        """Return what the file says, whatever its spelling: the same cluster gives the same value.

        Times are seconds, booleans bool, numbers int, lists of names one list; whole-line directives are lists of
        tuples of words. Malformed values remain words.
        """
        found: dict[str, Any] = {}
        for directive in self.directives:
            if directive.name in _LINES:
                found.setdefault(directive.name, []).append(directive.values)
            elif directive.name in _LISTS:
                words = [word.lower() for word in directive.values] if directive.name == "node" else directive.values
                found.setdefault("bcast" if directive.name == "udp" else directive.name, []).extend(words)
            elif directive.values:
                found[directive.name] = _value_of(directive.name, directive.values[-1])
        return found


def _value_of(name: str, word: str) -> Any:
    check = _SINGLE[name]
    if check is check_time and not check_time(word):
        return seconds(word)
    if check in (check_boolean, check_off, check_failback) and not check_boolean(word):
        return boolean(word)
    if re.fullmatch(r"[0-9]{1,9}", word) and check not in (anything, check_path):
        return int(word)
    return word


def parse_ha_cf(text: str) -> tuple[HaCf, list[Problem]]:
    """Return the lines of an ha.cf, and the unusable ones: unknown directives, without values, too long."""
    directives, problems = [], []
    for number, raw in enumerate(text.split("\n"), 1):
        if len(raw.encode("utf-8", "replace")) > LONGEST_LINE:
            problems.append(Problem(number, "", "", f"is longer than {LONGEST_LINE} bytes, where Heartbeat cuts it"))
            continue
        line = raw.split("#", 1)[0].split("\r", 1)[0].strip(" \t\f")
        if not line:
            continue
        name, *rest = re.split(r"[ \t\f]+", line, maxsplit=1)
        separators = r"[ \t\f]+" if name in _LINES else r"[ \t\f,]+"
        values = tuple(word for word in re.split(separators, rest[0] if rest else "") if word)
        if name not in _KNOWN:
            problems.append(Problem(number, name[:80], "", f"is no directive of Heartbeat's{_did_you_mean(name)}"))
        elif re.search(r"[^\x09\x0c\x20-\U0010ffff]", line):
            problems.append(Problem(number, name, "", "has a control character"))
        elif not values:
            problems.append(Problem(number, name, "", "has no value; Heartbeat would ignore the line"))
        else:
            directives.append(Directive(number, name, values))
    return HaCf(tuple(directives)), problems


def _did_you_mean(name: str) -> str:
    lower = re.split(r"[,=:]", name.lower(), maxsplit=1)[0]
    if lower in _KNOWN:
        return f"; write '{lower}' in lower case, a blank, and its value"
    near = difflib.get_close_matches(lower[:40], sorted(_KNOWN), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def check_ha_cf(
    text: str,
    node: str,
    *,
    interfaces: Collection[str] | None = None,
    users: Container[str] | None = None,
    executables: Container[str] | None = None,
) -> list[Problem]:
    """Return everything wrong with an ha.cf for the host that calls itself `node` (`uname -n`).

    What the file names on the host is checked only if you give what the host has: the names of its network interfaces
    and of its users, and the paths of its executable files. The last two only have to answer `in`, so they may look
    when they are asked.
    """
    config, problems = parse_ha_cf(text)
    problems += _check_values(config)
    problems += _check_lines(config, users, executables)
    problems += _check_nodes(config, node)
    problems += _check_media(config, interfaces)
    problems += _check_times(config)
    problems += _check_logging(config)
    problems += _check_rest(config, node)
    return sorted(set(problems), key=lambda problem: (problem.line, problem.directive, problem.value, problem.problem))


def _check_values(config: HaCf) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for directive in config.directives:
        check = _SINGLE.get(directive.name) or _LISTS.get(directive.name)
        if not check:
            continue
        for value in directive.values:
            wrong = check(value)
            if wrong:
                shown = value.split("=", 1)[0] if directive.name == "env" else value
                yield Problem(directive.line, directive.name, shown, wrong)
        if directive.name not in _SINGLE:
            continue
        if len(directive.values) > 1:
            yield Problem(directive.line, directive.name, directive.shown, "takes one value; the last one would count")
        if directive.name in first:
            where = f"is given already in line {first[directive.name]}; give it once"
            yield Problem(directive.line, directive.name, directive.shown, where)
        first.setdefault(directive.name, directive.line)


def _check_lines(config: HaCf, users: Container[str] | None, executables: Container[str] | None) -> Iterator[Problem]:
    clients: dict[str, int] = {}
    for directive in config.directives:
        if directive.name not in _LINES:
            continue
        syntax, words = _LINES[directive.name]
        if len(directive.values) < words or (directive.name in _EXACT and len(directive.values) > words):
            comma = ", with blanks and no commas between" if "," in "".join(directive.values) else ""
            yield Problem(directive.line, directive.name, directive.shown, f"must be written {syntax}{comma}")
        elif directive.name == "respawn":
            yield from _check_respawn(directive, users, executables)
        elif directive.name == "apiauth":
            yield from _check_apiauth(directive, users, clients)


def _check_respawn(
    directive: Directive, users: Container[str] | None, executables: Container[str] | None
) -> Iterator[Problem]:
    user, program = directive.values[:2]
    if users is not None and user not in users:
        yield Problem(directive.line, "respawn", user, "no such user on this host", MISSING)
    if not program.startswith("/"):
        yield Problem(directive.line, "respawn", program, "must be the absolute path of a program")
    elif executables is not None and program not in executables:
        name = program.rsplit("/", 1)[1]
        debian = f"/usr/libexec/heartbeat/{name}"
        hint = f"; Debian has {debian}" if name in ("ipfail", "dopd", "ccm") and program != debian else ""
        yield Problem(directive.line, "respawn", program, f"no such executable file on this host{hint}", MISSING)


def _check_apiauth(directive: Directive, users: Container[str] | None, clients: dict[str, int]) -> Iterator[Problem]:
    client, *lists = directive.values
    if client in clients:
        yield Problem(directive.line, "apiauth", client, f"is given already in line {clients[client]}; give it once")
    clients.setdefault(client, directive.line)
    kinds = [word.partition("=")[0] for word in lists]
    if not set(kinds) <= {"uid", "gid"} or len(kinds) != len(set(kinds)) or any(word[4:] == "" for word in lists):
        yield Problem(directive.line, "apiauth", directive.shown, f"must be written {_LINES['apiauth'][0]}, each once")
        return
    for word in lists:
        for user in word[4:].split(",") if word.startswith("uid=") else ():
            if users is not None and not user.isdigit() and user not in users:
                yield Problem(directive.line, "apiauth", user, "no such user on this host", MISSING)


def _check_nodes(config: HaCf, node: str) -> Iterator[Problem]:
    nodes = config.nodes
    line = max((directive.line for directive in config.named("node")), default=0)
    for name in sorted({name for name in nodes if nodes.count(name) > 1}):
        yield Problem(line, "node", name, "is named twice (upper and lower case are the same)")
    if len(set(nodes)) != 2:
        problem = f"names {len(set(nodes))} nodes; haresources, hb_standby and ipfail need exactly two"
        yield Problem(line, "node", " ".join(nodes), problem)
    if node.lower() not in nodes:
        yield Problem(line, "node", " ".join(nodes), f"must name this host, which calls itself {node!r} (uname -n)")


def _check_media(config: HaCf, interfaces: Collection[str] | None) -> Iterator[Problem]:
    if not config.named(*MEDIA):
        yield Problem(0, "", "", "needs at least one link: ucast, bcast, mcast or serial; a ping is none")
    links, pings = (
        sum(len(line.values) if line.name in _LISTS else 1 for line in config.named(*names))
        for names in (MEDIA, _PINGS)
    )
    if links > _MOST_LINKS:
        yield Problem(0, "", str(links), f"links; Heartbeat may crash with more than {_MOST_LINKS}")
    if links + pings > MOST_MEDIA:
        yield Problem(0, "", str(links + pings), f"links and ping nodes; Heartbeat takes at most {MOST_MEDIA}")
    yield from _check_order(config, "udpport", ("bcast", "udp", "ucast", "ucast6"))
    yield from _check_order(config, "baud", ("serial",))
    if config.named("baud") and not config.named("serial"):
        line = config.named("baud")[0]
        yield Problem(line.line, "baud", line.shown, "means nothing without a serial link", WARNING)
    seen: set[tuple[str, ...]] = set()
    for directive in config.named(*MEDIA):
        for words in [(value,) for value in directive.values] if directive.name in _LISTS else [directive.values]:
            link = (directive.name, *words)
            if link in seen:
                yield Problem(
                    directive.line, directive.name, " ".join(words), "the same link twice adds nothing", WARNING
                )
            seen.add(link)
            if interfaces is not None and directive.name in _INTERFACE_MEDIA and words[0] not in interfaces:
                has = ", ".join(sorted(interfaces)) or "none"
                problem = f"no such network interface on this host, which has {has}"
                yield Problem(directive.line, directive.name, words[0], problem)
        yield from _check_address(directive)
    for directive in config.named("ping_group"):
        for address in directive.values[1:]:
            wrong = check_ipv4(address)
            if wrong:
                yield Problem(directive.line, "ping_group", address, wrong)
    for directive in config.named("udp"):
        yield Problem(directive.line, "udp", directive.shown, "is the old name of bcast; write bcast", WARNING)


def _check_order(config: HaCf, name: str, media: tuple[str, ...]) -> Iterator[Problem]:
    links = config.named(*media)
    for directive in config.named(name):
        if links and directive.line > links[0].line:
            problem = f"must come before the links that it affects; {links[0].name} is in line {links[0].line}"
            yield Problem(directive.line, name, directive.shown, problem)


def _check_address(directive: Directive) -> Iterator[Problem]:
    words = directive.values
    if directive.name not in ("ucast", "ucast6", "mcast", "mcast6") or len(words) != _LINES[directive.name][1]:
        return
    six = directive.name.endswith("6")
    wrong = (check_ipv6 if six else check_ipv4)(words[1])
    if wrong:
        yield Problem(directive.line, directive.name, words[1], wrong)
    if not directive.name.startswith("mcast"):
        return
    if not wrong and not ip_address(words[1]).is_multicast:
        yield Problem(directive.line, directive.name, words[1], "must be a multicast group")
    for word, what, check in (
        (words[2], "the port", whole_number(1, 65535)),
        (words[3], "the hops" if six else "the ttl", whole_number(1, 255)),
        (words[4], "the last value, loop,", whole_number(0, 0)),
    ):
        wrong = check(word)
        if wrong:
            yield Problem(directive.line, directive.name, word, f"{what} {wrong.replace('from 0 to 0', '0')}")


_TIMES = {"keepalive": 1000, "deadtime": 30_000}  # Heartbeat's defaults, in milliseconds


def _check_times(config: HaCf) -> Iterator[Problem]:
    times = dict(_TIMES)
    for name in ("keepalive", "deadtime", "warntime", "initdead", "deadping"):
        value = config.value(name)
        if value is not None:
            if check_time(value):
                return  # reported with its value; relations would only repeat it
            times[name] = milliseconds(value)
    orders = (
        ("deadtime", "keepalive", 2, True, ERROR),
        ("deadping", "keepalive", 2, True, ERROR),
        ("initdead", "deadtime", 1, False, ERROR),
        ("deadtime", "warntime", 1, True, WARNING),
    )
    for longer, shorter, factor, strictly, level in orders:
        if longer not in times or shorter not in times:
            continue
        least = factor * times[shorter]
        if times[longer] < least or (strictly and times[longer] == least):
            line = max((directive.line for directive in config.named(longer, shorter)), default=0)
            relation = f"{'longer than' if strictly else 'at least'} {'twice ' if factor == 2 else ''}{shorter}"
            yield Problem(line, longer, f"{times[longer]}ms", f"must be {relation} ({times[shorter]}ms)", level)
    if times.get("initdead", 12_000) < 10_000:
        directive = config.named("initdead")[-1]
        problem = "is below 10 s: a network that comes up later at boot makes both directors active"
        yield Problem(directive.line, "initdead", directive.shown, problem, WARNING)


def _check_logging(config: HaCf) -> Iterator[Problem]:
    # Facilities none and kern do not count: Heartbeat tests for a number above 0.
    targets = [line for line in config.named("logfile", "debugfile", "logfacility") if line.values[-1] not in _MUTE]
    daemon = config.value("use_logd")
    if daemon is not None and check_boolean(daemon):
        return
    line = max((directive.line for directive in config.named("use_logd")), default=0)
    if daemon is not None and boolean(daemon):
        for target in targets:
            problem = "means nothing beside use_logd on; ha_logd has its own file"
            yield Problem(target.line, target.name, target.shown, problem, WARNING)
    elif not targets and daemon is not None:
        yield Problem(line, "use_logd", daemon, "off leaves no log; give logfile, debugfile or logfacility")
    elif not targets:
        problem = "no logfile, debugfile or logfacility: Heartbeat logs to ha_logd, which may not run"
        yield Problem(0, "", "", problem, WARNING)


_MUTE = ("none", "kern")


def _check_rest(config: HaCf, node: str) -> Iterator[Problem]:
    if not config.named("auto_failback", "nice_failback"):
        problem = "must be given, on or off: the default, legacy, disables hb_standby and ipfail"
        yield Problem(0, "auto_failback", "", problem)
    for directive in config.named("nice_failback"):
        problem = "is obsolete and read as its opposite; write auto_failback on or off"
        yield Problem(directive.line, directive.name, directive.shown, problem)
    for directive in config.named("stonith_host"):
        if directive.values[0].lower() not in ("*", *config.nodes):
            problem = (
                "is no node of this file, and Heartbeat ignores the line: name the node that uses the device, or *"
            )
            yield Problem(directive.line, directive.name, directive.values[0], problem, WARNING)
    fencing = [
        directive
        for directive in config.named("stonith", "stonith_host")
        if directive.name == "stonith" or directive.values[0].lower() in ("*", node.lower())
    ]
    for directive in fencing[:-1]:
        problem = f"Heartbeat keeps one fencing device for a host, here the one of line {fencing[-1].line}"
        yield Problem(directive.line, directive.name, directive.shown, problem)
    for directive in config.named("respawn"):
        if directive.values[1:2] and directive.values[1].endswith("/ipfail") and not config.named(*_PINGS):
            problem = "ipfail compares what the nodes can ping; there is no ping node"
            yield Problem(directive.line, "respawn", directive.values[1], problem, WARNING)


def deadtime_of(config: HaCf) -> int:
    """Return the deadtime in milliseconds, or Heartbeat's default if none is given; 0 if it is no time."""
    return _time_of(config, "deadtime")


def keepalive_of(config: HaCf) -> int:
    """Return the same of keepalive."""
    return _time_of(config, "keepalive")


def _time_of(config: HaCf, name: str) -> int:
    try:
        return milliseconds(config.value(name) or f"{_TIMES[name]}ms")
    except ValueError:
        return 0
