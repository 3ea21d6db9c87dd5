# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's rules about variables as such: where they are read, where they must agree, what words they may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._ipvs.table import LONGEST_IDLE
from ansible_collections.codalvs.ha.plugins.module_utils._schema import (
    HIDDEN,
    UNUSABLE,
    Option,
    Options,
    Unevaluated,
    conform,
    holds_secret,
    show,
)
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import OWN, Cluster, known, to_address
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.checks import has_arguments
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.network import GROUPS
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.rules import Complaint, rule

ABSENT = "ha_absent"
# Read from the cluster's first director; another value elsewhere would be ignored, or be fatal.
SHARED = (
    *("ha_virtual_services", "ha_gateway_vips", "ha_acknowledged", ABSENT, "ha_checker", "ha_standby"),
    *("ha_detection_budget", "ha_minimum_alive", "ha_vip_places"),
)
# What both directors must do alike, or the one that takes over serves otherwise. All that stands in ha.cf is among it,
# for both have the same file. Keys have a rule of their own.
ALIKE = re.compile(
    r"heartbeat_(?!(authkeys|watchdog_softdog|peer_returned)$).*"
    r"|lvs_director_(table|sync|sync_id|sync_group|timeouts|packet_marks|masquerade)"
    r"|ldirectord_(?!log$|email_alert$).*"
)
# The groups whose hosts read the variables of a role, by the beginning of their names.
READERS = {
    **dict.fromkeys(("ha_hook", "heartbeat_", "ldirectord_", "lvs_director_"), ("directors",)),
    "real_server_": ("real_servers",),
    **{f"coda_{kind}_": (group,) for kind, group in (("scm", "coda_scm"), ("client", "coda_clients"))},
    "coda_server_": ("coda_scm", "coda_servers"),
    "nfs_server_": ("nfs_server",),
    "nfs_client_": ("nfs_clients",),
    "dns_zone_": ("dns_servers",),
}
FACILITIES = ("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp")
FACILITY = re.compile(rf"{'|'.join(FACILITIES)}|local[0-7]")
RELAY = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
MINUTE, WEEK = 60, 604800  # s
ADDRESSEE = re.compile(r"[A-Za-z0-9._%+-]+(@[A-Za-z0-9.-]+)?")
# What our roles start on directors; each run would start again what it has stopped.
OWN_UNITS = (
    "ha-hooks|heartbeat|heartbeat-vips|ipvs-guard|ipvs-resync|ipvs-sync|ldirectord|lvs-masquerade|lvs-packet-marks"
)
# Variables and what each of their words has to look like: they reach command lines and names of files.
WORDS = {
    "lvs_director_modules": (
        re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*"),
        "must be the name of a kernel module",
        "ip_vs_wrr",
    ),
    "lvs_director_disabled_units": (
        re.compile(rf"(?!({OWN_UNITS})(\.service)?$)[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*"),
        "must be the name of a systemd unit, and none that the directors need themselves",
        "nginx.service",
    ),
}
COMMANDS = ("ha_hook", "heartbeat_peer_returned")
FILES = ("dns_zone_file", "heartbeat_debug_log", "heartbeat_log")
PATH = re.compile(r"/[^\s\"#%\\]+")
PATHS = (
    *("dns_zone_file", "dns_zone_includes"),
    *("coda_backup_folder", "coda_backup_restore_archive", "coda_server_rvm_data", "coda_server_rvm_log"),
    *("heartbeat_debug_log", "heartbeat_log", "nfs_client_exported"),
)
# Old names of variables: the name now, and its words for the old values, which all were true or false. A name that
# changes is added here, and preflight refuses the old one.
RENAMED: dict[str, tuple[str, dict[bool, str]]] = {
    "heartbeat_manages_ldirectord": ("ha_standby", {True: "cold", False: "hot"}),
    "ldirectord_managed_by_heartbeat": ("ha_standby", {True: "cold", False: "hot"}),
    "lvs_director_static": ("ha_checker", {True: "none", False: "ldirectord"}),
}
LAST_RESORT = "control_character"  # only where no other rule has found anything
SYSCTL = re.compile(r"[a-z][a-z0-9_]*([./][A-Za-z0-9_.*-]+)+")


@rule("renamed_variable")
def renamed_variable(cluster: Cluster) -> Iterator[Complaint]:
    """No role reads the old name, so its value has no effect, even if it equals the default."""
    for host, variables in cluster.hosts.items():
        for old in RENAMED.keys() & variables.keys():
            yield replace(old_name(old, variables[old], cluster.options), host=host)


def old_name(old: str, value: object, options: Options) -> Complaint:
    """Say what a variable is called now, and what is to be written."""
    new, word = _in_new_words(old, value)
    remedy = f"write {new}: {word or ' or '.join(options[new]['choices'])} in its place"
    return Complaint(old, show(value), f"is called {new} now", remedy)


def with_new_words(variables: Mapping[str, object]) -> Mapping[str, object]:
    """Return a host's variables with the new names of old ones beside them.

    The run stops at the old names. The other rules look at what is meant by them, so that none of them complains of a
    mode that nobody wants.
    """
    # Of two old names of one variable, the first one in the table is what all roles read.
    new_words = (_in_new_words(old, variables[old]) for old in reversed(RENAMED) if old in variables)
    meant = {new: word for new, word in new_words if word}
    return {**meant, **variables} if meant else variables


def _in_new_words(old: str, value: object) -> tuple[str, str | None]:
    """Return the new name of a variable and its word for the value, None where that is not clear."""
    new, words = RENAMED[old]
    meant = conform({"type": "bool"}, value, old, [])
    return new, words[meant] if isinstance(meant, bool) else None


@rule("values_differ")
def values_differ(cluster: Cluster) -> Iterator[Complaint]:
    """The directors' files must be the same, and the services are read from the first director only."""
    given = {name for host in cluster.directors for name in cluster.hosts[host] if name in cluster.options}
    for name in sorted(given - {*OWN}):
        if (ALIKE.fullmatch(name) or name in SHARED) and name != ABSENT and cluster.directors_differ(name):
            problem = f"{' and '.join(cluster.directors)} have different values: they must agree"
            yield Complaint(name, "", problem, "set it once, in the variables of the group directors or all")


@rule("values_differ")
def absent_differ(cluster: Cluster) -> Iterator[Complaint]:
    """Each play asks its own hosts who is down."""
    members = dict.fromkeys(host for group in GROUPS for host in cluster.groups.get(group, ()))
    given: dict[str, str] = {}
    for host in members:
        given.setdefault(repr(cluster.hosts[host].get(ABSENT) or []), host)
    if len(given) > 1:
        problem = f"{' and '.join([*given.values()][:2])} have different values, and each play reads those of its hosts"
        yield Complaint(ABSENT, "", problem, "set it once, in the variables of the group all, or with -e")


@rule("not_read", "warning")
def not_read(cluster: Cluster) -> Iterator[Complaint]:
    """A value in the wrong file of host_vars or group_vars is ignored without a word."""
    members = {host for group in GROUPS for host in cluster.groups.get(group, ())}
    given_names = {name for host in members for name in cluster.hosts[host] if name in cluster.options}
    for name in sorted(given_names - {*OWN, ABSENT}):
        groups = ("directors",) if name in SHARED else READERS.get(_prefix(name), ())
        readers = [host for group in groups for host in cluster.groups.get(group, ())]
        others = [host for host in cluster.hosts if host in members and host not in readers]
        read = [cluster.hosts[host][name] for host in readers if cluster.hosts[host].get(name) is not None]
        given = {host: cluster.hosts[host][name] for host in others if cluster.hosts[host].get(name) is not None}
        distinct: list[tuple[object, list[str]]] = []
        for host, value in given.items():
            same = next((hosts for other, hosts in distinct if other is value or other == value), None)
            if same is None:
                distinct.append((value, [host]))
            else:
                same.append(host)
        for value, hosts in distinct:
            # What most of the others have is set for all, and the readers have a value of their own in its place.
            most = len(hosts) > len(others) / 2 and (len(hosts) > 1 or len(others) == 1)
            if not readers or value in read or (read and most):
                continue
            for host in hosts:
                where = f"hosts of the group {' or '.join(groups)}"
                remedy = "move it there, or to the variables of the group all, or remove it"
                yield Complaint(name, "", f"is read on {where}, and has no effect here", remedy, host)


@rule("not_read", "warning")
def not_read_in_this_mode(cluster: Cluster) -> Iterator[Complaint]:
    """What another ha_checker or another type of check would read, and nobody else."""
    timeouts = [seconds for seconds in (cluster.get("lvs_director_timeouts") or {}).values() if seconds is not None]
    given = {
        "lvs_director_table": bool(cluster.get("lvs_director_table")),
        "lvs_director_timeouts": bool(timeouts) and all(known(each) and 0 < each <= LONGEST_IDLE for each in timeouts),
    }
    for name, is_given in given.items():
        # What is wrong with them otherwise comes first.
        if is_given and cluster.get("ha_checker") == "ldirectord" and not cluster.directors_differ(name):
            problem = "is read only where ha_checker is none, and has no effect here"
            yield Complaint(name, "", problem, "remove it, or set ha_checker: none")
    if cluster.get("ha_checker") == "none":
        minima = {f"{each.variable}.minimum_alive": each.get("minimum_alive") for each in cluster.services}
        for name, text in (minima | {"ha_minimum_alive": cluster.get("ha_minimum_alive")}).items():
            if text and text != "0":
                problem = "has no effect where ha_checker is none: no check takes a real server out"
                yield Complaint(
                    name, show(text), problem, "remove it, or let ldirectord check (ha_checker: ldirectord)"
                )
    for service in cluster.services:
        kind, pattern = known(service.check.get("type")), known(service.check.get("receive"))
        if pattern and kind in ("connect", "ping"):
            problem = f"a check of type {kind} asks nothing, so no answer is compared with this"
            remedy = "remove it, or use check.type negotiate with check.service"
            yield Complaint(f"{service.variable}.check.receive", show(pattern), problem, remedy)


def _prefix(name: str) -> str:
    return next((prefix for prefix in READERS if name.startswith(prefix)), "")


@rule("empty_value")
def empty_value(cluster: Cluster) -> Iterator[Complaint]:
    """A variable without a value hides the role's default, and is no value itself."""
    for host, variables in cluster.hosts.items():
        for name, value in variables.items():
            option = cluster.options.get(name)
            if value is None and option is not None and not option.get("required"):
                yield replace(no_value(name), host=host)


def no_value(name: str) -> Complaint:
    """Say that a variable is null."""
    problem = "has no value (null), which is not the same as leaving it out"
    return Complaint(name, "", problem, "remove the line for the default, or write a value")


@rule("bad_log")
def bad_log(cluster: Cluster) -> Iterator[Complaint]:
    """ldirectord takes what does not begin with '/' for a facility of syslog(3), and logs nowhere if it is none."""
    log = known(cluster.get("ldirectord_log"))
    if log is not None and not re.fullmatch(r"/[^\s\"#]*[^\s\"#/]", log) and not FACILITY.fullmatch(log):
        problem = "must be the absolute path of a file, without blanks, quotes and '#', or a facility of syslog"
        yield Complaint("ldirectord_log", show(log), problem, "write it like /var/log/ldirectord.log or local0")


@rule("bad_path")
def bad_path(cluster: Cluster) -> Iterator[Complaint]:
    """What the daemons and systemd would take as relative to a folder of their own, or as several words."""
    for name in PATHS:
        for host, variables in cluster.hosts.items():
            given = cluster.value(host, name) if name in variables else None
            places = {f"{name}[{index}]": path for index, path in enumerate(given)} if isinstance(given, list) else {}
            for place, path in (places or {name: given}).items():
                if isinstance(path, str) and not PATH.fullmatch(path):
                    problem = "must be an absolute path without blanks, quotes, '#', '%' and backslashes"
                    yield Complaint(place, show(path), problem, "start it with /", host)
                elif isinstance(path, str) and name in FILES and path.endswith("/"):
                    yield Complaint(place, show(path), "must be a file, and is a folder", "name a file in it", host)


@rule(LAST_RESORT)
def control_character(cluster: Cluster) -> Iterator[Complaint]:
    """A line break in a value becomes a line of its own in a file. Only where no other rule says what is wrong."""
    # A value of group_vars is one object for many hosts, and may be large: look at it once.
    found: dict[tuple[str, int], list[Complaint]] = {}
    for host, variables in cluster.hosts.items():
        for name, value in variables.items():
            if name in cluster.options:
                key = name, id(value)
                if key not in found:
                    found[key] = list(_control_characters(cluster.options[name], value, name))
                yield from (replace(complaint, host=host) for complaint in found[key])


def _control_characters(option: Option, value: object, path: str) -> Iterator[Complaint]:
    if isinstance(value, str):
        if any(character < " " or character == "\x7f" for character in value):
            shown = HIDDEN if holds_secret(option) else show(value)
            problem = "contains a line break, tab or other control character"
            yield Complaint(path, shown, problem, "write one line of plain text")
    elif isinstance(value, Mapping):
        inner = option.get("options", {})
        for name, each in value.items():
            # What is not known may be a misspelt secret.
            known_or_hidden = inner[name] if name in inner else {"no_log": bool(inner) or holds_secret(option)}
            yield from _control_characters(known_or_hidden, each, f"{path}.{show(name)}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _control_characters(option, each, f"{path}[{index}]")


@rule("bad_email")
def bad_email(cluster: Cluster) -> Iterator[Complaint]:
    """It stands between double quotes in ldirectord.cf, and in the header of a mail."""
    given = known(cluster.get("ldirectord_email_alert"))
    if given and not all(ADDRESSEE.fullmatch(part.strip(" ")) for part in given.split(",")):
        problem = "must be one address, or several with commas between them"
        yield Complaint("ldirectord_email_alert", show(given), problem, "write it like root@example.com")
    mails = {f"ha_hook_mail_to[{index}]": one for index, one in enumerate(known(cluster.get("ha_hook_mail_to")) or ())}
    if sender := known(cluster.get("ha_hook_mail_from")):
        mails["ha_hook_mail_from"] = sender
    for variable, address in mails.items():
        if address is not UNUSABLE and not ADDRESSEE.fullmatch(address):
            yield Complaint(variable, show(address), "must be one mail address", "write it like root@example.com")


@rule("bad_mail_relay")
def bad_mail_relay(cluster: Cluster) -> Iterator[Complaint]:
    """Without a relay no mail leaves the director: Debian installs no mail server by itself."""
    relay = known(cluster.get("ha_hook_mail_relay"))
    example = "write a name or an address without a port, such as mail.example.com"
    if known(cluster.get("ha_hook_mail_to")) and relay == "":
        yield Complaint(
            "ha_hook_mail_relay", "", "must say which mail server takes the mails of ha_hook_mail_to", example
        )
    elif relay and not (RELAY.fullmatch(relay) or to_address(relay)):
        yield Complaint("ha_hook_mail_relay", show(relay), "must be the name or the address of a mail server", example)
    repeat = known(cluster.get("ha_hook_mail_repeat"))
    if isinstance(repeat, int) and repeat and not MINUTE <= repeat <= WEEK:
        problem = f"must be 0, or {MINUTE} to {WEEK} seconds"
        yield Complaint("ha_hook_mail_repeat", show(repeat), problem, "write 3600 for a mail each hour")


def _is_several(command: Sequence[Any]) -> bool:
    """Tell whether a program's arguments are in one word with it; where others follow, a blank may be in its name."""
    word = command[0]
    return re.search(r"\s[-/\"']", word) is not None or (len(command) == 1 and has_arguments(word))


def _is_line(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[ -~]+", value) is not None


@rule("bad_word")
def bad_word(cluster: Cluster) -> Iterator[Complaint]:
    """Names that a command of the roles gets as arguments, or that become names of files."""
    for host, variables in cluster.hosts.items():
        for name, (pattern, problem, example) in WORDS.items():
            for index, word in enumerate((cluster.value(host, name) if name in variables else None) or ()):
                if word is not UNUSABLE and not pattern.fullmatch(word):
                    yield Complaint(f"{name}[{index}]", show(word), problem, f"write it like {example}", host)
        sysctls = cluster.value(host, "lvs_director_sysctls") if "lvs_director_sysctls" in variables else None
        for key, value in (sysctls or {}).items():
            variable = f"lvs_director_sysctls.{show(key)}"
            if not isinstance(key, str) or not SYSCTL.fullmatch(key):
                remedy = "write it like net.ipv4.vs.conntrack"
                yield Complaint(variable, "", "must be the full name of a sysctl", remedy, host)
            elif isinstance(value, bool):
                yield Complaint(
                    variable, show(value), "must be a number or text, not true or false", f"write {int(value)}", host
                )
            elif not isinstance(value, Unevaluated | int | float) and not _is_line(value):
                yield Complaint(
                    variable, show(value), "must be a number, or one line of text", "write such a value", host
                )
    for name in COMMANDS:
        command = known(cluster.get(name))
        if command and command[0] is not UNUSABLE and not re.fullmatch(r"/.*[^/]", command[0], re.DOTALL):
            problem = "must be the absolute path of a program"
            yield Complaint(f"{name}[0]", show(command[0]), problem, "write it like /usr/local/sbin/tell")
        elif command and command[0] is not UNUSABLE and _is_several(command):
            problem = "is a program with its arguments in one word, and no file has this name"
            remedy = "make each argument an item of its own: [/usr/local/sbin/tell, --loud]"
            yield Complaint(f"{name}[0]", show(command[0]), problem, remedy)
