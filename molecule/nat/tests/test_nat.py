"""Real servers behind NAT, and others behind a router, which get packets through tunnels.

With NAT, clients reach port 8080 by VIP:80, and answers go through a gateway that is where the VIP is, for each family.
Real servers behind tunnels answer past the directors.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from harness import ROOT, Attempt, Cluster, HarnessError, ask, longest_outage, shell, wait_for

CLUSTER = Cluster(ROOT / "inventories/nat-and-tunnel/hosts.yml")
DIRECTORS, CLIENT = CLUSTER.group("directors"), CLUSTER.group("clients")[0]
NAT, NAT6, FILES, FILES6, TUNNEL = CLUSTER.variables(DIRECTORS[0])["ha_virtual_services"]
REAL_SERVERS, FAR = ([server["host"] for server in service["real_servers"]] for service in (NAT, TUNNEL))
PUBLIC, INNER = CLUSTER.variables(DIRECTORS[0])["ha_interfaces"]
GATEWAYS = CLUSTER.variables(DIRECTORS[0])["ha_gateway_vips"]
GATEWAY = GATEWAYS[0]
TAKEN_OVER = 6.0  # s in which clients are served again after their director has died
NOTICED = 60.0  # s in which a real server without a service is out of the table, on a slow machine
BOOTED = 240.0  # s in which one is back whose network has just come up, or both Heartbeats see each other, there
SENDERS = {
    address.partition("/")[0]
    for name in DIRECTORS
    for addresses in CLUSTER.variables(name)["ha_interfaces"].values()
    for address in addresses
    if ":" not in address
}
ROUTER = CLUSTER.variables(FAR[0])["real_server_gateways"][0]
SIZE = 1 << 20  # bytes that are posted
KEPT = 5  # connections of each kind, at each VIP
HELD = 240.0  # s after which they end by themselves, before the web server's patience does
# Logs in at each address; for each line of input, fetches a file over each connection in passive and in active mode (by
# IPv4 PASV and PORT, by IPv6 EPSV and EPRT), and prints what was in it.
SESSIONS = """
import ftplib, json, sys
def fetch(session, passive):
    lines = []
    session.set_pasv(passive)
    session.retrlines("RETR name", lines.append)
    return " ".join(lines)
sessions = [ftplib.FTP(address, timeout=120) for address in sys.argv[1:]]
for session in sessions:
    session.login()
for line in sys.stdin:
    print(json.dumps([[fetch(session, passive) for passive in (True, False)] for session in sessions]), flush=True)
"""


class Tunnelled(Cluster):
    """The same cluster, watched at the VIP of the real servers behind the router."""

    @property
    def vip(self) -> str:
        return TUNNEL["vip"]


class Six(Cluster):
    """The same cluster, watched at the VIP of IPv6."""

    @property
    def vip(self) -> str:
        return NAT6["vip"]


BEHIND, SIX = Tunnelled(CLUSTER.inventory), Six(CLUSTER.inventory)
TRANSLATED = (CLUSTER, SIX)  # what is served by NAT
EVERY = (*TRANSLATED, BEHIND)


def other(director: str) -> str:
    return next(name for name in DIRECTORS if name != director)


def gateway_holders() -> list[str]:
    """Return the living directors that have a gateway's address on their inner interface, once for each."""
    show = ("ip", "-oneline", "address", "show", "dev", INNER, "to")
    return [name for name in DIRECTORS for gateway in GATEWAYS if ask(name, *show, gateway).strip()]


def together() -> bool:
    """Return whether one director holds the VIPs and gateways of both families."""
    holders = CLUSTER.holders()
    return len(holders) == 1 and SIX.holders() == holders and gateway_holders() == holders * len(GATEWAYS)


def routed(host: str) -> bool:
    """Return whether a living host's default routes lead to the gateways, and nowhere else."""
    lines = [ask(host, "ip", f"-{family}", "route", "show", "default").strip() for family in (4, 6)]
    wanted = [rf"default via {re.escape(gateway)} dev eth0 [^\n]*" for gateway in GATEWAYS]
    return all(re.fullmatch(route, line) for route, line in zip(wanted, lines, strict=True))


def sysctls(host: str, *names: str) -> list[str]:
    """Return values of the kernel under net.ipv4."""
    return shell(host, f"sysctl -n {' '.join(f'net.ipv4.{name}' for name in names)}").split()


def mac(host: str) -> str:
    """Return the MAC of a host's inner interface."""
    return json.loads(shell(host, f"ip -json link show dev {INNER}"))[0]["address"]


def neighbours() -> set[str]:
    """Return the MACs that real servers send their answers to. A gateway of IPv6 has to be known as a router."""
    found = set()
    for name in REAL_SERVERS:
        for gateway in GATEWAYS:
            entries = json.loads(ask(name, "ip", "-json", "neighbour", "show", "to", gateway) or "[]")
            known = [
                entry["lladdr"] for entry in entries if "lladdr" in entry and (":" not in gateway or "router" in entry)
            ]
            found.add(next(iter(known), f"{name} knows no {gateway}"))
    return found


def wait_answers_go_to(director: str) -> None:
    """Wait until all real servers send their answers to a director; they may learn of a move a moment later."""
    wait_for(f"answers go to {director}", lambda: neighbours() == {mac(director)}, 10)


def served(seconds: float, cluster: Cluster = CLUSTER) -> set[str]:
    """Ask a VIP for some seconds, without one failure; return who answered."""
    attempts = list(cluster.poll(seconds, limit=0.9))
    assert attempts
    assert [attempt for attempt in attempts if not attempt.ok] == []
    return {attempt.body.removeprefix("happy ").strip() for attempt in attempts}


def watch(cluster: Cluster) -> list[Attempt]:
    """Ask a VIP while its director dies."""
    return list(cluster.poll(14))


def wait_served_by(*names: str, cluster: Cluster = CLUSTER, seconds: float = NOTICED) -> None:
    """Wait until exactly these real servers answer, without one failure."""

    def only() -> bool:
        try:
            return served(1, cluster) == {*names}
        except (AssertionError, HarnessError):
            return False

    wait_for(f"only {' and '.join(names)} answers", only, seconds)


@contextmanager
def sessions() -> Iterator[Callable[[], list[list[str]]]]:
    """Open a connection of FTP by each family; yield a function that fetches a real server's name twice over each."""
    command = ["docker", "exec", "--interactive", CLIENT, "python3", "-c", SESSIONS, FILES["vip"], FILES6["vip"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:

        def fetch() -> list[list[str]]:
            assert client.stdin
            assert client.stdout
            client.stdin.write("again\n")
            client.stdin.flush()
            return json.loads(client.stdout.readline() or "[]")

        yield fetch


def opened() -> set[tuple[int, int]]:
    """Return the client's established connections to the VIPs: its own port, and the VIP's."""
    found = set()
    for line in shell(CLIENT, "ss -Htn state established").splitlines():
        (_address, own), (address, port) = (end.rsplit(":", 1) for end in line.split()[2:4])
        if address.strip("[]") in {cluster.vip for cluster in EVERY}:
            found.add((int(own), int(port)))
    return found


def known(director: str) -> set[tuple[int, int]]:
    """Return the established connections that a director's kernel knows, as opened() does."""
    lines = [line.split() for line in shell(director, "cat /proc/net/ip_vs_conn").splitlines()]
    return {(int(words[2], 16), int(words[4], 16)) for words in lines if words[7:8] == ["ESTABLISHED"]}


@contextmanager
def unbroken() -> Iterator[None]:
    """Keep connections of all kinds open to all VIPs. All must survive; those of FTP must fetch files anew."""
    with ExitStack() as stack:
        fetch = stack.enter_context(sessions())
        names = fetch()
        assert [len({*pair}) for pair in names] == [1, 1]
        assert {name for pair in names for name in pair} <= {*REAL_SERVERS}
        kept = [stack.enter_context(cluster.connections(KEPT, HELD, longer_than_block=False)) for cluster in EVERY]
        assert {port for _own, port in opened()} >= {NAT["port"], FILES["port"]}
        standby = other(CLUSTER.holders()[0])
        wait_for("the other director knows the connections", lambda: opened() <= known(standby))
        yield
        assert fetch() == names
    for cluster, each in zip(EVERY, kept, strict=True):
        assert all(count["survived"] == KEPT for count in each.counts.values()), (cluster.vip, each)


@pytest.fixture
def active() -> str:
    """Return the director that holds VIP and gateway of a whole cluster."""
    wait_for("Heartbeat runs on both", lambda: all(_ready(name) for name in DIRECTORS), BOOTED)
    wait_for("both directors balance", CLUSTER.all_balance, NOTICED)
    wait_for("VIPs and gateways are together", together, 60)
    return CLUSTER.holders()[0]


def assert_table(director: str) -> None:
    table = shell(director, "ipvsadm --save --numeric")
    assert sorted(re.findall(r"-r (\S+) (-\w)", table)) == [
        *((f"198.18.22.2{number}:{port}", "-m") for number in (1, 2) for port in (21, 8080)),
        *((f"198.18.23.2{number}:80", "-i") for number in (1, 2)),
        *((f"[fd00:18:22::2{number}]:{port}", "-m") for number in (1, 2) for port in (21, 8080)),
    ]


def assert_unwraps(host: str) -> None:
    """Assert that a real server takes packets from the directors only, and sends its answers as the role says.

    The kernel's own device is of that type as well, and takes packets from anybody.
    """
    links = json.loads(shell(host, "ip -json -details link show type ipip"))
    assert {link["linkinfo"]["info_data"]["remote"] for link in links if "UP" in link["flags"]} == SENDERS
    assert shell(host, f"ip -oneline address show to {BEHIND.vip}").count("\n") == len(SENDERS)
    assert sysctls(host, "conf.all.rp_filter", "conf.all.arp_ignore", "conf.all.arp_announce") == ["2", "1", "2"]
    (route,) = shell(host, "ip route show default").splitlines()
    assert route.split() == ["default", "via", ROUTER, "dev", "eth0", "proto", "157", "advmss", "1440"]


def post(vip: str, seconds: int = 60) -> str:
    """Post SIZE bytes; return how many arrived, or nothing if they hang for so long."""
    command = f"curl --silent --max-time {seconds} --header Expect: --data-binary @/tmp/much"
    return shell(CLIENT, f"{command} http://{vip}/post", False)


@contextmanager
def changed(begin: str, end: str, *hosts: str) -> Iterator[None]:
    """Change something on hosts for a while."""
    try:
        for host in hosts:
            shell(host, begin)
        yield
    finally:
        for host in hosts:
            shell(host, end)


def as_before_there_were_devices(name: str) -> None:
    """Bring a host to the state of an older version, after a killed run and a boot: it takes packets from everybody."""
    shell(name, f"ip link delete group 157; ip address add {BEHIND.vip}/32 dev tunl0; ip link set tunl0 up")
    shell(name, f"printf 'ADDRESS={BEHIND.vip}/32\\nDEVICE=tunl0\\n' >/etc/lvs-vip/{BEHIND.vip}")
    shell(name, f"systemctl restart lvs-vip@{BEHIND.vip}.service lvs-tunnels.service")
    # The new devices are there, and not in the way yet. For a moment there was none: the directors may have noticed.
    wait_served_by(*FAR, cluster=BEHIND)


def with_a_device_down_by_hand(name: str) -> None:
    shell(name, "systemctl restart lvs-tunnels.service")
    assert_unwraps(name)  # a restart changes nothing
    found = json.loads(shell(name, "ip -json link show group 157"))  # those of other groups are empty there
    device = next(link["ifname"] for link in found if link)
    shell(name, f"ip link set dev {device} down")


def _ready(director: str) -> bool:
    words = ask(director, "sh", "-c", f"cl_status nodestatus {other(director)}; cl_status rscstatus").split()
    return words[:1] == ["active"] and words[1:] not in ([], ["transition"])


def test_the_cluster_is_whole() -> None:
    CLUSTER.wait_whole()


def test_both_real_servers_answer_from_another_port(active: str) -> None:
    for real_server in REAL_SERVERS:
        listening = shell(real_server, "ss -Hltn")
        assert ":8080 " in listening
        assert ":80 " not in listening
    assert_table(active)
    for cluster in TRANSLATED:
        assert served(2, cluster) == {*REAL_SERVERS}


@pytest.mark.parametrize(
    ("vip", "way"),
    [
        (FILES["vip"], "--ftp-pasv --disable-epsv"),  # PASV
        (FILES["vip"], "--ftp-pasv"),  # EPSV
        (FILES["vip"], "--ftp-port - --disable-eprt"),  # PORT
        (FILES["vip"], "--ftp-port -"),  # EPRT
        (f"[{FILES6['vip']}]", "--ftp-pasv"),  # EPSV; IPv6 knows nothing else
        (f"[{FILES6['vip']}]", "--ftp-port -"),  # EPRT
    ],
)
def test_files_come_by_ftp_whoever_opens_the_connection_for_them(active: str, vip: str, way: str) -> None:
    """Without the kernel's helper, a client is told a real server's own port, which the VIP does not have."""
    names = {shell(CLIENT, f"curl --silent --max-time 60 {way} ftp://{vip}/name") for _again in range(4)}
    assert names == {f"{name}\n" for name in REAL_SERVERS}


def test_real_servers_know_nothing_of_the_vip(active: str) -> None:
    for real_server in REAL_SERVERS:
        assert not {CLUSTER.vip, SIX.vip} & {*re.findall("inet6? ([^ /]+)", shell(real_server, "ip address show"))}
        assert sysctls(real_server, "conf.all.arp_ignore", "conf.all.arp_announce") == ["0", "0"]
        assert routed(real_server)


def test_directors_forward_and_redirect_nobody(active: str) -> None:
    for director in DIRECTORS:
        wanted = ("ip_forward", "conf.all.send_redirects", f"conf.{INNER}.send_redirects")
        assert sysctls(director, *wanted) == ["1", "0", "0"]
        assert shell(director, "sysctl -n net.ipv6.conf.all.forwarding") == "1\n"


def test_a_dead_service_is_taken_out_and_comes_back(active: str) -> None:
    dead, left = REAL_SERVERS
    shell(dead, "systemctl stop nginx.service")
    try:
        for cluster in TRANSLATED:
            wait_served_by(left, cluster=cluster)
            assert served(2, cluster) == {left}
    finally:
        shell(dead, "systemctl start nginx.service")
    for cluster in TRANSLATED:
        wait_served_by(*REAL_SERVERS, cluster=cluster)


def test_real_servers_behind_a_router_answer_past_the_directors(active: str) -> None:
    for name in FAR:
        assert_unwraps(name)
    assert served(2, BEHIND) == {*FAR}
    shell(FAR[0], "systemctl stop nginx.service")
    try:
        wait_served_by(FAR[1], cluster=BEHIND)
    finally:
        shell(FAR[0], "systemctl start nginx.service")
    wait_served_by(*FAR, cluster=BEHIND)


def test_what_fills_the_path_already_goes_through_tunnels(active: str) -> None:
    """Packets of 1500 bytes, one for each segment, while the message that asks a client for smaller ones is lost."""
    shell(CLIENT, f"head -c {SIZE} /dev/urandom >/tmp/much; ip link set eth0 gso_max_segs 1; ip route flush cache")
    route = f"ip route change default via {ROUTER} proto 157"
    own = CLUSTER.variables(CLIENT)["ha_interfaces"]["eth0"][0].partition("/")[0]
    rule = f"pref 9 ipproto icmp to {own} blackhole"
    arrived = {f"{SIZE} {name}" for name in FAR}
    try:
        for vip in (NAT["vip"], f"[{NAT6['vip']}]"):
            assert {post(vip).strip() for _again in FAR} == {f"{SIZE} {name}" for name in REAL_SERVERS}
        with changed(f"ip rule add {rule}", f"ip rule del {rule}", *DIRECTORS):
            assert {post(BEHIND.vip).strip() for _again in FAR} == arrived
            with changed(route, f"{route} advmss 1440", *FAR):  # so it is that which does it
                assert post(BEHIND.vip, 4) == ""
                fragment = "sysctl -q net.ipv4.vs.pmtu_disc={}"
                with changed(fragment.format(0), fragment.format(1), *DIRECTORS):
                    assert {post(BEHIND.vip).strip() for _again in FAR} == arrived
        with changed(route, f"{route} advmss 1440", *FAR):
            assert {post(BEHIND.vip).strip() for _again in FAR} == arrived
            learned = f"ip route get {BEHIND.vip}"  # seen once without it, though all had arrived
            wait_for("the message has arrived", lambda: post(BEHIND.vip) != "" and "mtu 1480" in shell(CLIENT, learned))
    finally:
        shell(CLIENT, "ip link set eth0 gso_max_segs 65535; ip route flush cache")


def test_nobody_but_directors_may_send_packets_in_tunnels(active: str) -> None:
    address = CLUSTER.variables(FAR[0])["ha_interfaces"]["eth0"].partition("/")[0]
    begin = f"ip route add {address} via {CLUSTER.variables('router1')['ha_interfaces']['eth0'].partition('/')[0]}; "
    begin += f"ip link add sneak type ipip remote {address}; ip link set sneak up; ip route add {BEHIND.vip} dev sneak"
    end = f"ip link delete sneak; ip route delete {address}"
    asked = f"curl --silent --max-time {{}} http://{BEHIND.vip}/index.html"
    with changed(begin, end, CLIENT):
        assert shell(CLIENT, asked.format(3), False) == ""
    # A host that takes tunnels from everybody would have answered.
    open_device = f"ip link set tunl0 up; ip address add {BEHIND.vip}/32 dev tunl0"
    close_device = f"ip address delete {BEHIND.vip}/32 dev tunl0; ip link set tunl0 down"
    with changed(open_device, close_device, FAR[0]), changed(begin, end, CLIENT):
        assert shell(CLIENT, asked.format(30), False) == f"happy {FAR[0]}\n"
    assert served(1, BEHIND) == {*FAR}


def test_vip_and_gateway_move_together_when_their_director_dies(active: str) -> None:
    heir = other(active)
    for cluster in TRANSLATED:  # a neighbour is known once it is needed
        wait_served_by(*REAL_SERVERS, cluster=cluster)
    wait_answers_go_to(active)
    with unbroken(), ThreadPoolExecutor(max_workers=2) as pool:
        beside = [pool.submit(watch, cluster) for cluster in (SIX, BEHIND)]
        attempts = list(CLUSTER.poll_through_power_cut(active, before=2, after=12))
        outages = [longest_outage(attempts), *(longest_outage(seen.result()) for seen in beside)]
    print("outage {:.2f} s, by IPv6 {:.2f} s, through tunnels {:.2f} s".format(*outages))
    assert max(outages) < TAKEN_OVER
    assert BEHIND.holders() == [heir]
    assert served(1, BEHIND) == {*FAR}
    assert CLUSTER.holders() == [heir]
    assert together()
    wait_answers_go_to(heir)
    for cluster in TRANSLATED:
        assert served(2, cluster) == {*REAL_SERVERS}
    CLUSTER.power_on(active)


def test_they_move_together_by_switchover(active: str) -> None:
    with unbroken():
        CLUSTER.playbook("codalvs.ha.switchover")
        wait_for("all have moved", lambda: CLUSTER.holders() == [other(active)] and together(), 60)
        wait_answers_go_to(other(active))
    for cluster in TRANSLATED:
        assert served(2, cluster) == {*REAL_SERVERS}


def test_a_gateway_taken_away_by_hand_comes_back(active: str) -> None:
    shell(active, f"ip address delete {GATEWAY}/24 dev {INNER}; ip address delete {GATEWAYS[1]}/64 dev {INNER}")
    wait_for("the gateways are back", together, 60)
    for cluster in TRANSLATED:
        wait_served_by(*REAL_SERVERS, cluster=cluster)


def test_the_route_survives_a_boot(active: str) -> None:
    name = REAL_SERVERS[0]
    for host in (name, FAR[0]):
        CLUSTER.cut_power(host)
    wait_served_by(FAR[1], cluster=BEHIND)
    for host in (name, FAR[0]):
        CLUSTER.power_on(host)
    wait_for("the routes are there", lambda: routed(name), BOOTED)
    for cluster in TRANSLATED:
        wait_served_by(*REAL_SERVERS, cluster=cluster, seconds=BOOTED)
    wait_served_by(*FAR, cluster=BEHIND, seconds=BOOTED)
    assert_unwraps(FAR[0])


def test_routes_that_the_kernel_forgets_come_back(active: str) -> None:
    """As with the interface's last address, when its manager takes that away and gives it back."""
    name = REAL_SERVERS[0]
    shell(name, "ip -4 route flush protocol 157; ip -6 route flush protocol 157")
    wait_for("the routes are back", lambda: routed(name), 60)  # looked for every ten seconds
    wait_served_by(*REAL_SERVERS)


def test_a_default_route_of_somebody_else_is_left_alone(active: str) -> None:
    name = REAL_SERVERS[1]
    shell(name, "systemctl stop lvs-default-route.service && ip route add default via 198.18.22.254")
    try:
        with pytest.raises(HarnessError, match="has a default route already"):
            CLUSTER.playbook("codalvs.ha.real_servers", "--limit", name)
        shell(name, "systemctl start lvs-default-route.service")  # as at a boot
        (route,) = shell(name, "ip route show default").splitlines()
        assert route.split()[:3] == ["default", "via", "198.18.22.254"]
    finally:
        shell(name, "ip route delete default via 198.18.22.254; systemctl restart lvs-default-route.service")
    wait_for("the route is there", lambda: routed(name))
    wait_served_by(*REAL_SERVERS)


def test_a_run_that_was_killed_before_it_changed_the_route_is_mended(active: str) -> None:
    """The unit names the gateway of the inventory already, and the kernel another one."""
    name = REAL_SERVERS[1]
    shell(name, "ip route replace default via 198.18.22.253 protocol 157")
    as_before_there_were_devices(FAR[0])
    with_a_device_down_by_hand(FAR[1])
    shell(FAR[0], "touch /etc/systemd/system/lvs-vip@.service")  # written, and not read yet
    loaded = "systemctl show --property=UnitsLoadTimestampMonotonic --value"
    before = shell(FAR[1], loaded)
    CLUSTER.playbook("codalvs.ha.real_servers")
    assert routed(name)
    for name in FAR:
        assert_unwraps(name)
    wait_served_by(*FAR, cluster=BEHIND)  # the directors may have noticed the device that was down
    assert shell(FAR[0], f"systemctl show --property=NeedDaemonReload --value lvs-vip@{BEHIND.vip}.service") == "no\n"
    assert shell(FAR[1], loaded) == before  # no unit has changed there


def test_a_table_without_ldirectord_translates_too(active: str) -> None:
    """The last test: it leaves the cluster so."""
    static = {"ha_checker": "none", "ha_acknowledged": ["unwatched_table"]}
    CLUSTER.playbook("codalvs.ha.directors", "--extra-vars", json.dumps(static))
    for director in DIRECTORS:
        assert ask(director, "systemctl", "is-active", "ldirectord.service").strip() == "inactive"
        assert_table(director)
    for cluster in TRANSLATED:
        assert served(2, cluster) == {*REAL_SERVERS}
    assert served(1, BEHIND) == {*FAR}
