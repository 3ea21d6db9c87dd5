# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read ldirectord.cf, version 4.12, by ldirectord's own grammar.

`parse` returns what a file says and `effective` what ldirectord makes of it. It is stricter in one thing: if ldirectord
would silently use a part of a value, such as '5' of 'checktimeout = 1.5', that is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import SERVICE_OF_PORT, SERVICE_PORTS

FORWARDING = ("gate", "masq", "ipip")
# Names of /etc/services that stand for ports in such files.
NAMED_PORTS = {
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "www": 80,
    "pop3": 110,
    "nntp": 119,
    "ntp": 123,
    "imap2": 143,
    "imap": 143,
    "ldap": 389,
    "https": 443,
    "submission": 587,
    "ldaps": 636,
    "imaps": 993,
    "pop3s": 995,
    "radius": 1812,
    "mysql": 3306,
    "sip": 5060,
    "postgresql": 5432,
}
CHECK_TYPES = ("connect", "negotiate", "ping", "off", "on", "external", "external-perl")
_ALERT_STATES = ("all", "none", "starting", "running", "stopping", "reloading")


class ConfigError(ValueError):
    """A line that ldirectord refuses, or would not read as it is written."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


class _BadValueError(ValueError):
    """What is wrong with a value, before its line is known."""


_Reader = Callable[[str], Any]


def _whole(low: int, high: int = 10**9 - 1) -> _Reader:
    def read(text: str) -> int:
        match = re.fullmatch(r"([0-9]{1,9})\s*(#.*)?", text)
        if not match or not low <= int(match[1]) <= high:
            raise _BadValueError(
                f"must be a whole number of at least {low}" + (f", at most {high}" if high < 10**8 else "")
            )
        return int(match[1])

    return read


def _yes_no(text: str) -> bool:
    # ldirectord compares the whole rest of the line, so not even a blank may follow.
    if text not in ("yes", "no"):
        raise _BadValueError("must be yes or no, with nothing behind it, not even a blank")
    return text == "yes"


def _word(*words: str) -> _Reader:
    def read(text: str) -> str:
        word = text.strip()
        if word not in words:
            raise _BadValueError(f"must be one of {', '.join(words)}")
        return word

    return read


def _quoted(text: str) -> str:
    # Greedy, as in ldirectord: up to the last quote of the line, and what follows that is ignored.
    match = re.match(r'"(.*)"(.*)', text)
    if not match or not match[1]:
        raise _BadValueError('must stand in double quotes and not be empty: "text"')
    if match[2].strip() and not match[2].lstrip().startswith("#"):
        raise _BadValueError("has something behind its closing quote, which ldirectord ignores")
    return match[1]


def _maybe_quoted(text: str) -> str:
    match = re.match(r'"(.*)"', text)
    found = match[1] if match else text
    if not found:
        raise _BadValueError("must not be empty")
    return found


def _plain(text: str) -> str:
    if not text:
        raise _BadValueError("must not be empty")
    return text


def _free(text: str) -> str:
    return text


def _path(text: str) -> str:
    quoted = _quoted(text)
    return quoted if quoted.startswith("/") else "/" + quoted


def _scheduler(text: str) -> str:
    if not re.fullmatch(r"[a-z]+", text.strip()):
        raise _BadValueError("must be lower-case letters, such as wrr")
    return text.strip()


def _check_type(text: str) -> str | int:
    word = text.strip()
    if word in CHECK_TYPES:
        return word
    if re.fullmatch(r"[0-9]{1,9}", word):
        return int(word)
    raise _BadValueError(f"must be one of {', '.join(CHECK_TYPES)}, or a number of connects between two negotiations")


def _http_method(text: str) -> str:
    return str(_word("GET", "HEAD")(text.upper()))


def _virtual_host(text: str) -> str:
    return text.strip('"')


def _mail_server(text: str) -> str:
    match = re.match(r"[0-9A-Za-z._+-]+", text)
    if not match:
        raise _BadValueError("must be a host name or an address")
    return match[0]


def _states(text: str) -> list[str]:
    words = re.split(r"\s*,\s*", text.strip())
    if not set(words) <= set(_ALERT_STATES):
        raise _BadValueError(f"must be one or more of {', '.join(_ALERT_STATES)}")
    if "none" in words and len(set(words)) > 1:
        raise _BadValueError("none excludes the others")
    return sorted(set(words))


_BOTH: dict[str, _Reader] = {
    **dict.fromkeys(("checktimeout", "negotiatetimeout", "checkinterval", "checkcount", "failurecount"), _whole(1)),
    **dict.fromkeys(("quiescent", "cleanstop"), _yes_no),
    "emailalert": _maybe_quoted,
    "emailalertfreq": _whole(0),
    "emailalertstatus": _states,
    "smtp": _mail_server,
}
_GLOBAL: dict[str, _Reader] = {
    **_BOTH,
    **dict.fromkeys(("autoreload", "fork", "supervised", "readdquiescent"), _yes_no),
    **dict.fromkeys(("callback", "logfile"), _quoted),
    **dict.fromkeys(("fallbackcommand", "emailalertfrom", "maintenancedir", "execute"), _plain),
}
_VIRTUAL: dict[str, _Reader] = {
    **_BOTH,
    **dict.fromkeys(("receive", "login", "passwd", "database", "secret", "load"), _quoted),
    **dict.fromkeys(("checkcommand", "fallbackcommand", "monitorfile"), _maybe_quoted),
    **dict.fromkeys(("servicename", "comment"), _free),
    "checkport": _whole(1, 65535),
    "checktype": _check_type,
    "httpmethod": _http_method,
    "netmask": _plain,
    "ops": _yes_no,
    "persistent": _whole(0),
    "protocol": _word("tcp", "udp", "fwm"),
    "request": _path,
    "schedflags": _plain,
    "scheduler": _scheduler,
    "service": _word(*SERVICE_PORTS, "none", "simpletcp"),
    "virtualhost": _virtual_host,
}
_INSTEAD = {"connecttimeout": "negotiatetimeout", "timeout": "checktimeout and negotiatetimeout"}


def _address(text: str, family: int) -> str:
    """Return an address or a host name, which this does not resolve."""
    if family == 6:
        if not re.fullmatch(r"\[[0-9A-Fa-f:]+\]", text):
            raise _BadValueError(f"{text!r} must be an IPv6 address in brackets")
        try:
            return str(IPv6Address(text[1:-1]))
        except AddressValueError:
            raise _BadValueError(f"{text!r} is no IPv6 address") from None
    if re.fullmatch(r"[0-9.]+", text):
        try:
            return str(IPv4Address(text))
        except AddressValueError:
            raise _BadValueError(f"{text!r} is no IPv4 address") from None
    if not re.fullmatch(r"[A-Za-z0-9.-]+", text):
        raise _BadValueError(f"{text!r} is no IPv4 address and no host name")
    return text


def _port(text: str, ports: Mapping[str, int]) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text):
        if int(text) > 65535:
            raise _BadValueError(f"port {text} is above 65535")
        return int(text)
    if text not in ports:
        raise _BadValueError(f"port {text!r} is unknown")
    return ports[text]


_HOST = r"\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+"
_REAL = re.compile(rf"(?P<first>{_HOST})(->(?P<last>{_HOST}))?(:(?P<port>[A-Za-z0-9_-]+))?\s+(?P<flags>\S.*)")
_FLAGS = re.compile(
    r"(?P<forwarding>\w+)(\s+(?P<weight>[0-9]{1,9}))?"
    r'(\s+"(?P<request>.*)"[, ]\s*"(?P<receive>.*)")?'
    r"(\s+l:(?P<lower>[0-9]{1,9}))?(\s+u:(?P<upper>[0-9]{1,9}))?\s*"
)
_FALLBACK = re.compile(rf"(?P<host>{_HOST})(:(?P<port>[A-Za-z0-9_-]+))?(\s+(?P<forwarding>\S+))?\s*")
_MOST_IN_RANGE = 65536


def _real_servers(text: str, family: int, ports: Mapping[str, int]) -> list[dict[str, Any]]:
    match = _REAL.fullmatch(text)
    flags = _FLAGS.fullmatch(match["flags"]) if match else None
    if not match or not flags:
        six = "[ADDRESS]" if family == 6 else "ADDRESS[->ADDRESS]"
        raise _BadValueError(f'must be {six}[:PORT] gate|masq|ipip [WEIGHT] ["REQUEST", "RECEIVE"] [l:N] [u:N]')
    server: dict[str, Any] = {
        "port": _port(match["port"], ports) if match["port"] else 0,
        "forwarding": _word(*FORWARDING)(flags["forwarding"]),
        "weight": int(flags["weight"] or 1),
    }
    if flags["request"] is not None:
        if flags["request"].startswith("/"):
            raise _BadValueError("must have a request without its slash: with one, ldirectord forgets both texts")
        server["request"] = "/" + flags["request"]
        server["receive"] = flags["receive"]
    if flags["lower"]:
        server["lower_threshold"] = int(flags["lower"])
    if flags["upper"]:
        server["upper_threshold"] = int(flags["upper"])
    first = _address(match["first"], family)
    if not match["last"]:
        return [{"address": first, **server}]
    return [{"address": address, **server} for address in _range(first, _address(match["last"], family), family)]


def _range(first: str, last: str, family: int) -> list[str]:
    try:
        low, high = int(IPv4Address(first)), int(IPv4Address(last))
    except AddressValueError:
        raise _BadValueError("a range needs " + ("IPv4 addresses" if family == 6 else "addresses, not names")) from None
    if not low <= high < low + _MOST_IN_RANGE:
        raise _BadValueError(f"a range must end at or above its beginning and have at most {_MOST_IN_RANGE} addresses")
    return [str(IPv4Address(number)) for number in range(low, high + 1)]


def _fallback(text: str, family: int, ports: Mapping[str, int]) -> dict[str, Any]:
    match = _FALLBACK.fullmatch(text)
    if not match:
        raise _BadValueError("must be ADDRESS[:PORT] [gate|masq|ipip]")
    return {
        "address": _address(match["host"], family),
        "port": _port(match["port"], ports) if match["port"] else None,
        "forwarding": _word(*FORWARDING)(match["forwarding"] or "gate"),
    }


class _Parser:
    def __init__(self, text: str, ports: Mapping[str, int]) -> None:
        self.lines = text.removesuffix("\n").split("\n")
        self.ports = ports
        self.settings: dict[str, Any] = {}
        self.services: list[dict[str, Any]] = []
        self.seen: set[tuple[Any, ...]] = set()

    def run(self) -> dict[str, Any]:
        index = 0
        while index < len(self.lines):
            line = self.lines[index]
            virtual = re.match(r"virtual(6)?\s*=\s*(.*)", line)
            try:
                if virtual:
                    service = self._identity(virtual[2], 6 if virtual[1] else 4)
                elif line.strip() and not line.lstrip().startswith("#"):
                    self._global(line)
            except _BadValueError as bad:
                raise ConfigError(index + 1, str(bad)) from None
            index += 1
            if virtual:
                index = self._block(service, index)
        return {**self.settings, "virtual": self.services}

    def _global(self, line: str) -> None:
        before, equals, behind = line.partition("=")
        name, value = before.rstrip(), behind.lstrip()
        if line[:1] in (" ", "\t"):
            raise _BadValueError("is indented, but by less than four spaces or outside a virtual service")
        if name == "supervised" and not equals:
            self.settings["supervised"] = True
        elif name in _INSTEAD:
            raise _BadValueError(f"{name} is gone; use {_INSTEAD[name]}")
        elif not equals:
            raise _BadValueError(f"unknown command {line[:80]!r}")
        elif name in ("fallback", "fallback6"):
            self.settings[name] = _fallback(value, 6 if name.endswith("6") else 4, self.ports)
        elif name == "execute":
            self.settings.setdefault("execute", []).append(_plain(value))
        elif name in _GLOBAL:
            self.settings[name] = _read(name, value, _GLOBAL)
        elif name in _VIRTUAL or name in ("real", "real6"):
            raise _BadValueError(f"{name} belongs into a virtual service, indented by a tab or at least four spaces")
        else:
            raise _BadValueError(f"unknown command {line[:80]!r}")

    def _identity(self, text: str, family: int) -> dict[str, Any]:
        text = re.sub(r"\s*(#.*)?$", "", text)
        if re.fullmatch(r"[0-9]{1,9}", text):
            return {"family": family, "fwmark": int(text), "protocol": "fwm"}
        match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[0-9A-Za-z._+-]+):([0-9A-Za-z_-]+)", text)
        if not match:
            raise _BadValueError("must be ADDRESS:PORT or the number of a firewall mark")
        if match[1].startswith("[") and family == 4:
            raise _BadValueError("an IPv6 address needs virtual6")
        return {
            "family": family,
            "address": _address(match[1], family),
            "port": _port(match[2], self.ports),
            "protocol": "udp" if match[2] in ("53", "domain") else "tcp",
        }

    def _block(self, service: dict[str, Any], index: int) -> int:
        """Read the sub-lines of a virtual service; return where it ends."""
        start = index  # the number of the line with 'virtual', as lines count from 1
        service["real_servers"] = []
        if index == len(self.lines):
            # ldirectord would read the line again and report a duplicate.
            raise ConfigError(start, "a virtual service without sub-lines can't end the file")
        while index < len(self.lines):
            raw = self.lines[index]
            if not re.match(r"\s*#", raw):
                # A line that is not indented, an empty one as well, ends the service.
                match = re.match(r" {4,}(.+)", raw.split("#", 1)[0].replace("\t", "    "))
                if not match:
                    break
                try:
                    self._setting(service, match[1])
                except _BadValueError as bad:
                    raise ConfigError(index + 1, str(bad)) from None
            index += 1
        if _key(service) in self.seen:
            raise ConfigError(start, "the same virtual service is given twice")
        self.seen.add(_key(service))
        self.services.append(service)
        return index

    def _setting(self, service: dict[str, Any], command: str) -> None:
        match = re.match(r"([a-z0-9]+)\s*=\s*(.*)", command)
        name, value = (match[1], match[2]) if match else ("", "")
        six = "6" if service["family"] == 6 else ""
        if name.rstrip("6") in ("real", "fallback") and name != name.rstrip("6") + six:
            raise _BadValueError(f"{name} does not belong here; write {name.rstrip('6')}{six}")
        if name == f"real{six}":
            service["real_servers"] += _real_servers(value, service["family"], self.ports)
        elif name == f"fallback{six}":
            service["fallback"] = _fallback(value, service["family"], self.ports)
            if service["fallback"]["port"] is None:
                service["fallback"]["port"] = service.get("port", 0)
        elif name == "connecttimeout":
            raise _BadValueError(f"{name} is gone; use {_INSTEAD[name]}")
        elif name not in _VIRTUAL:
            raise _BadValueError(f"unknown command {command.strip()[:80]!r}")
        else:
            service[name] = _read(name, value, _VIRTUAL)
            if name == "protocol" and (service[name] == "fwm") != ("fwmark" in service):
                raise _BadValueError("protocol must be fwm for a firewall mark, tcp or udp for an address")
            if name == "netmask":
                service[name] = _netmask(value, service["family"])


def _read(name: str, value: str, readers: Mapping[str, _Reader]) -> Any:
    try:
        return readers[name](value)
    except _BadValueError as bad:
        raise _BadValueError(f"{name} {bad}") from None


def _netmask(value: str, family: int) -> str | int:
    if family == 6:
        if not re.fullmatch(r"[0-9]{1,3}", value) or not 1 <= int(value) <= 128:
            raise _BadValueError("netmask must be a prefix length from 1 to 128, with nothing behind it")
        return int(value)
    try:
        return str(IPv4Address(value))
    except AddressValueError:
        raise _BadValueError("netmask must be four numbers with dots, with nothing behind it") from None


def _key(service: Mapping[str, Any]) -> tuple[Any, ...]:
    if "fwmark" in service:
        return ("fwm", service["family"], service["fwmark"])
    return (service["protocol"], service["address"], service["port"])


def parse(text: str, ports: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return what an ldirectord.cf says; ConfigError, with the line, if ldirectord would refuse it.

    The keys are the file's own words, with numbers as int, yes and no as bool, and only what is given. `virtual` is the
    list of services. Each has family, protocol, real_servers, and address and port or fwmark; real servers have
    address, port (0 when none is given), forwarding, weight. Names of hosts remain names; names of ports are looked up
    in `ports`, by default NAMED_PORTS.
    """
    return _Parser(text, NAMED_PORTS if ports is None else ports).run()


_GLOBAL_DEFAULTS: dict[str, Any] = {
    "autoreload": False,
    "checkcount": 1,
    "checkinterval": 10,
    "cleanstop": True,
    "emailalertfreq": 0,
    "emailalertstatus": ["all"],
    "failurecount": 1,
    "fork": False,
    "logfile": "/var/log/ldirectord.log",
    # The manual says yes.
    "quiescent": False,
    "readdquiescent": False,
    "supervised": False,
}
_VIRTUAL_DEFAULTS: dict[str, Any] = {
    "checkcommand": "/bin/true",
    "checktype": "negotiate",
    "httpmethod": "GET",
    "ops": False,
    "receive": "",
    "request": "/",
    "scheduler": "wrr",
}
_INHERITED = (
    *("checkcount", "cleanstop", "emailalert", "emailalertfreq", "emailalertstatus", "failurecount"),
    *("fallbackcommand", "quiescent", "smtp"),
)


def effective(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parsed file with ldirectord's defaults filled in, in the settings and in each service."""
    filled = {**deepcopy(_GLOBAL_DEFAULTS), **deepcopy(dict(config))}
    filled["checktimeout"] = _timeout(config, {}, "checktimeout", "negotiatetimeout", 5)
    filled["negotiatetimeout"] = _timeout(config, {}, "negotiatetimeout", "checktimeout", 30)
    filled["virtual"] = [_effective_service(service, config, filled) for service in config["virtual"]]
    return filled


def _timeout(config: Mapping[str, Any], service: Mapping[str, Any], name: str, other: str, default: int) -> int:
    for source, key in ((service, name), (service, other), (config, name), (config, other)):
        if key in source:
            return int(source[key])
    return default


def _effective_service(
    service: Mapping[str, Any], config: Mapping[str, Any], filled: Mapping[str, Any]
) -> dict[str, Any]:
    found = {**deepcopy(_VIRTUAL_DEFAULTS), **deepcopy(dict(service))}
    for name in _INHERITED:
        if name in filled:
            found.setdefault(name, filled[name])
    # Without a process for each service its own interval is ignored.
    found["checkinterval"] = (filled["fork"] and service.get("checkinterval")) or filled["checkinterval"]
    found["checktimeout"] = _timeout(config, service, "checktimeout", "negotiatetimeout", 5)
    found["negotiatetimeout"] = _timeout(config, service, "negotiatetimeout", "checktimeout", 30)
    found.setdefault("service", SERVICE_OF_PORT.get(service.get("port", 0), "none"))
    if found["service"] == "ftp":
        found.setdefault("login", "anonymous")
    fallback = config.get("fallback6" if service["family"] == 6 else "fallback")
    if "fallback" not in found and fallback and "fwmark" not in service:
        found["fallback"] = {**fallback, "port": service["port"] if fallback["port"] is None else fallback["port"]}
    for server in found["real_servers"]:
        server.setdefault("request", found["request"])
        server.setdefault("receive", found["receive"])
        # The kernel forwards to the service's own port unless it rewrites addresses.
        if server["forwarding"] != "masq" and "port" in service:
            server["port"] = service["port"]
    return found
