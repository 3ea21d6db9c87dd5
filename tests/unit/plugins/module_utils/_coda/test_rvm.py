"""When a Coda server's RVM may be initialised: never where anything could be lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.codalvs.ha.plugins.module_utils._coda.rvm import MIB, Found, Layout, Plan, plan

WANTED = Layout("/vice/rvm/LOG", 20 * MIB, "/vice/rvm/DATA", 64 * MIB, ("/vicepa",))
MADE = {WANTED.log: WANTED.log_size, WANTED.data: WANTED.data_size}
MARK = WANTED.as_data()
DEVICES = {"/vicepa": 1, "/vicepb": 2}
BARE = Found(None, None, {}, {}, 1024 * MIB, DEVICES)
HALF = BARE._replace(begun=MARK, sizes={WANTED.log: 7}, content={"/vicepa": ["FTREEDB"]})
WHOLE = Found(MARK, None, MADE, {"/vicepa": ["FTREEDB", "0", "lost+found"]}, 1024 * MIB, DEVICES)


def layout(**changes: Any) -> Layout:
    return WANTED._replace(**changes)


@pytest.mark.parametrize("found", [BARE, HALF, BARE._replace(content={"/vicepa": ["lost+found"]})])
def test_what_holds_nothing_is_initialised(found: Found) -> None:
    assert plan(found, WANTED, adopt=False) == Plan(True, ("/vicepa",), True)


def test_what_is_whole_stays() -> None:
    assert plan(WHOLE, WANTED, adopt=False) == Plan()


def test_both_marks_mean_that_it_is_done() -> None:
    assert plan(WHOLE._replace(begun=MARK), WANTED, adopt=False) == Plan()


@pytest.mark.parametrize(
    ("found", "wanted", "word"),
    [
        pytest.param(WHOLE, layout(data_size=128 * MIB), "data_size", id="another size"),
        pytest.param(WHOLE, layout(log_size=30 * MIB), "log_size", id="another log size"),
        pytest.param(WHOLE, layout(data="/else"), "data is", id="another file"),
        pytest.param(WHOLE._replace(sizes={WANTED.log: 1}), WANTED, "is gone", id="data is gone"),
        pytest.param(WHOLE._replace(sizes={**MADE, WANTED.data: 1}), WANTED, "has 1 bytes", id="data is cut short"),
        pytest.param(WHOLE._replace(content={}), WANTED, "FTREEDB: is gone", id="partition is not mounted"),
        pytest.param(WHOLE, layout(partitions=()), "no longer", id="partition is left out"),
        pytest.param(
            WHOLE._replace(content={**WHOLE.content, "/vicepb": ["x"]}),
            layout(partitions=("/vicepa", "/vicepb")),
            "isn't empty",
            id="new partition with files",
        ),
        pytest.param(
            WHOLE._replace(content={**WHOLE.content, "/vicepb": ["FTREEDB", "0"]}),
            layout(partitions=("/vicepa", "/vicepb")),
            "isn't empty",
            id="new partition that another server has used",
        ),
        pytest.param(HALF._replace(sizes={"/else": 1}), layout(data="/else"), "adopt", id="half, elsewhere"),
        pytest.param(
            HALF._replace(content={"/vicepb": ["FTREEDB"]}),
            layout(partitions=("/vicepb",)),
            "adopt",
            id="half, and another partition",
        ),
        pytest.param(BARE._replace(sizes=MADE), WANTED, "adopt", id="made by hand"),
        pytest.param(BARE._replace(content={"/vicepa": ["FTREEDB"]}), WANTED, "adopt", id="a partition made by hand"),
        pytest.param(BARE._replace(content={"/vicepa": ["letters"]}), WANTED, "adopt", id="a folder with files"),
        pytest.param(HALF._replace(content={"/vicepa": ["0"]}), WANTED, "not finished", id="half, and files"),
        pytest.param(
            WHOLE._replace(devices={"/vicepa": 1, "/vicepb": 1}),
            layout(partitions=("/vicepa", "/vicepb")),
            "one file system",
            id="two on one file system",
        ),
        pytest.param(BARE._replace(memory=100 * MIB), WANTED, "memory", id="too little memory"),
    ],
)
def test_refused(found: Found, wanted: Layout, word: str) -> None:
    decided = plan(found, wanted, adopt=False)
    assert word in decided.refusal
    assert decided == Plan(refusal=decided.refusal)


def test_a_new_partition_is_added() -> None:
    wanted = layout(partitions=("/vicepa", "/vicepb"))
    assert plan(WHOLE, wanted, adopt=False) == Plan(False, ("/vicepb",), True)


def test_adopted_as_it_is() -> None:
    by_hand = BARE._replace(sizes=MADE, content={"/vicepa": ["FTREEDB", "0"]})
    assert plan(by_hand, WANTED, adopt=True) == Plan(False, (), True)
    for other in (BARE, HALF, by_hand._replace(content={}), by_hand._replace(sizes={**MADE, WANTED.data: 1})):
        assert plan(other, WANTED, adopt=True).refusal


NAMES = st.lists(st.sampled_from(["FTREEDB", "lost+found", "0"]), unique=True)
SIZES = st.dictionaries(st.sampled_from([WANTED.log, WANTED.data]), st.sampled_from([1, WANTED.data_size]))


@given(
    done=st.sampled_from([None, MARK, {**MARK, "data_size": 1}]),
    begun=st.sampled_from([None, MARK, {**MARK, "data": "/else"}]),
    sizes=SIZES,
    content=st.one_of(st.just({}), st.fixed_dictionaries({"/vicepa": NAMES})),
    adopt=st.booleans(),
)
def test_nothing_that_could_hold_files_is_ever_initialised(
    done: Any, begun: Any, sizes: dict[str, int], content: dict[str, list[str]], adopt: bool
) -> None:
    decided = plan(Found(done, begun, sizes, content, 1024 * MIB, DEVICES), WANTED, adopt)
    if decided.initialise:
        assert done is None
        assert not adopt
        assert "0" not in content.get("/vicepa", ())
        assert begun or (not sizes and "FTREEDB" not in content.get("/vicepa", ()))
        assert not begun or begun["data"] == WANTED.data or WANTED.data not in sizes
