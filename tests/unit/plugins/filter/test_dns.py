"""The filters of DNS: their shape, and their words at what is wrong."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.codalvs.ha.plugins.filter.dns_records import dns_records
from ansible_collections.codalvs.ha.plugins.filter.dns_zone import dns_zone

NAMES = [{"name": "www", "services": ["web", "berlin/web"]}]
SERVICES = [{"name": "web", "vip": "192.0.2.30", "port": 80}]
CLUSTERS = {"berlin": [{"name": "web", "vip": "2001:db8::30"}]}


def test_from_services_to_a_zone() -> None:
    found = dns_records(NAMES, SERVICES, "example.org", CLUSTERS)
    assert found == [
        {"name": "www", "ttl": 60, "type": "A", "address": "192.0.2.30"},
        {"name": "www", "ttl": 60, "type": "AAAA", "address": "2001:db8::30"},
    ]
    text = dns_zone(found, "example.org", ["ns1.example.net"], "hostmaster@example.org", "20261129")
    assert "\nwww 60 IN A 192.0.2.30\nwww 60 IN AAAA 2001:db8::30\n" in text
    assert dns_zone(found, "example.org", ["ns1.example.net"], "hostmaster@example.org", "20261130", old=text) == text


def test_a_wrong_cluster_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match=r"dns_zone_clusters\.berlin: must be a list of services"):
        dns_records(NAMES, SERVICES, "example.org", {"berlin": "203.0.113.30"})


def test_an_unknown_service_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match=r"dns_zone_names\[0\] \(www\): is no service"):
        dns_records(NAMES, SERVICES, "example.org")


def test_a_file_of_somebody_else_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="not written by the role"):
        dns_zone([], "example.org", ["ns1.example.net"], "hostmaster@example.org", "20261129", old="$TTL 1\n")
    record = {"name": "www", "ttl": 60, "type": "A", "address": "192.0.2"}
    with pytest.raises(AnsibleFilterError, match=r"192[.]0[.]2 is no address"):
        dns_zone([record], "example.org", ["ns1.example.net"], "hostmaster@example.org", "20261129")
