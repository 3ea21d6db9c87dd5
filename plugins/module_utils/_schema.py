# Copyright (c) 2026, The codalvs.ha engineers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check variables against the options of argument_specs, without Ansible.

Ansible's own check of role arguments stops at the first unknown key, silently makes a list of a string, and runs on
each host. This one names everything at once, with the path of the place, and accepts only what the roles can use.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Option = Mapping[str, Any]
Options = Mapping[str, Option]
# Where a value is: the variable, or the place around it with a name or an index. It becomes a text only when something
# is wrong, because a large inventory has millions of places.
Place: TypeAlias = "str | tuple[Place, str | int]"

HIDDEN = "(hidden)"
TYPES = {
    "bool": "true or false",
    "dict": "a dictionary",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a string",
    "str": "a string",
}
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1", "y", "t"), True),
    **dict.fromkeys(("false", "no", "off", "0", "n", "f"), False),
}


@dataclass(frozen=True)
class Unevaluated:
    """In place of a value whose template failed."""

    reason: str  # safe to show
    detail: str = ""  # may quote the template or its parts: shown only where no secret can be


class _Unusable:
    """In place of an unusable value, which has been reported."""

    def __repr__(self) -> str:
        return "UNUSABLE"


UNUSABLE = _Unusable()


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one value."""

    rule: str
    path: str
    value: str
    problem: str
    remedy: str


_SCALARS = (str, int, float)  # nothing is inside them
RULES = ("cannot_evaluate", "missing_option", "unknown_option", "wrong_choice", "wrong_type")


def conform(option: Option, value: object, path: str, problems: list[Problem]) -> Any:
    """Return the value as its option's type, with nested defaults; append what is wrong to `problems`.

    None means 'not given' (as in Ansible), UNUSABLE 'given, but wrong'.
    """
    return _conform(option, value, path, problems)


def _conform(option: Option, value: object, place: Place, problems: list[Problem]) -> Any:
    if value is None:
        value = option.get("default")
        if value is None:
            return None
    if isinstance(value, Unevaluated):
        problems.append(_unevaluated(option, value, place))
        return UNUSABLE
    kind = option.get("type", "str")
    result: Any = _CONVERTERS[kind](value) if kind in _CONVERTERS else value
    # YAML has made other digits of some: 0123 is 83. Of a secret, nobody would see that.
    if result is UNUSABLE or (kind in ("str", "path") and not isinstance(value, str) and holds_secret(option)):
        problems.append(_wrong_type(option, value, place))
        return UNUSABLE
    if kind == "list":
        element = {key: entry for key, entry in option.items() if key != "default"} | {
            "type": option.get("elements", "raw")
        }
        return [_element(element, entry, (place, index), problems) for index, entry in enumerate(result)]
    if kind == "dict" and "options" in option:
        return _conform_options(option["options"], result, place, problems)
    if not isinstance(result, _SCALARS):
        _report_unevaluated(option, result, place, problems)
    choices = option.get("choices")
    if choices and result not in choices:
        problems.append(_wrong_choice(option, result, place))
        return UNUSABLE
    return result


def holds_secret(option: Option) -> bool:
    """Tell whether a value of this option, or anything inside it, must not be shown."""
    return bool(option.get("no_log")) or any(holds_secret(inner) for inner in option.get("options", {}).values())


def show(value: object, limit: int = 60) -> str:
    """Return a value as one short printable line."""
    if isinstance(value, Unevaluated):
        return ""
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "empty"
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, list | tuple | set):
        return "a list"
    try:
        text = str(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a huge number"
    if not text.isprintable() or text != text.strip() or not text:
        text = repr(text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def closest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that was probably meant."""
    matches = difflib.get_close_matches(str(word)[:80], list(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def spelling(name: str) -> str:
    """Return a name without what people write in several ways: case, hyphens and blanks, but for those of numbers."""
    return re.sub(r"(?<!\d)[\W_]+|[\W_]+(?!\d)", "", name).lower()


def letters(name: str) -> str:
    """Return the same without any separator, and without the plural."""
    text = re.sub(r"[\W_]", "", name).lower()
    return text[:-1] if text.endswith("s") else text


def edits(one: str, other: str) -> int:
    """Return how many letters have to be added, left out, changed, or swapped with the next one."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        line = [row]
        for column, wanted in enumerate(other, start=1):
            least = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != wanted))
            swapped = row > 1 and column > 1 and (one[row - 2], letter) == (wanted, other[column - 2])
            line.append(min(least, before[column - 2] + 1) if swapped else least)
        before, last = last, line
    return last[-1]


def did_you_mean(word: object, known: Iterable[str], otherwise: str) -> str:
    """Return a remedy for a misspelt name."""
    match = closest(word, known)
    return f"did you mean {match!r}?" if match else otherwise


def _conform_options(options: Options, given: Mapping[Any, object], place: Place, problems: list[Problem]) -> Any:
    missing = [name for name, option in options.items() if option.get("required") and given.get(name) is None]
    if missing or not options.keys() >= given.keys():
        _report_names(options, given, missing, _text(place), problems)
    return {
        name: UNUSABLE
        if name in missing
        else None
        if (value := given.get(name)) is None and "default" not in option
        else _conform(option, value, (place, name), problems)
        for name, option in options.items()
    }


def _report_names(
    options: Options, given: Mapping[Any, object], missing: list[str], path: str, problems: list[Problem]
) -> None:
    misspelt = set()
    for name in map(str, given):
        if name not in options:
            # A misspelt required option is one mistake, not two.
            meant = closest(name, missing) or (missing[0] if len(given) == len(missing) == 1 else None)
            misspelt.add(meant)
            # The value is not shown: nothing says that a misspelt 'password' is secret.
            remedy = did_you_mean(name, [meant] if meant else options, f"remove it; known are {', '.join(options)}")
            problems.append(Problem("unknown_option", _join(path, name), "", "there is no such option", remedy))
    for name in missing:
        if name not in misspelt:
            remedy = f"add it: {_about(options[name])}"
            problems.append(Problem("missing_option", _join(path, name), "", "is required, but not given", remedy))


def _about(option: Option) -> str:
    """Return the first sentence of an option's description, without Ansible's markup."""
    text = option.get("description", "")
    text = re.sub(r"\b[A-Z]\(([^)]*)\)", r"\1", str(text[0] if isinstance(text, list) else text))
    return text.split(". ")[0].rstrip(".")


def _report_unevaluated(option: Option, value: object, place: Place, problems: list[Problem]) -> None:
    """Report failed templates inside a value that has no suboptions."""
    if isinstance(value, Unevaluated):
        problems.append(_unevaluated(option, value, place))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _report_unevaluated(option, inner, (place, str(name)), problems)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _report_unevaluated(option, inner, (place, index), problems)


def _element(option: Option, value: object, place: Place, problems: list[Problem]) -> Any:
    if value is None:
        problems.append(_wrong_type(option, value, place))
        return UNUSABLE
    return _conform(option, value, place, problems)


def _text(place: Place) -> str:
    if isinstance(place, str):
        return place
    around, part = place
    return f"{_text(around)}[{part}]" if isinstance(part, int) else _join(_text(around), part)


def _join(path: str, name: str) -> str:
    return f"{path}.{show(name)}" if path else show(name)


def _unevaluated(option: Option, value: Unevaluated, place: Place) -> Problem:
    detail = f" ({value.detail})" if value.detail and not holds_secret(option) else ""
    remedy = "define what it uses, or correct the template"
    return Problem("cannot_evaluate", _text(place), "", f"its template has no value: {value.reason}{detail}", remedy)


def _wrong_type(option: Option, value: object, place: Place) -> Problem:
    kind = option.get("type", "str")
    shown = HIDDEN if holds_secret(option) else show(value)
    remedy = f"write {TYPES.get(kind, kind)}{_example(option, value)}"
    if isinstance(value, bool) and kind in ("str", "path"):
        remedy = "put it in quotes: YAML reads a bare on, off, yes or no as true or false"
    elif isinstance(value, int | float) and kind in ("str", "path"):
        remedy = "put it in quotes: YAML reads it as a number, and may change its digits"
    elif kind == "list":
        remedy = "write a list: one '- item' a line, or [item, item]"
        if isinstance(value, str) and isinstance(place, str) and option.get("elements") == "str":
            words = re.findall(r"[\w.:/-]+", value)[:6] if shown != HIDDEN else ()
            items = ", ".join(f'"{word}"' for word in words or ("item", "item"))
            remedy += f"; on the command line, -e '{{\"{place}\": [{items}]}}'"
    return Problem("wrong_type", _text(place), shown, f"must be {TYPES.get(kind, kind)}", remedy)


def _example(option: Option, value: object) -> str:
    """Return an example of a dictionary: the given value as its only required option, or as documented."""
    if option.get("type") != "dict":
        return ""
    required = [name for name, inner in option.get("options", {}).items() if inner.get("required")]
    if len(required) == 1 and isinstance(value, str | int) and not isinstance(value, bool):
        return f", such as {{{required[0]}: {HIDDEN if holds_secret(option) else show(value)}}}"
    text = option.get("description", "")
    documented = re.search(r"\bV\((\{[^{}]*\})\)", " ".join(text) if isinstance(text, list) else str(text))
    return f", such as {documented[1]}" if documented else ""


def _wrong_choice(option: Option, value: object, place: Place) -> Problem:
    choices = [str(choice) for choice in option["choices"]]
    shown = HIDDEN if holds_secret(option) else show(value)
    remedy = "choose one of them" if holds_secret(option) else did_you_mean(value, choices, "choose one of them")
    return Problem("wrong_choice", _text(place), shown, f"must be one of {', '.join(choices)}", remedy)


def _to_bool(value: object) -> Any:
    if isinstance(value, bool):
        return value
    # A float would be equal to 1 as well, but nobody means it.
    return _BOOLEANS.get(show(value).lower(), UNUSABLE) if isinstance(value, str | int) else UNUSABLE


def _to_int(value: object) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # Only what every later int() reads in the same way: no blanks, no underscores, no other script's digits.
    return int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,20}", value) else UNUSABLE


def _to_float(value: object) -> Any:
    try:
        return float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else UNUSABLE
    except (ValueError, OverflowError):
        return UNUSABLE


def _to_str(value: object) -> Any:
    if isinstance(value, str):
        return value
    # No booleans: YAML made them of a bare on or yes, and the word that was meant is lost.
    return show(value) if isinstance(value, int | float) and not isinstance(value, bool) else UNUSABLE


def _to_list(value: object) -> Any:
    return list(value) if isinstance(value, list | tuple) else UNUSABLE


def _to_dict(value: object) -> Any:
    return value if isinstance(value, (dict, Mapping)) else UNUSABLE  # of a plain dict, that is quick to tell


_CONVERTERS: dict[str, Any] = {
    "bool": _to_bool,
    "dict": _to_dict,
    "float": _to_float,
    "int": _to_int,
    "list": _to_list,
    "path": _to_str,
    "str": _to_str,
}
