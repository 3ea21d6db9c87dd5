"""Single values against argument_specs."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.codalvs.ha.plugins.module_utils._schema import (
    HIDDEN,
    UNUSABLE,
    Problem,
    Unevaluated,
    conform,
    did_you_mean,
    holds_secret,
    show,
)

SERVICE: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": {"type": "str", "required": True, "description": "Unique name, as in O(x.y). More."},
        "port": {"type": "int"},
        "kind": {"type": "str", "choices": ["on", "off"], "default": "off"},
        "tags": {"type": "list", "elements": "str"},
        "check": {
            "type": "dict",
            "default": {},
            "options": {"interval": {"type": "int"}, "password": {"type": "str", "no_log": True}},
        },
    },
}


def run(option: dict[str, Any], value: object) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    return conform(option, value, "v", problems), problems


def only(option: dict[str, Any], value: object) -> Problem:
    _result, problems = run(option, value)
    assert len(problems) == 1
    return problems[0]


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("int", 80, 80),
        ("int", "80", 80),
        ("int", "-1", -1),
        ("str", "x", "x"),
        ("str", 2, "2"),
        ("str", 1.5, "1.5"),
        ("path", "/x", "/x"),
        ("bool", True, True),
        ("bool", "no", False),
        ("bool", "Yes", True),
        ("bool", 1, True),
        ("float", "1.5", 1.5),
        ("list", (1, 2), [1, 2]),
        ("dict", {"a": 1}, {"a": 1}),
        ("raw", {"a": [1]}, {"a": [1]}),
        ("int", None, None),
    ],
)
def test_accepts(kind: str, given: object, wanted: object) -> None:
    assert run({"type": kind}, given) == (wanted, [])


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("int", "8_0"),
        ("int", " 80"),
        ("int", "٨٠"),
        ("int", 80.0),
        ("int", True),
        ("int", "http"),
        ("int", "9" * 5000),
        ("str", True),
        ("str", ["x"]),
        ("bool", "maybe"),
        ("bool", 2),
        ("bool", 1.0),
        ("float", "x"),
        ("list", "a,b"),
        ("dict", "a=b"),
        ("dict", []),
    ],
)
def test_refuses(kind: str, given: object) -> None:
    result, problems = run({"type": kind}, given)
    assert result is UNUSABLE
    assert [problem.rule for problem in problems] == ["wrong_type"]


def test_bare_on_is_explained() -> None:
    assert "quotes" in only(SERVICE["options"]["kind"], True).remedy


def test_defaults_are_filled_in_at_every_depth() -> None:
    result, problems = run(SERVICE, [{"name": "web"}])
    assert problems == []
    inner = {"interval": None, "password": None}
    assert result == [{"name": "web", "port": None, "kind": "off", "tags": None, "check": inner}]


def test_unknown_option_deep_inside() -> None:
    problem = only(SERVICE, [{"name": "a"}, {"name": "b", "check": {"intervall": 3}}])
    assert (problem.rule, problem.path, problem.value) == ("unknown_option", "v[1].check.intervall", "")
    assert problem.remedy == "did you mean 'interval'?"


def test_misspelt_required_option_is_one_mistake() -> None:
    problem = only(SERVICE, [{"nmae": "web"}])
    assert (problem.rule, problem.remedy) == ("unknown_option", "did you mean 'name'?")


def test_missing_option_is_explained_in_plain_text() -> None:
    problem = only(SERVICE, [{"port": 80}])
    assert (problem.rule, problem.path) == ("missing_option", "v[0].name")
    assert problem.remedy == "add it: Unique name, as in x.y"


def test_choice() -> None:
    problem = only(SERVICE, [{"name": "a", "kind": "of"}])
    assert (problem.rule, problem.path, problem.value) == ("wrong_choice", "v[0].kind", "of")
    assert problem.problem == "must be one of on, off"
    assert problem.remedy == "did you mean 'off'?"


@pytest.mark.parametrize(
    "given",
    [
        "hunter2",
        ["hunter2"],
        [{"name": "a", "check": "hunter2"}],
        [{"name": "a", "check": {"password": ["hunter2"]}}],
        [{"name": "a", "check": {"pasword": "hunter2"}}],
        [{"name": "a", "check": {"password": Unevaluated("it failed", "hunter2")}}],
        [{"name": "a", "check": Unevaluated("it failed", "hunter2")}],
    ],
)
def test_secrets_are_hidden(given: object) -> None:
    problem = only(SERVICE, given)
    assert "hunter2" not in repr(problem)
    assert problem.value in (HIDDEN, "")


def test_holds_secret() -> None:
    assert holds_secret(SERVICE)
    assert not holds_secret(SERVICE["options"]["name"])


def test_unevaluated_is_named_where_it_is() -> None:
    problem = only({"type": "dict"}, {"eth0": ["192.0.2.1/24", Unevaluated("x is undefined", "more")]})
    assert (problem.rule, problem.path) == ("cannot_evaluate", "v.eth0[1]")
    assert problem.problem.endswith("x is undefined (more)")


def test_empty_element() -> None:
    assert only({"type": "list", "elements": "str"}, ["a", None]).path == "v[1]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", "''"),
        (" x", "' x'"),
        ("a\nb", r"'a\nb'"),
        ("x" * 100, "x" * 57 + "..."),
        (True, "true"),
        (None, "empty"),
        ({"a": "secret"}, "a dictionary"),
        ([1], "a list"),
    ],
)
def test_show(value: object, text: str) -> None:
    assert show(value) == text


def test_show_more_digits_than_python_prints() -> None:
    assert show(10**5000) == "a huge number"


def test_did_you_mean_something_else_entirely() -> None:
    assert did_you_mean("zzz", ["abc"], "nothing like it") == "nothing like it"
