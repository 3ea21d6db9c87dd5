"""What must be true of an NFS folder: all clients see the same files, and lose none while the server is away."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import testinfra
from testinfra.host import Host

INVENTORY = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
ADDRESSES = {"files1": "198.18.0.21", "web1": "198.18.0.22", "web2": "198.18.0.23"}
# A connection that is kept would hang for minutes after the power was cut.
NEW_EACH_TIME = "-o ControlMaster=no -o ControlPath=none"
os.environ["ANSIBLE_SSH_ARGS"] = NEW_EACH_TIME
# Not by Ansible, which takes two seconds of a processor for a command.
SERVER, ONE, TWO = (
    testinfra.get_host(f"ssh://root@{address}", ssh_extra_args=f"{NEW_EACH_TIME} {os.environ['LAB_SSH_ARGS']}")
    for address in ADDRESSES.values()
)
SHARED = "/srv/shared"
WWW = f"{SHARED}/www"
WEB = "runuser -u www-data --"
MOUNTED = f"findmnt --noheadings --output SOURCE --mountpoint {SHARED}"


def machine(name: str, *words: str) -> None:
    """Switch a machine on, or with --off cut its power."""
    lab = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], "lab", "lab")
    subprocess.run([str(lab), "machine", name, ADDRESSES[name], *words], check=True, capture_output=True)


def verify() -> tuple[int, str]:
    """Run the playbook that proves that the cluster works; return its exit code, and what it said on one line."""
    command = ["ansible-playbook", "-i", INVENTORY, "codalvs.ha.verify"]
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=env)
    return told.returncode, " ".join(told.stdout.split())


def soon(host: Host, command: str, wanted: str, seconds: float = 480) -> None:
    """Wait until a command prints what is wanted (without the last line end); the machine may be booting."""
    end = time.monotonic() + seconds
    found = ""
    while found != wanted:
        assert time.monotonic() < end, f"{command} says {found!r} after {seconds:.0f} s, not {wanted!r}"
        try:
            found = host.run(command).stdout.removesuffix("\n")
        except RuntimeError as error:  # testinfra's words for a machine that can't be reached
            found = str(error)
        time.sleep(1)


def test_what_one_writes_the_other_reads_also_what_it_has_asked_for_too_early() -> None:
    assert TWO.run(f"cat {WWW}/new").rc != 0
    ONE.check_output(f"{WEB} sh -c 'echo new >{WWW}/new'")
    assert TWO.check_output(f"cat {WWW}/new") == "new"
    ONE.check_output(f"{WEB} sh -c 'echo newer >{WWW}/new'")
    assert TWO.check_output(f"cat {WWW}/new") == "newer"


def test_who_may_not_write_can_read_only() -> None:
    for who in ("", "runuser -u nobody --"):  # root on a client is nobody on the server
        refused = ONE.run(f"{who} sh -c 'echo mine >{WWW}/mine'")
        assert refused.rc != 0, refused
        assert "Permission denied" in refused.stderr, refused
        assert ONE.check_output(f"{who} cat {WWW}/new") == "newer"


def test_the_server_speaks_version_4_alone_and_to_the_clients_alone() -> None:
    versions = SERVER.check_output("cat /proc/fs/nfsd/versions").split()
    assert "+4" in versions
    assert "-3" in versions
    exported = SERVER.check_output("exportfs -s").splitlines()
    assert sorted(line.partition("(")[0].split() for line in exported) == [
        [SHARED, ADDRESSES[name]] for name in ("web1", "web2")
    ]


def test_the_server_loses_power_and_clients_wait_without_losing_anything() -> None:
    script = f"for n in $(seq 100); do echo $n >>{WWW}/counted; sleep 0.2; done"
    ONE.check_output(f"systemd-run --quiet --unit counting --remain-after-exit --uid=www-data sh -c '{script}'")
    soon(ONE, f"test -s {WWW}/counted && echo begun", "begun")
    machine("files1", "--off")
    time.sleep(10)  # how long the server is away
    assert ONE.check_output("systemctl show --property SubState counting") == "SubState=running"
    machine("files1")
    soon(ONE, "systemctl show --property SubState counting", "SubState=exited")
    wanted = "".join(f"{number}\n" for number in range(1, 101))
    assert ONE.check_output(f"cat {WWW}/counted") == wanted.rstrip("\n")
    assert TWO.check_output(f"cat {WWW}/counted") == wanted.rstrip("\n")


def test_a_client_that_boots_without_the_server_has_the_folder_later() -> None:
    machine("files1", "--off")
    TWO.check_output("sync")  # what was installed a moment ago has to be on its disk
    machine("web2", "--off")
    machine("web2")
    soon(TWO, "systemctl is-active ssh", "active")
    assert TWO.run(MOUNTED).rc == 1
    assert TWO.run(f"touch {SHARED}/hidden-later").rc != 0
    code, told = verify()
    assert code != 0, told
    assert f"{SHARED} of web1 does not answer within 10 s" in told, told
    assert f"{SHARED} of web2 is not {ADDRESSES['files1']}:{SHARED}" in told, told
    machine("files1")
    soon(TWO, MOUNTED, f"{ADDRESSES['files1']}:{SHARED}")
    # Each client tries again on its own, less and less often.
    for host in (ONE, TWO):
        soon(host, f"cat {WWW}/new", "newer")
    code, told = verify()
    assert code == 0, told
