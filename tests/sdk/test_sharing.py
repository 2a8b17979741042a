"""rampgate.sharing: how often threads take turns, while rules load and afterwards."""

import sys
from collections.abc import Iterator

import pytest

from rampgate.sharing import sharing
from tests.sdk.forking import in_a_forked_process


@pytest.fixture(autouse=True)
def usual() -> Iterator[float]:
    usual = sys.getswitchinterval()
    yield usual
    sys.setswitchinterval(usual)


def test_threads_take_turns_more_often_within_and_as_usual_afterwards(usual: float) -> None:
    with sharing:
        assert sys.getswitchinterval() == 0.0005
        with sharing:
            assert sys.getswitchinterval() == 0.0005
        assert sys.getswitchinterval() == 0.0005
    assert sys.getswitchinterval() == usual


@pytest.mark.parametrize("theirs", [0.0001, 0.02])
def test_an_interval_that_the_application_chose_meanwhile_is_kept(theirs: float) -> None:
    with sharing:
        sys.setswitchinterval(theirs)
    assert sys.getswitchinterval() == pytest.approx(theirs, abs=2e-6)


def test_an_application_that_shares_more_often_already_is_left_alone() -> None:
    sys.setswitchinterval(0.0001)
    with sharing:
        assert sys.getswitchinterval() == pytest.approx(0.0001, abs=2e-6)
    assert sys.getswitchinterval() == pytest.approx(0.0001, abs=2e-6)


def test_a_child_that_is_forked_within_has_the_usual_interval(usual: float) -> None:
    def child() -> bool:
        was_usual = sys.getswitchinterval() == usual
        with sharing:
            pass
        return was_usual and sys.getswitchinterval() == usual

    with sharing:
        _, was_right = in_a_forked_process(child)
        assert was_right()
