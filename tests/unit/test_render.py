"""The directors' files, rendered by the roles' own templates from inventories of a few lines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st
from jinja2 import Environment
from ldirectord_config import effective, parse

from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.checks import _quotes_fault, _text_fault

ROOT = Path(__file__).resolve().parents[2]


def rendered(folder: Path, **service: object) -> str:
    """Return ldirectord.cf of quickstart with a service like this."""
    inventory = yaml.safe_load((ROOT / "inventories/quickstart/hosts.yml").read_text(encoding="utf-8"))
    web = {"name": "web", "vip": "198.18.20.30", "port": 80, **service}
    key = {"id": 1, "method": "crc"}
    inventory["all"]["vars"] = {"ha_virtual_services": [web], "heartbeat_authkeys": {"active": 1, "keys": [key]}}
    folder.mkdir()
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    wanted = json.dumps({"folder": str(folder), "files": ["ldirectord/templates/ldirectord.cf"]})
    command = ["ansible-playbook", "-i", folder / "hosts.yml", "--limit", "dir1", "-e", wanted]
    subprocess.run([*command, ROOT / "tests/unit/render.yml"], check=True, cwd=ROOT)
    return (folder / "dir1.ldirectord.cf").read_text(encoding="utf-8")


def test_a_service_may_have_its_own_way_with_failed_real_servers(tmp_path: Path) -> None:
    file = rendered(tmp_path / "a", quiescent=False, check={"service": "http"})
    assert "\nquiescent = yes\n" in file
    assert "\n    quiescent = no\n" in file


def test_a_minimum_is_a_comment_of_its_service(tmp_path: Path) -> None:
    assert "\n    comment = web keeps at least 50%\n" in rendered(tmp_path / "share", minimum_alive="50%")
    assert "\n    comment = web keeps at least 2\n" in rendered(tmp_path / "number", minimum_alive=2)
    assert "comment =" not in rendered(tmp_path / "none", minimum_alive=0)


def test_a_scheduler_has_its_flags(tmp_path: Path) -> None:
    text = rendered(tmp_path / "flags", scheduler="mh", scheduler_flags=["mh-port", "mh-fallback"])
    assert "    scheduler = mh\n    schedflags = mh-fallback,mh-port\n" in text
    assert "schedflags" not in rendered(tmp_path / "none")


def test_packets_of_udp_may_be_sent_one_by_one(tmp_path: Path) -> None:
    assert "    ops = yes\n" in rendered(tmp_path / "udp", protocol="udp", one_packet=True, check={"type": "ping"})
    assert "ops =" not in rendered(tmp_path / "tcp")


def test_in_hot_standby_the_table_stays_when_ldirectord_stops(tmp_path: Path) -> None:
    assert "\ncleanstop = no\n" in rendered(tmp_path / "a")


def test_what_is_null_is_not_given(tmp_path: Path) -> None:
    """The roles treat null as preflight does: no 'None' reaches a file."""
    check = {"service": "http", "request": None, "receive": None, "type": None, "port": None}
    persistence = {"timeout": 300, "netmask": None}
    given = {"fallback": None, "quiescent": None, "real_servers": None, "scheduler": None, "preferred_director": None}
    plain = rendered(tmp_path / "plain", check={"service": "http"}, persistence={"timeout": 300})
    assert rendered(tmp_path / "nulls", check=check, persistence=persistence, **given) == plain
    assert "None" not in plain


def test_a_real_server_may_have_texts_of_its_own(tmp_path: Path) -> None:
    check = {"service": "http", "request": "all", "receive": "happy"}
    servers = [{"host": "real1", "request": "/one"}, {"host": "real2"}]
    file = rendered(tmp_path / "a", check=check, real_servers=servers)
    assert '\n    real = 198.18.20.21:80 gate 1 "one", "happy"\n    real = 198.18.20.22:80 gate 1\n' in file
    (service,) = effective(parse(file))["virtual"]
    texts = [(server["request"], server["receive"]) for server in service["real_servers"]]
    assert texts == [("/one", "happy"), ("/all", "happy")]
    file = rendered(tmp_path / "b", real_servers=[{"host": "real1", "receive": "happy"}])
    assert '\n    real = 198.18.20.21:80 gate 1 "", "happy"\n' in file


def test_how_many_echoes_a_ping_waits_for(tmp_path: Path) -> None:
    assert "\n    checkcount = 3\n" in rendered(tmp_path / "a", check={"type": "ping", "pings": 3})


def test_a_check_on_the_clients_way_says_where_it_asks(tmp_path: Path) -> None:
    """With the words that vip-probe looks for, whose own test reads them."""
    check = {"path": "vip", "service": "http", "request": "alive", "virtualhost": "www.example.org"}
    (service,) = effective(parse(rendered(tmp_path / "a", check=check)))["virtual"]
    asked = {name: service[name] for name in ("checktype", "checkcommand", "virtualhost", "service", "request")}
    assert asked == {
        "checktype": "external-perl",
        "checkcommand": "/usr/local/sbin/vip-probe",
        "virtualhost": "www.example.org negotiate via 198.18.20.30:80",
        "service": "http",
        "request": "/alive",
    }
    mark = {"vip": None, "port": None, "fwmark": 1, "vips": ["198.18.20.30", "198.18.20.31"]}
    file = rendered(
        tmp_path / "b", check={"path": "vip", "type": "connect", "port": 80}, ports=[80, 443, "53/udp"], **mark
    )
    doors = "198.18.20.30:80 198.18.20.30:443 198.18.20.31:80 198.18.20.31:443"
    assert sorted(doors.split()) == sorted(file.partition('virtualhost = "connect via ')[2].partition('"')[0].split())


def real_server_line(server: dict[str, Any]) -> str:
    """Return the line of a real server as the template writes it."""
    template = (ROOT / "roles/ldirectord/templates/ldirectord.cf.j2").read_text(encoding="utf-8")
    start = template.index("    {% for server in")
    end = template.index("    {% endfor %}", start) + len("    {% endfor %}\n")
    environment = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    variables = {"service": {"real_servers": [server]}, "v6": "", "__ldirectord_forwarding": {"direct": "gate"}}
    return environment.from_string(template[start:end]).render(variables)


# What could end a text too early, and what surrounds it.
TEXTS = st.text(st.sampled_from('"", ab|\\>-l:u5/')) | st.text()


@given(TEXTS, TEXTS)
@example('a", "b', '"')
@example('a" ', "'")
@example(" ", ' "')
def test_texts_that_preflight_accepts_are_read_as_they_are_written(request: str, receive: str) -> None:
    assume(not any(_text_fault(name, text) for name, text in (("request", request), ("receive", receive)) if text))
    assume(not _quotes_fault(receive))
    assume(not request.startswith("/"))  # of which the plan leaves out one, and preflight refuses two
    server = {"endpoint": "192.0.2.1:80", "forwarding": "direct", "weight": 3, "request": request, "receive": receive}
    line = real_server_line(server)
    (service,) = parse(f"virtual = 192.0.2.10:80\n{line}")["virtual"]
    (found,) = service["real_servers"]
    assert (found["weight"], found["receive"]) == (3, receive)
    assert found["request"] == f"/{request}"
