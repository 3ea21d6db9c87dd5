# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ha-mail writes, and when it gives up; a relay takes its mails in molecule/faults/tests/test_hooks.py."""

from __future__ import annotations

import smtplib
import socket
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import load

mailer = load("roles/ha_hook/files/ha-mail")
hooks = load("roles/ha_hook/files/ha-hooks")

SETTINGS = {"to": ["ops@example.com", "root@example.com"], "from": "ha@example.com", "relay": "127.0.0.1", "port": 25}
VIP = "198.18.20.30"
FACTS = {
    "HA_EVENT": "server_out",
    "HA_TIME": "2026-11-29T11:50:00Z",
    "HA_DIRECTOR": "dir1",
    "HA_VIPS": VIP,
    "HA_HELD": VIP,
    "HA_SERVER": "198.18.20.22",
    "HA_HOST": "real2",
    "HA_SERVICES": "web",
    "HA_REASON": "weight",
    "HA_OUT": "real2:web",
    "HA_DROPPED": "0",
}


def written(**facts):
    """Return the mail of these facts, and its lines."""
    mail = mailer.compose({**FACTS, **facts}, SETTINGS, 0)
    return mail, mail.get_content().splitlines()


def test_a_mail_says_who_when_and_what():
    mail, lines = written()
    assert mail["Subject"] == "dir1 real2 is out of web"
    assert mail["From"] == "ha@example.com"
    assert mail["To"] == "ops@example.com, root@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert lines == [
        "real2 (198.18.20.22) gets no new connections of web: its checks fail, or somebody has set its weight to 0.",
        "",
        "Seen:               2026-11-29T11:50:00Z",
        f"VIPs held here now: {VIP}",
        "Out at present:     real2:web",
    ]


@pytest.mark.parametrize(
    ("facts", "subject", "sentence"),
    [
        ({"HA_EVENT": "takeover"}, f"dir1 holds {VIP}", f"dir1 has taken over {VIP}."),
        ({"HA_EVENT": "loss"}, f"dir1 no longer holds {VIP}", f"dir1 no longer holds {VIP}."),
        (
            {"HA_EVENT": "server_back"},
            "dir1 real2 is back in web",
            "real2 (198.18.20.22) passes, and gets connections of web.",
        ),
        (
            {"HA_EVENT": "reminder"},
            "dir1 still down: real2:web",
            "Some real servers are still down.",
        ),
        (
            {"HA_EVENT": "server_kept"},
            "dir1 real2 fails in web, and is kept in",
            "real2 (198.18.20.22) fails its check of web. It still gets connections: too few others pass"
            " (minimum_alive).",
        ),
        ({"HA_EVENT": "anything"}, "dir1 anything", "anything"),
    ],
)
def test_each_event_has_its_words(facts, subject, sentence):
    mail, lines = written(**facts)
    assert (mail["Subject"], lines[0]) == (subject, sentence)


def test_who_is_kept_in_is_told():
    assert written(HA_KEPT="real1:web")[1][-1] == "Failed and kept in: real1:web"


def test_every_event_of_ha_hooks_has_words():
    watch = hooks.Watch(hooks.Settings())
    for name in ("takeover", "loss", "server_out", "server_kept", "server_back", "reminder"):
        facts = watch.facts(hooks.Event(name, "now", (VIP,), "a", "b", ("c",), "weight" * (name == "server_out")), 3)
        mail = mailer.compose(facts, SETTINGS, 0)
        assert name in mailer.SAYS
        assert "not known" not in mail.get_content()
        assert "Events not mailed:  3" in mail.get_content()


@given(st.lists(st.text(string.ascii_letters + string.digits + "._-:", min_size=1, max_size=40), max_size=600))
def test_a_long_list_breaks_no_line_rule(words):
    """SMTP takes lines of 998 characters: RFC 5321, 4.5.3.1.6."""
    data = written(HA_EVENT="reminder", HA_OUT=" ".join(words))[0].as_bytes()
    assert max(map(len, data.split(b"\n"))) <= 998


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (ConnectionRefusedError(111, "Connection refused"), False),
        (socket.gaierror(-3, "Temporary failure in name resolution"), False),
        (TimeoutError("timed out"), False),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), False),
        (smtplib.SMTPConnectError(421, "busy"), False),
        (smtplib.SMTPSenderRefused(450, b"later", "a@b"), False),
        (smtplib.SMTPSenderRefused(550, b"never", "a@b"), True),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"greylisted"), "c@d": (550, b"unknown")}), False),
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"unknown")}), True),
        (smtplib.SMTPDataError(554, b"spam"), True),
    ],
)
def test_what_would_be_the_same_is_not_tried_again(error, final):
    assert mailer.is_final(error) is final


def test_a_relay_that_is_not_there_is_tried_some_times(monkeypatch, capsys):
    """Of a port that is bound, and on which nobody listens."""
    pauses = []
    monkeypatch.setattr(mailer.time, "sleep", pauses.append)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = {**SETTINGS, "port": nobody.getsockname()[1]}
        assert not mailer.deliver(mailer.compose(FACTS, settings, 0), settings)
    assert tuple(pauses) == mailer.PAUSES
    assert capsys.readouterr().out.count("127.0.0.1 does not take the mail: ") == len(pauses) + 1


ONE, TWO, THREE = "a@example.com", "b@example.com", "c@example.com"
BUSY, NEVER = (450, b"later"), (550, b"unknown")


@pytest.mark.parametrize(
    ("answers", "asked", "taken"),
    [
        ([{}], [[ONE, TWO, THREE]], True),
        ([{TWO: NEVER}], [[ONE, TWO, THREE]], True),
        ([{TWO: BUSY, THREE: NEVER}, {}], [[ONE, TWO, THREE], [TWO]], True),
        ([{TWO: BUSY}, TimeoutError("timed out"), {}], [[ONE, TWO, THREE], [TWO], [TWO]], True),
        (
            [{TWO: BUSY, THREE: BUSY}, smtplib.SMTPRecipientsRefused({TWO: NEVER, THREE: NEVER})],
            [[ONE, TWO, THREE], [TWO, THREE]],
            True,
        ),
        ([smtplib.SMTPRecipientsRefused({ONE: NEVER, TWO: NEVER, THREE: NEVER})], [[ONE, TWO, THREE]], False),
        ([{TWO: BUSY}] * (len(mailer.PAUSES) + 1), [[ONE, TWO, THREE], *[[TWO]] * len(mailer.PAUSES)], True),
    ],
)
def test_who_is_refused_for_now_gets_the_mail_later(monkeypatch, answers, asked, taken):
    rounds, left = [], list(answers)

    def send(_mail, _settings, to):
        rounds.append(to)
        answer = left.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(mailer, "send", send)
    monkeypatch.setattr(mailer.time, "sleep", lambda _pause: None)
    assert mailer.deliver(written()[0], {**SETTINGS, "to": [ONE, TWO, THREE]}) is taken
    assert rounds == asked
