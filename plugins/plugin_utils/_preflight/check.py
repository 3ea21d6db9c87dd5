# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find every mistake of an inventory at once, without touching a host.

`check` takes the whole inventory as plain data and returns findings, `render` makes a text for people of them. The
rules about meaning are in the files beside this one, those about single values in module_utils/_schema.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils import _schema as schema
from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE, closest, did_you_mean, show
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.cluster import cluster as plan
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import (
    OWN,
    Cluster,
    ClusterError,
    Groups,
    Hosts,
    Values,
    is_complete,
    to_cluster,
    to_host_addresses,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.nfs import nfs as nfs_plan
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight import (
    checks,
    coda,
    detection,
    dns,
    heartbeat,
    marks,
    minimum,
    nat,
    network,
    nfs,
    path,
    services,
    settings,
    tunnel,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import INVENTORY
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import RULES, Complaint, rule
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.settings import LAST_RESORT, RENAMED, with_new_words

RULE_FILES = (
    settings,
    network,
    services,
    marks,
    minimum,
    nat,
    tunnel,
    checks,
    detection,
    heartbeat,
    coda,
    nfs,
    path,
    dns,
)  # importing them registers their rules
ALL_HOSTS = "all hosts"
SEVERITIES = ("error", "warning", "acknowledged")
# Groups, and what one host of them is called.
NOUNS = {
    "directors": "director",
    "real_servers": "real server",
    "coda_servers": "Coda server",
    "coda_clients": "Coda client",
    "nfs_server": "NFS server",
    "nfs_clients": "NFS client",
    "dns_servers": "DNS server",
}
# What the inventory's files show, and its values no longer; see plugin_utils/_inventory/files.py.
FILE_RULES = {
    "duplicate_key": "warning",
    "group_cycle": "error",
    "ignored_file": "warning",
    "ignored_key": "warning",
    "unreadable_file": "error",
}
# What a role may find on the hosts later, accepted in the same way as the warnings here.
FOUND_LATER = ("late_heartbeats",)


# What no rule has seen, and the plan can't go on with.
NO_PLAN = "no_plan"


@dataclass(frozen=True)
class Finding:
    """One mistake: where it is, what is wrong and what is allowed, what to do."""

    rule: str
    severity: str  # error, warning or acknowledged
    host: str  # one host, several with commas, 'all hosts', or 'inventory'
    variable: str
    value: str  # safe to show
    problem: str
    remedy: str


def check(
    hosts: Hosts,
    groups: Groups,
    specs: Mapping[str, schema.Options],
    in_files: Iterable[tuple[str, Complaint]] = (),
) -> list[Finding]:
    """Return all findings, errors first.

    hosts: variables by host; groups: host names by group; specs: options by role, as in argument_specs. A variable that
    is not in the inventory has the default of the specs. in_files: what was found in the inventory's files, by rule.
    Whatever the variables are, this does not raise.
    """
    members = dict.fromkeys(host for names in groups.values() for host in names)
    hosts = {host: with_new_words(hosts.get(host, {})) for host in members | dict.fromkeys(hosts)}
    options = {name: option for role in specs.values() for name, option in role.items()}
    values = Values(hosts or {INVENTORY: {}}, options)
    found: dict[tuple[str, str, Complaint], set[str]] = {}
    for name, host, complaint in _host_complaints(hosts, specs, values):
        found.setdefault((name, "error", complaint), set()).add(host)
    for name, complaint in in_files:
        found.setdefault((name, FILE_RULES[name], complaint), set()).add(INVENTORY)
    acknowledged: set[str] = set()
    views = _views(hosts, groups, values)
    for cluster in views:
        acknowledged |= {name for name in cluster.get("ha_acknowledged") or () if name is not UNUSABLE}
        same_value = cache(partial(_same_value, cluster))
        for each in RULES:
            for complaint in each.find(cluster):
                place = {complaint.host} if complaint.host else same_value(_variable(complaint.variable))
                plain = Complaint(complaint.variable, complaint.value, complaint.problem, complaint.remedy)
                found.setdefault((each.name, each.severity, plain), set()).update(place)
    if not any(severity == "error" for _name, severity, _complaint in found):
        for complaint in _no_plan(views[0], hosts, groups):
            found[NO_PLAN, "error", complaint] = {INVENTORY}
    known_places = {complaint.variable for name, _severity, complaint in found if name != LAST_RESORT}
    findings = [
        _finding(name, severity, complaint, _place(places, hosts), acknowledged)
        for (name, severity, complaint), places in found.items()
        if name != LAST_RESORT or complaint.variable not in known_places
    ]
    return sorted(findings, key=_order)


def noticed(hosts: Hosts, groups: Groups, specs: Mapping[str, schema.Options]) -> list[detection.Detection]:
    """Return how long ldirectord takes to notice dead real servers, by service, in an inventory without mistakes."""
    options = {name: option for role in specs.values() for name, option in role.items()}
    director = next(iter(groups.get("directors", ())), None)
    if director is None:
        return []
    return detection.detections(to_cluster(director, Values(hosts, options), groups, {}))


def summary(hosts: Hosts, groups: Groups, findings: Sequence[Finding], dead: Sequence[detection.Detection] = ()) -> str:
    """Return what was checked, what was accepted, and when a dead real server is noticed, for a run that goes on."""
    view = next((host for name in ("directors", "real_servers") for host in groups.get(name, ())), "")
    services = hosts.get(view, {}).get("ha_virtual_services")
    counts = {
        "host": len(hosts),
        "virtual service": len(services) if isinstance(services, list | tuple) else 0,
        **{noun: len(groups.get(name, ())) for name, noun in NOUNS.items()},
    }
    words = [f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts.items() if count]
    accepted = sorted({finding.rule for finding in findings})
    slowest = detection.slowest(dead)
    return (
        f"Checked: {', '.join(words)}."
        + (f" Accepted: {', '.join(accepted)}." if accepted else "")
        + (f" A silent real server is noticed within {slowest[0]} s." if slowest else "")
    )


def stops(findings: Sequence[Finding]) -> bool:
    """Tell whether a run must not go on."""
    return any(finding.severity != "acknowledged" for finding in findings)


def render(findings: Sequence[Finding]) -> str:
    """Return the findings as a text: where, what, why, what to do."""
    if not findings:
        return "Preflight found no mistakes."
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    parts = [
        f"{count} {severity}{'s' if count > 1 and severity != 'acknowledged' else ''}"
        for severity, count in counts.items()
        if count
    ]
    width = max(len(finding.severity) for finding in findings) + 2
    blocks = [f"Preflight: {', '.join(parts)}. No host was touched."]
    for finding in sorted(findings, key=_order):
        value = f" = {finding.value}" if finding.value else ""
        first = f"{finding.severity.upper():<{width}}{finding.host}: {finding.variable}{value}"
        rest = [f"{finding.problem}  [{finding.rule}]"]
        if finding.severity != "acknowledged":
            rest.append(f"-> {finding.remedy}")
        blocks.append("\n".join([first, *(" " * width + line for line in rest)]))
    return "\n\n".join(blocks)


@rule("unknown_acknowledgement")
def unknown_acknowledgement(cluster: Cluster) -> Iterator[Complaint]:
    """A misspelt name would accept nothing; errors can't be accepted at all."""
    severities = {**FILE_RULES, **{each.name: each.severity for each in RULES}}
    warnings = sorted({*FOUND_LATER, *(name for name, severity in severities.items() if severity == "warning")})
    errors = {*severities, *schema.RULES, NO_PLAN, "unknown_variable"} - {*warnings}
    for index, name in enumerate(cluster.get("ha_acknowledged") or ()):
        variable = f"ha_acknowledged[{index}]"
        if name in errors:
            yield Complaint(
                variable, name, "is an error, and only warnings can be accepted", "correct the error itself"
            )
        elif name is not UNUSABLE and name not in warnings:
            remedy = did_you_mean(name, warnings, f"remove it; known are {', '.join(warnings)}")
            yield Complaint(variable, show(name), "is not a preflight warning", remedy)


def _host_complaints(
    hosts: Hosts, specs: Mapping[str, schema.Options], values: Values
) -> Iterator[tuple[str, str, Complaint]]:
    """Check each host's variables one by one against the schema."""
    seen: dict[str, list[tuple[object, list[schema.Problem]]]] = {}
    for host, variables in hosts.items():
        for name, value in variables.items():
            if name not in values.options:
                remedy = _unknown(name, specs, values.options)
                if remedy:
                    yield "unknown_variable", host, Complaint(name, "", "no role knows this variable", remedy)
                continue
            # A value from group_vars is the same on many hosts: look at it once.
            checked = seen.setdefault(name, [])
            problems = next((problems for other, problems in checked if same(other, value)), None)
            if problems is None:
                problems = values(host, name)[1]
                checked.append((value, problems))
            for each in problems:
                yield each.rule, host, Complaint(each.path, each.value, each.problem, each.remedy)


def same(one: object, other: object) -> bool:
    """Return whether two values are equal, and of equal types: in Python, 1 == True."""
    return one is other or (one == other and repr(one) == repr(other))


def _no_plan(cluster: Cluster, hosts: Hosts, groups: Groups) -> Iterator[Complaint]:
    """Make the plans that the roles make later of an inventory without errors: a fault there is one that rules miss."""
    plans: tuple[tuple[str, Callable[[], object]], ...] = (
        ("cluster", lambda: plan(cluster) if cluster.directors or cluster.groups.get("real_servers") else None),
        ("NFS", lambda: nfs_plan(hosts, groups)),
    )
    for name, make in plans:
        try:
            make()
        except ClusterError as error:
            yield Complaint(f"plan of {name}", "", show(error, 200), "correct that place of the inventory")


def _unknown(name: str, specs: Mapping[str, schema.Options], options: schema.Options) -> str | None:
    """Return the remedy for a variable that looks like one of ours; None when it is somebody else's, or was ours."""
    if name in RENAMED:
        return None
    common = "ha_", "dns_zone_"  # prefixes that others use as well
    roles = tuple(f"{role}_" for role in specs if role != "preflight" and f"{role}_" not in common)
    if name.startswith((*roles, "coda_")):
        match = closest(name, options)
        return (
            f"did you mean {match!r}? Else remove it, or use another prefix"
            if match
            else "remove it, or use another prefix"
        )
    if name.startswith(common):
        match = closest(name, options, 0.8)
        return f"did you mean {match!r}?" if match else None
    match = misspelt(name, tuple(options))
    return f"did you mean {match!r}? Else choose another name" if match else None


@cache
def misspelt(name: str, options: tuple[str, ...]) -> str | None:
    """Return the variable of ours that a name is but for one letter, its case and its underscores; None for others.

    Prefixes that others use as well are left out, so that their names stay theirs.
    """
    near = _near(options)
    return next((near[each] for each in _shortened(_plain(name)) if each in near), None) if len(name) > 8 else None


@cache
def _near(options: tuple[str, ...]) -> dict[str, str]:
    """Return each variable by its name, and by its name without any one letter."""
    found: dict[str, str] = {}
    for name in options:
        if not name.startswith(("ha_", "dns_zone_")):
            for each in _shortened(_plain(name)):
                found.setdefault(each, name)
    return found


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _shortened(name: str) -> list[str]:
    return [name, *(name[:place] + name[place + 1 :] for place in range(len(name)))]


def _views(hosts: Hosts, groups: Groups, values: Values) -> list[Cluster]:
    """Return the cluster as each director sees it; as one only where they see the same."""
    readable = {host: to_host_addresses(host, variables.get("ha_interfaces"))[0] for host, variables in hosts.items()}
    # Where one address can't be read, nobody knows what the host lacks: that is one finding, and not many.
    addresses = {
        host: own if is_complete(hosts[host].get("ha_interfaces"), own) else [] for host, own in readable.items()
    }
    candidates = list(groups.get("directors", ())) or [*groups.get("real_servers", ()), *hosts][:1] or [INVENTORY]
    views: list[Cluster] = []
    for host in candidates:
        given = _shared_part(host, values)
        if not any(given == _shared_part(view.view, values) for view in views):
            views.append(to_cluster(host, values, groups, addresses, readable))
    return views


def _shared_part(host: str, values: Values) -> dict[str, object]:
    return {name: value for name, value in values.hosts[host].items() if name in values.options and name not in OWN}


def _variable(place: str) -> str:
    return re.split(r"[.\[]", place, maxsplit=1)[0]


def _same_value(cluster: Cluster, name: str) -> set[str]:
    """Return the hosts that see the value of a variable which the cluster's view sees."""
    value = cluster.hosts[cluster.view].get(name)
    return {host for host, variables in cluster.hosts.items() if variables.get(name) == value} | {cluster.view}


def _place(places: set[str], hosts: Hosts) -> str:
    if len(hosts) > 1 and places >= set(hosts):
        return ALL_HOSTS
    names = sorted(places, key=_natural)
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def _finding(name: str, severity: str, complaint: Complaint, host: str, acknowledged: set[str]) -> Finding:
    remedy = complaint.remedy
    if severity == "warning":
        remedy = f'{remedy}, or accept it: add "{name}" to ha_acknowledged'
        severity = "acknowledged" if name in acknowledged else severity
    return Finding(name, severity, host, complaint.variable, complaint.value, complaint.problem, remedy)


def _order(finding: Finding) -> tuple[Any, ...]:
    place = (_natural(finding.variable), finding.rule, finding.host, finding.problem, finding.value, finding.remedy)
    return (SEVERITIES.index(finding.severity), *place)


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts [10] behind [2]."""
    return [
        (int(part), "") if part.isdecimal() and part.isascii() else (-1, part)
        for part in re.split(r"([0-9]{1,9})", text)
    ]
