"""Files of an inventory as text: keys written twice, and groups that are their own descendants."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.files import (
    all_problems,
    files_of,
    find_cycle,
    hidden,
    missing,
    problems,
    unread,
)


def found(name: str, text: str) -> list[tuple[str, str]]:
    return [(rule, complaint.variable) for rule, complaint in problems(Path(name), text)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("hosts.yml", "all: {vars: {a: 1}, hosts: {x: {a: 1}, y: {a: 1}}}", []),
        ("more.yml", "all:\n  hosts:\n\tx:\n", [("unreadable_file", "more.yml")]),
        ("more.yml", "all: {hosts: {x: }\n", [("unreadable_file", "more.yml")]),
        ("more.yml", "[a]\nx: y: z\n", []),  # which Ansible reads as INI
        ("more.yml", "#!/bin/sh\necho '{' \"\n", []),
        ("hosts.yml", "a: {hosts: [x, y]}", [("unreadable_file", "a.hosts")]),
        *(
            ("hosts.yml", f"all: {{children: {{a: {{{key}: {{b: 1}}}}}}}}", [("ignored_key", f"a.{key}")])
            for key in ("var", "variables", "childrens", "host", "Hosts", "group_vars")
        ),
        ("hosts.yml", "all: {a: {hosts: {x: }}}", [("ignored_key", "all.a")]),
        ("hosts.yml", "a: {x-common: &c {hosts: {x: }}, _b: {hosts: }, remarks: why, hosts: {x: }}", []),
        ("hosts.yml", "_meta: {hostvars: {x: {}}}\na: {hosts: {x: {host: 1, var: 2}}}", []),
        ("more.yml", "plugin: constructed\ngroups: {a: {host: x}}", []),
        ("hosts.yml", "all:\n  vars:\n    a: 1\n    b: 2\n    a: 3\n", [("duplicate_key", "all.vars.a")]),
        ("group_vars/all.yml", "a: [{b: 1}, {b: 1, b: 2}]", [("duplicate_key", "a[1].b")]),
        ("group_vars/all/main", "a: 1\na: 2", [("duplicate_key", "a")]),
        ("group_vars/all.yml", "a: !vault |\n  x\nb: {<<: {c: 1}, c: 2}\n", []),
        ("group_vars/all.yml", "$ANSIBLE_VAULT;1.1\na: 1\na: 2", []),
        ("group_vars/all.yml", "a: [", []),
        ("hosts.yml", "a: {children: {b: {children: {c: }}}}\nc: {children: {d: }}", []),
        ("hosts.yml", "a: {children: {b: }}\nb: {children: {a: }}", [("group_cycle", "groups.a")]),
        ("hosts.yml", "a: {children: {b: {children: {c: {children: {b: }}}}}}", [("group_cycle", "groups.b")]),
        ("group_vars/all.yml", "a: {children: {a: }}", []),
        ("hosts", "[a:children]\nb\n# c\n[b]\nhost1\n[b:vars]\nx=1", []),
        ("hosts.ini", "[a:children]\nb\n[b:children]\na\n", [("group_cycle", "groups.a")]),
        ("notes.txt", "[a:children]\na\n", []),
        ("group_vars/all.yml", "x: &x {a: 1}\ny: &y {b: 1}\nz:\n  <<: *x\n  <<: *y\n", []),
        ("group_vars/all.yml", "1: a\n'1': b\n", []),
        ("group_vars/all.yml", "a: &a {b: 1, b: 2}\nc: *a\n", [("duplicate_key", "a.b")]),
        ("group_vars/all.yml", "a: &a [*a]\nb: &b {b: *b}\n", []),
        ("hosts.yml", "a: &a {children: {b: *a}}\n", [("group_cycle", "groups.b")]),
        ("hosts", "a: {children: {b: }}\nb: {children: {a: }}\n", [("group_cycle", "groups.a")]),
        ("hosts", "all:\n  hosts:\n    x:\n    x:\n", [("duplicate_key", "all.hosts.x")]),
        ("hosts", "host1 a=1\nhost2\n[a:children]\na\n", [("group_cycle", "groups.a")]),
    ],
)
def test_files(name: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert found(name, text) == expected


def test_sources_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").touch()
    there = [str(tmp_path / "hosts.yml"), str(tmp_path), "one,two", "localhost,", "/etc/ansible/hosts"]
    sources = [*there, str(tmp_path / "nope.yml")]
    assert [(rule, each.variable) for rule, each in missing(sources)] == [("unreadable_file", "nope.yml")]


def test_of_one_name_ansible_reads_a_folder_alone_or_the_first_file() -> None:
    names = (
        "all/main.yml",
        "all/vault.yml",
        "all.yml",
        "web.yaml",
        "web.yml",
        "one.example.org",
        "one.example.net.yml",
    )
    paths = [Path("/i/group_vars") / name for name in names] + [
        Path("/i/host_vars/all.yml"),
        Path("/p/group_vars/all.yml"),
    ]
    given = {(rule, each.variable) for rule, each in hidden(paths)}
    assert given == {("ignored_file", "group_vars/all.yml"), ("ignored_file", "group_vars/web.yaml")}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("group_vars/director.yml", "directors"),
        ("group_vars/real-servers/main.yml", "real_servers"),
        ("group_vars/RealServers", "real_servers"),
        ("host_vars/dir1.example.org", "dir1"),
        ("host_vars/DIR1.yml", "dir1"),
        *((f"group_vars/{name}", None) for name in ("all.yml", "directors", "staging.yml", ".hidden", "director.yml~")),
        *((f"host_vars/{name}", None) for name in ("dir1.yml", "dir3.yml", "old.example.org", "directors.yml")),
        ("host_vars/198.18.201.1.yml", None),  # another host
        ("host_vars/web-11", None),
        ("host_vars/Web-1-1.yml", "web-1-1"),
    ],
)
def test_files_whose_names_are_nearly_those_of_groups_or_hosts(name: str, meant: str | None) -> None:
    hosts = {"dir1", "dir2", "198.18.20.11", "web-1-1"}
    names = {"group_vars": {"all", "directors", "real_servers"}, "host_vars": hosts}
    given = list(unread([Path("/i") / name], [Path("/i")], names))
    assert not list(unread([Path("/shared") / name], [Path("/i")], names))
    assert [each.remedy for _rule, each in given] == ([f"call it {meant}"] if meant else [])


def test_a_cycle_may_lead_through_several_files() -> None:
    files = [(Path("1.yml"), "a: {children: {b: }}"), (Path("2.ini"), "[b:children]\na\n"), (Path("all.yml"), "x: 1")]
    ((rule, complaint),) = all_problems(files)
    assert (rule, complaint.variable) == ("group_cycle", "groups.a")
    assert list(all_problems(files[1:])) == []
    # One that is in a file is named once.
    own = (Path("0.yml"), "a: {children: {a: }}")
    assert [rule for rule, _complaint in all_problems([own, *files])] == ["group_cycle"]


def test_lines_are_named_and_values_are_not() -> None:
    ((_rule, complaint),) = problems(Path("all.yml"), "\nsecret: hunter2\nx: 1\nsecret: hunter2\n")
    assert "lines 2 and 4 of all.yml" in complaint.problem
    assert "hunter2" not in repr(complaint)


def test_any_graph_of_groups_is_walked_through() -> None:
    deep = {str(number): [str(number + 1)] for number in range(5000)}
    assert find_cycle(deep) == []
    assert find_cycle({**deep, "5000": ["4998"]}) == ["4998", "4999", "5000", "4998"]
    assert find_cycle({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}) == []


def test_files_of_an_inventory(tmp_path: Path) -> None:
    for name in (
        "i/hosts.yml",
        "i/group_vars/all.yml",
        "i/other.yml",
        "p/host_vars/x/a.yml",
        "d/x.yml",
        "d/group_vars/y",
        "d/.github/workflows/ci.yml",
        "d/.x.yml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = files_of([tmp_path / "i/hosts.yml", tmp_path / "d", tmp_path / "no"], tmp_path / "p")
    assert [str(path.relative_to(tmp_path)) for path in names] == [
        *("i/hosts.yml", "d/group_vars/y", "d/x.yml", "i/group_vars/all.yml", "p/host_vars/x/a.yml"),
    ]
