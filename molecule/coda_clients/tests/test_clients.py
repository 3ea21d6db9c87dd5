"""What must be true on the clients of a Coda cell: all see the same files, if they may, and none is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

INVENTORY = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
# A connection that is kept would hang for minutes after a cable or the power was cut.
NEW_EACH_TIME = "-o ControlMaster=no -o ControlPath=none"
os.environ["ANSIBLE_SSH_ARGS"] = NEW_EACH_TIME
# Ansible takes two seconds of a processor for a command: for modules only.
ONE, TWO = CLIENTS = tuple(
    testinfra.get_host(f"ssh://root@198.18.0.1{number}", ssh_extra_args=f"{NEW_EACH_TIME} {os.environ['LAB_SSH_ARGS']}")
    for number in (1, 2)
)
BY_ANSIBLE = {
    host: testinfra.get_host(f"ansible://{name}?force_ansible=True", ansible_inventory=INVENTORY).ansible
    for host, name in zip(CLIENTS, ("client1", "client2"), strict=True)
}
REALM = "/coda/coda.test"
WWW = f"{REALM}/www"
LOGIN = "echo geheim | clog anna@coda.test"
PATIENCE = 300.0  # s that something may take on a slow machine
NOBODY = "runuser -u nobody --"
GAMES = "runuser -u games --"  # on the second client always logged in as anna


def machine(number: int, *words: str) -> None:
    """Switch a client on, or with --off cut its power."""
    lab = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], "lab", "lab")
    subprocess.run([str(lab), "machine", f"client{number}", f"198.18.0.1{number}", *words], check=True)


def cable(number: int, state: str) -> None:
    """Pull a client's cable, or plug it in."""
    machine(number, "--cable", state)


def docker(*words: str) -> None:
    """Do something to a server's container."""
    subprocess.run(["docker", *words], check=True, capture_output=True)


def servers_cables(*, plugged: bool) -> None:
    """Pull the cables of all servers, or plug them in."""
    up = "ip link set eth0 up && ip route replace default via 10.98.20.254"
    for name in ("coda1.coda.test", "coda2.coda.test"):
        docker("exec", name, "sh", "-c", up if plugged else "ip link set eth0 down")


def crashes() -> int:
    """Return how often the second file server has crashed."""
    script = "journalctl --unit coda-server --output cat | grep --count 'exited, code=exited, status=150'"
    told = subprocess.run(
        ["docker", "exec", "coda2.coda.test", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    return int(told.stdout)


def wait_for_crashes(count: int, seconds: float = 2 * PATIENCE) -> None:
    """Wait until the second file server has crashed so often."""
    end = time.monotonic() + seconds
    while (found := crashes()) < count:
        assert time.monotonic() < end, f"{found} crashes after {seconds:.0f} s, not {count}"
        time.sleep(2)


def fetch(name: str) -> str:
    """Return the command that asks a host's own web server for a page."""
    script = f'import urllib.request as web; print(web.urlopen("http://127.0.0.1/{name}.html").read().decode(), end="")'
    return f"python3 -c '{script}'"


def log_in(host: Host) -> None:
    """Let root on a client be anna. Just after a start, or an outage, the first attempt may time out."""
    soon(host, f"{LOGIN} && echo in", "in")


def all_is_sent_and_read_again() -> None:
    """Let the first client notice that all is sent, and fetch what is out of date while there are servers."""
    soon(ONE, f"cfs listvol {WWW} | grep --count 'CML entries'", "0")
    soon(ONE, f"ls {WWW} >/dev/null && echo there", "there")


def hoard_walk() -> None:
    """Let the second client fetch what it hoards."""
    walk = TWO.run("cd / && setpriv --reuid=65534 --regid=65534 --clear-groups hoard walk")
    assert walk.rc == 0, walk
    assert "pioctl" not in walk.stderr, walk  # without a terminal it says something else as well


def refusal(host: Host, module: str, **options: Any) -> str:
    """Return the words with which a module fails."""
    ansible = BY_ANSIBLE[host]
    try:
        told = ansible(f"codalvs.ha.{module}", json.dumps(options), check=False)
    except ansible.AnsibleException as error:
        told = error.result
    return str(told["msg"])  # a success has none


def playbook(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the collection's playbooks on the cell."""
    command = ["ansible-playbook", "-i", INVENTORY, f"codalvs.ha.{name}", *words]
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=env)


def changed(host: str, told: str) -> list[str]:
    """Return the tasks of a playbook that changed a host, or would have, with what it said of them."""
    return [
        f"{task.partition(']')[0]}: {result}"
        for task in told.split("\nTASK [")
        for result in re.findall(rf"^changed: \[{re.escape(host)}\].*", task, re.MULTILINE)
    ]


def soon(host: Host, command: str, wanted: str, seconds: float = PATIENCE) -> None:
    """Wait until a command prints what is wanted, without the last line end."""
    end = time.monotonic() + seconds
    found = ""
    while found != wanted:
        assert time.monotonic() < end, f"{command} says {found!r} after {seconds:.0f} s, not {wanted!r}"
        time.sleep(1)
        try:
            found = host.run(command).stdout.removesuffix("\n")
        except RuntimeError as error:  # testinfra's words for a machine that can't be reached
            found = str(error)


@pytest.fixture(autouse=True, scope="module")
def _anna() -> Iterator[None]:
    """Let root on the first client be anna, who is one of the authors."""
    log_in(ONE)
    yield
    ONE.check_output("cunlog @coda.test")


def test_both_run_and_come_back_at_boot() -> None:
    for host in (ONE, TWO):
        assert host.service("coda-client").is_running
        assert host.service("coda-client").is_enabled
        assert " /coda coda " in host.file("/proc/mounts").content_string


def test_volumes_are_mounted_as_the_inventory_says() -> None:
    assert 'volume "www."' in ONE.check_output(f"cfs lsmount {WWW}")


def test_access_lists_are_whole() -> None:
    listed = [line.split() for line in ONE.check_output(f"cfs listacl {WWW}").splitlines()]
    assert sorted(listed) == [
        ["System:Administrators", "rlidwka"],
        ["System:AnyUser", "rl"],
        ["anna:authors", "rlidwk"],
    ]


def test_what_one_writes_the_other_reads() -> None:
    text = f"written at {time.time()}"
    ONE.check_output(f"echo '{text}' >{WWW}/shared.txt")
    soon(TWO, f"cat {WWW}/shared.txt", text)


def test_who_may_not_write_can_read_only() -> None:
    ONE.check_output(f"echo open >{WWW}/open.txt")
    soon(TWO, f"{NOBODY} cat {WWW}/open.txt", "open")
    for host, who in ((TWO, NOBODY), (TWO, ""), (ONE, NOBODY)):
        refused = host.run(f"{who} sh -c 'echo mine >{WWW}/mine.txt'")
        assert refused.rc != 0, refused
        assert "Permission denied" in refused.stderr, refused
    refused = ONE.run(f"touch {REALM}/not-for-authors")
    assert refused.rc != 0, refused


def administrators_token(secret: str) -> str:
    """Return an administrator's token that upstream's program makes from the output of a command on the SCM."""
    answers = f"printf '500\\n1\\n'; {secret}; printf 'token\\n'"  # user, hours, key, file
    script = f"cd /root && {{ {answers}; }} | tokentool >&2 && cat token && rm token"
    made = subprocess.run(
        ["docker", "exec", "coda1.coda.test", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    return made.stdout


def test_who_knows_no_key_can_forge_no_token() -> None:
    """An empty file for the second key would count as a key of zeros. The realm's root and www are on a server each."""
    secrets = {"right": "cat /vice/db/auth2.tk", "forged": "printf '\\0\\n'"}
    for number, (name, secret) in enumerate(secrets.items(), 60000):  # a client remembers what it allowed a user
        token, someone = administrators_token(secret), f"setpriv --reuid={number} --regid={number} --clear-groups"
        ONE.check_output(f"printf %s '{token}' >/tmp/{name} && chmod 0644 /tmp/{name}")
        for place in (REALM, WWW):
            file = f"{place}/{name}"
            ONE.check_output(f"cd / && {someone} clog -fromfile /tmp/{name} codaadmin@coda.test")
            if name == "right":
                soon(ONE, f"{someone} touch {file} && {someone} rm {file} && echo written", "written")
            else:
                refused = ONE.run(f"{someone} touch {file}")
                assert refused.rc != 0, refused
                assert re.search("Permission denied|Operation not permitted", refused.stderr), refused
        ONE.check_output(f"cd / && {someone} cunlog @coda.test")


def test_web_servers_serve_on_while_the_file_server_is_dead() -> None:
    for name in ("page", "other"):
        ONE.check_output(f"echo 'this is {name}' >{WWW}/{name}.html")
    soon(TWO, fetch("page"), "this is page")
    soon(TWO, f"ls {WWW} | grep other", "other.html")
    hoard_walk()
    docker("kill", "coda2.coda.test")
    try:
        for host in (ONE, TWO):
            for name in ("page", "other"):  # the second one has never been read on the other client, which hoards it
                soon(host, fetch(name), f"this is {name}")
        # Until it has noticed that one of its servers is dead, a client may time out.
        soon(ONE, f"echo 'this is new' >{WWW}/page.html && echo written", "written")
        soon(ONE, fetch("page"), "this is new")
    finally:
        docker("start", "coda2.coda.test")
    soon(TWO, fetch("page"), "this is new")


def test_what_changes_after_an_outage_is_seen_by_a_client_that_hoards() -> None:
    """With volume callbacks its kernel never learns of it."""
    page = f"{WWW}/outage.html"
    ONE.check_output(f"echo old >{page}")
    soon(TWO, f"cat {page}", "old")
    hoard_walk()
    for action, state in (("stop", "Unreachable"), ("start", "Reachable")):
        docker("exec", "coda2.coda.test", "systemctl", action, "coda-server")
        for host in (ONE, TWO):
            soon(host, f"cfs listvol {WWW} | grep --only-matching {state}", state)
    soon(TWO, f"cat {page}", "old")
    TWO.check_output(f"test ! -e {page}.new")  # the kernel knows now that it is not there
    ONE.check_output(f"echo longer >{page}.new && cp {page}.new {page}.tmp && mv {page}.tmp {page}")
    soon(TWO, f"stat --format %s {page}", "7")
    soon(TWO, f"test -e {page}.new && echo there", "there")


def test_an_unknown_user_in_an_access_list_is_reported() -> None:
    read = ["docker", "exec", "coda1.coda.test", "cat", "/vice/admin-password"]
    password = subprocess.run(read, check=True, capture_output=True, text=True).stdout.strip()
    folders = [{"path": "www", "rights": {"System:Administrators": "all", "nosuch": "rl"}}]
    before = TWO.check_output(f"cfs listacl {WWW}")
    TWO.check_output(
        f"echo {password} | clog codaadmin@coda.test"
    )  # who may change the list, so only the name is wrong
    try:
        told = refusal(TWO, "coda_acl", root=REALM, folders=folders)
    finally:
        TWO.check_output("cunlog @coda.test")
    assert "unknown" in told
    assert TWO.check_output(f"cfs listacl {WWW}") == before


def test_a_volume_that_is_not_there_is_not_mounted() -> None:
    told = refusal(ONE, "coda_mount", root=WWW, timeout=5, mounts=[{"path": "dangling", "volume": "nosuch"}])
    assert "nosuch can't be entered" in told
    assert "Permission denied" not in told  # it had been made, and was undone
    assert not ONE.file(f"{WWW}/dangling").is_symlink


def test_changes_made_while_cut_off_survive_a_restart_that_asks_to_forget_them() -> None:
    ONE.check_output(f"echo first >{WWW}/pending.txt")
    soon(TWO, f"cat {WWW}/pending.txt", "first")
    all_is_sent_and_read_again()
    folder = "/var/lib/coda"
    # Not by a timer of systemd's, which may be a minute late.
    script = (
        f"sleep 3; until echo second >{WWW}/pending.txt; do sleep 1; done; sync; touch {folder}/cache/INIT; "
        "systemctl restart coda-client; date +%s >/run/restarted"
    )
    ONE.check_output(f"rm -f /run/restarted; systemd-run --quiet --collect sh -c '{script}'")
    cable(1, "out")
    try:
        time.sleep(75)  # the first access without servers takes half a minute
    finally:
        plugged = time.time()
        cable(1, "in")
    soon(ONE, "test -s /run/restarted && echo yes", "yes")
    assert float(ONE.check_output("cat /run/restarted")) < plugged  # it had no servers when it restarted
    log_in(ONE)  # a client forgets tokens when it restarts
    soon(TWO, f"cat {WWW}/pending.txt", "second")
    assert not ONE.file(f"{folder}/cache/INIT").exists


def test_a_client_whose_program_crashes_is_there_again() -> None:
    # What is not in the cache can't be used without servers, and the last changes have made the folder out of date.
    soon(ONE, f"touch {WWW}/crashed.html && echo written", "written")
    soon(TWO, f"test -e {WWW}/crashed.html && echo seen", "seen")
    all_is_sent_and_read_again()
    ONE.check_output(f"systemd-run --quiet --unit worker --working-directory {WWW} sleep 1200")
    servers_cables(plugged=False)
    try:
        # A first access without servers may time out.
        soon(ONE, f"echo kept >{WWW}/crashed.html && echo written", "written")
        time.sleep(2)  # upstream may lose what was written in the second before a crash (docs/coda.md)
        ONE.check_output("kill -SEGV $(cat /run/coda-client.pid)")
        soon(ONE, f"cat {WWW}/crashed.html", "kept")
    finally:
        servers_cables(plugged=True)
    assert "has crashed" in ONE.check_output("journalctl --unit coda-client-watch --output cat")
    log_in(ONE)  # tokens went with the program
    soon(TWO, f"cat {WWW}/crashed.html", "kept")
    # A program that works in /coda keeps the old mount. The kernel must hear of changes, before and after it ends.
    for number, stop in enumerate(("true", "systemctl stop worker")):
        ONE.check_output(stop)
        soon(TWO, f"{GAMES} sh -c 'echo {number} >{WWW}/crashed.html' && echo written", "written")
        soon(ONE, f"cat {WWW}/crashed.html", str(number))


def test_who_is_always_logged_in_writes_also_after_a_crash_and_nobody_sees_the_password() -> None:
    write = f"{GAMES} sh -c 'echo $0 >{WWW}/$0.html' "
    soon(TWO, f"{write} before && echo in", "in")
    soon(ONE, f"cat {WWW}/before.html", "before")  # a crash may lose what a client has written and not sent yet
    time.sleep(2)  # or, if it comes within a second of that, what the client writes next (docs/coda.md, VLOGSTALE)
    TWO.check_output("kill -SEGV $(cat /run/coda-client.pid)")
    soon(TWO, f"{write} after && echo in", "in")
    soon(ONE, f"cat {WWW}/before.html {WWW}/after.html", "before\nafter")
    secret = "/etc/coda/logins /etc/coda/logins/games /run/coda-client.logins"
    assert TWO.check_output(f"stat --format %a-%U {secret}") == "700-root\n600-root\n600-root"
    assert "geheim" not in TWO.check_output("journalctl --output cat")


def test_a_check_tells_what_would_change_and_changes_nothing() -> None:
    names = "coda_scm_users", "coda_scm_volumes"
    told = subprocess.run(
        ["ansible-inventory", "-i", INVENTORY, "--host", "coda1.coda.test"], capture_output=True, text=True, check=True
    )
    users, volumes = (json.loads(told.stdout)[name] for name in names)
    news = {"name": "news", "replicas": [{"server": "coda1.coda.test"}], "mount": "news", "rights": {"ben": "read"}}
    ben = {"name": "ben", "uid": 1002, "password": "secret"}
    # What one client does for all is done by another one where the first is away.
    more = {"ha_absent": ["client1"], **dict(zip(names, ([*users, ben], [*volumes, news]), strict=True))}
    check = playbook("coda", "--check", "--diff", "--extra-vars", json.dumps(more))
    assert check.returncode == 0, check.stdout
    for line in ("nui ben 1002", "news on coda1.coda.test", f"{REALM}/news news", "ben rl"):
        assert f"+{line}" in check.stdout, check.stdout
    for name in ("coda2.coda.test", "client1"):  # which have nothing to do with it
        assert changed(name, check.stdout) == []
    for_all = [line.partition(" : ")[2].partition(": ")[0] for line in changed("client2", check.stdout)]
    assert for_all == ["Mount the volumes", "Set the access lists"]
    assert ONE.check_output(f"ls {REALM}") == "www"
    assert "ben" not in ONE.check_output(f"cfs listacl {WWW}")
    listed = ["docker", "exec", "coda1.coda.test", "cat", "/vice/db/VRList"]
    assert "news" not in subprocess.run(listed, check=True, capture_output=True, text=True).stdout


def test_verify_passes_and_fails_with_the_server_that_is_away() -> None:
    whole = playbook("verify")
    assert whole.returncode == 0, whole.stdout
    docker("exec", "coda2.coda.test", "systemctl", "stop", "coda-server")
    try:
        halved = playbook("verify", "--limit", "coda_scm")
    finally:
        docker("exec", "coda2.coda.test", "systemctl", "start", "coda-server")
    assert halved.returncode, halved.stdout
    assert "File servers that don't answer: coda2.coda.test." in " ".join(halved.stdout.split()), halved.stdout
    soon(ONE, f"touch {WWW}/served-again && echo written", "written")
    soon(TWO, f"test -e {WWW}/served-again && echo seen", "seen")


def test_what_is_hoarded_is_read_while_no_server_answers() -> None:
    ONE.check_output(f"echo hoarded >{WWW}/hoarded.txt")
    soon(TWO, f"ls {WWW} | grep hoarded", "hoarded.txt")
    hoard_walk()
    script = f"sleep 13; cat {WWW}/hoarded.txt >/root/read 2>&1; date +%s >/root/read_at"
    TWO.check_output(f"rm -f /root/read*; systemd-run --quiet --collect sh -c '{script}'")
    cable(2, "out")
    try:
        time.sleep(60)
    finally:
        plugged = time.time()
        cable(2, "in")
    soon(TWO, "cat /root/read", "hoarded")
    assert float(TWO.check_output("cat /root/read_at")) < plugged


def test_a_client_that_lost_power_serves_again() -> None:
    ONE.check_output(f"echo 'this is third' >{WWW}/third.html")
    machine(2, "--off")
    machine(2)
    soon(TWO, fetch("third"), "this is third")


def test_a_server_that_crashes_on_what_one_client_sends_serves_the_other_one() -> None:
    """Two clients make a file of the same name while they are cut off; upstream's server crashes on the second one."""
    same = f"{WWW}/{time.time():.0f}"
    ONE.check_output(f"mkdir {same}")
    log_in(TWO)
    soon(TWO, f"ls -d {same}", same)
    for host in (ONE, TWO):
        host.check_output(f"ls -la {same}")
    before = crashes()
    servers_cables(plugged=False)
    try:
        for host in (ONE, TWO):
            # The first access without servers may end with a time-out.
            soon(host, f"echo from $(uname -n) >{same}/same && echo written", "written")
    finally:
        servers_cables(plugged=True)
    wait_for_crashes(before + 2)
    end = time.monotonic() + PATIENCE
    pending: list[Host] = []
    while len(pending) != 1:  # a client that has lost its server a moment ago does not answer
        assert time.monotonic() < end, f"{len(pending)} clients have something to send"
        pending = [host for host in (ONE, TWO) if "CML" in host.run(f"cfs listvol {WWW}").stdout]
    (winner,) = {ONE, TWO} - set(pending)
    (loser,) = pending
    soon(winner, f"echo on >{same}/on && echo written", "written")
    waited = json.dumps({"paths": [WWW], "timeout": int(PATIENCE)})
    assert BY_ANSIBLE[winner]("codalvs.ha.coda_wait", waited, check=False)["volumes"][0]["pending"] == 0
    # What docs/coda.md says to do.
    loser.check_output(f"cfs checkpointml {WWW}")
    loser.check_output(f"echo y | cfs purgeml {WWW}")
    soon(loser, f"cat {same}/same {same}/on", f"from {winner.check_output('uname -n')}\non")
    kept = loser.check_output("cat /var/lib/coda/spool/*/*.cpio")
    assert f"from {loser.check_output('uname -n')}" in kept
    # The role gives it the mode that Venus gives it at a checkpoint; otherwise the next run would change it back.
    assert loser.file("/var/lib/coda/spool").mode == 0o755
    settled = crashes()
    time.sleep(70)  # it has crashed every minute
    assert crashes() == settled
    loser.check_output(LOGIN if loser is ONE else "cunlog @coda.test")


def test_wait_tells_what_is_not_sent() -> None:
    ONE.check_output(f"cfs writedisconnect -age 3600 -time 15 {WWW} && echo late >{WWW}/late.txt")
    try:
        assert "in volume www are not sent" in refusal(ONE, "coda_wait", paths=[WWW], timeout=3)
    finally:
        ONE.check_output(f"cfs adaptive {WWW}")
    told = BY_ANSIBLE[ONE]("codalvs.ha.coda_wait", json.dumps({"paths": [WWW], "timeout": int(PATIENCE)}), check=False)
    assert [(each["name"], each["reachable"], each["pending"]) for each in told["volumes"]] == [("www", True, 0)]
