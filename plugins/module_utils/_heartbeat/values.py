# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values in Heartbeat's files, what may be wrong with one, and how to report a problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

ERROR = "error"  # Heartbeat refuses the file, or the cluster does not work
WARNING = "warning"  # it works, but hardly as meant
MISSING = "missing"  # a user, program or script that this host lacks: an error once Heartbeat is installed


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one line; line 0 stands for the whole file. Never holds a secret."""

    line: int
    directive: str
    value: str
    problem: str
    level: str = ERROR


Check = Callable[[str], "str | None"]  # what is wrong with a value, None when nothing is


_TIME = re.compile(
    r"(?P<whole>[0-9]{0,12})(\.(?P<part>[0-9]{0,9}))?(?P<unit>ms|msec|us|usec)?", re.ASCII | re.IGNORECASE
)
_TIME_ALLOWED = "must be a time: seconds such as 2 or 1.7, or 500ms, or 500us, and no blank before the unit"
_TRUE = frozenset(("true", "on", "yes", "y", "1"))
_FALSE = frozenset(("false", "off", "no", "n", "0"))
LONGEST_LINE = 5119  # bytes; Heartbeat reads what follows as another line


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
    """Return the boolean that this word means to Heartbeat; ValueError if it means none."""
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} must be on or off")
    return word in _TRUE


def check_time(value: str) -> str | None:
    try:
        return None if milliseconds(value) > 0 else "must be at least 1 ms"
    except ValueError:
        return _TIME_ALLOWED


def check_boolean(value: str) -> str | None:
    return None if value.lower() in _TRUE | _FALSE else "must be on or off (or true, yes, y, 1, false, no, n, 0)"


def check_off(value: str) -> str | None:
    if value.lower() in _FALSE:
        return None
    return "must be off: Pacemaker takes the place of haresources, which Heartbeat then ignores"


def check_autojoin(value: str) -> str | None:
    return None if value.lower() == "none" else "must be none: haresources and automatic joining exclude each other"


def check_failback(value: str) -> str | None:
    if value.lower() == "legacy":
        return "must be on or off: with legacy neither hb_standby nor ipfail works"
    return check_boolean(value)


def check_path(value: str) -> str | None:
    return None if value.startswith("/") else "must be an absolute path"


def check_name(value: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", value):
        return None
    return "must be a host name as `uname -n` prints it"


def check_env(value: str) -> str | None:
    if re.match(r"[A-Za-z_][A-Za-z0-9_]*=", value):
        return None
    return "must be NAME=value; Heartbeat exports it as HA_NAME"


def whole_number(low: int, high: int) -> Check:
    def check(value: str) -> str | None:
        if re.fullmatch(r"[0-9]{1,9}", value) and low <= int(value) <= high:
            return None
        return f"must be a whole number from {low} to {high}"

    return check


def one_of(*words: str) -> Check:
    def check(value: str) -> str | None:
        return None if value in words else f"must be one of {', '.join(words)}"

    return check


def anything(_value: str) -> str | None:
    return None


def check_ipv4(value: str) -> str | None:
    try:
        IPv4Address(value)
    except AddressValueError:
        return "must be an IPv4 address; Heartbeat does not start while it can't resolve a name"
    return None


def check_ipv6(value: str) -> str | None:
    try:
        IPv6Address(value)
    except AddressValueError:
        return "must be an IPv6 address"
    return None
