# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""auto_failback: the last file, because it leaves that setting on."""

from __future__ import annotations

from faults import BY_CHANCE, CLUSTER, DIRECTORS, UNDER_WAY, WHOLE, other, wait_one_holder, wait_whole, watched
from harness import quickstart, shell, wait_for


def test_a_preferred_director_takes_its_addresses_back_and_no_connection_notices(active):
    """The connections begin while the preferred one is away."""
    quickstart(heartbeat_auto_failback=True).playbook("codalvs.ha.site")
    wait_whole()  # both Heartbeats have just got another file
    preferred = DIRECTORS[0]
    CLUSTER.cut_power(preferred)
    wait_one_holder(other(preferred))
    # A container answers ARP as soon as it starts; a machine does not. Until Heartbeat is sure, that ends a trial.
    status = f"cl_status nodestatus {preferred}"
    wait_for("Heartbeat takes it for dead", lambda: shell(other(preferred), status, check=False) == "dead\n", WHOLE)
    with CLUSTER.connections(each=10, seconds=120) as kept, watched(115) as seen:
        CLUSTER.power_on(preferred)
        wait_one_holder(preferred, 110)
    seen.assert_lost(UNDER_WAY + BY_CHANCE)
    assert all(count["survived"] == 10 for count in kept.counts.values()), kept
    assert wait_whole() == preferred
