#!/usr/bin/python
# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_probe
short_description: Measure for how long a TCP service is away
version_added: 1.0.0
author: The codalvs.ha engineers (@codalvs)
description:
  - Opens and closes a new TCP connection at fixed times, whatever became of the earlier ones.
  - Returns how many were not answered, and for how long none was.
  - Run it with C(async) beside what may disturb the service. It changes nothing.
options:
  host:
    description: Address or name of the service.
    type: str
    required: true
  port:
    description: Its TCP port, 1 to 65535.
    type: int
    required: true
  seconds:
    description: How long to go on, 0.1 to 3600.
    type: float
    default: 10
  interval:
    description: Seconds from one connection to the next, 0.005 to 60.
    type: float
    default: 0.02
  limit:
    description:
      - Seconds after which a connection has failed, up to 60.
      - Keep it below 1, so that TCP's first repetition can't hide an outage.
    type: float
    default: 0.4
extends_documentation_fragment:
  - codalvs.ha.attributes
attributes:
  check_mode:
    support: full
    details: Does the same; it only looks.
  diff_mode:
    support: none
    details: There is nothing to compare.
  platform:
    platforms: posix
    details: Any host that can reach the service.
"""

EXAMPLES = r"""
- name: See whether a director's restart is noticed
  codalvs.ha.tcp_probe:
    host: 198.18.20.30
    port: 80
    seconds: 30
  async: 60
  poll: 0
"""

RETURN = r"""
connections:
  description: Connections tried.
  type: int
  returned: success
lost:
  description: Those that were not answered in time. A result named C(failed) would make Ansible fail the task.
  type: int
  returned: success
outage:
  description:
    - Longest time in seconds from the beginning of an answered connection to that of the next answered one, with
      failures between them; 0 if none failed.
    - Failures before the first or after the last answered one count from or to the end.
  type: float
  returned: success
reasons:
  description: Why connections failed, each reason once.
  type: list
  elements: str
  returned: success
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

BOUNDS = {"port": (1, 65535), "seconds": (0.1, 3600), "interval": (0.005, 60), "limit": (0.005, 60)}


class Attempt(NamedTuple):
    """A connection: when it began (s, monotonic), and why it failed; "" if the server answered."""

    at: float
    error: str


def check(given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options."""
    return [
        f"{name} = {given[name]}: must be {low} to {high}"
        for name, (low, high) in BOUNDS.items()
        if not low <= given[name] <= high
    ]


def longest_outage(attempts: Sequence[Attempt], interval: float) -> float:
    """Return the longest time (s) without an answer. attempts: in the order in which they began."""
    if not attempts:
        return 0.0
    longest, since, failing = 0.0, attempts[0].at, False
    for attempt in attempts:
        if attempt.error:
            failing = True
            continue
        if failing:
            longest = max(longest, attempt.at - since)
        since, failing = attempt.at, False
    return max(longest, attempts[-1].at + interval - since) if failing else longest


async def connect(host: str, port: int, limit: float) -> Attempt:
    """Open a connection and close it."""
    at = time.monotonic()
    try:
        _reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), limit)
    except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10 and before know it by this name only
        return Attempt(at, f"not answered within {limit} s")
    except OSError as error:
        return Attempt(at, str(error))
    writer.close()
    return Attempt(at, "")


async def probe(host: str, port: int, seconds: float, interval: float, limit: float) -> list[Attempt]:
    """Connect at fixed times until the time is over."""
    start = time.monotonic()
    tasks = []
    for number in range(max(1, int(seconds / interval))):
        await asyncio.sleep(start + number * interval - time.monotonic())
        tasks.append(asyncio.create_task(connect(host, port, limit)))
    return list(await asyncio.gather(*tasks))


def main() -> None:
    """Connect, and report the result."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "seconds": {"type": "float", "default": 10},
            "interval": {"type": "float", "default": 0.02},
            "limit": {"type": "float", "default": 0.4},
        },
        supports_check_mode=True,
    )
    problems = check(module.params)
    if problems:
        module.fail_json(msg="\n".join(problems))
    options = {name: module.params[name] for name in ("host", "port", "seconds", "interval", "limit")}
    attempts = asyncio.run(probe(**options))
    errors = [attempt.error for attempt in attempts if attempt.error]
    module.exit_json(
        changed=False,
        connections=len(attempts),
        lost=len(errors),
        outage=round(longest_outage(attempts, options["interval"]), 3),
        reasons=sorted(set(errors)),
    )


if __name__ == "__main__":
    main()
