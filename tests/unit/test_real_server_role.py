"""What the role real_server writes for tunnels, and what it would change on hosts in various states, without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/real_server"
VIP, DIRECTOR = "198.18.20.31", "198.18.20.11"
DEVICE = "lvs-f2959428"  # of the director
ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


def task(file: str, name: str) -> dict[str, Any]:
    """Return one task of the role."""
    tasks = yaml.safe_load((ROLE / f"tasks/{file}.yml").read_text(encoding="utf-8"))
    return next(found for found in tasks if found["name"] == name)


def templated(folder: Path, text: str | dict[str, Any], cases: dict[str, Any], **own: Any) -> dict[str, Any]:
    """Return the value of one or several templates in the role, for each case with its variables."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    directors = dict.fromkeys(name for name in cases if name.startswith("director"))
    hosts = {"all": {"vars": defaults, "hosts": cases}, "directors": {"hosts": directors}}
    (folder / "hosts.yml").write_text(json.dumps(hosts), encoding="utf-8")
    to = f"{folder}/{{{{ inventory_hostname }}}}"
    copy = {"content": "{{ {'result': result} | to_json }}", "dest": to, "mode": "0600"}
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "vars_files": [str(ROLE / "vars/main.yml")]}
    play["vars"] = {"result": text, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play["tasks"] = [{"name": "Write the result", "ansible.builtin.copy": copy, "vars": own}]
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    subprocess.run(["ansible-playbook", "-i", folder / "hosts.yml", folder / "play.yml"], check=True, cwd=ROOT)
    return {name: json.loads((folder / name).read_text(encoding="utf-8"))["result"] for name in cases}


def link(name: str, *addresses: str, up: bool = True, group: str = "default") -> dict[str, Any]:
    """Return a device as `ip -json address show` does."""
    own = [
        {
            "local": text,
            "prefixlen": 128 if ":" in text else 32,
            "scope": "link" if text.startswith("fe80:") else "global",
        }
        for text in addresses
    ]
    return {"ifname": name, "flags": ["NOARP", *["UP"] * up], "group": group, "addr_info": own}


def tunnelled(*sources: str) -> dict[str, Any]:
    vips = [{"address": VIP, "forwarding": "tunnel"}]
    return {"real_server_vips": vips, "real_server_tunnel_sources": sources, "vip": vips[0], "ansible_managed": ""}


def file(name: str) -> str:
    return f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/{name}.j2') }}}}"


def test_devices_have_the_vip_before_they_are_up(tmp_path: Path) -> None:
    """If they were up without an address, they would drop packets that tunl0 would otherwise take."""
    wanted = {name: file(name) for name in ("lvs-tunnels.service", "lvs-vip@.service", "vip")}
    found = templated(tmp_path, wanted, {"real": tunnelled(DIRECTOR)})["real"]
    adding = found["lvs-tunnels.service"]
    assert f"ip link add {DEVICE} group 157 type ipip remote {DIRECTOR}'" in adding
    assert "ip link set" not in adding
    assert "ExecStop" not in adding  # a restart would take the VIPs away
    start = found["lvs-vip@.service"].partition("ExecStart=")[2].partition("ExecStop=")[0]
    assert start.index("ip address replace") < start.index("ip link set")
    assert start.count("ExecReload=") == 1  # by which an address gets another device
    assert "ip address delete" not in start
    assert f'\nDEVICES="{DEVICE}"\n' in found["vip"]
    assert '\nKIND=\nGROUP="group 157"\n' in found["vip"]


def test_a_device_that_is_down_or_unmarked_is_mended(tmp_path: Path) -> None:
    state = task("vips", "Add the VIPs, now and at every boot")
    links = {
        "right": [link(DEVICE, VIP, group="157")],
        "down": [link(DEVICE, VIP, group="157", up=False)],
        "unmarked": [link(DEVICE, VIP)],
        "former": [link("tunl0", VIP), link(DEVICE, group="157", up=False)],
        "both": [link("tunl0", VIP), link(DEVICE, VIP, group="157")],
    }
    cases = {
        name: {"__real_server_state": {"stdout": json.dumps(found)}, **tunnelled(DIRECTOR)}
        for name, found in links.items()
    }
    found = templated(tmp_path, state["ansible.builtin.systemd_service"]["state"], cases)
    assert [found.pop("right"), found.pop("both")] == ["started", "started"]
    assert {*found.values()} == {"reloaded"}


def test_heartbeat_moves_the_vip_of_a_director(tmp_path: Path) -> None:
    """It takes it from lo while the director holds it; a run that put it back would change something each time."""
    state = task("vips", "Add the VIPs, now and at every boot")["ansible.builtin.systemd_service"]["state"]
    six = "fd00::30"
    held = link("eth0", VIP, six)
    held["addr_info"][0]["prefixlen"], held["addr_info"][1]["prefixlen"] = 24, 64
    rows: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "director_holds": ([link("lo"), held], {}),
        "director_lacks": ([link("lo")], {}),
        "director_had_a_dummy": ([link("lo"), link("lvs0", VIP)], {}),
        "director_holds_and_had_a_dummy": ([link("lo"), held, link("lvs0", VIP)], {}),
        "director_takes_from_tunnels": ([link("lo"), held, link(DEVICE)], {"forwarding": "tunnel"}),
        "director_of_ipv6": ([link("lo"), held], {"address": six}),
        "real_server": ([link("lo"), held], {}),
    }
    cases: dict[str, Any] = {}
    for name, (links, own) in rows.items():
        vip = {"address": VIP, "forwarding": "direct", **own}
        seen = {"__real_server_state": {"stdout": json.dumps(links)}}
        cases[name] = {**tunnelled(DIRECTOR), **seen, "real_server_vips": [vip], "vip": vip}
    found = templated(tmp_path, state, cases)
    assert found.pop("director_holds") == "started"
    assert {*found.values()} == {"reloaded"}


def test_a_reboot_between_adding_and_removing_loses_no_way(tmp_path: Path) -> None:
    """Directors that have not changed yet still send by the old device, perhaps for hours."""
    remote = {"link_type": "ipip", "broadcast": DIRECTOR}
    old = {**link(DEVICE, VIP, group="157"), **remote}
    other = {**link("lvs-0", VIP, group="157"), **remote, "broadcast": "198.18.20.12"}
    unmarked = {**link("tunl1", VIP), **remote}
    direct = {**tunnelled(), "real_server_vips": [{"address": VIP}], "vip": {"address": VIP}}
    # What there is and what is wanted; the VIP's former devices, the unit's, and whether rp_filter is written.
    rows: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str, list[str], bool]] = {
        "direct": ([link("lo", VIP), old], direct, f'FORMER="{DEVICE}"', [DEVICE], True),
        "source": ([link("lo"), other], tunnelled(DIRECTOR), 'FORMER="lvs-0"', [DEVICE, "lvs-0"], True),
        "open": ([link("lo"), link("tunl0", VIP, group="157")], tunnelled(DIRECTOR), 'FORMER="tunl0"', [DEVICE], True),
        "right": ([link("lo"), old], tunnelled(DIRECTOR), "", [DEVICE], True),
        "of_others": ([link("lo", VIP), unmarked], direct, "", [], False),
        "tunnelled_now": ([link("lo", VIP)], tunnelled(DIRECTOR), "", [DEVICE], True),
        "no_vips": ([link("lo", VIP), old], {**direct, "real_server_vips": []}, f'FORMER="{DEVICE}"', [DEVICE], False),
    }
    cases = {
        name: {"__real_server_state": {"stdout": json.dumps(links)}, **wanted}
        for name, (links, wanted, *_result) in rows.items()
    }
    wanted = {name: file(name) for name in ("lvs-tunnels.service", "vip")}
    wanted["sysctls"] = task("arp", "Keep quiet about the VIPs in ARP, at every boot")["ansible.builtin.copy"][
        "content"
    ]
    during = templated(tmp_path, wanted, cases)
    for name, (_links, _wanted, former, devices, loose) in rows.items():
        lines = during[name]["vip"].splitlines()
        assert [line for line in lines if line.startswith("FORMER")] == [former] * bool(former), name
        added = re.findall(r"ip link add (\S+) group 157 type ipip remote", during[name]["lvs-tunnels.service"])
        assert added == devices, name
        assert ("rp_filter" in during[name]["sysctls"]) is loose, name
    last = [
        task("remove", name)["vars"]
        for name in (
            "Set only the sysctls at boot that are still wanted",
            "Write at which devices each VIP is at the next boot",
            "Write which tunnel devices there are at the next boot",
        )
    ]
    assert last == [{"__real_server_unwrapping": []}] * 3
    after = templated(tmp_path, wanted, cases, **last[0])
    assert [name for name in rows if "FORMER" in after[name]["vip"]] == []
    assert [name for name in rows if "lvs-0" in after[name]["lvs-tunnels.service"]] == []
    assert "rp_filter" not in after["direct"]["sysctls"]
    assert "rp_filter" in after["right"]["sysctls"]


def test_what_a_host_lacks_is_named(tmp_path: Path) -> None:
    check = task("verify", "Check that the host has the VIPs that it takes packets for")["ansible.builtin.assert"]
    text = {"that": "{{ " + check["that"] + " }}", "said": check["fail_msg"]}
    links = {
        "has": [link("lo", VIP)],
        "lacks": [link("lo", "198.18.20.32")],
        "elsewhere": [link("lo"), link("eth0", VIP)],
        "down": [link("lo", VIP, up=False)],
    }
    vip = {"address": VIP}
    cases = {
        name: {"__real_server_state": {"stdout": json.dumps(found)}, "real_server_vips": [vip], "vip": vip}
        for name, found in links.items()
    }
    found = templated(tmp_path, text, cases)
    assert [name for name, result in found.items() if result["that"]] == ["has"]
    assert f"lacks drops what directors forward to {VIP}: it lacks lo: {VIP}/32. Run site." in found["lacks"]["said"]
    assert "not ready: lo." in found["down"]["said"]


def test_devices_that_are_no_longer_wanted_go(tmp_path: Path) -> None:
    names = ["Delete the tunnel devices", "Set down the kernel's own tunnel devices"]
    loops = {name: task("remove", f"{name} that are no longer wanted")["loop"] for name in names}
    own = link(DEVICE, VIP, group="157")
    nothing: dict[str, Any] = {"real_server_vips": []}
    marked = [link("tunl0", group="157"), link("ip6tnl0", "fe80::1", group="157"), own]
    # A state, what is wanted, and what is deleted and set down.
    rows: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[str], list[str]]] = {
        "right": ([own, link("tunl0", up=False), link("ip6tnl0", "fe80::1")], tunnelled(DIRECTOR), [], []),
        "former": ([own, link("lvs-0", group="157"), link("tunl0")], tunnelled(DIRECTOR), ["lvs-0"], ["tunl0"]),
        "by_hand": ([own, link("tunl0", VIP)], tunnelled(DIRECTOR), [], ["tunl0"]),
        "of_others": ([own, link("tunl0", "10.0.0.1", group="157")], tunnelled(DIRECTOR), [], []),
        "open": ([link("tunl0", VIP, group="157")], tunnelled(), [], []),
        "no_more": (marked, nothing, [DEVICE], ["tunl0", "ip6tnl0"]),
        "never": ([link("tunl0")], nothing, [], []),
    }
    cases = {
        name: {"__real_server_shown": {"stdout": json.dumps([*links, link("eth0", "198.18.20.21")])}, **wanted}
        for name, (links, wanted, _deleted, _down) in rows.items()
    }
    # The host is looked at in check mode, too, which skips the commands themselves.
    look = task("remove", "Read which devices have VIPs or could unwrap packets")["changed_when"]
    looks = {mode: f"{{{{ {look.replace('ansible_check_mode', mode)} }}}}" for mode in ("false", "true")}
    found = templated(tmp_path, {**loops, **looks}, cases)
    assert {name: [*result.values()] for name, result in found.items()} == {
        name: [deleted, down, False, deleted + down != []] for name, (_links, _wanted, deleted, down) in rows.items()
    }


def test_a_vip_leaves_the_devices_on_which_it_is_no_longer_wanted(tmp_path: Path) -> None:
    """They keep it until the directors have changed their tables."""
    loop = task("remove", "Take the VIPs from the devices that they no longer live on")["loop"]
    six = "fd00:18:20::31"
    direct = {"real_server_vips": [{"address": VIP}, {"address": six}]}
    rows: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = {
        "right": ([link("lo", VIP, six)], direct, []),
        "tunnelled_before": ([link("lo", VIP), link(DEVICE, VIP, group="157")], direct, [f"{DEVICE}: {VIP}/32"]),
        "tunnelled_now": ([link("lo", VIP), link(DEVICE, VIP)], tunnelled(DIRECTOR), [f"lo: {VIP}/32"]),
        "device": ([link("lo", VIP), link("lvs0", VIP)], {**direct, "real_server_device": "lvs0"}, [f"lo: {VIP}/32"]),
        "six": ([link("lo", six), link("lvs0", six)], direct, [f"lvs0: {six}/128"]),
        "other": ([link("lo", VIP), link("lvs0", "198.18.20.99")], direct, []),
    }
    cases = {
        name: {"__real_server_shown": {"stdout": json.dumps(links)}, **wanted}
        for name, (links, wanted, _gone) in rows.items()
    }
    assert templated(tmp_path, loop, cases) == {name: gone for name, (_links, _wanted, gone) in rows.items()}


def has_networks() -> bool:
    """Tell whether a network of our own can be made here."""
    command = [*ALONE, "ip", "link", "add", "lvs0", "type", "bridge"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not has_networks(), reason="no network namespaces here, or no ip")
def test_a_vip_is_on_both_devices_from_the_reload_to_the_removal(tmp_path: Path) -> None:
    """The unit's own commands, in a network namespace; a bridge stands for a device that is there already."""
    given = {"real": {**tunnelled(), "ansible_managed": ""}}
    unit = templated(tmp_path, file("lvs-vip@.service"), given)["real"].replace("\\\n", " ")
    commands = dict(line.split("=", 1) for line in unit.splitlines() if line.startswith("Exec"))
    env = f"export ADDRESS={VIP}/32 LIFETIME= KIND=dummy GROUP= FORMER='lvs1 lvs2'"
    show = f"show() {{ ip -oneline address show to {VIP}; echo --; }}"
    steps = [env, show, "ip link add lvs0 type bridge; ip link add lvs1 type bridge; ip link set lo up"]
    for devices, name in (("lo", "ExecStart"), ("lvs0", "ExecReload"), ("lvs0", "ExecStart"), ("", "ExecStop")):
        steps.append(f"export DEVICES={devices}; {commands[name]}; show")
    done = subprocess.run([*ALONE, "sh", "-ec", "\n".join(steps)], capture_output=True, text=True, check=True)
    seen = [[line.split()[1] for line in shown.splitlines()] for shown in done.stdout.split("--\n")]
    assert seen[:4] == [["lo", "lvs1"], ["lo", "lvs0", "lvs1"], ["lo", "lvs0", "lvs1"], []]  # lvs2 is no more


def names(file: str) -> list[str]:
    """Return the names of the tasks that a file has or imports."""
    found: list[str] = []
    for each in yaml.safe_load((ROLE / f"tasks/{file}.yml").read_text(encoding="utf-8")):
        part = each.get("ansible.builtin.import_tasks")
        found += names(part.removesuffix(".yml")) if part else [each["name"]]
    return found


def test_nothing_is_taken_away_before_the_directors_have_changed() -> None:
    taking = re.compile("Remove|Delete|Take|Set down|no more")
    assert [name for name in names("add") if taking.search(name)] == []
    assert len([name for name in names("remove") if taking.search(name)]) == 6
    text = (ROOT / "playbooks/site.yml").read_text(encoding="utf-8")
    order = ["real_servers.yml", "real_servers_remove: false", "directors.yml", "remove.yml"]
    assert sorted(order, key=text.index) == order


def test_a_route_of_somebody_else_needs_no_segments(tmp_path: Path) -> None:
    variables = task("route", "Add the default route, now and at every boot")["vars"]
    lines = {
        "right": "default via 198.18.23.1 dev eth0 proto 157 advmss 1440 ",
        "killed": "default via 198.18.23.1 dev eth0 proto 157 ",
        "foreign": "default via 198.18.23.1 dev eth0 onlink ",
        "away": "",
        "other": "default via 198.18.23.19 dev eth0 ",
    }
    given = {"real_server_default_route": True, "real_server_gateways": ["198.18.23.1"], "real_server_mss": 1440}
    cases = {
        name: {"__real_server_routes": {"results": [{"stdout_lines": line.splitlines()}]}, **given}
        for name, line in lines.items()
    }
    found = templated(tmp_path, "{{ __real_server_lacking_routes | length }}", cases, **variables)
    assert found == {"right": 0, "killed": 1, "foreign": 0, "away": 1, "other": 1}
