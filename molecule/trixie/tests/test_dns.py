"""Names for VIPs, by the BIND of Debian 13. The scenario `ipv6` has more, by that of Debian 12."""

from __future__ import annotations

import json
import os
from pathlib import Path

from harness import Cluster, look_up, recap, shell

# The folder, as in molecule/shared/tests/test_cluster.py.
CLUSTER = Cluster(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
SERVICE = CLUSTER.variables(CLUSTER.group("directors")[0])["ha_virtual_services"][0]
SERVER, ASKING = CLUSTER.group("clients")[0], CLUSTER.group("real_servers")[0]
ZONE = "lb.example.org"
ELSEWHERE = "203.0.113.30"  # of another cluster


def serve(folder: Path, *names: str) -> int:
    """Run the playbook with these names of the service; return how much it has changed on the DNS server."""
    variables = {
        "dns_zone_origin": ZONE,
        "dns_zone_nameservers": ["ns1.example.net"],
        "dns_zone_clusters": {"berlin": [{"name": "web", "vip": ELSEWHERE}]},
        "dns_zone_names": [{"name": name, "services": [SERVICE["name"], "berlin/web"]} for name in names],
        "dns_zone_includes": ["/etc/bind/others"],
        "dns_zone_secondaries": ["192.0.2.53"],
    }
    inventory = {"all": {"children": {"dns_servers": {"hosts": {SERVER: variables}}}}}
    (folder / "dns.yml").write_text(json.dumps(inventory), encoding="utf-8")
    return recap(CLUSTER.playbook("codalvs.ha.dns", "-i", str(folder / "dns.yml")))[SERVER]["changed"]


def look_up_own(name: str, kind: str) -> list[list]:
    """Ask the DNS server from another machine."""
    given = CLUSTER.variables(SERVER)["ha_interfaces"].values()
    addresses = [own for each in given for own in ([each] if isinstance(each, str) else each) if ":" not in own]
    return look_up(ASKING, addresses[0].partition("/")[0], name, kind)


def test_names_lead_to_the_vips_of_several_clusters(tmp_path: Path) -> None:
    assert shell(SERVER, "cat /etc/debian_version").startswith("13.")
    shell(SERVER, "mkdir -p /etc/bind && echo 'mail 600 IN A 203.0.113.25' >/etc/bind/others")
    assert serve(tmp_path, "www") > 0
    addresses = sorted([60, address] for address in (SERVICE["vip"], ELSEWHERE))
    assert look_up_own(f"www.{ZONE}", "A") == addresses
    assert look_up_own(f"mail.{ZONE}", "A") == [[600, "203.0.113.25"]]
    ((_ttl, serial),) = look_up_own(ZONE, "SOA")
    assert serve(tmp_path, "www") == 0
    assert look_up_own(ZONE, "SOA")[0][1] == serial
    assert serve(tmp_path, "www", "*") > 0
    assert look_up_own(f"any.{ZONE}", "A") == addresses
    assert look_up_own(ZONE, "SOA")[0][1] > serial
    assert shell(SERVER, "systemctl is-enabled named.service") == "enabled\n"
