"""VIPs of both families on two directors that both work.

Those of one director move together, nothing leaves from an IPv6 one, and without it the others go on. Each director
takes the other one's VIPs when that one dies, and gives them back.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from harness import EVENT_LIMIT, ROOT, Attempt, Cluster, ask, longest_outage, recap, run, shell, wait_for
from harness import look_up as look_up_at

CLUSTER = Cluster(ROOT / "inventories/dual-stack/hosts.yml", {"lvs_director_packet_marks": False})
DIRECTORS, REAL_SERVERS, CLIENT = CLUSTER.group("directors"), CLUSTER.group("real_servers"), CLUSTER.group("clients")[0]
*SERVICES, SHOP = CLUSTER.variables(DIRECTORS[0])["ha_virtual_services"]
VIP4, VIP6, TUNNELLED = (service["vip"] for service in SERVICES)
SHOP4, SHOP6 = SHOP["vips"]
OWN = {DIRECTORS[0]: {VIP4, VIP6, TUNNELLED}, SHOP["preferred_director"]: {SHOP4, SHOP6}}  # VIPs by preferred director
PUBLIC, DEDICATED = CLUSTER.variables(DIRECTORS[0])["ha_interfaces"]
SPARE = "fd00:18:20::77"
TAKEN_OVER = 6.0  # s in which clients are served again after their director has died
LIMIT = 0.9  # s that an answer may take: machines that share a processor with other tests are slow at times
HANDED_BACK = 4.0  # s without an answer at a failback, on a machine so busy that the whole lab stands still for three
SWITCHED_OVER = 50  # of a hundred connections a second that may fail at a switchover there; `default` allows none
KEPT = 2  # connections of each kind, at each VIP
FAILBACK = 45.0  # s from Heartbeat's start until its director takes back what is its own
AWAY = 100.0  # s from a director's start until it has taken back what is its own, and more
AFTER = 3.0  # s of requests after a move
PATIENCE = 240.0  # s that checks, a start of Heartbeat or a failback may take on a slow machine
NOTICED = 120.0  # s in which a real server that fails is out, there
SCRIPT = "/etc/ha.d/resource.d/IPv6addr2"
ZONE = "lb.example.org"
ELSEWHERE = "203.0.113.30"  # of another cluster
# Prints the last word of each page, or why there is none.
ASK = """
import ssl, sys, urllib.request
for url in sys.argv[1:]:
    try:
        page = urllib.request.urlopen(url, timeout=10, context=ssl._create_unverified_context())
        print(page.read().decode().split()[-1])
    except OSError as error:
        print(error)
"""


class At(Cluster):
    """The same cluster, watched at another VIP."""

    def __init__(self, vip: str) -> None:
        super().__init__(CLUSTER.inventory)
        self._listing, self._vip = CLUSTER._listing, vip

    @property
    def vip(self) -> str:
        return self._vip


def address(host: str, device: str, wanted: str) -> dict:
    """Return what the kernel says of an address on a device; empty if it is not there."""
    links = json.loads(ask(host, "ip", "-json", "address", "show", "dev", device, "to", wanted) or "[]")
    return next((entry for link in links for entry in link.get("addr_info", ()) if entry.get("local") == wanted), {})


def other(director: str) -> str:
    return next(name for name in DIRECTORS if name != director)


def wait_holder(expected: str | None = None) -> str:
    """Wait until one director, the expected one, holds both VIPs, and return it."""

    def one() -> bool:
        found = CLUSTER.holders()
        return len(found) == 1 and found == At(VIP6).holders() and expected in (None, *found)

    wait_for(f"{expected or 'one director'} holds both VIPs", one, 60)
    return CLUSTER.holders()[0]


def held() -> dict[str, set[str]]:
    """Return the VIPs that each director has."""
    vips, found = set.union(*OWN.values()), {}
    for director in DIRECTORS:
        links = json.loads(ask(director, "ip", "-json", "address", "show", "dev", PUBLIC) or "[]")
        found[director] = vips & {entry.get("local") for link in links for entry in link.get("addr_info", ())}
    return found


def all_on(director: str) -> dict[str, set[str]]:
    """Return what held() says when one director has all VIPs."""
    return {name: set.union(*OWN.values()) if name == director else set() for name in DIRECTORS}


@contextmanager
def watched(*vips: str) -> Iterator[dict[str, list[Attempt]]]:
    """Ask each VIP 20 times a second; the body runs once all answer. Ends some seconds after it."""
    seen: dict[str, list[Attempt]] = {vip: [] for vip in vips}
    over = Event()

    def listen(vip: str) -> None:
        with closing(At(vip).poll(EVENT_LIMIT, limit=LIMIT)) as attempts:
            for attempt in attempts:
                seen[vip].append(attempt)  # one by one, as they come
                if over.is_set():
                    return

    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(listen, vip) for vip in vips]
        try:
            wait_for("the client asks", lambda: all(len(found) > 10 for found in seen.values()), 30)
            yield seen
            time.sleep(AFTER)
        finally:
            over.set()
        for each in asking:
            each.result()
    for vip, found in seen.items():
        print(f"{vip}: outage {longest_outage(found):.2f} s, {len(lost(found))} of {len(found)} requests lost")


def lost(attempts: list[Attempt]) -> list[Attempt]:
    return [attempt for attempt in attempts if not attempt.ok]


@contextmanager
def unbroken(seconds: float, *vips: str) -> Iterator[None]:
    """Keep connections of all kinds open to each VIP for some seconds. All of them must survive."""
    with ExitStack() as stack:
        kept = [stack.enter_context(At(vip).connections(each=KEPT, seconds=seconds)) for vip in vips]
        yield
    for vip, each in zip(vips, kept, strict=True):
        assert all(count["survived"] == KEPT for count in each.counts.values()), (vip, each)


def neighbour(wanted: str) -> str:
    """Return the MAC that the client sends to for an address."""
    found = json.loads(ask(CLIENT, "ip", "-json", "neighbour", "show", "to", wanted) or "[]")
    return next((entry["lladdr"] for entry in found if "lladdr" in entry), "")


def mac(host: str, device: str) -> str:
    return json.loads(shell(host, f"ip -json link show dev {device}"))[0]["address"]


def heartbeat_age(director: str) -> int:
    """Return for how many seconds Heartbeat has been running; 0 if it does not."""
    return int(ask(director, "sh", "-c", "ps -o etimes= -p $(cat /run/heartbeat.pid)").strip() or 0)


def ready(director: str) -> bool:
    """Return whether a director's Heartbeat sees both, and moves nothing."""
    words = ask(director, "sh", "-c", f"cl_status nodestatus {other(director)}; cl_status rscstatus").split()
    return words[:1] == ["active"] and words[1:] not in ([], ["transition"])


def shop(*addresses: str) -> list[set[str]]:
    """Return who answers at addresses of the service by mark, at each by http and https, three times."""
    names = [f"[{name}]" if ":" in name else name for name in addresses]
    urls = [f"{scheme}://{name}/index.html" for name in names for scheme in ("http", "https") * 3]
    answers = run("docker", "exec", CLIENT, "python3", "-c", ASK, *urls).splitlines()
    return [{*answers[first : first + 6]} for first in range(0, len(answers), 6)]


def set_marks(director: str) -> None:
    """Mark packets by tc: the lab's kernel has no packet filter. A director that loses power loses this, too."""
    rules = [
        f"tc filter add dev {PUBLIC} ingress protocol {'ipv6' if ':' in address else 'ip'} flower"
        f" dst_ip {address} ip_proto tcp dst_port {port} action skbedit mark {SHOP['fwmark']}"
        for address in SHOP["vips"]
        for port in SHOP["ports"]
    ]
    shell(director, " && ".join([f"tc qdisc replace dev {PUBLIC} clsact", *rules]))


@pytest.fixture(scope="module", autouse=True)
def marks() -> None:
    for director in DIRECTORS:
        set_marks(director)


@pytest.fixture
def active() -> str:
    """Return the director that holds both VIPs of a whole cluster."""
    wait_for("Heartbeat runs on both", lambda: all(ready(name) for name in DIRECTORS), PATIENCE)
    wait_for("both directors balance", CLUSTER.all_balance, PATIENCE)
    return wait_holder()


def test_the_cluster_is_whole_and_each_director_has_its_own_vips() -> None:
    CLUSTER.wait_whole()
    wait_for("each director has its own VIPs", lambda: held() == OWN, PATIENCE)


def test_directors_speak_ipv6_where_they_share_nothing_else(active: str) -> None:
    for director in DIRECTORS:
        assert shell(director, f"cl_status hblinkstatus {other(director)} {DEDICATED}").strip() == "up"
        daemons = shell(director, "ipvsadm --list --daemon")
        assert daemons.count(f"mcast={DEDICATED}, ") == daemons.count("group=ff02::81, ") == 2, daemons


def test_nothing_leaves_from_the_vip(active: str) -> None:
    assert address(active, PUBLIC, VIP6)["preferred_life_time"] == 0
    for real_server in REAL_SERVERS:
        assert address(real_server, "lo", VIP6)["preferred_life_time"] == 0
    for host in (active, *REAL_SERVERS):
        (route,) = json.loads(shell(host, "ip -json -6 route get fd00:18:20::100"))
        assert route["prefsrc"] == CLUSTER.variables(host)["ha_interfaces"][PUBLIC][1].partition("/")[0]


def test_packets_come_through_tunnels_from_directors_alone(active: str) -> None:
    attempts = list(At(TUNNELLED).poll(2, limit=LIMIT))
    assert [attempt for attempt in attempts if not attempt.ok] == []
    assert {attempt.body.removeprefix("happy ").strip() for attempt in attempts} == {*REAL_SERVERS}
    senders = {
        own.partition("/")[0]
        for name in DIRECTORS
        for given in CLUSTER.variables(name)["ha_interfaces"].values()
        for own in ([given] if isinstance(given, str) else given)
        if ":" in own
    }
    for real_server in REAL_SERVERS:
        links = json.loads(shell(real_server, "ip -json -details -statistics link show type ip6tnl"))
        devices = {link["linkinfo"]["info_data"]["remote"]: link for link in links if "UP" in link["flags"]}
        assert set(devices) == senders
        for link in devices.values():
            assert address(real_server, link["ifname"], TUNNELLED)["preferred_life_time"] == 0
        public = CLUSTER.variables(active)["ha_interfaces"][PUBLIC][1].partition("/")[0]
        assert devices[public]["stats64"]["rx"]["packets"] > 0


def look_up(name: str, kind: str, family: int = 0) -> list[list]:
    """Ask the DNS server from another machine, and return [TTL, value] of each record, sorted."""
    server = CLUSTER.variables(CLIENT)["ha_interfaces"][PUBLIC][family].partition("/")[0]
    return look_up_at(REAL_SERVERS[0], server, name, kind)


def serve_dns(folder: Path, *services: str) -> dict[str, int]:
    """Run the playbook with these services behind `www` of two clusters; return what it did on the DNS server."""
    names = [
        {"name": "www", "services": [*services, "berlin/web"]},
        {"name": "*.shop", "services": ["web6"], "ttl": 300},
    ]
    variables = {
        "dns_zone_origin": ZONE,
        "dns_zone_nameservers": ["ns1.example.net"],
        "dns_zone_clusters": {"berlin": [{"name": "web", "vip": ELSEWHERE}]},
        "dns_zone_names": names,
        "dns_zone_includes": ["/etc/bind/others"],
    }
    group = {"dns_servers": {"hosts": {CLIENT: variables}}}
    (folder / "dns.yml").write_text(json.dumps({"all": {"children": group}}), encoding="utf-8")
    return recap(CLUSTER.playbook("codalvs.ha.dns", "-i", str(folder / "dns.yml")))[CLIENT]


def test_names_lead_to_the_vips_of_several_clusters(tmp_path: Path) -> None:
    shell(CLIENT, "mkdir -p /etc/bind && echo 'mail 600 IN A 203.0.113.25' >/etc/bind/others")
    assert serve_dns(tmp_path, "web")["changed"] > 0
    assert look_up(f"www.{ZONE}", "A") == [[60, VIP4], [60, ELSEWHERE]]
    assert look_up(f"www.{ZONE}", "AAAA") == []
    assert look_up(f"any.shop.{ZONE}", "AAAA", family=1) == [[300, VIP6]]
    assert look_up(f"mail.{ZONE}", "A") == [[600, "203.0.113.25"]]
    ((_ttl, serial),) = look_up(ZONE, "SOA")
    assert serve_dns(tmp_path, "web")["changed"] == 0
    assert look_up(ZONE, "SOA")[0][1] == serial
    assert serve_dns(tmp_path, "web", "web6", "tunnel6")["changed"] > 0
    assert look_up(f"www.{ZONE}", "AAAA", family=1) == [[60, VIP6], [60, TUNNELLED]]
    assert look_up(ZONE, "SOA")[0][1] > serial
    shell(CLIENT, f"named-checkzone -q {ZONE} /etc/bind/db.{ZONE}")


def test_a_mark_selects_two_ports_of_two_addresses(active: str) -> None:
    table = ask(active, "ipvsadm", "--list", "--numeric")
    assert [line.split()[1:] for line in table.splitlines() if line.startswith("FWM")] == [
        [str(SHOP["fwmark"]), *family, "wrr", "persistent", "600"] for family in ([], ["IPv6"])
    ]
    assert all(address(real_server, "lo", vip) for vip in SHOP["vips"] for real_server in REAL_SERVERS)
    (server,), (server6,) = shop(*SHOP["vips"])
    assert {server, server6} <= {*REAL_SERVERS}
    shell(server, "systemctl stop nginx")
    try:
        rest = [{name} for name in REAL_SERVERS if name != server] * 2
        wait_for("clients of both families leave a dead server", lambda: shop(*SHOP["vips"]) == rest, NOTICED)
    finally:
        shell(server, "systemctl start nginx")


def out_of(director: str) -> set[tuple[str, str]]:
    """Return service and real server of each row of a director's table that gets no new connections."""
    table = shell(director, "ipvsadm --save --numeric")
    rows = re.findall(r"^-a -[tf] (\S+) (-6 )?-r (\S+) .*-w 0\b", table, re.MULTILINE)  # of tunnels, their kind follows
    return {(f"{service} {family}".strip(), server) for service, family, server in rows}


def test_a_process_in_anothers_place_finds_out_who_is_well(active: str) -> None:
    """It begins with what was true at ldirectord's start, so ipvs-guard has ldirectord look anew."""
    server = REAL_SERVERS[0]
    parent = ask(active, "cat", "/run/ldirectord.ldirectord.pid").strip()
    shell(server, "systemctl stop nginx")
    try:
        wait_for("it is out", lambda: len(out_of(active)) == services(active), NOTICED)
        # It must not see the server return before it ends.
        child = shell(active, f"cut -d ' ' -f 1 /proc/{parent}/task/{parent}/children").strip()
        shell(active, f"kill -STOP {child}")
    finally:
        shell(server, "systemctl start nginx")
    wait_for("the others have seen it return", lambda: len(out_of(active)) == 1, PATIENCE)
    shell(active, f"kill -KILL {child}")
    wait_for("all are back", lambda: not out_of(active), PATIENCE)
    said = shell(active, "journalctl --boot --unit ipvs-guard --output cat")
    assert "not all of ldirectord's processes are of its last start" in said
    assert ask(active, "cat", "/run/ldirectord.ldirectord.pid").strip() == parent


def services(director: str) -> int:
    """Return how many services ldirectord keeps, those of both families as two."""
    return int(shell(director, "grep -c ^virtual /etc/ha.d/ldirectord.cf"))


def test_no_old_process_of_ldirectord_checks_beside_new_ones(active: str) -> None:
    """Each service has a process of its own. If their parent is killed, others take the place of all of them."""

    def there() -> set[str]:
        return set(ask(active, "cat", "/sys/fs/cgroup/system.slice/ldirectord.service/cgroup.procs").split())

    wait_for("each service has its process", lambda: len(there()) == 1 + services(active), PATIENCE)
    before = there()
    run("docker", "exec", active, "sh", "-c", "kill -KILL $(cat /run/ldirectord.ldirectord.pid)")
    wait_for("new processes check", lambda: len(there()) == len(before) and not there() & before, PATIENCE)


def test_what_only_clients_would_notice_is_out(active: str) -> None:
    """One has lost a VIP, the other one its tunnels and the wildcard of a service. Their own addresses answer as ever.

    The first one also forwards packets: what it hands back to the holder of the VIP must not look like its answer.
    """
    first, second = REAL_SERVERS
    (first4, _), (second4, second6) = (
        [own.partition("/")[0] for own in CLUSTER.variables(name)["ha_interfaces"][PUBLIC]] for name in REAL_SERVERS
    )
    nginx = "sed -i 's/listen {}:80/listen {}:80/' /etc/nginx/sites-available/default && systemctl restart nginx"
    wildcard = r"\[::\]"
    wait_for("nothing is out", lambda: not any(out_of(name) for name in DIRECTORS), PATIENCE)
    began = time.monotonic()
    shell(first, f"sysctl -q net.ipv4.ip_forward=1; ip address delete {VIP4}/32 dev lo")
    shell(second, f"ip link set group 157 down; {nginx.format(wildcard, f'[{second6}]')}")
    try:
        gone = {(f"{VIP4}:80", f"{first4}:80")} | {
            (service, f"[{second6}]:{port}")
            for service, port in ((f"[{VIP6}]:80", 80), (f"[{TUNNELLED}]:80", 80), (f"{SHOP['fwmark']} -6", 0))
        }
        wait_for("both directors have taken them out", lambda: all(out_of(name) == gone for name in DIRECTORS), NOTICED)
        print(f"out after {time.monotonic() - began:.1f} s")
        pages = [f"http://{server}/index.html" for server in (first4, second4, f"[{second6}]")]
        answers = shell(active, f"curl --silent --globoff {' '.join(pages)}").split()
        assert answers == ["happy", first, "happy", second, "happy", second]
        attempts = list(CLUSTER.poll(2, limit=LIMIT))
        assert {(attempt.ok, attempt.body.strip()) for attempt in attempts} == {(True, f"happy {second}")}
    finally:
        shell(first, f"ip address add {VIP4}/32 dev lo; sysctl -q net.ipv4.ip_forward=0")
        shell(second, f"systemctl restart 'lvs-vip@*'; {nginx.format(f'.{second6}.', '[::]')}")
    wait_for("all are back", lambda: not any(out_of(name) for name in DIRECTORS), PATIENCE)


def test_the_script_never_fails() -> None:
    """Its words are what Heartbeat reads, and a failed start or stop would hold up all other addresses."""
    standby = other(wait_holder())

    def call(action: str, resource: str = f"{SPARE}/64/{PUBLIC}") -> str:
        return shell(standby, f"{SCRIPT} {resource} {action}; echo $?")

    assert call("status") == "stopped\n3\n"
    for _again in range(2):
        assert call("start") == "0\n"
    assert call("status") == "running\n0\n"
    assert not {"tentative", "dadfailed"} & {*address(standby, PUBLIC, SPARE)}
    # Whatever its prefix length is by now, and however it is written.
    shell(standby, f"ip address delete {SPARE}/64 dev {PUBLIC}; ip address add {SPARE}/128 dev {PUBLIC} nodad")
    for _again in range(2):
        assert call("stop", f"fd00:0018:0020:0000:0000:0000:0000:0077/64/{PUBLIC}").splitlines()[-1] == "0"
    assert address(standby, PUBLIC, SPARE) == {}
    for wrong in (f"{SPARE}/64/eth9", f"nonsense/64/{PUBLIC}", f"{SPARE}/129/{PUBLIC}"):
        assert [call(action, wrong).splitlines()[-1] for action in ("start", "status", "stop")] == ["0", "3", "0"]


@pytest.mark.parametrize(
    ("victim", "asked"),
    [(DIRECTORS[0], (VIP6, SHOP4)), (DIRECTORS[1], (VIP4, SHOP6))],  # of each director one, and of each family
)
def test_a_director_dies_and_takes_back_what_is_its_own(victim: str, asked: tuple[str, str], active: str) -> None:
    wait_for("each director has its own VIPs", lambda: held() == OWN, PATIENCE)
    heir = other(victim)
    with unbroken(14, *asked):
        time.sleep(1)  # the connections' age
        with watched(*asked) as seen:
            CLUSTER.cut_power(victim)
            wait_for("the other one has all VIPs", lambda: held() == all_on(heir), 30)
    assert max(map(longest_outage, seen.values())) < TAKEN_OVER
    assert neighbour(asked[0]) == neighbour(asked[1]) == mac(heir, PUBLIC)
    assert all(address(heir, PUBLIC, vip)["preferred_life_time"] == 0 for vip in (VIP6, TUNNELLED, SHOP6))
    with unbroken(AWAY, *asked):  # begun while it is away
        CLUSTER.power_on(victim)
        set_marks(victim)
        wait_for("it will soon take back its VIPs", lambda: heartbeat_age(victim) > FAILBACK - 25, 120)
        with watched(*asked) as seen:
            assert held() == all_on(heir)
            wait_for("each director has its own VIPs again", lambda: held() == OWN, 60)
    missed = {vip: lost(found) for vip, found in seen.items()}
    assert max(map(longest_outage, seen.values())) < HANDED_BACK, missed
    assert {vip: neighbour(vip) for vip in asked} == {
        vip: mac(next(name for name in DIRECTORS if vip in OWN[name]), PUBLIC) for vip in asked
    }


def test_all_move_to_one_director_and_back_to_both(active: str) -> None:
    """The playbook's own client watches a VIP that moves."""
    wait_for("each director has its own VIPs", lambda: held() == OWN, PATIENCE)
    first, second = DIRECTORS
    with unbroken(60, VIP6, SHOP6):
        for to, expected, holder in ((first, all_on(first), first), ("preferred", OWN, second)):
            told = CLUSTER.playbook("codalvs.ha.switchover", "-e", f"switchover_to={to} switchover_watch=10")
            assert held() == expected
            plain = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", told).split())
            failed = re.findall(rf"{CLIENT} at {SHOP4}: (\d+) of (\d+) connections failed", plain)
            assert len(failed) == 1, plain[-1000:]
            missed, tried = map(int, *failed)
            assert missed <= SWITCHED_OVER
            assert tried > 500  # it asks a hundred times a second, if the machine can
            assert {vip: neighbour(vip) for vip in (VIP6, SHOP6)} == {
                VIP6: mac(first, PUBLIC),
                SHOP6: mac(holder, PUBLIC),
            }


def test_one_that_cannot_be_had_holds_nothing_up(active: str) -> None:
    """Seen: both directors gave up all addresses in turn, and a stop of Heartbeat took five minutes."""
    heir = other(active)
    off = f"net.ipv6.conf.{PUBLIC}.disable_ipv6"
    own = CLUSTER.variables(heir)["ha_interfaces"][PUBLIC][1]
    shell(heir, f"sysctl -q {off}=1")
    try:
        began = time.monotonic()
        shell(active, "systemctl stop heartbeat")
        assert time.monotonic() - began < 120
        wait_for("the other director holds the IPv4 VIP", lambda: CLUSTER.holders() == [heir], 60)
        assert address(heir, PUBLIC, VIP6) == {}
        wait_for(
            "Heartbeat's log names it",
            lambda: f"ERROR: IPv6addr2 {ip_address(VIP6).exploded}" in ask(heir, "cat", "/var/log/ha-log"),
            120,
        )
        began = time.monotonic()
        shell(heir, "systemctl restart heartbeat")
        assert time.monotonic() - began < 120
    finally:
        shell(heir, f"sysctl -q {off}=0; ip address replace {own} dev {PUBLIC} nodad")
        shell(active, "systemctl start heartbeat")
    wait_for("Heartbeat runs on both", lambda: all(ready(name) for name in DIRECTORS), PATIENCE)
    shell(active, "/usr/share/heartbeat/hb_takeover all")
    wait_holder(active)
