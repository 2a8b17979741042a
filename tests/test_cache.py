"""cache: the newest known version of each object, whoever tells of it."""

from typing import Any

import pytest

from rampgate_operator.cache import Cache, key_of, version_of
from rampgate_operator.ports import Key

A, B, C, D = (Key("shop", name) for name in "abcd")


def body(key: Key, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": key.namespace, "name": key.name, "resourceVersion": str(version)}, **more}


def test_an_object_has_a_key_and_a_version() -> None:
    assert (key_of(body(A, 7)), version_of(body(A, 7)), str(A)) == (A, 7, "shop/a")


@pytest.mark.parametrize(
    ("later", "kept"), [(8, 8), (7, 7), (6, 7), (10, 10)], ids=["newer", "the same", "older", "newer by number, not by text"]
)
def test_the_newest_version_stays(later: int, kept: int) -> None:
    cache = Cache()
    cache.see(body(A, 7))
    cache.see(body(A, later))
    known = cache.get(A)
    assert known is not None
    assert version_of(known) == kept


def test_the_same_version_is_taken_in_again() -> None:
    cache = Cache()
    cache.see(body(A, 7))
    cache.see(body(A, 7, data={"x": "y"}))
    assert (cache.get(A) or {})["data"] == {"x": "y"}


@pytest.mark.parametrize(
    ("since", "read", "kept"),
    [(7, 8, 8), (7, 7, 7), (7, 6, 6), (5, 6, 7)],
    ids=[
        "it moved on",
        "it is the same",
        "it is older than before the read began: a restored database",
        "the watch was faster than the read",
    ],
)
def test_an_answer_to_a_read_is_judged_by_what_was_known_when_it_began(since: int, read: int, kept: int) -> None:
    cache = Cache()
    cache.see(body(A, 7))
    assert cache.see_live(body(A, read), since=since) is (kept == read)
    assert cache.version(A) == kept


def test_what_is_forgotten_is_gone_and_may_be_forgotten_twice() -> None:
    cache = Cache()
    cache.see(body(A, 7))
    cache.forget(A)
    cache.forget(A)
    assert cache.get(A) is None
    cache.see(body(A, 3))
    assert cache.get(A) == body(A, 3)


def test_a_list_says_what_has_vanished_and_does_not_turn_time_back() -> None:
    cache = Cache()
    cache.see(body(A, 7))
    cache.see(body(B, 7))
    since = cache.versions()
    cache.see(body(B, 9))  # by the watch, faster than the list
    cache.see(body(D, 10))
    assert cache.replace([body(B, 8), body(C, 1)], since=since) == {A}
    assert {key_of(each): version_of(each) for each in cache} == {B: 9, C: 1, D: 10}


def test_a_list_of_a_database_that_was_restored_is_believed() -> None:
    cache = Cache()
    cache.see(body(A, 7))
    assert cache.replace([body(A, 3)], since=cache.versions()) == set()
    assert cache.version(A) == 3


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    cache, elsewhere = Cache(), Key("search", "a")
    cache.see(body(A, 7))
    cache.see(body(elsewhere, 7))
    assert cache.replace([], since=cache.versions("shop")) == {A}
    assert cache.version(elsewhere) == 7


def test_it_may_change_while_one_goes_through_it() -> None:
    cache = Cache()
    cache.see(body(A, 1))
    cache.see(body(B, 1))
    for each in cache:
        cache.forget(key_of(each))
    assert list(cache) == []
