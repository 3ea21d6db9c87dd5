# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dangerous changes to a server of the cell are refused, and nothing is changed. Each test works alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cell import ONE, THREE, TWO, refusal, run_roles, write_inventory
from harness import Machine, shell

RVM: dict[str, Any] = {
    "log": "/vice/rvm/LOG",
    "log_size": 20,
    "data": "/vice/rvm/DATA",
    "data_size": 64,
    "partitions": ["/srv/vicepb"],
}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"data_size": 128}, "data_size"),
        ({"partitions": ["/srv/vicepc"]}, "/srv/vicepb"),
        ({"partitions": ["/srv/vicepb", "/srv/vicepc"]}, "one file system"),
    ],
)
def test_rvm_that_holds_data_is_not_initialised(on: Callable[[str], Machine], asked: dict[str, Any], says: str) -> None:
    """It takes RVM as it is, and refuses a larger one, another partition, and one more on the same file system."""
    server = on(TWO)
    assert server.module("coda_rvm", **RVM)["changed"] is False
    told = server.refused("coda_rvm", **{**RVM, **asked})["msg"]
    assert "Nothing was changed" in told
    assert says in told
    assert server.module("coda_rvm", **RVM)["changed"] is False


def test_a_partition_that_holds_files_keeps_its_number_of_files(tmp_path: Path) -> None:
    partitions = [{"path": "/srv/vicepb", "files": "1M"}]
    other = write_inventory(tmp_path / "other.yml", "coda_servers", TWO, coda_server_partitions=partitions)
    told = refusal(ONE, "coda_common", inventory=other)
    assert "coda2.coda.test /srv/vicepb ftree width=128,depth=3" in told


def test_a_partition_that_can_not_be_made_gets_no_line(tmp_path: Path) -> None:
    """The comparison before the roles refuses it. A line that is there all the same stands in nobody's way."""
    partitions = [{"path": "/srv/vicepb", "files": "2M"}, {"path": "/srv/vicepc", "files": "2M"}]
    other = write_inventory(tmp_path / "other.yml", "coda_servers", TWO, coda_server_partitions=partitions)
    assert "one file system" in refusal(TWO, "coda_server", part="compare", inventory=other)
    shell(ONE, f"cp -a /vice/db/vicetab /root/ && echo {TWO} /srv/vicepc ftree width=64,depth=3 >>/vice/db/vicetab")
    try:
        run_roles(ONE, "coda_common")
        shell(ONE, "cmp /vice/db/vicetab /root/vicetab")
    finally:
        shell(ONE, "mv /root/vicetab /vice/db/vicetab")


def test_a_new_scm_makes_no_databases_in_place_of_the_cells() -> None:
    shell(ONE, "mv /vice/db/auth2.tk /vice/away")
    try:
        told = refusal(ONE, "coda_scm")
    finally:
        shell(ONE, "mv /vice/away /vice/db/auth2.tk")
    assert "Copy /vice/db from coda2.coda.test" in told


def test_a_host_whose_name_has_a_loopback_address_too_is_refused() -> None:
    """Debian's installer writes such a line."""
    shell(THREE, 'cp /etc/hosts /root/hosts && { echo "127.0.1.1 coda3.coda.test"; cat /root/hosts; } >/etc/hosts')
    try:
        told = refusal(THREE, "coda_common", part="compare")
    finally:
        shell(THREE, "cat /root/hosts >/etc/hosts")
    assert "coda3.coda.test stands for 127.0.1.1, 10.98.20.13, not for 10.98.20.13 alone" in told


def test_a_client_that_is_a_container_is_refused(tmp_path: Path) -> None:
    other = write_inventory(tmp_path / "other.yml", "coda_clients", THREE)
    assert "it is a container" in refusal(THREE, "coda_common", part="compare", inventory=other)
