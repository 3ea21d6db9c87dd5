# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways of keeping an address on one of two directors: how a pair is made, when it is whole, how it switches over.

All pairs are the directors of the quickstart inventory, in front of the same real servers and the same client.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from harness import ROOT, SHARED, Cluster, ask, quickstart, run, wait_for

PEERS = Path(__file__).resolve().parent / "peers"


class Pair:
    """Two directors; each class is one program that decides which of them holds the VIP."""

    packages: ClassVar[str] = ""  # besides those that all machines have
    playbook: ClassVar[str | Path]
    ours: ClassVar[bool] = False  # whether it is this collection

    def __init__(self, **settings: Any) -> None:
        # What the machines' image holds for real servers.
        self.cluster = self.described(lvs_director_disabled_units=["nginx", "postfix", "dovecot"], **settings)

    @staticmethod
    def described(**settings: Any) -> Cluster:
        """Return the cluster that all pairs of this class are in."""
        return quickstart(**settings)

    @property
    def directors(self) -> list[str]:
        """Return both directors, the preferred one first."""
        return self.cluster.group("directors")

    @property
    def made_anew(self) -> list[str]:
        """Return the machines that the pair before has changed."""
        return self.directors

    def create(self) -> None:
        """Make the machines. Both directors are made anew, so that they have nothing of another program."""
        run("docker", "rm", "--force", "--volumes", *self.made_anew)
        listed = (ROOT / "lab" / "packages.txt").read_text().splitlines()
        packages = " ".join([*(line.partition("#")[0].strip() for line in listed), self.packages]).split()
        more = ["--extra-vars", json.dumps({"packages": " ".join(packages)})] if self.packages else []
        self.cluster.playbook(SHARED / "create.yml", *more)
        self.cluster.playbook(SHARED / "prepare.yml", "--limit", "real_servers:clients")

    def configure(self) -> None:
        """Give both directors this pair's settings, and wait until they serve."""
        self.cluster.playbook(self.playbook)
        self.wait_whole()

    def wait_whole(self) -> None:
        """Wait until one director holds the VIP, all that should balance do, and each knows of the other."""
        wait_for("the pair is whole", self.whole, 180)

    def whole(self) -> bool:
        """Return whether the pair would survive another failure."""
        return self.together() and len(self.cluster.holders()) == 1 and self.cluster.all_balance()

    def together(self) -> bool:
        """Return whether both directors' programs know of each other."""
        raise NotImplementedError

    def switch_over(self) -> None:
        """Move the VIP to the other director as an operator would, and wait until that one holds it alone."""
        [holder] = self.cluster.holders()
        [other] = set(self.directors) - {holder}
        self.give_up(holder)
        wait_for(f"{other} holds the VIP", lambda: self.cluster.holders() == [other])

    def give_up(self, holder: str) -> None:
        """Have the holder hand the VIP over."""
        raise NotImplementedError


class Heartbeat(Pair):
    """This collection."""

    playbook = "codalvs.ha.site"
    ours = True

    def __init__(self, **settings: Any) -> None:
        # So that each profile can follow any other one; the benchmark measures what late heartbeats do.
        super().__init__(ha_acknowledged=["late_heartbeats"], **settings)

    def together(self) -> bool:
        """Ask each Heartbeat for the status of both."""
        states = [ask(name, "cl_status", "nodestatus", node) for name in self.directors for node in self.directors]
        return all(state.strip() == "active" for state in states)

    def give_up(self, holder: str) -> None:
        """Run the playbook, or in cold standby, for which it is not, Heartbeat's own command."""
        if self.cluster.hot_standby:
            self.cluster.playbook("codalvs.ha.switchover")
        else:
            run("docker", "exec", holder, "/usr/share/heartbeat/hb_standby", "all")


class OnIPv6(Cluster):
    """A cluster with a VIP of each family; its client asks the IPv6 one."""

    @property
    def vip(self) -> str:
        """Return the VIP of the second virtual service."""
        return self.variables(self.group("directors")[0])["ha_virtual_services"][1]["vip"]


class HeartbeatOnIPv6(Heartbeat):
    """This collection, with directors that share a network of IPv6 alone."""

    @staticmethod
    def described(**settings: Any) -> Cluster:
        """Return the cluster of the example dual-stack, with one active director, which the other pairs have too.

        It is without marks: the lab's kernel has no packet filter.
        """
        inventory = ROOT / "inventories" / "dual-stack"
        cluster = OnIPv6(inventory)
        first = cluster.group("directors")[0]
        services = [{**each, "preferred_director": first} for each in cluster.variables(first)["ha_virtual_services"]]
        given = {"ha_virtual_services": services, "heartbeat_auto_failback": False, "lvs_director_packet_marks": False}
        return OnIPv6(inventory, {**given, **settings})

    @property
    def made_anew(self) -> list[str]:
        """Return all machines, because those of the other pairs have no IPv6 address."""
        return [*self.directors, *self.cluster.group("real_servers"), *self.cluster.group("clients")]


class Keepalived(Pair):
    """VRRP. The director with the higher priority takes the VIP back, which is its default."""

    packages = "keepalived"
    playbook = PEERS / "keepalived.yml"

    def together(self) -> bool:
        """Return whether the preferred director has the VIP again: keepalived itself does not tell."""
        return self.cluster.holders() == self.directors[:1]

    def give_up(self, holder: str) -> None:
        """Lower the holder's priority below that of the other one."""
        edit = "sed -i 's/priority 150/priority 50/' /etc/keepalived/keepalived.conf && systemctl reload keepalived"
        run("docker", "exec", holder, "sh", "-c", edit)


class Pacemaker(Pair):
    """Pacemaker with Corosync holds the address; the rest is as with this collection."""

    packages = "corosync pacemaker pacemaker-cli-utils"
    playbook = PEERS / "pacemaker.yml"

    def together(self) -> bool:
        """Ask each director for the members of its partition."""
        return all(set(ask(name, "crm_node", "--partition").split()) == set(self.directors) for name in self.directors)

    def give_up(self, holder: str) -> None:
        """Put the holder on standby."""
        run("docker", "exec", holder, "crm_standby", "--node", holder, "--update", "on")
