# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ldirectord has in its own tables, and what its checks read and need; 4.12 and 4.16 are the same program.

docs/checks.md says the same in words, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SERVICE_PORTS = {  # ldirectord's own table, from the service of a check to its port and back
    "ftp": 21,
    "smtp": 25,
    "dns": 53,
    "http": 80,
    "pop": 110,
    "nntp": 119,
    "imap": 143,
    "ldap": 389,
    "https": 443,
    "submission": 587,
    "ldaps": 636,
    "imaps": 993,
    "pops": 995,
    "oracle": 1521,
    "radius": 1812,
    "http_proxy": 3128,
    "mysql": 3306,
    "sip": 5060,
    "pgsql": 5432,
}
SERVICE_OF_PORT = {port: service for service, port in SERVICE_PORTS.items()}


NEGOTIATE, SHORTER, KERNEL = "negotiate", "shorter", "kernel"


@dataclass(frozen=True)
class Check:
    """What one protocol of a negotiate check reads of its options, which of them it can't do without, and of what.

    needs: options, and what each has to say; packages: of Debian, which ldirectord's does not depend on; limit: what
    ends it where nobody answers, NEGOTIATE, the SHORTER one of both time limits, or the KERNEL, as no limit reaches the
    connect; again: seconds until it tries a second time, also where the first one was refused.
    """

    reads: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    waits: bool = False  # for ever, for a server that takes the connection and says nothing
    limit: str = NEGOTIATE
    again: int = 0


_MAILBOX = Check(("login", "password"), waits=True)
# Net::IMAP::Simple 1.2211 has _retry() and _retry_delay().
_MAILBOXES = Check(("login", "password"), waits=True, again=5)
_ENTRY = Check(("request", "receive", "login", "password"), limit=SHORTER)
_TABLE = ("request", "login", "password", "database")
_ROW = {"login": "a user", "request": "a query that returns a row"}
_HTTP = ("request", "receive", "http_method")
CHECKS: Mapping[str, Check] = {
    "http": Check((*_HTTP, "virtualhost")),
    "https": Check((*_HTTP, "virtualhost"), packages=("liblwp-protocol-https-perl",)),
    "http_proxy": Check(_HTTP, {"request": "the address of a page, such as http://www.example.com/"}),
    "ftp": Check(("request", "receive", "login", "password")),
    "dns": Check(
        ("request", "receive"),
        {"request": "the name that is looked up", "receive": "a pattern that its address matches, such as 192.0.2"},
    ),
    "smtp": Check(),
    "submission": Check(),
    "pop": _MAILBOX,
    "pops": _MAILBOX,
    "imap": _MAILBOXES,
    "imaps": _MAILBOXES,
    "ldap": _ENTRY,
    "ldaps": _ENTRY,
    "mysql": Check(_TABLE, _ROW, ("libdbd-mysql-perl",)),
    # The driver would take what follows an empty name for the name.
    "pgsql": Check(_TABLE, {**_ROW, "database": "the database's name"}, ("libdbd-pg-perl",)),
    "oracle": Check(_TABLE, _ROW, waits=True, limit=KERNEL),
    "nntp": Check(limit=KERNEL),  # check_nntp() calls the limit TimeOut, and IO::Socket reads Timeout
    "sip": Check(("login",)),
    "radius": Check(
        ("login", "password", "secret"),
        {"login": "a user", "password": "that user's password", "secret": "what the servers share"},
        limit=SHORTER,
    ),
    "simpletcp": Check(("request", "receive")),
}  # `none` checks nothing
# Types that `vip-probe` stands in for: it asks the VIP, and then lets ldirectord go on with the check as it is.
PATH_TYPES = ("connect", "negotiate")
# Whose name the file has to have: read_config() gives the login of these a default only then, and the role the other
# two a time limit.
NAMED = ("ftp", "sip", "mysql", "pgsql")
