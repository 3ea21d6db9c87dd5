"""What the checks of services need."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.filter.check_packages import check_packages


@pytest.mark.parametrize(
    ("service", "packages"),
    [
        ({"port": 80, "family": 4, "check": {"service": "http"}}, []),
        ({"port": 80, "family": 6, "check": {}}, ["libnet-inet6glue-perl"]),
        ({"port": 443, "family": 4, "check": {}}, ["liblwp-protocol-https-perl"]),
        ({"port": 5432, "family": 4, "check": {"login": "me"}}, ["libdbd-pg-perl"]),
        ({"port": 33060, "family": 4, "check": {"service": "mysql"}}, ["libdbd-mysql-perl"]),
        ({"port": 3306, "family": 4, "check": {"type": "connect"}}, []),
        ({"port": 0, "fwmark": 1, "family": 4, "check": {"service": "pgsql", "type": "negotiate"}}, ["libdbd-pg-perl"]),
        ({"port": 25, "family": 6}, []),
    ],
)
def test_a_service(service: dict[str, Any], packages: list[str]) -> None:
    assert check_packages([service, service]) == packages
