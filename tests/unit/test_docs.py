# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages for people name what there is: files, sections, make targets, playbooks, scenarios, rules, defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pages
import pytest
import yaml

from ansible_collections.codalvs.ha.plugins.module_utils import _schema as schema
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.cluster import PROFILES
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Service
from ansible_collections.codalvs.ha.plugins.plugin_utils._ldirectord import CHECKS
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight import check as preflight
from ansible_collections.codalvs.ha.plugins.plugin_utils._preflight.detection import KERNELS_LIMIT, Limits, wait_of

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Problem", "Decision", "Reason", "Rejected", "Consequences")
TOP = ("README", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY", "lab/README")
RECORDS = sorted(ROOT.glob("docs/decisions/[0-9]*.md"))  # linked from their list, where the site's menu has them, too
EXAMPLES = sorted(ROOT.glob("inventories/*/README.md"))  # likewise
PAGES = [*(ROOT / f"{name}.md" for name in TOP), *sorted(ROOT.glob("docs/**/*.md")), *EXAMPLES]
LISTED = {*RECORDS, *EXAMPLES}
README_LINES = 150  # what a system administrator reads in ten minutes
MAP_LINES = 120
RECORD_LINES = 30
HEAD = re.compile(r"# (?P<number>\d{4}): (?P<title>\S.*)\n\n- Date: (?P<date>\S+)\n- Status: \S.*\n\n")
PART = re.compile(r"^\*\*(\w+)\.\*\*", re.MULTILINE)
COLUMNS = 160
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMES = {path.relative_to(ROOT).as_posix(): path for path in PAGES}


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the fragments by which GitHub links to a page's headings."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def broken(page: Path) -> Iterator[str]:
    """Yield the relative links of a page that lead nowhere."""
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _hash, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.is_relative_to(ROOT) or not file.exists() or (fragment and fragment not in anchors(file)):
            yield target


def head(record: str) -> dict[str, str]:
    """Return number, title and date of a record of a decision, or nothing if its first lines have another form."""
    found = HEAD.match(record)
    return found.groupdict() if found else {}


def lacking(record: str) -> list[str]:
    """Return what a record of a decision lacks."""
    _head, *parts = PART.split(record)
    told = {name for name, words in zip(parts[::2], parts[1::2], strict=True) if words.strip()}
    missing = [part for part in PARTS if part not in told]
    return missing if head(record) else ["number, title, date, status", *missing]


def rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    section = page.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def specified() -> dict[str, dict[str, Any]]:
    """Return the options of all roles by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for spec in yaml.safe_load(path.read_text())["argument_specs"].values():
            found |= spec.get("options", {})
    return found


@pytest.fixture(params=NAMES)
def page(request: pytest.FixtureRequest) -> Path:
    """One page after the other."""
    return NAMES[request.param]


def test_readme_takes_ten_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    there = tmp_path / "there.md"
    there.write_text("# It's `code`, twice\n## Twice\n## Twice\n```\n# no heading\n```\n")
    here = tmp_path / "here.md"
    good = ["there.md", "there.md#its-code-twice", "there.md#twice-1", "https://example.net/x", "#here"]
    bad = ["gone.md", "there.md#no-heading", "there.md#twice-2", "#there", "../outside.md"]
    here.write_text("# Here\n" + "\n".join(f"[x]({target})" for target in good + bad))
    assert list(broken(here)) == bad


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall((ROOT / "README.md").read_text())}
    assert {path.relative_to(ROOT).as_posix() for path in PAGES if path not in LISTED} <= linked | {"README.md"}


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = set(re.findall(r'"([\w/-]+)"', (ROOT / "website/pages.py").read_text()))
    names = {name.removesuffix(".md") for name, path in NAMES.items() if path not in LISTED}
    assert names <= menu | {"README"}


def test_the_map_fits_on_two_screens() -> None:
    assert len((ROOT / "docs/architecture.md").read_text().splitlines()) <= MAP_LINES


def test_every_example_has_a_readme_and_is_listed() -> None:
    listed = re.findall(r"\]\(\.\./inventories/([\w-]+)/README\.md\)", (ROOT / "docs/examples.md").read_text())
    assert sorted(listed) == sorted(path.name for path in ROOT.glob("inventories/*") if path.is_dir())
    assert sorted(listed) == [path.parent.name for path in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_a_scenario_that_an_example_names_runs_it(example: Path) -> None:
    for scenario in re.findall(r"The scenario `(\w+)` runs this inventory", example.read_text()):
        assert f"../../inventories/{example.parent.name}/" in (ROOT / f"molecule/{scenario}/molecule.yml").read_text()


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_when_why_and_what_was_rejected(record: Path) -> None:
    text = record.read_text()
    assert lacking(text) == []
    assert record.name.startswith(f"{head(text)['number']}-")
    assert date.fromisoformat(head(text)["date"]) >= date(2026, 11, 23)  # the first commit's day
    assert len(text.splitlines()) <= RECORD_LINES


def test_what_a_record_lacks_is_found() -> None:
    whole = "# 0001: Title\n\n- Date: 2026-11-23\n- Status: in force\n" + "".join(
        f"\n**{part}.** x.\n" for part in PARTS
    )
    assert lacking(whole) == []
    for part in PARTS:
        assert lacking(whole.replace(f"\n**{part}.** x.\n", "")) == [part]
        assert lacking(whole.replace(f"**{part}.** x.", f"**{part}.**")) == [part]
    assert lacking(whole.replace("- Date: 2026-11-23\n", "")) == ["number, title, date, status"]


def test_records_are_numbered_in_order_of_their_dates() -> None:
    heads = [head(path.read_text()) for path in RECORDS]
    assert [int(found["number"]) for found in heads] == list(range(1, len(RECORDS) + 1))
    dates = [found["date"] for found in heads]
    assert dates == sorted(dates)


def test_the_list_of_records_has_each_once_under_its_title() -> None:
    listed = re.findall(
        r"^- \[(\d{4})\]\((\S+)\): (.+)$", (ROOT / "docs/decisions/README.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == [(path.name[:4], path.name, head(path.read_text())["title"]) for path in RECORDS]


def test_lines_fit_on_a_screen(page: Path) -> None:
    long = [line for line in page.read_text().splitlines() if len(line) > COLUMNS and not line.startswith("|")]
    assert long == []


def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(FENCE.findall(page.read_text()) + re.findall(r"`([^`\n]+)`", prose(page)))
    named = {word for words in re.findall(r"^make ((?:[a-z-]+ ?)+)", code, re.MULTILINE) for word in words.split()}
    assert named <= targets


def test_every_scenario_exists(page: Path) -> None:
    named = set(re.findall(r"SCENARIO=([a-z_0-9]+)", page.read_text())) - {"name", "x"}
    assert {name for name in named if not (ROOT / "molecule" / name / "molecule.yml").exists()} == set()


def test_every_test_that_proves_a_claim_exists() -> None:
    """The table of upstream's defects names scenarios and their tests."""
    text = (ROOT / "docs/coda.md").read_text()
    claims = {
        (scenario, name)
        for scenario, names in re.findall(r"`(\w+)`, (`test_\w+`(?:(?: and |, )`test_\w+`)*)", text)
        for name in re.findall(r"\w+", names)
        if name != "and"
    }
    tests = {
        (path.parts[-3], name)
        for path in ROOT.glob("molecule/*/tests/test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert {scenario for scenario, _test in claims} >= {"coda", "coda_clients"}
    assert claims - tests == set()


def test_every_play_that_proves_a_claim_exists() -> None:
    """The same table names scenarios and their plays."""
    text = (ROOT / "docs/coda.md").read_text()
    told = re.findall(r'`(\w+)`, (?:side effect |prepare, )?"([^"]+)"(?: and "([^"]+)")?', text)
    plays = {
        (path.parent.name, name)
        for path in ROOT.glob("molecule/*/*.yml")
        for name in re.findall(r"^- name: (.+)$", path.read_text(), re.MULTILINE)
    }
    claims = {(scenario, name) for scenario, *names in told for name in names if name}
    assert claims
    assert claims - plays == set()


def test_every_playbook_role_and_module_exists(page: Path) -> None:
    named = set(re.findall(r"(?<!group/)codalvs\.ha\.([a-z_0-9]+)", page.read_text()))
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert set(re.findall(r"group/codalvs\.ha\.([a-z_0-9]+)", page.read_text())) <= groups.keys()
    kinds = ("playbooks/{}.yml", "roles/{}", "plugins/modules/{}.py", "plugins/filter/{}.py")
    assert {name for name in named if not any((ROOT / kind.format(name)).exists() for kind in kinds)} == set()


def test_every_playbook_that_is_run_is_a_playbook(page: Path) -> None:
    run = re.findall(r"^ansible-playbook .*?codalvs\.ha\.([a-z_]+)", page.read_text(), re.MULTILINE)
    assert {name for name in run if not (ROOT / f"playbooks/{name}.yml").exists()} == set()


def test_every_file_of_the_checkout_exists(page: Path) -> None:
    tops = "benchmarks|inventories|lab|molecule|playbooks|plugins|roles|tests"
    named = re.findall(rf"`((?:{tops})/[\w./-]+)`", page.read_text())
    named = [name for name in named if not re.search(r"[A-Z]{3,}", name)]  # NAME or ROLE stands for any
    assert [name for name in named if not (ROOT / name).exists() and not (page.parent / name).exists()] == []


def test_every_rule_of_preflight_is_explained() -> None:
    text = ROOT / "docs/preflight.md"
    told = {
        severity: {row[0].strip("`") for row in rows(text, heading)}
        for severity, heading in (("warning", "Warnings"), ("error", "Errors"))
    }
    known: dict[str, set[str]] = {"warning": set(), "error": {*schema.RULES, "unknown_variable", preflight.NO_PLAN}}
    for name, severity in [*preflight.FILE_RULES.items(), *((rule.name, rule.severity) for rule in preflight.RULES)]:
        known[severity].add(name)
    assert told == known


def test_every_rule_of_preflight_has_an_example_on_the_site() -> None:
    page = "\n".join(pages.findings())
    examples = re.findall(r"^## `(\w+)`\n\n[^\n]+\n\n```text\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    told = {
        row[0].strip("`") for heading in ("Warnings", "Errors") for row in rows(ROOT / "docs/preflight.md", heading)
    }
    assert {name for name, example in examples if re.search(rf"\[{name}\]\n +-> \S", example)} == told
    assert str(ROOT) not in page


def test_every_check_is_explained() -> None:
    page, options = ROOT / "docs/checks.md", specified_check()
    told = {
        row[0].strip("`"): [re.findall(r"`([\w-]+)`", cell) for cell in row[1:3]]
        for row in rows(page, "Checks that ask the service")
    }
    known = {name: [list(check.needs), list(check.packages)] for name, check in CHECKS.items()}
    assert told == {**known, "none": [[], []]}
    assert set(told) == set(options["service"]["choices"])
    others = {row[0].strip("`") for row in rows(page, "Other checks")}
    assert others | {"negotiate"} == set(options["type"]["choices"])
    assert {name for check in CHECKS.values() for name in check.reads} <= set(options)


T, N = 3, 7  # the two time limits
WAITS = {
    "0": 0,
    "5": 5,
    "N": N,
    "T": T,
    "127": KERNELS_LIMIT,
    "2 * N + 5": 2 * N + 5,
    "T or N, whichever is less": min(T, N),
    "T * `check.pings`": T,
    "not noticed": None,
}


def test_how_long_each_check_takes_is_explained() -> None:
    told: dict[str, tuple[int | None, int | None]] = {}
    for names, silent, refused in rows(ROOT / "docs/checks.md", "How soon a dead server is noticed"):
        times = [
            WAITS[re.split(r"[:;]|, as", text)[0].strip().replace("\N{MULTIPLICATION SIGN}", "*")]
            for text in (silent, refused)
        ]
        for name in re.findall(r"`([\w-]+)`", names.replace("`connect` by UDP", "`connect-udp`")):
            told[name] = (times[0], times[1])
    others = {*specified_check()["type"]["choices"]} - {"negotiate"}
    assert {*told} == {*CHECKS, *others, "none", "connect-udp"}
    for name, times in told.items():
        kind = {"type": name.removesuffix("-udp")} if name.removesuffix("-udp") in others else {"service": name}
        udp = name == "connect-udp"
        check = {"type": "negotiate", **kind}
        service = Service("", {"check": check, "fwmark": None, "protocol": "udp" if udp else "tcp"}, [], {})
        wait = wait_of(service, Limits(check=T, negotiate=N, database=N, interval=1, failures=1))
        known = (wait.silent if wait.notices_silent else None, wait.refused if wait.notices_refused else None)
        assert times == known, name


def specified_check() -> dict[str, Any]:
    """Return the options of a check, from argument_specs."""
    specs = yaml.safe_load((ROOT / "roles/preflight/meta/argument_specs.yml").read_text())["argument_specs"]
    return specs["main"]["options"]["ha_virtual_services"]["options"]["check"]["options"]


def test_every_check_is_shown() -> None:
    inventory = yaml.safe_load((ROOT / "molecule/checks/inventory/hosts.yml").read_text())
    shown = {service["name"] for service in inventory["all"]["vars"]["ha_virtual_services"]}
    assert {*CHECKS} - {"oracle"} <= shown
    assert {*specified_check()["type"]["choices"]} - {"negotiate"} <= shown


def test_every_module_is_listed() -> None:
    listed = {name for row in rows(ROOT / "docs/modules.md", "All modules") for name in re.findall(r"`(\w+)`", row[0])}
    assert listed == {path.stem for path in ROOT.glob("plugins/modules/*.py")}


def test_defaults_of_variables_are_the_roles() -> None:
    specs = specified()
    for names, default, _meaning in rows(ROOT / "docs/inventory.md", "Common variables"):
        for name in re.findall(r"`(\w+)`", names):
            assert name in specs
            literal = re.fullmatch(r"`([^`]*)`", default)
            if default == "required":
                assert specs[name]["required"] is True
            elif literal:
                assert yaml.safe_load(literal.group(1)) == specs[name]["default"], name


def test_times_are_the_profiles() -> None:
    for profile, *times, _use in rows(ROOT / "docs/modes.md", "Heartbeat's times"):
        told = [text.split(" (")[0] for text in times]
        known = PROFILES[profile.strip("`")].values()
        real = [f"{time[:-2]} ms" if time.endswith("ms") else f"{time} s" for time in known]
        assert [f"{text} s" if text == "0" else text for text in told] == real
