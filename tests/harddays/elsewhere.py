"""Hard days that other tests have already: `tools/reliability.py` puts them into the same table, and fails when such a test is gone."""

from typing import NamedTuple


class Elsewhere(NamedTuple):
    """A line of docs/reliability.md; `test` is its file below tests/, and its name."""

    fault: str
    expected: str
    test: str


ELSEWHERE = (
    Elsewhere(
        fault="an Experiment deleted while the operator is down",
        expected="there is no finalizer that would keep it; its gate is removed when the operator is back",
        test="apiserver/test_loop.py::test_a_key_whose_experiment_was_deleted_while_the_operator_was_down_is_removed",
    ),
    Elsewhere(
        fault="SIGKILL in the middle of a hold",
        expected="no step is skipped or repeated, and the hold does not begin again",
        test="apiserver/test_loop.py::test_sigkill_in_the_middle_of_a_hold_neither_skips_nor_repeats_a_step",
    ),
    Elsewhere(
        fault="SIGTERM in the middle of a write",
        expected="the decision at hand is finished",
        test="apiserver/test_loop.py::test_sigterm_in_the_middle_of_a_write_finishes_the_decision_at_hand",
    ),
    Elsewhere(
        fault="an entry of the ConfigMap edited by hand",
        expected="it is repaired, under a generation that SDKs take for newer",
        test="apiserver/test_loop.py::test_an_entry_edited_by_hand_is_repaired_under_a_new_generation",
    ),
    Elsewhere(
        fault="17 temptations after a rollback and a kill: edits, deletions, restarts, wiped status",
        expected="exposure stays 0 % until a higher attempt",
        test="apiserver/test_latch.py::test_neither_a_rollback_nor_a_kill_is_undone_by",
    ),
    Elsewhere(
        fault="the metrics are NaN, two series, or none",
        expected="no later step, and the condition says which it is",
        test="apiserver/test_readings.py::test_a_bad_reading_holds_the_second_step_and_says_what_is_wrong",
    ),
    Elsewhere(
        fault="the application is not scraped any more",
        expected="the ramp holds; only where `onNoData: Rollback` asks for it, it is rolled back",
        test="apiserver/test_readings.py::test_readings_that_stay_away_roll_back_only_where_that_was_asked_for",
    ),
    Elsewhere(
        fault="a metrics source that takes connections and never answers",
        expected="no kill waits for it",
        test="apiserver/test_readings.py::test_a_kill_does_not_wait_for_a_source_that_never_answers",
    ),
    Elsewhere(
        fault="a namespace in which the operator has no rights",
        expected="it holds up no other, is named with what helps, and is taken in once it has them",
        test="apiserver/test_rights.py::test_a_namespace_without_rights_holds_up_no_other_and_is_taken_in_once_it_has_them",
    ),
    Elsewhere(
        fault="the leader suspended, and woken after another one took over",
        expected="it changes nothing, and ends",
        test="apiserver/test_replicas.py::test_a_leader_that_was_suspended_changes_nothing_when_it_goes_on",
    ),
    Elsewhere(
        fault="the status lost, and the spec one that cannot be run",
        expected="it is rebuilt from the gate's entry, never higher, and guarded",
        test="apiserver/test_versions.py::test_a_status_that_was_lost_with_a_spec_that_cannot_be_run_is_rebuilt_and_guarded",
    ),
)
