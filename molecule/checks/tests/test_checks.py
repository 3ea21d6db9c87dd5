"""Each check of the real ldirectord, twice: a working server is in; one that only this check can find broken is out.

On two directors, of which one has ldirectord 4.12 and the other one 4.16.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import ROOT, Cluster, HarnessError, ask, shell, wait_for

CLUSTER = Cluster(ROOT / "molecule/checks/inventory/hosts.yml")
DIRECTORS, (REAL_SERVER,) = CLUSTER.group("directors"), CLUSTER.group("real_servers")
*CHECKED, KEPT = CLUSTER.variables(DIRECTORS[0])["ha_virtual_services"]
SERVICES = {service["name"]: service for service in CHECKED}
# These have one server with another one, and so one fault.
SAME_SERVER = {"dns_tcp": "dns", "pops": "pop", "imaps": "imap", "connect_udp": "ping"}
FAULTS = [name for name in SERVICES if name not in (*SAME_SERVER, "on", "off")]
NOTICED = 300.0  # s for all of them, one after the other, beside other labs
TOGETHER = 10.0  # s between two failures that ipvs-guard takes for one
LOW = 10.0  # s in which fewer than the minimum may be in, beside other labs; without ipvs-guard, to the end
LOOK = """
import time
end, low, longest = time.monotonic() + 25, None, 0.0
while time.monotonic() < end:
    rows = [line.split() for line in open("/proc/net/ip_vs") if "Masq" in line]
    now = time.monotonic()
    low = None if sum(row[3] != "0" for row in rows) >= 2 else now if low is None else low
    longest = max(longest, now - low) if low else longest
    time.sleep(0.05)
print(longest)
"""  # how long fewer than two of `kept` were in, at a stretch


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
    servers("good", *FAULTS, "kept")
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


# --- never the last one


def in_table(director: str) -> list[int]:
    """Return the weights of the servers of `kept`, of which half stay in, in the inventory's order."""
    table = ask(director, "ipvsadm", "--save", "--numeric")
    rows = dict(re.findall(rf"^-a -t \S+:{KEPT['port']} -r \S+:(\d+) -m -w (\d+)", table, re.MULTILINE))
    return [int(rows.get(str(server["port"]), -1)) for server in KEPT["real_servers"]]


def wait_in(*wanted: int) -> None:
    """Wait until both directors have these weights."""

    def found() -> list[list[int]]:
        return [in_table(director) for director in DIRECTORS]

    try:
        wait_for("the servers of `kept`", lambda: found() == [[*wanted]] * len(DIRECTORS), NOTICED)
    except HarnessError:
        assert found() == [[*wanted]] * len(DIRECTORS)


def kept() -> list[list[str]]:
    """Return the ports of the servers that each director keeps in, as it says itself."""
    return [re.findall(r"\d+$", ask(director, "ipvs-guard", "kept"), re.MULTILINE) for director in DIRECTORS]


def answers(number: int) -> list[str]:
    """Ask the VIP, which the first director gets for that time, from this director; return the answers."""
    once = (
        f"exec 3<>/dev/tcp/{KEPT['vip']}/{KEPT['port']}; echo 'how are you?' >&3; read -rt 30 answer <&3; echo $answer"
    )
    command = f"ip address add {KEPT['vip']}/32 dev lo; for _ in $(seq {number}); do ({once}); done"
    try:
        return ask(DIRECTORS[0], "bash", "-c", command).split()
    finally:
        shell(DIRECTORS[0], f"ip address delete {KEPT['vip']}/32 dev lo")


def test_half_stay_in_however_many_checks_fail() -> None:
    """A page breaks on three of four servers, then on the fourth; they are mended in two steps."""
    wait_in(1, 1, 1, 1)
    with ThreadPoolExecutor(max_workers=1) as pool:
        low = pool.submit(shell, DIRECTORS[0], f"python3 -c '{LOOK}'")
        servers("bad", "three")
        wait_in(1, 0, 0, 1)
        longest = float(low.result())
    print(f"fewer than two of four were in for {longest:.2f} s")
    assert longest < LOW
    assert sorted(answers(8)) == ["happy"] * 4 + ["sad"] * 4
    for director in DIRECTORS:
        said = shell(director, "journalctl --unit ipvs-guard --output cat")
        assert "keeps 198.18.20.21:7011 in kept: 3 of 4 checks fail, minimum 2" in said
        shell(director, "systemctl restart ipvs-guard")  # the mark is in the kernel
    assert kept() == [["7011"]] * len(DIRECTORS)
    time.sleep(TOGETHER)
    servers("bad", "fourth")  # which has failed last, then
    wait_for("both are kept in", lambda: kept() == [["7011", "7014"]] * len(DIRECTORS), NOTICED)
    wait_in(1, 0, 0, 1)
    servers("good", "two")
    wait_in(0, 1, 1, 0)
    servers("good", "kept")
    wait_in(1, 1, 1, 1)
    assert kept() == [[]] * len(DIRECTORS)
