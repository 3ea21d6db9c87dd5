# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and check the three files of Heartbeat 3.0.6 in haresources mode: ha.cf, authkeys, haresources; read its log.

Heartbeat has no test mode, and one bad line stops it for good. So this follows its parser, which was asked about each
rule here, and adds what it swallows silently: a second value, a key after which 'auth' comes, a resource that no
script stands for. All checks take any text and never raise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Any

ERROR = "error"  # Heartbeat refuses the file, or the cluster does not work
WARNING = "warning"  # it works, but hardly as meant
MISSING = "missing"  # a user, program or script that this host has not: an error once Heartbeat is installed


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one line; line 0 stands for the whole file. Never holds a secret."""

    line: int
    directive: str
    value: str
    problem: str
    level: str = ERROR


# ---- Values ----------------------------------------------------------------------------------------------------------

Check = Callable[[str], "str | None"]  # what is wrong with a value, None when nothing is

_TIME = re.compile(r"(?P<whole>[0-9]{0,12})(\.(?P<part>[0-9]{0,9}))?(?P<unit>ms|msec|us|usec)?", re.IGNORECASE)
_TIME_ALLOWED = "must be a time: seconds such as 2 or 1.7, or 500ms, or 500us, and no blank before the unit"
_TRUE = frozenset(("true", "on", "yes", "y", "1"))
_FALSE = frozenset(("false", "off", "no", "n", "0"))
LONGEST_LINE = 5119  # bytes; Heartbeat reads what follows as another line
_MOST_LINKS = 63  # it was seen to crash with 64
MOST_MEDIA = 64  # links and ping nodes


def milliseconds(text: str) -> int:
    """Return a time as Heartbeat takes it, in whole milliseconds; ValueError if it is none.

    Stricter than Heartbeat, which reads '1.7.3' as 1.7 and any word that begins with 'ms' as that unit.
    """
    match = _TIME.fullmatch(text)
    if not match or not (match["whole"] or match["part"]):
        raise ValueError(f"{text!r} {_TIME_ALLOWED}")
    billionths = int(match["whole"] or 0) * 10**9 + int((match["part"] or "").ljust(9, "0"))
    divisor = {"": 10**6, "ms": 10**9, "us": 10**12}[(match["unit"] or "").lower()[:2]]
    return (2 * billionths + divisor) // (2 * divisor)


def seconds(text: str) -> float:
    """Return a time as Heartbeat takes it, rounded to milliseconds, in seconds; ValueError if it is none."""
    return milliseconds(text) / 1000


def boolean(text: str) -> bool:
    """Return what Heartbeat takes this word for; ValueError if it is no boolean."""
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} must be on or off")
    return word in _TRUE


def _check_time(value: str) -> str | None:
    try:
        return None if milliseconds(value) > 0 else "must be at least 1 ms"
    except ValueError:
        return _TIME_ALLOWED


def _check_boolean(value: str) -> str | None:
    return None if value.lower() in _TRUE | _FALSE else "must be on or off (or true, yes, y, 1, false, no, n, 0)"


def _check_off(value: str) -> str | None:
    if value.lower() in _FALSE:
        return None
    return "must be off: Pacemaker takes the place of haresources, which Heartbeat then ignores"


def _check_autojoin(value: str) -> str | None:
    return None if value.lower() == "none" else "must be none: haresources and automatic joining exclude each other"


def _check_failback(value: str) -> str | None:
    if value.lower() == "legacy":
        return "must be on or off: with legacy neither hb_standby nor ipfail works"
    return _check_boolean(value)


def _check_path(value: str) -> str | None:
    return None if value.startswith("/") else "must be an absolute path"


def _check_name(value: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", value):
        return None
    return "must be a host name as `uname -n` prints it"


def _check_env(value: str) -> str | None:
    if re.match(r"[A-Za-z_][A-Za-z0-9_]*=", value):
        return None
    return "must be NAME=value; Heartbeat exports it as HA_NAME"


def _number(low: int, high: int) -> Check:
    def check(value: str) -> str | None:
        if re.fullmatch(r"[0-9]{1,9}", value) and low <= int(value) <= high:
            return None
        return f"must be a whole number from {low} to {high}"

    return check


def _one_of(*words: str) -> Check:
    def check(value: str) -> str | None:
        return None if value in words else f"must be one of {', '.join(words)}"

    return check


def _anything(_value: str) -> str | None:
    return None


_FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp"),
    *(f"local{number}" for number in range(8)),
    "none",
)
_MOST = 10**9 - 1

# Directives with one value. Heartbeat accepts several and several lines, and keeps the last: never what was meant.
_SINGLE: dict[str, Check] = {
    **dict.fromkeys(("keepalive", "deadtime", "warntime", "initdead", "deadping", "conn_logd_time"), _check_time),
    **dict.fromkeys(("realtime", "use_logd", "log_badpack", "syslogmsgfmt", "coredumps"), _check_boolean),
    **dict.fromkeys(("traditional_compression", "use_apphbd", "nice_failback"), _check_boolean),
    **dict.fromkeys(("record_config_changes", "record_pengine_inputs", "enable_config_writes"), _check_boolean),
    **dict.fromkeys(("crm", "pacemaker"), _check_off),
    **dict.fromkeys(("logfile", "debugfile", "coreroot", "watchdog"), _check_path),
    **dict.fromkeys(("cluster", "quorum_server"), _anything),
    **dict.fromkeys(("compression_threshold", "max_rexmit_delay", "memreserve"), _number(1, _MOST)),
    "auto_failback": _check_failback,
    "autojoin": _check_autojoin,
    "baud": _one_of("9600", "19200", "38400", "57600", "115200", "230400", "460800"),
    "compression": _one_of("zlib", "bz2"),
    "debug": _number(0, 255),
    "hbgenmethod": _one_of("file", "time"),
    "hopfudge": _number(0, 255),
    "logfacility": _one_of(*_FACILITIES),
    "msgfmt": _one_of("classic", "netstring"),
    "rtprio": _number(1, 99),
    "udpport": _number(1, 65535),
    "uuidfrom": _one_of("file", "nodename"),
}


def _check_ipv4(value: str) -> str | None:
    try:
        IPv4Address(value)
    except AddressValueError:
        return "must be an IPv4 address; Heartbeat does not start while it can't resolve a name"
    return None


def _check_ipv6(value: str) -> str | None:
    try:
        IPv6Address(value)
    except AddressValueError:
        return "must be an IPv6 address"
    return None


# Directives with any number of values, separated by blanks or commas.
_LISTS: dict[str, Check] = {
    "node": _check_name,
    "bcast": _anything,
    "udp": _anything,
    "serial": _check_path,
    "ping": _check_ipv4,
    "ping6": _check_ipv6,
    "env": _check_env,
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
_MEDIA = ("bcast", "udp", "ucast", "ucast6", "mcast", "mcast6", "serial")
_PINGS = ("ping", "ping6", "ping_group")
_INTERFACE_MEDIA = ("bcast", "udp", "ucast", "ucast6", "mcast", "mcast6")


# ---- ha.cf -----------------------------------------------------------------------------------------------------------


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
        """Return the value of a directive that takes one: as in Heartbeat, the last one given."""
        values = [value for directive in self.named(name) for value in directive.values]
        return values[-1] if values else None

    @property
    def nodes(self) -> list[str]:
        """Return the names of the nodes, in lower case as Heartbeat has them."""
        return [value.lower() for directive in self.named("node") for value in directive.values]

    def meaning(self) -> dict[str, Any]:
        """Return what the file says, whatever its spelling: the same cluster gives the same value.

        Times are seconds, booleans bool, numbers int, lists of names one list; whole-line directives are lists of
        tuples of words. Values that are not as they should be remain words.
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
    if check is _check_time and not _check_time(word):
        return seconds(word)
    if check in (_check_boolean, _check_off, _check_failback) and not _check_boolean(word):
        return boolean(word)
    if re.fullmatch(r"[0-9]{1,9}", word) and check not in (_anything, _check_path):
        return int(word)
    return word


def parse_ha_cf(text: str) -> tuple[HaCf, list[Problem]]:
    """Return the lines of an ha.cf, and the lines that are none: unknown directives, without values, too long."""
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

    What the host has is checked only where it is given: the names of its network interfaces, of its users, and the
    paths of its executable files. The last two only have to answer `in`, so they may look when they are asked.
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
    if not config.named(*_MEDIA):
        yield Problem(0, "", "", "needs at least one link: ucast, bcast, mcast or serial; a ping is none")
    links, pings = (
        sum(len(line.values) if line.name in _LISTS else 1 for line in config.named(*names))
        for names in (_MEDIA, _PINGS)
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
    for directive in config.named(*_MEDIA):
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
            wrong = _check_ipv4(address)
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
    wrong = (_check_ipv6 if six else _check_ipv4)(words[1])
    if wrong:
        yield Problem(directive.line, directive.name, words[1], wrong)
    if not directive.name.startswith("mcast"):
        return
    if not wrong and not ip_address(words[1]).is_multicast:
        yield Problem(directive.line, directive.name, words[1], "must be a multicast group")
    for word, what, check in (
        (words[2], "the port", _number(1, 65535)),
        (words[3], "the hops" if six else "the ttl", _number(1, 255)),
        (words[4], "the last value, loop,", _number(0, 0)),
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
            if _check_time(value):
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
    if daemon is not None and _check_boolean(daemon):
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


# ---- authkeys --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuthKey:
    """One key; printing it does not show the secret."""

    line: int = field(compare=False)
    method: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AuthKeys:
    """An authkeys file: the number of the key that signs, and all keys that are accepted."""

    active: int | None
    keys: Mapping[int, AuthKey]


_METHODS = ("sha1", "md5", "crc")


def parse_authkeys(text: str) -> tuple[AuthKeys, list[Problem]]:
    """Return the keys of an authkeys file, and what is wrong with its lines. No problem holds a secret."""
    active: int | None = None
    keys: dict[int, AuthKey] = {}
    problems = []
    for number, raw in enumerate(text.split("\n"), 1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "auth":
            wrong, found = _auth_line(words, active, keys)
            active = found if active is None else active
            problems += [Problem(number, "auth", "" if found is None else str(found), problem) for problem in wrong]
        elif not _check_key_number(words[0]):
            wrong = _key_line(words, keys)
            problems += [Problem(number, "key", str(int(words[0])), problem) for problem in wrong]
            if not wrong:
                keys[int(words[0])] = AuthKey(number, words[1], words[2] if len(words) > 2 else None)
        elif re.fullmatch(r"-?[0-9]{1,4}", words[0]):
            problems.append(Problem(number, "key", words[0], "must be a number from 1 to 15"))
        else:
            problems.append(Problem(number, "", "", "must be 'auth NUMBER' or 'NUMBER METHOD [SECRET]'"))
    return AuthKeys(active, keys), problems


_check_key_number = _number(1, 15)


def _auth_line(words: list[str], active: int | None, keys: Mapping[int, AuthKey]) -> tuple[list[str], int | None]:
    if len(words) != 2 or _check_key_number(words[1]):
        return ["must be 'auth NUMBER', from 1 to 15 and nothing behind it"], None
    problems = []
    if active is not None:
        problems.append("is given twice; one key signs")
    if keys:
        # Heartbeat looks for the active key only in the lines below.
        problems.append("must come before the keys")
    return problems, int(words[1])


def _key_line(words: list[str], keys: Mapping[int, AuthKey]) -> list[str]:
    if int(words[0]) in keys:
        return [f"is given already in line {keys[int(words[0])].line}"]
    if len(words) < 2 or words[1] not in _METHODS:
        # Not shown: what stands there may be the secret itself.
        return ["its method must be sha1, md5 or crc, in lower case"]
    if words[1] == "crc" and len(words) > 2:
        return ["crc takes no secret, and no comment may follow it"]
    if words[1] != "crc" and len(words) < 3:
        return [f"{words[1]} needs a secret"]
    if len(words) > 3:
        return ["its secret ends at the first blank; Heartbeat ignores the rest"]
    return []


def check_authkeys(text: str, installed: str | None = None) -> list[Problem]:
    """Return everything wrong with an authkeys file that replaces the installed one. No problem holds a secret."""
    found, problems = parse_authkeys(text)
    if installed is not None:
        problems += _check_rotation(found, parse_authkeys(installed)[0])
    given = [problem.directive for problem in problems]
    if found.active is None and "auth" not in given:
        problems.append(Problem(0, "auth", "", "is missing: 'auth NUMBER' says which key signs"))
    if found.active is not None and found.active not in found.keys:
        if not any(problem.directive == "key" and problem.value == str(found.active) for problem in problems):
            problems.append(Problem(0, "auth", str(found.active), "there is no key with this number"))
    elif found.active is not None and found.keys[found.active].method == "crc":
        line = found.keys[found.active].line
        problem = "crc signs nothing: anybody on the link can forge a heartbeat; use sha1 unless the link is private"
        problems.append(Problem(line, "key", str(found.active), problem, WARNING))
    return problems


def _check_rotation(new: AuthKeys, old: AuthKeys) -> Iterator[Problem]:
    """Yield what would part the directors while only one of them has the new file.

    A packet carries the number of its key and is dropped unless the receiver has that key under that number, by
    Heartbeat's isauthentic(): each director must know the key that the other one signs with.
    """
    if old.active is None or old.active not in old.keys or new.active is None:
        return
    if new.keys.get(old.active) != old.keys[old.active]:
        problem = "the directors sign with this key: keep it under this number until another one is active"
        yield Problem(0, "key", str(old.active), problem)
    elif new.active in new.keys and old.keys.get(new.active) != new.keys[new.active]:
        problem = "the directors don't have this key yet: give it to them in one run, and make it active in the next"
        yield Problem(0, "key", str(new.active), problem)


# ---- haresources -----------------------------------------------------------------------------------------------------


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
    """Return the groups of an haresources file, and the lines that Heartbeat's two readers take differently."""
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


# The scripts that move addresses, and whose: Debian's refuses IPv6, and the role brings one for that (IPv6addr2).
ADDRESS_SCRIPTS = {"IPaddr2": 4, "IPv6addr2": 6}


def address_resource(address: str, prefix: int, interface: str) -> str:
    """Return the resource that moves an address. '::' separates arguments, so IPv6 is written without it."""
    own = ip_address(address)
    script = next(script for script, version in ADDRESS_SCRIPTS.items() if version == own.version)
    return f"{script}::{own.exploded}/{prefix}/{interface}"


def moved_address(resource: Resource) -> IPv4Address | IPv6Address | None:
    """Return the address that a resource moves, None if it moves none that can be read."""
    if resource.script not in (*ADDRESS_SCRIPTS, "IPaddr") or not resource.arguments:
        return None
    try:
        return ip_address(resource.arguments[0].split("/")[0])
    except ValueError:
        return None


def check_haresources(
    text: str,
    nodes: Collection[str] | None = None,
    *,
    scripts: Container[str] | None = None,
    interfaces: Collection[str] | None = None,
) -> list[Problem]:
    """Return everything wrong with an haresources file.

    `nodes` are those of ha.cf; scripts (names of executable files in resource.d or init.d) and network interfaces are
    those of the host. Each is checked only where it is given.
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

    ResourceManager looks for it, as a pattern and in any place, in all lines: another group may not hold it at all.
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
    elif resource.script in ADDRESS_SCRIPTS:
        for text in _check_address_resource(resource, interfaces):
            yield problem(text)
    if scripts is not None and resource.script not in scripts:
        text = f"no executable file {resource.script} in {_RESOURCE_D} on this host"
        yield problem(text, MISSING)


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
    if broadcast and _check_ipv4(broadcast):
        yield f"{syntax}; the broadcast address must be an IPv4 address"


# ---- Log -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LateHeartbeat:
    """A heartbeat that came later than warntime, as the log of its receiver tells."""

    at: datetime
    node: str
    milliseconds: int


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LATE = re.compile(
    rf"({'|'.join(_MONTHS)}) +([0-9]{{1,2}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) \S+ heartbeat: \[[0-9]+\]: [A-Z]+: "
    r"Late heartbeat: Node (\S+): interval ([0-9]{1,12}) ms"
)


def late_heartbeats(lines: Iterable[str], now: datetime) -> Iterator[LateHeartbeat]:
    """Yield the late heartbeats in the lines of a log, which gives local times without the year."""
    for match in filter(None, map(_LATE.match, lines)):
        month, *numbers = match.groups()[:5]
        at = _latest((_MONTHS.index(month) + 1, *map(int, numbers)), now)
        if at:
            yield LateHeartbeat(at, match[6].lower(), int(match[7]))


def _latest(parts: tuple[int, ...], now: datetime) -> datetime | None:
    """Return the last time that is called so and is not to come, but for a clock that was set back."""
    for year in (now.year, now.year - 1):
        try:
            at = datetime(year, *parts)  # type: ignore[arg-type]
        except ValueError:  # 29 February, or no time at all
            continue
        if at <= now + timedelta(days=1):
            return at
    return None


def worst_late(found: Iterable[LateHeartbeat], config: HaCf, since: datetime) -> dict[str, Any]:
    """Return how late the heartbeats of a cluster's nodes have come since then, and how often.

    What came later than the deadtime is left out, for it ended a death. Ping nodes have a deadtime of their own.
    """
    deadtime = deadtime_of(config)
    counted = [
        each for each in found if each.at >= since and each.node in config.nodes and each.milliseconds <= deadtime
    ]
    worst = max(counted, key=lambda each: each.milliseconds, default=None)
    return {
        "count": len(counted),
        "since": since.isoformat(" ", "seconds"),
        "worst_ms": worst.milliseconds if worst else 0,
        "worst_node": worst.node if worst else "",
        "worst_at": worst.at.isoformat(" ", "seconds") if worst else "",
    }


def deadtime_of(config: HaCf) -> int:
    """Return the deadtime in milliseconds, Heartbeat's default where none is given; 0 when it is no time."""
    try:
        return milliseconds(config.value("deadtime") or f"{_TIMES['deadtime']}ms")
    except ValueError:
        return 0
