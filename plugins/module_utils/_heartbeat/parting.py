# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which changes of ha.cf part two directors that load it one after the other.

Where ha.cf has changed, a reload makes Heartbeat start itself anew, and it is silent meanwhile. Each director goes by
the deadtime of its own file, old or new, and hears the keepalive of the other one's.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.codalvs.ha.plugins.module_utils._heartbeat.ha_cf import (
    MEDIA,
    HaCf,
    deadtime_of,
    keepalive_of,
    parse_ha_cf,
)

RELOAD = 2500  # ms that a reload may take; with a deadtime of 1.5 s one was taken for a death, with one of 3 s none


def parting(new: str, running: str | None) -> list[str]:
    """Return why the directors would not hear each other in time while one of them has the new ha.cf.

    running: the text that Heartbeat has read on this director, None where it does not run.
    """
    if running is None or running == new:
        return []
    files = [parse_ha_cf(text)[0] for text in (new, running)]
    return list(_reasons(*files))


def _reasons(new: HaCf, old: HaCf) -> Iterator[str]:
    deadtime = min(deadtime_of(new), deadtime_of(old))
    keepalive = max(keepalive_of(new), keepalive_of(old))
    if deadtime < RELOAD + keepalive:
        yield f"a deadtime of {deadtime} ms is over before a reload ({RELOAD} ms) and a keepalive ({keepalive} ms)"
    if set(new.nodes) != set(old.nodes):
        yield f"the nodes were {' and '.join(old.nodes)}"
    media, old_media = _media(new), _media(old)
    if not any(old_media.get(medium) == addresses for medium, addresses in media.items()):
        yield "no link is in both files with the same port and addresses"


def _media(config: HaCf) -> dict[tuple[str, ...], frozenset[tuple[str, ...]]]:
    """Return the addresses on each medium: of a ucast link those of both directors, for each hears the other one's."""
    port, baud = config.value("udpport") or "694", config.value("baud") or "19200"
    found: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for directive in config.named(*MEDIA):
        name = "bcast" if directive.name == "udp" else directive.name
        if name in ("bcast", "serial"):
            for value in directive.values:
                found[name, value, baud if name == "serial" else port] = set()
        else:
            medium = (name, directive.values[0], "" if name.startswith("mcast") else port)
            found.setdefault(medium, set()).add(directive.values[1:])
    return {medium: frozenset(addresses) for medium, addresses in found.items()}
