# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random IPVS tables: every feature that ipvsadm 1.31 can set, in every combination that the kernel takes.

Few addresses and ports, so that two tables often have services and real servers in common.
"""

from __future__ import annotations

from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import ANY_CLIENT, OWN_FLAGS, Key, Server, Service

# Those that every kernel with IPVS has; twos is often left out.
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")
VIPS = {4: ("192.0.2.30", "192.0.2.31"), 6: ("2001:db8::30", "2001:db8::31")}
SERVERS = {4: ("198.51.100.1", "198.51.100.2", "203.0.113.9"), 6: ("2001:db8:1::1", "2001:db8:1::2")}
NETMASKS = {4: ("255.255.255.255", "255.255.255.0", "255.240.0.0"), 6: ("128", "64", "1")}

families = st.sampled_from((4, 6))


@st.composite
def keys(draw: st.DrawFn) -> Key:
    """Return the identity of a service."""
    family = draw(families)
    if draw(st.integers(0, 3)) == 0:
        return Key(family, "", "", 0, draw(st.sampled_from((1, 7, 2**32 - 1))))
    protocol = draw(st.sampled_from(("tcp", "udp", "sctp")))
    return Key(family, protocol, draw(st.sampled_from(VIPS[family])), draw(st.sampled_from((0, 80, 65535))), 0)


@st.composite
def servers(draw: st.DrawFn, key: Key) -> Server:
    """Return a real server that fits a service."""
    forwarding = draw(st.sampled_from(("direct", "nat", "tunnel")))
    family = draw(families) if forwarding == "tunnel" else key.family
    port = draw(st.sampled_from((0, 80, 8080))) if forwarding == "nat" or key.fwmark else key.port
    upper = draw(st.sampled_from((0, 1, 100, 65535)))
    kind = draw(st.sampled_from(("ipip", "gue", "gre"))) if forwarding == "tunnel" else "ipip"
    return Server(
        draw(st.sampled_from(SERVERS[family])),
        port,
        forwarding,
        draw(st.sampled_from((0, 1, 7, 2**31 - 1))),
        upper,
        draw(st.integers(0, upper)),
        kind,
        draw(st.sampled_from((1, 6080, 65535))) if kind == "gue" else 0,
        draw(st.sampled_from({"ipip": ("none",), "gue": ("none", "full", "remote"), "gre": ("none", "full")}[kind])),
    )


@st.composite
def services(draw: st.DrawFn) -> Service:
    """Return a service with its real servers."""
    key = draw(keys())
    scheduler = draw(st.sampled_from(SCHEDULERS))
    flags = draw(st.integers(0, 3 if scheduler in OWN_FLAGS else 7))
    must = key.port == 0 and not key.fwmark
    timeout = draw(st.sampled_from((1, 300, 2678400) if must else (0, 0, 1, 300, 2678400)))
    netmask = draw(st.sampled_from(NETMASKS[key.family])) if timeout else ANY_CLIENT[key.family]
    packets = key.protocol in ("udp", "")
    engine = draw(st.sampled_from(("", "sip"))) if timeout and packets else ""
    found = draw(st.lists(servers(key), max_size=4))
    by_place = {server[:2]: server for server in found}
    return Service(key, scheduler, flags, packets and draw(st.booleans()), timeout, netmask, engine, by_place)


tables = st.lists(services(), max_size=5).map(lambda found: {service.key: service for service in found})
