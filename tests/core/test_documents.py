"""core/documents: YAML by kubectl's rules (tests/contract/test_yaml.py holds it to them), with lines."""

import pytest

from rampgate_operator.core.documents import DEEPEST, Document, Unreadable, read_documents
from tests.manifests.yaml_texts import HEAD, REFUSED, TEXTS, Text

LINES = """\
# a comment
spec:
  steps:
    - percent: 1
      hold: 10m

    - {percent: 5,
       hold: 1h}
  query: >-
    a
    + b
  note: "\N{LINE SEPARATOR}"
  labels: {a.b/c: d}
  base: &base
    x: 1
  derived:
    <<: *base
"""


def only(text: str) -> Document:
    (found,) = read_documents(text)
    assert isinstance(found, Document), found
    return found


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row.sentence)
def test_a_text_is_read_as_the_table_says(row: Text) -> None:
    (found,) = read_documents(HEAD + row.text)
    assert (REFUSED if isinstance(found, Unreadable) else found.value["spec"]) == row.value


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 2),
        ("spec", 2),
        ("spec.steps", 3),
        ("spec.steps[0]", 4),
        ("spec.steps[0].hold", 5),
        ("spec.steps[1].percent", 7),
        ("spec.steps[1].hold", 8),
        ("spec.query", 9),
        ("spec.note", 12),
        ("spec.labels", 13),
        ("spec.labels.a.b/c", 13),
        ("spec.derived.x", 15),
        ("spec.steps[1].approval", 7),
        ("spec.steps[7].hold", 3),
        ("spec.nothing.of.the.kind", 2),
        ("metadata.name", 2),
    ],
)
def test_a_field_has_its_line_and_a_missing_one_that_of_what_is_around_it(path: str, line: int) -> None:
    assert only(LINES).line_of(path) == line


@pytest.mark.parametrize(
    ("sentence", "text", "line", "said"),
    [
        ("an open list", "a: 1\nb: [x\n---\nc: 1\n", 2, "no YAML: "),
        ("a colon too many", "---\n\na: b: c\n", 3, "mapping values are not allowed here"),
        ("a control character", "a: 1\nb: \x07\n", 2, "U+0007"),
        ("no number for JSON", "a:\n  - .inf\n", 2, ".inf is no number that JSON has"),
        ("no base64", "a:\n  b: !!binary '*'\n", 2, "no base64"),
        ("an escape of no character", 'a: "\\UFFFFFFFF"\n', 1, "names no character"),
        ("a document behind the dashes", "a: 1\n--- b\n", 2, "a line of its own"),
        ("as deep as nothing is", "a:\n  " + "[" * (DEEPEST + 5) + "]" * (DEEPEST + 5), 2, "deeper than 100 levels"),
        ("deeper than the stack", "\na: " + "[" * 9000, 1, "deeper than 100 levels"),
        (
            "anchors that multiply",
            "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 30)}]\n" for n in range(1, 6)).replace("*a0", "x"),
            1,
            "anchors are used excessively",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 and "\n" not in value else "",
)
def test_what_cannot_be_read_is_told_with_its_line(sentence: str, text: str, line: int, said: str) -> None:
    refused = [found for found in read_documents(text) if isinstance(found, Unreadable)]
    assert [found.line for found in refused] == [line], sentence
    assert said in refused[0].message


def test_a_broken_document_hides_no_other() -> None:
    found = list(read_documents("a: [\n---\nb: 1\n---\n---\nc: 2\n"))
    assert [(each.line_of("c") if isinstance(each, Document) else None) for each in found] == [None, 3, 6]


def test_a_key_that_is_given_again_is_told_with_its_line() -> None:
    assert only("a:\n  b: 1\n  c: {d: 1, d: 2}\n  b: 2\n").duplicates == (("a.c.d", 3), ("a.b", 4))


def test_a_key_that_overrides_a_merged_one_is_none_that_is_given_again() -> None:
    assert only("a: &a {x: 1}\nb: {<<: *a, x: 2}\n").duplicates == ()


def test_the_items_of_a_list_are_documents_of_their_own() -> None:
    first, second = only("items:\n  - a: 1\n  - b: 1\n    b: 2\n").items()
    assert (first.value, first.line_of("a"), first.line_of("nothing"), first.duplicates) == ({"a": 1}, 2, 2, ())
    assert (second.value, second.line_of("b"), second.duplicates) == ({"b": 2}, 4, (("b", 4),))


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809"])
def test_a_whole_number_beyond_64_bits_loses_digits(number: str) -> None:
    assert repr(only(f"a: {number}").value["a"]) == repr(float(number))


def test_a_number_of_thousands_of_digits_is_a_text() -> None:
    assert only(f"a: {'9' * 5000}\n").value == {"a": "9" * 5000}
