# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes to the kernel and comes from it, as bytes. The scenario ipvs tests what the kernel makes of it."""

from __future__ import annotations

import errno

from hypothesis import given
from ipvs_tables import tables

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.lines import parse_table
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.netlink import (
    attribute,
    attributes,
    decode_server,
    decode_service,
    encode_operation,
    encode_server,
    encode_service,
    reason,
)
from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import Operation, Table


@given(tables)
def test_what_is_encoded_decodes(table: Table) -> None:
    for key, service in table.items():
        data = encode_service(service)
        assert decode_service(data, 0, len(data), counted=False)[0]._replace(servers=service.servers) == service
        for server in service.servers.values():
            data = encode_server(server, whole=True)
            assert decode_server(data, 0, len(data), key.family, counted=False)[0] == server


def test_attributes_are_padded_to_four_bytes() -> None:
    data = attribute(6, b"wrr\0") + attribute(1, b"abcde") + attribute(2, b"x")
    assert len(data) == 8 + 12 + 8
    assert {kind: data[slice(*place)] for kind, place in attributes(data, 0, len(data)).items()} == {
        6: b"wrr\0",
        1: b"abcde",
        2: b"x",
    }


def test_a_broken_attribute_ends_the_reading() -> None:
    assert attributes(b"\0\0\1\0" + attribute(2, b"x"), 0, 12) == {}


def test_a_service_is_on_the_wire_as_the_kernel_wants_it() -> None:
    service = next(iter(parse_table(["-A -t 192.0.2.30:80 -s rr"]).values()))
    assert encode_operation(Operation("delete_service", service)).hex() == (
        "30000180"  # nested: service
        "0600010002000000"  # family
        "0600020006000000"  # protocol
        "14000300c000021e000000000000000000000000"  # address
        "0600040000500000"  # port, in network order
    )


def test_a_refusal_says_why() -> None:
    service = next(iter(parse_table(["-A -t 192.0.2.30:80 -s twos"]).values()))
    assert "scheduler twos" in reason(Operation("add_service", service), errno.ENOENT)
    assert "no such service" in reason(Operation("edit_service", service), errno.ESRCH)
    assert reason(Operation("add_service", service), errno.EIO) == "Input/output error"
