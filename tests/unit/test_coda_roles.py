"""Parts of the roles about shared files that only look, run here on folders of the test; and their playbooks."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from refusals import judge, read_task

ROOT = Path(__file__).resolve().parents[2]


def run_part(folder: Path, role: str, part: str, *words: str, **own: Any) -> subprocess.CompletedProcess[str]:
    """Run one task file of a role here, as the only host; use files that read and refuse, or --check."""
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "any_errors_fatal": True}
    include = {"name": f"codalvs.ha.{role}", "tasks_from": part}
    play["tasks"] = [{"name": "Run one file of tasks", "ansible.builtin.include_role": include}]
    hosts = {name: {"ansible_python_interpreter": "{{ ansible_playbook_python }}", **own} for name in ("one", "two")}
    (folder / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    command = ["ansible-playbook", "-i", str(folder / "hosts.yml"), str(folder / "play.yml"), *words]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_a_check_of_a_bare_client_says_that_it_would_make_a_cache(tmp_path: Path) -> None:
    folder = tmp_path / "coda"
    run = run_part(tmp_path, "coda_client", "cache", "--check", coda_client_folder=str(folder), coda_client_sync=True)
    assert run.returncode == 0, run.stdout
    assert not folder.exists()


@pytest.mark.parametrize("path", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_no_play_is_for_a_host_by_its_place_in_a_group(path: Path) -> None:
    """That one may be down, and then nobody does what the play does."""
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        assert "[" not in play.get("hosts", ""), play["name"]


@pytest.mark.parametrize("name", ["coda", "coda_restore"])
def test_one_of_the_clients_that_are_there_acts_for_all(name: str) -> None:
    plays = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text(encoding="utf-8"))
    chosen = "inventory_hostname == ansible_play_hosts"  # and not the first host of the group
    tasks = [
        [(task["name"], str(task.get("when", ""))) for task in play["tasks"]]
        for play in plays
        if any(chosen in str(task.get("when", "")) for task in play.get("tasks", ()))
    ]
    assert len(tasks) == 1
    assert tasks[0][0][0] == "Leave out the hosts that are known to be down"


def test_clocks_are_compared_host_by_host() -> None:
    """A host that is slow to answer, or one that waits for it, has no other clock."""
    tasks = yaml.safe_load((ROOT / "roles/coda_common/tasks/compare_host.yml").read_text(encoding="utf-8"))
    (read, _refuse) = tasks[-2:]
    assert "now()" in str(read["ansible.builtin.command"])
    assert not any("now()" in str(task) for task in tasks if task is not read)


@pytest.mark.parametrize(
    ("held", "refused"),
    [
        (None, False),
        ([], False),
        (["LOG"], False),  # a run that was killed
        (["cache", "spool", "lost+found"], False),  # a new file system, and a run that was killed
        (["DATA", "LOG", "cache", "pid"], False),
        (["initialised", "cache"], False),
        (["cache", "lib", "spool"], True),  # /var
        (["anna"], True),
        ([".ssh"], True),
        (["DATA", "LOG"], True),  # RVM of a server
        (["DATA", "LOG", "vicepa", "cache"], True),
    ],
)
def test_a_folder_that_holds_something_else_is_no_place_for_a_cache(
    tmp_path: Path, held: list[str] | None, refused: bool
) -> None:
    folder = tmp_path / "place"
    if held is not None:
        folder.mkdir()
    for name in held or ():
        (folder / name).touch()
    run = run_part(tmp_path, "coda_client", "check", coda_client_folder=str(folder), coda_client_link="")
    assert ("is no cache of Coda's" in " ".join(run.stdout.split())) is refused, run.stdout
    assert bool(run.returncode) is refused, run.stdout


@pytest.mark.parametrize(
    ("conf", "held", "refused"),
    [
        ('rvm_data="/d/coda/DATA"', ["DATA", "LOG", "cache", "spool", "notes"], ""),  # an old client's
        ('rvm_data="/d/coda/DATA"', ["cache", "spool"], ""),  # a first run that was killed
        ('rvm_data="/d/coda/DATA"', [], "Mount the file system"),
        ('rvm_data="/d/coda/DATA"', ["cache", "initialised"], "Mount the file system"),  # venus was started there
        ('rvm_data="/other/DATA"', [], ""),
        ("#rvm_data=/d/coda/DATA", [], ""),
        ('rvm_data="/other/DATA"', ["DATA", "LOG"], "it holds DATA"),
        (None, [], ""),
    ],
)
def test_a_cache_that_is_not_mounted_is_not_made_anew(
    tmp_path: Path, conf: str | None, held: list[str], refused: str
) -> None:
    given = yaml.safe_load((ROOT / "roles/coda_client/vars/main.yml").read_text(encoding="utf-8"))
    given["coda_client_folder"] = "/d/coda"
    given["__coda_client_held"] = {"stdout_lines": held}
    text = base64.b64encode(f'realm="x"\n{conf}\nrvm_log="/l"\n'.encode()).decode()
    given["__coda_client_conf"] = {"failed": False, "msg": "file not found"} if conf is None else {"content": text}
    names = ("of a folder that holds something else", "while the old one is not mounted")
    tasks = [
        read_task("coda_client", "check", f"Refuse to make a {'new ' * (name == names[1])}cache {name}")
        for name in names
    ]
    said = judge(tmp_path, {"name": "Check the folder", "block": tasks}, **given)
    assert bool(said) is bool(refused), said
    assert refused in said


def test_a_cache_that_is_made_anew_is_told_again_what_to_hoard(tmp_path: Path) -> None:
    """What the last one was told is noted beside it, and its list is gone."""
    for name in ("initialised", "hoard"):
        (tmp_path / name).touch()
    (tmp_path / "cache").mkdir()
    for there, changes in ((False, 2), (True, 0)):
        found = {"results": [{}, {"stat": {"exists": there}}]}
        run = run_part(
            tmp_path, "coda_client", "initialise", "--check", coda_client_folder=str(tmp_path), __coda_client_data=found
        )
        assert run.returncode == 0, run.stdout
        assert sum(f"changed: [one] => (item={name})" in run.stdout for name in ("initialised", "hoard")) == changes


def test_what_was_a_mount_point_is_named_after_a_restore(tmp_path: Path) -> None:
    (tmp_path / "files/inner").mkdir(parents=True)
    for name, target in (("a", "#www."), ("inner/b", "#a/b.c."), ("c", "#www"), ("d", "x#y."), ("e", "files")):
        (tmp_path / "files" / name).symlink_to(target)
    (tmp_path / "files/#f.").touch()
    look = read_task("coda_client", "unpack_archive", "List the links that were mount points")
    words = look["vars"]["__coda_client_restore_look"]
    words = [word.replace("{{ __coda_client_restore_target }}", f"{tmp_path}/files") for word in words]
    lines = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert sorted(lines) == [f"{tmp_path}/files/a (#www.)", f"{tmp_path}/files/inner/b (#a/b.c.)"]


def test_two_restores_at_once_share_no_folder() -> None:
    """One would merge into the other's folder, or remove it."""
    made = read_task("coda_client", "merge", "Create a folder for the merged archive")
    assert made["ansible.builtin.tempfile"]["prefix"] == "restore."
    own = f"{{{{ {made['register']}.path }}}}"
    merge = read_task("coda_client", "merge", "Merge the archive with its full dump, and make a tar file")
    assert {word for words in merge["loop"] for word in words if own in word} == {f"{own}/dump", f"{own}/archive.tar"}
    ends = read_task("coda_client", "restore", "Restore the archive")["always"]
    assert ends[0]["ansible.builtin.file"] == {"path": own, "state": "absent"}
    left = read_task("coda_client", "merge", "List what restores have left that were killed")["ansible.builtin.find"]
    assert (left["patterns"], left["file_type"], left["age"]) == ("restore.*.tmp", "directory", "1d")


@pytest.mark.parametrize(
    ("key", "second", "wanted", "later", "changes"),
    [
        (None, None, "", 0, []),  # a bare host: a check has nothing to copy
        ("one", "one", "", 9, []),
        ("one", "two", "one", 9, []),
        ("one", "", "", 9, ["Keep"]),
        ("one", None, "one", 9, ["Keep"]),
        ("one", "two", "three", 9, ["Keep"]),
        ("one", "one", "three", 9, []),  # what is kept is there already
        ("one", "one", "", 0, ["Let"]),  # a run that was killed
        ("one", "one", "", -9, ["Let"]),
    ],
)
def test_a_cell_has_a_second_key_which_is_the_first_or_the_former_one(
    tmp_path: Path, key: str | None, second: str | None, wanted: str, later: int, changes: list[str]
) -> None:
    """An empty second file would count as a key of zeros."""
    for number, (name, text) in enumerate((("auth2.tk.BAK", second), ("auth2.tk", key))):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n" if text else "", encoding="utf-8")
            (tmp_path / name).chmod(0o600)
            os.utime(tmp_path / name, (0, 1_000_000 + number * later))
    text = (ROOT / "roles/coda_scm/tasks/secrets.yml").read_text(encoding="utf-8").replace("/vice/db", str(tmp_path))
    tasks = [task for task in yaml.safe_load(text) if " key" in task["name"]]
    assert len(tasks) == 5
    files = [str(ROOT / f"roles/coda_scm/{part}/main.yml") for part in ("defaults", "vars")]
    own = {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "coda_scm_tokens": {"auth2": wanted}}
    play = {"hosts": "one", "connection": "local", "gather_facts": False, "vars_files": files, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    command = ["ansible-playbook", "--check", "--diff", "-i", "one,", str(tmp_path / "play.yml"), "-e", json.dumps(own)]
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    run = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert run.returncode == 0, run.stdout
    found = [task.split()[0] for task in run.stdout.split("\nTASK [") if "\nchanged: " in task]
    assert found == changes, run.stdout


def test_no_file_of_keys_begins_empty() -> None:
    tasks = yaml.safe_load((ROOT / "roles/coda_scm/tasks/main.yml").read_text(encoding="utf-8"))
    assert not any("auth2.tk" in str(task) for task in tasks)
    fetched = read_task("coda_server", "fetch", "Read the secrets of the SCM")["loop"]
    assert fetched == ["auth2.tk.BAK", "auth2.tk", "update.tk", "volutil.tk"]


def test_what_a_killed_restore_has_left_on_the_client_is_removed() -> None:
    """It is a whole archive. One that is being restored stays."""
    (find, remove, *_controllers, make) = read_task("coda_client", "restore", "Restore the archive")["block"][:4]
    place, wanted = make["ansible.builtin.tempfile"], find["ansible.builtin.find"]
    assert wanted["paths"] == [place["path"]]
    assert wanted["patterns"] == f"{place['prefix']}*"
    assert (wanted["file_type"], wanted["age"]) == ("directory", "1d")
    assert find["register"] in remove["loop"]
    assert remove["ansible.builtin.file"]["state"] == "absent"
    assert not any("delegate_to" in task for task in (find, remove, make))


def test_who_is_no_longer_listed_is_logged_out_before_the_login_goes() -> None:
    """A run that is killed in between leaves the file to the next one, which logs out again."""
    tasks = read_task("coda_client", "logins", "End the logins that are no longer listed")["block"]
    assert [task["loop"] for task in tasks] == ["{{ __coda_client_former }}"] * 2
    (log_out, remove) = tasks
    assert "cunlog" in log_out["ansible.builtin.command"]["argv"]
    assert log_out["failed_when"] is False
    assert remove["ansible.builtin.file"]["state"] == "absent"


@pytest.mark.parametrize(
    ("replicas", "refused"),
    [
        ({"one": "/vicepa"}, ""),  # a restart interrupts it whatever the others do
        ({"one": "/vicepa", "two": "/vicepa"}, ""),
        ({"one": "/vicepa", "two": None}, "nobody else serves www (on two). Look there"),
        ({"two": None, "one": "/vicepa", "three": None}, "nobody else serves www (on two and three). Look there"),
        ({"one": "/vicepa", "two": None, "three": "/vicepa"}, ""),
        ({"one": None, "two": None}, ""),  # it does not serve it itself
        ({"two": "/vicepa", "three": None}, ""),
        ({"one": "/vicepa", "": None}, ""),  # on a server that is gone for good
        (None, ""),  # the SCM's own file server is silent
    ],
)
def test_the_only_server_of_a_replicated_volume_is_not_restarted(
    tmp_path: Path, replicas: dict[str, str | None] | None, refused: str
) -> None:
    told = [{"server": server, "partition": partition} for server, partition in (replicas or {}).items()]
    seen = {"failed": True} if replicas is None else {"volumes": [{"name": "www", "replicas": told}]}
    given = {"__coda_server_loaded": {"rc": 1}, "__coda_server_own": {"name": "one"}, "__coda_server_seen": seen}
    task = read_task("coda_server", "files", "Refuse to restart the only file server that serves a replicated volume")
    said = judge(tmp_path, task, **given)
    assert bool(said) is bool(refused), said
    assert refused in said


def test_a_file_server_asks_before_it_restarts() -> None:
    tasks = yaml.safe_load((ROOT / "roles/coda_server/tasks/files.yml").read_text(encoding="utf-8"))
    (start,) = [number for number, task in enumerate(tasks) if task["name"].startswith("Restart a file server")]
    (ask, refuse) = tasks[start - 2 : start]
    assert ask["codalvs.ha.coda_volume_info"] is None
    assert ask["delegate_to"] == "{{ __coda_server_scm }}"  # the only host that has the cell's volumes
    assert refuse["name"].startswith("Refuse to restart the only file server")
    assert ask["when"] == refuse["when"] == tasks[start]["when"]


def test_rvm_and_partitions_are_compared_before_vicetab_is_written() -> None:
    """A server whose partition is refused must find no line of it there at its next start."""
    plays = yaml.safe_load((ROOT / "playbooks/compare.yml").read_text(encoding="utf-8"))
    (asked,) = [
        task for task in plays[0]["tasks"] if "coda_server" in str(task.get("ansible.builtin.include_role", ""))
    ]
    assert asked["ansible.builtin.include_role"]["tasks_from"] == "compare.yml"
    name = "Find out whether RVM and the partitions can become what the inventory says"
    look = read_task("coda_server", "compare", name)
    assert look["check_mode"] is True
    act = read_task("coda_server", "initialise", "Initialise RVM and the partitions, once and never again")
    assert look["codalvs.ha.coda_rvm"] == act["codalvs.ha.coda_rvm"]


@pytest.mark.parametrize(
    ("mark", "started", "refused"),
    [
        (["/vicepa", "/vicepb"], True, True),
        (["/vicepa"], True, False),  # its coda_rvm has refused it
        (None, False, False),  # a new server, whose coda_rvm has refused everything
        (None, True, True),  # one that was set up by hand
        ("unreachable", None, True),
    ],
)
def test_only_a_partition_that_its_server_has_must_be_named_again(
    tmp_path: Path, mark: list[str] | str | None, started: bool | None, refused: bool
) -> None:
    line = "coda2.test /vicepb ftree width=64,depth=3"
    found = {"failed": True, "msg": "file not found: /vice/rvm.json"}
    if isinstance(mark, list):
        found = {"content": base64.b64encode(json.dumps({"partitions": mark}).encode()).decode()}
    elif mark:
        found = {"unreachable": True, "msg": "ssh: not found"}
    there = {} if started is None else {"stat": {"exists": started}}
    given = yaml.safe_load((ROOT / "roles/coda_common/vars/main.yml").read_text(encoding="utf-8"))
    given["__coda_common_marks"] = {"results": [{"item": line, **found}]}
    given["__coda_common_started"] = {"results": [{"item": line, **there}]}
    said = judge(
        tmp_path, read_task("coda_common", "vice", "Refuse other partitions for servers that have some"), **given
    )
    assert bool(said) is refused, said
    assert (line in said) is refused


def test_the_marks_of_unsaid_partitions_are_read_on_their_servers(tmp_path: Path) -> None:
    tasks = yaml.safe_load((ROOT / "roles/coda_common/tasks/vice.yml").read_text(encoding="utf-8"))
    looks = [task for task in tasks if task.get("loop") == "{{ __coda_common_other_trees }}"]
    assert len(looks) == 2
    hosts = {"host2": {"name": "coda2.test", "host": "host2"}}
    given = yaml.safe_load((ROOT / "roles/coda_common/vars/main.yml").read_text(encoding="utf-8"))
    given |= {"__coda_common_cell": {"servers": hosts}, "item": "coda2.test /vicepb ftree width=64,depth=3"}
    for look in looks:
        assert look["ignore_unreachable"] is True
        assert look["any_errors_fatal"] is False  # which the play has, and for which an ignored one counts
        named = look["delegate_to"].removeprefix("{{").removesuffix("}}")
        task = {"ansible.builtin.assert": {"that": f"{named} == 'host2'"}}
        assert judge(tmp_path, task, **given) == ""


def test_nothing_is_fetched_from_a_former_scm_once_the_new_ones_files_are_written(tmp_path: Path) -> None:
    """The service asks the SCM that it has read at its start, and takes what differs, even if it is older."""
    tasks = yaml.safe_load((ROOT / "roles/coda_common/tasks/vice.yml").read_text(encoding="utf-8"))
    names = [task["name"] for task in tasks]
    stop = names.index("Stop the service that fetches the databases of a former SCM")
    assert stop < names.index("Write the files that are the same on all servers")
    service = {"name": "coda-update-slave.service", "state": "stopped"}
    assert tasks[stop]["ansible.builtin.systemd_service"] == service
    for content, stops in ((None, False), ("one.test\n", False), ("two.test\n", True)):
        found = (
            {"msg": "file not found"} if content is None else {"content": base64.b64encode(content.encode()).decode()}
        )
        given = {"__coda_common_cell": {"files": {"scm": "one.test\n"}}, "__coda_common_scm": found}
        task = {"ansible.builtin.fail": {"msg": "It stops."}, "when": tasks[stop]["when"]}
        assert bool(judge(tmp_path, task, **given)) is stops


@pytest.mark.parametrize("held", ["nothing", "mine", "proc"])
def test_a_mount_hides_nothing(tmp_path: Path, held: str) -> None:
    """Whether something else is mounted there is read from the kernel's list."""
    place = Path("/proc") if held == "proc" else tmp_path / "place"
    place.mkdir(exist_ok=True)
    if held == "mine":
        (place / held).touch()
    server = "192.0.2.1"
    run = run_part(tmp_path, "nfs_client", "check", nfs_client_folder=str(place), nfs_client_server=server)
    said = {"nothing": "", "mine": f"holds {place}/mine already", "proc": "holds proc proc already"}[held]
    assert said in " ".join(run.stdout.split()), run.stdout
    assert bool(run.returncode) is bool(said), run.stdout


@pytest.mark.parametrize(
    ("noted", "mounted", "refused"),
    [
        (None, None, False),  # the first run
        ("", None, False),  # by an older version of the role
        ("# /srv/shared is on the file system of /srv", True, False),
        ("# /srv/shared is on the file system of /srv", False, True),
        ("# /srv/shared is on the file system of /", True, False),
        ("# /srv/other is on the file system of /srv", None, False),
    ],
)
def test_a_shared_folder_that_is_not_mounted_is_not_made_anew(
    tmp_path: Path, noted: str | None, mounted: bool | None, refused: bool
) -> None:
    given = yaml.safe_load((ROOT / "roles/nfs_server/vars/main.yml").read_text(encoding="utf-8"))
    text = base64.b64encode(f"# Managed by Ansible\n{noted}\n/srv/shared 192.0.2.1(rw)\n".encode()).decode()
    given["__nfs_server_exports"] = {"msg": "file not found"} if noted is None else {"content": text}
    given["__nfs_server_mounted"] = {"skipped": True} if mounted is None else {"rc": int(not mounted)}
    given["nfs_server_folder"] = "/srv/shared"
    task = read_task("nfs_server", "check", "Refuse to share a folder whose file system is not mounted")
    said = judge(tmp_path, task, **given)
    assert ("is on the file system of /srv, by" in said) is refused, said


def test_the_file_system_of_the_shared_folder_is_noted_as_the_next_run_reads_it() -> None:
    line = (ROOT / "roles/nfs_server/templates/exports.j2").read_text(encoding="utf-8").splitlines()[1]
    assert line == "# {{ nfs_server_folder }} is on the file system of {{ __nfs_server_on.stdout }}"
    names = [
        task["name"] for task in yaml.safe_load((ROOT / "roles/nfs_server/tasks/main.yml").read_text(encoding="utf-8"))
    ]
    assert names.index("Prepare the shared folder") < names.index("Configure the NFS server and its exports")


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("www", None),
        ("www/static/", None),
        ("www/missing/inner", None),
        ("link", "etc"),
        ("link/", "etc"),
        ("link/inner", "etc/inner"),
        ("dangling", "nothing"),
        ("www/up", "srv/shared"),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_no_folder_behind_a_link_is_given_away(tmp_path: Path, path: str, leads: str | None, bare: bool) -> None:
    """A web user who may write in `www` may make links in it, and the role acts as root."""
    shared = tmp_path / "srv/shared"
    if not bare:
        (shared / "www/static").mkdir(parents=True)
        (tmp_path / "etc").mkdir()
        (tmp_path / "admins").symlink_to("srv")  # this one is nobody's trick
        for name, target in (("link", tmp_path / "etc"), ("dangling", tmp_path / "nothing"), ("www/up", shared)):
            (shared / name).symlink_to(target)
    look = read_task("nfs_server", "check", "Find out where the folders in the shared folder lead")
    place = f"{tmp_path}/admins/shared"
    words = [
        word.replace("{{ nfs_server_folder }}", place).replace("{{ item.path }}", path)
        for word in look["ansible.builtin.command"]["argv"]
    ]
    lines = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    said = judge(
        tmp_path,
        read_task("nfs_server", "check", "Refuse folders that lead elsewhere"),
        nfs_server_folder=place,
        __nfs_server_places={"results": [{"item": {"path": path}, "stdout_lines": lines}]},
    )
    assert bool(said) is (leads is not None and not bare), said
    if said:
        assert f"{place}/{path} (nfs_server_folders) of one is" in said
        assert f"it leads to {tmp_path}/{leads}. Somebody" in said


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, ""),
        ({"etc/cloud/cloud.cfg": "users: []\n"}, ""),
        ({"etc/cloud/cloud.cfg": "manage_etc_hosts: false\n"}, ""),
        ({"etc/cloud/cloud.cfg": "# manage_etc_hosts: true\n"}, ""),
        (
            {"etc/cloud/cloud.cfg": "x: 1\nmanage_etc_hosts: true\n"},
            "etc/cloud/cloud.cfg: set manage_etc_hosts: false there.",
        ),
        ({"etc/cloud/cloud.cfg": "manage_etc_hosts: 'localhost'\n"}, "etc/cloud/cloud.cfg: set"),
        (
            {
                "etc/cloud/cloud.cfg": "manage_etc_hosts: true\n",
                "etc/cloud/cloud.cfg.d/9.cfg": "manage_etc_hosts: false",
            },
            "",
        ),
        (
            {"etc/cloud/cloud.cfg.d/1.cfg": "a: 1", "etc/cloud/cloud.cfg.d/2.cfg": "manage_etc_hosts: template"},
            "etc/cloud/cloud.cfg.d/2.cfg: set",
        ),
        ({"var/lib/cloud/instance/cloud-config.txt": "manage_etc_hosts: true\n"}, "false in the user data"),
    ],
)
def test_a_refused_etc_hosts_that_would_come_back_is_told_of(tmp_path: Path, files: dict[str, str], told: str) -> None:
    """cloud-init undoes at the next boot what the operator corrects."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    look = read_task("coda_common", "compare_host", "Look up whether cloud-init writes /etc/hosts at each boot")
    command = re.sub(r"(?<= )/(etc|var)", rf"{tmp_path}/\1", look["ansible.builtin.shell"])
    found = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=False).stdout
    given = yaml.safe_load((ROOT / "roles/coda_common/vars/main.yml").read_text(encoding="utf-8"))
    given["__coda_common_cell"] = {"servers": {"one": {"name": "one.test", "address": "192.0.2.1"}}}
    given["__coda_common_own"] = {"stdout_lines": ["127.0.1.1 STREAM one.test"]}
    given["__coda_common_cloud"] = {"stdout_lines": found.replace(f"{tmp_path}", "").splitlines()}
    task = read_task("coda_common", "compare_host", "Compare the address of `uname -n` with the inventory")
    said = judge(tmp_path, task, **given)
    assert "replace that." in said, said
    assert "Nothing was changed." in said
    assert ("cloud-init" in said) is bool(told), said
    assert told in said
