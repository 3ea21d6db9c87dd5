"""What of the model neither preflight's findings nor the plan show."""

from __future__ import annotations

from typing import Any

from ansible_collections.codalvs.ha.plugins.module_utils._schema import UNUSABLE
from ansible_collections.codalvs.ha.plugins.plugin_utils._inventory.model import Values

OPTIONS: dict[str, Any] = {"name": {"type": "str"}, "tags": {"type": "list", "elements": "int"}}


def test_a_shared_value_is_looked_at_once() -> None:
    shared = ["1", "x"]
    values = Values({"one": {"tags": shared}, "two": {"tags": shared}, "three": {"tags": list(shared)}}, OPTIONS)
    result, problems = values("one", "tags")
    assert (result, [problem.path for problem in problems]) == ([1, UNUSABLE], ["tags[1]"])
    assert values("two", "tags")[0] is result
    assert values("three", "tags") == (result, problems)
    assert values("three", "tags")[0] is not result


def test_equal_values_of_different_types_stay_different() -> None:
    values = Values({"one": {"name": 1}, "two": {"name": True}, "three": {}}, OPTIONS)
    assert [values(host, "name")[0] for host in ("one", "two", "three")] == ["1", UNUSABLE, None]


def test_values_made_on_the_way_are_not_mixed_up() -> None:
    """Hosts may be read one by one, when they are asked for. Then the next value may have the id of the last one."""

    class Reads(dict[str, Any]):
        def __getitem__(self, host: str) -> Any:
            return {"name": 10**6 + int(host)}

    values = Values(Reads(), OPTIONS)
    assert [values(str(number), "name")[0] for number in range(100)] == [str(10**6 + number) for number in range(100)]
