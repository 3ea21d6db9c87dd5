"""Each check of the real ldirectord, twice: a working server is in; one that only this check can find broken is out.

On two directors, of which one has ldirectord 4.12 and the other one 4.16.
"""

from __future__ import annotations

import re

import pytest
from harness import ROOT, Cluster, HarnessError, ask, shell, wait_for

CLUSTER = Cluster(ROOT / "molecule/checks/inventory/hosts.yml")
DIRECTORS, (REAL_SERVER,) = CLUSTER.group("directors"), CLUSTER.group("real_servers")
SERVICES = {service["name"]: service for service in CLUSTER.variables(DIRECTORS[0])["ha_virtual_services"]}
# These have one server with another one, and so one fault.
SAME_SERVER = {"dns_tcp": "dns", "pops": "pop", "imaps": "imap", "connect_udp": "ping"}
FAULTS = [name for name in SERVICES if name not in (*SAME_SERVER, "on", "off")]
NOTICED = 180.0  # s for all of them, one after the other, beside other labs


def weights(director: str) -> dict[str, int]:
    """Return the weight of the real server in each service, by the service's name."""
    table = ask(director, "ipvsadm", "--save", "--numeric")
    entries = re.findall(r"^-a -([tu]) \S+:(\d+) -r \S+ -g -w (\d+)", table, re.MULTILINE)
    found = {(protocol, int(port)): int(weight) for protocol, port, weight in entries}
    return {
        name: found.get(("u" if service.get("protocol") == "udp" else "t", service["port"]), -1)
        for name, service in SERVICES.items()
    }


def servers(what: str, *names: str) -> None:
    shell(REAL_SERVER, f"servers {what} {' '.join(names)} </dev/null >/var/log/servers.log 2>&1")


def wait_out(*names: str) -> None:
    """Wait until exactly these are out, besides `off`, whose real server is never in."""
    one = {name: 0 if name in (*names, "off") else 1 for name in SERVICES}
    wanted = dict.fromkeys(DIRECTORS, one)

    def found() -> dict[str, dict[str, int]]:
        return {director: weights(director) for director in DIRECTORS}

    try:
        wait_for("the table", lambda: found() == wanted, NOTICED)
    except HarnessError:
        assert found() == wanted


@pytest.fixture(autouse=True)
def all_in() -> None:
    """Begin with servers that work."""
    servers("good", *FAULTS)
    wait_out()


def test_both_releases_are_here() -> None:
    versions = [shell(director, "dpkg-query -W -f '${Version}' ldirectord") for director in DIRECTORS]
    assert [version.split(":")[1][:4] for version in versions] == ["4.12", "4.16"]


def test_what_fails_is_out_and_comes_back() -> None:
    servers("bad", *FAULTS)
    wait_out(*FAULTS, *SAME_SERVER)


def test_silent_servers_are_out_and_stop_no_other_check() -> None:
    """They take connections and say nothing. The check of http comes after theirs in the next round."""
    silent = ("mysql", "pgsql", "simpletcp")
    servers("silent", *silent)
    servers("bad", "http")
    wait_out("http", *silent)
