"""The page on states is what the state machine says."""

from tools.states import FILE, text


def test_the_page_on_states_is_up_to_date() -> None:
    assert FILE.read_text() == text(), "run `python -m tools.states`"
