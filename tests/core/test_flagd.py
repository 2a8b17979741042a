"""core/flagd: what the flagd document says. Whether flagd's evaluators read it as we do is tests/flagd's."""

import base64
import json
from typing import Any

import pytest

from rampgate_operator.core.flagd import compile_flagd
from rampgate_operator.core.observation import ROOM
from tests.sdk.entries import Fields, entry

SEMVER = {"attribute": "v", "semver": [[">=", [1, 2, 3]]]}


def config_map(*entries: Fields, **keys: str) -> dict[str, Any]:
    return {"data": {"format": "rampgate.dev/1", **{f"{fields['gate']}.json": json.dumps(fields) for fields in entries}, **keys}}


def flag_of(fields: Fields, **keys: str) -> dict[str, Any]:
    flags: dict[str, Any] = json.loads(compile_flagd(config_map(fields, **keys)).text)["flags"]
    return flags["g"]  # type: ignore[no-any-return]


def problem_of(fields: Fields) -> str:
    return compile_flagd(config_map(fields)).problems.get("g", "")


def test_a_gate_becomes_a_flag_with_its_variants_and_control_by_default() -> None:
    flag = flag_of(entry())
    assert flag.pop("targeting")["if"][-1] == "control"
    assert flag == {
        "state": "ENABLED",
        "variants": {"control": False, "treatment": True},
        "defaultVariant": "control",
        "metadata": {"attempt": 1, "generation": 1795600000, "percent": 50},
    }


def test_the_draw_hashes_the_same_text_with_the_percentage_in_basis_points() -> None:
    text = json.dumps(flag_of(entry(percent=12.34))["targeting"])
    unit = '{"var": "userId"}'
    assert f'{{"fractional": [{{"cat": ["shop/g:enroll:", {unit}]}}, ["in", 1234], ["out", 8766]]}}' in text
    assert f'{{"fractional": [{{"cat": ["shop/g:arm:", {unit}]}}, ["control", 1], ["treatment", 1]]}}' in text


V: dict[str, Any] = {"var": "a"}
IS_TEXT = {"starts_with": [V, ""]}
AS_TEXT = {"cat": ["", V]}
TESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"equals": "x"}, {"===": [V, "x"]}),
    ({"in": ["x", "y"]}, {"in": [V, ["x", "y"]]}),
    ({"notIn": ["x"]}, {"and": [IS_TEXT, {"!": [{"in": [V, ["x"]]}]}]}),
    ({"startsWith": ["x", "y"]}, {"or": [{"starts_with": [V, "x"]}, {"starts_with": [V, "y"]}, False]}),
    ({"endsWith": ["x"]}, {"or": [{"ends_with": [V, "x"]}, False]}),
    ({"contains": ["x"]}, {"and": [IS_TEXT, {"or": [{"in": ["x", V]}, False]}]}),
    ({"is": True}, {"and": [{"===": [V, True]}, {"!": [{"in": [AS_TEXT, ["1", "0", "-0"]]}]}]}),
    ({"exists": True}, {"!==": [V, None]}),
    ({"exists": False}, {"===": [V, None]}),
    (
        {"lessOrEqual": 3},
        {
            "and": [
                {"!": [{"var": "a.length"}]},
                {"in": [{"substr": [AS_TEXT, 0, 1]}, [*"-0123456789iI"]]},
                {"<=": [V, 3]},
            ]
        },
    ),
]


@pytest.mark.parametrize(("test", "logic"), TESTS, ids=[next(iter(test)) for test, _ in TESTS])
def test_a_test_asks_for_the_type_before_it_compares(test: dict[str, Any], logic: dict[str, Any]) -> None:
    targeting = flag_of(entry(eligibility=[{"attribute": "a", **test}]))["targeting"]
    assert targeting["if"][:2] == [{"!": [{"and": [logic]}]}, "control"]


def test_overrides_come_first_and_a_shipped_gate_needs_no_draw() -> None:
    overrides = [{"variant": "treatment", "units": ["qa"]}, {"variant": "control", "units": ["qa", "b"]}]
    targeting = flag_of(entry(ship="treatment", overrides=overrides, eligibility=[{"attribute": "a", "equals": "x"}]))["targeting"]
    unit = {"var": "userId"}
    assert targeting == {
        "if": [
            {"in": [unit, ["qa"]]}, "treatment",
            {"in": [unit, ["qa", "b"]]}, "control",
            {"!": [{"and": [{"===": [V, "x"]}]}]}, "control",
            "treatment",
        ]
    }  # fmt: skip


STATIC: dict[str, tuple[Fields, dict[str, str], str]] = {
    "a killed gate": (entry(serve="KILLED"), {}, "KILLED"),
    "a gate that was rolled back": (entry(serve="ROLLED_BACK"), {}, "ROLLED_BACK"),
    "a gate that the key kill names": (entry(), {"kill": "other, g"}, "KILLED"),
    "every gate under a star": (entry(), {"kill": "*"}, "KILLED"),
    "a gate that flagd cannot say": (entry(eligibility=[SEMVER]), {}, "NOT_RENDERABLE"),
    "a gate of a newer format": (entry(format=2), {}, "NOT_RENDERABLE"),
}


@pytest.mark.parametrize("case", STATIC)
def test_is_enabled_and_static_on_control(case: str) -> None:
    fields, keys, serve = STATIC[case]
    flag = flag_of(fields, **keys)
    assert flag.pop("metadata")["serve"] == serve
    assert flag == {"state": "ENABLED", "variants": {"control": False}, "defaultVariant": "control"}


def test_a_kill_key_that_is_no_utf8_is_obeyed() -> None:
    kill = {"binaryData": {"kill": base64.b64encode(b"g \xff").decode()}}
    assert '"KILLED"' in compile_flagd({**config_map(entry()), **kill}).text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"eligibility": [SEMVER]}, "semver of v: flagd's evaluators read versions differently"),
        ({"eligibility": [{"attribute": "at", "before": "2026-12-01T00:00:00Z"}]}, "before of at: flagd has no instants"),
        ({"eligibility": [{"attribute": "user.plan", "exists": True}]}, "attribute 'user.plan': flagd's evaluators look elsewhere for it"),
        ({"eligibility": [{"attribute": "", "exists": True}]}, "attribute '': "),
        ({"eligibility": [{"attribute": "n", "lessThan": 1e300}]}, "lessThan of n: beyond 2^53"),
        ({"eligibility": [{"attribute": "n", "in": ["\ud800"]}]}, "half a surrogate pair is no text"),
        ({"unit": "user.id"}, "attribute 'user.id': "),
        ({"salt": "grün"}, "its salt is not ASCII"),
        ({"format": 2}, "format 2 is newer than 1"),
        ({"variants": [{"name": "control", "value": False, "weight": 1}, {"name": "b", "value": 1, "weight": 1}]}, "not of one type"),
    ],
)
def test_what_flagd_cannot_say_is_told_in_a_sentence(fields: Fields, words: str) -> None:
    assert words in problem_of(entry(**fields))


@pytest.mark.parametrize("value", [None, [1]])
def test_a_gate_whose_control_flagd_has_no_type_for_is_left_out(value: object) -> None:
    fields = entry(control={"name": "control", "value": value})
    assert compile_flagd(config_map(fields)).text == '{"flags":{}}'
    assert "for which flagd has no type" in problem_of(fields)


def test_bytes_that_are_no_entry_are_left_out_and_harm_no_neighbour() -> None:
    document = compile_flagd(config_map(entry(), **{"other.json": "{"}))
    assert json.loads(document.text)["flags"].keys() == {"g"}
    assert document.problems.keys() == {"other"}


def test_a_document_is_one_canonical_line_whatever_the_order_of_keys() -> None:
    first, second = entry(gate="a"), entry(gate="b", eligibility=[{"attribute": "c", "equals": "é <&>"}])
    text = compile_flagd(config_map(second, first)).text
    assert text == compile_flagd(config_map(first, second)).text
    assert text.isascii()
    assert list(json.loads(text)["flags"]) == ["a", "b"]
    assert "\\u00e9 \\u003c\\u0026\\u003e" in text
    assert not {" ", "\n"} & set(text.replace("\\u00e9 ", ""))


def test_where_there_is_no_room_the_newest_are_static_and_a_kill_of_any_is_said() -> None:
    many = [f"unit-{number:05}" for number in range(1_500)]
    gates = [entry(gate=f"g{n:02}", generation=100 - n, overrides=[{"variant": "treatment", "units": many}]) for n in range(60)]
    document = compile_flagd(config_map(*gates))
    drawn = {gate for gate, flag in json.loads(document.text)["flags"].items() if "targeting" in flag}
    assert ROOM - 30_000 < len(document.text) < ROOM
    assert drawn == {f"g{n:02}" for n in range(60 - len(drawn), 60)}
    assert set(document.problems) == {fields["gate"] for fields in gates} - drawn
    assert set(document.problems.values()) == {f"the document would pass {ROOM} bytes"}
    oldest = compile_flagd(config_map(*gates, kill="g59"))
    assert '"KILLED"' in oldest.text
    assert set(oldest.problems) < set(document.problems)


@pytest.mark.parametrize("value", ["1e999", "[" * 100_000])
def test_what_others_cannot_read_as_json_is_left_out(value: str) -> None:
    line = json.dumps(entry(control={"name": "control", "value": "?"})).replace('"?"', value)
    assert compile_flagd({"data": {"g.json": line}}).text == '{"flags":{}}'


def test_tests_within_tests_are_and_or_and_not() -> None:
    def leaf(value: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"attribute": "a", "equals": value}, {"===": [V, value]}

    (one, said_one), (two, said_two), (three, said_three) = map(leaf, "123")
    targeting = flag_of(entry(eligibility=[{"any": [one, {"all": [two, {"not": three}]}]}]))["targeting"]
    assert targeting["if"][0] == {"!": [{"and": [{"or": [said_one, {"and": [said_two, {"!": [said_three]}]}]}]}]}


def test_one_test_that_cannot_be_said_keeps_the_whole_gate_on_control() -> None:
    assert "semver of v" in problem_of(entry(eligibility=[{"any": [{"not": SEMVER}, {"attribute": "a", "equals": "x"}]}]))
