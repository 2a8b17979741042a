"""core/promql: which queries may be asked, and that values stay data."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.core.promql import Limits, QueryError, compile_query, counter_for, last_value_of, regex_escape, samples_of
from rampgate_operator.core.promql_parse import parse
from rampgate_operator.core.promql_tree import (
    Aggregate,
    Binary,
    Call,
    Labels,
    Matcher,
    Node,
    Number,
    Selector,
    String,
    Subquery,
    Wrapped,
    map_selectors,
    show,
    walk,
)

VALUES = {"variant": "treatment", "gate": "new-checkout", "experiment": "new-checkout"}


def compiled(query: str) -> str:
    return compile_query(query, namespace="shop", substitutions=VALUES).text


ACCEPTED = [
    ("a bare metric is confined", "up", 'up{namespace="shop"}'),
    ("a matcher that is there stays", 'up{job="x"}', 'up{job="x",namespace="shop"}'),
    ("the own namespace may be written out", 'up{namespace="shop"}', 'up{namespace="shop"}'),
    ("a name may stand in braces", '{__name__="up"}', '{__name__="up",namespace="shop"}'),
    ("a value is filled in", 'e{variant="$variant"}', 'e{variant="treatment",namespace="shop"}'),
    ("a value is filled into the middle", 'e{v="shop-$variant-x$gate"}', 'e{v="shop-treatment-xnew-checkout",namespace="shop"}'),
    ("a dollar at a regular expression's end is an anchor", 'e{c=~"(5..$)|4..$"}', 'e{c=~"(5..$)|4..$",namespace="shop"}'),
    ("braces around a name's value are characters", 'e{c="{$variant}"}', 'e{c="{treatment}",namespace="shop"}'),
    ("a capture group of label_replace is not a name", 'label_replace(a, "x", "$1", "y", "(.*)")', None),
    ("escapes in strings survive", r'label_replace(a, "x", "$1", "y", "\\d\"(.*)\n")', None),
    ("a scalar is a result", "scalar(up) + 1", 'scalar(up{namespace="shop"}) + 1'),
    ("a parameter is confined too", "topk(scalar(n), up)", 'topk(scalar(n{namespace="shop"}), up{namespace="shop"})'),
    (
        "both sides of an operator are confined",
        "a / on (x) group_left (y) b",
        'a{namespace="shop"} / on (x) group_left (y) b{namespace="shop"}',
    ),
    (
        "a right-hand group is kept",
        "a * ignoring (x) group_right () b",
        'a{namespace="shop"} * ignoring (x) group_right () b{namespace="shop"}',
    ),
    ("bool is kept", "a > bool 1", 'a{namespace="shop"} > bool 1'),
    ("sets are kept", "a unless on (x) b", 'a{namespace="shop"} unless on (x) b{namespace="shop"}'),
    ("parentheses are kept", "(a + b) * -c", '(a{namespace="shop"} + b{namespace="shop"}) * -c{namespace="shop"}'),
    ("grouping is kept", "sum(a) without (x, y)", 'sum without (x, y) (a{namespace="shop"})'),
    ("milliseconds are kept", "rate(a[500ms] offset 1500ms)", 'rate(a{namespace="shop"}[500ms] offset 1500ms)'),
    ("a subquery without a step stays one", "max_over_time(a[1h:])", 'max_over_time(a{namespace="shop"}[1h:])'),
    ("a subquery is kept", "max_over_time(a[1h:30s] offset 5m)", 'max_over_time(a{namespace="shop"}[1h:30s] offset 5m)'),
    ("a range of exactly an hour is allowed", "rate(a[60m])", 'rate(a{namespace="shop"}[1h])'),
    ("infinity and NaN are numbers", "a * Inf + NaN", 'a{namespace="shop"} * inf + nan'),
    ("a comment disappears", "up # all of them", 'up{namespace="shop"}'),
]


@pytest.mark.parametrize(("query", "expected"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_a_query_that_is_accepted(query: str, expected: str | None) -> None:
    text = compiled(query)
    if expected is not None:
        assert text == expected
    assert show(parse(text)) == text


REFUSED = [
    ("nonsense", "sum(", "not valid PromQL: unclosed left parenthesis"),
    ("nothing", "", "not valid PromQL: no expression found in input"),
    ("a range as result", "up[5m]", "range of samples"),
    ("a subquery as result", "up[5m:1m]", "range of samples"),
    ("a string as result", '"up"', "result is a string"),
    ("a string in parentheses", '("up")', "result is a string"),
    ("a fixed time", "up @ 1700000000", "@ modifier"),
    ("a fixed time on a range", "rate(up[5m] @ end())", "@ modifier"),
    ("a fixed time on a subquery", "max_over_time(up[5m:1m] @ start())", "@ modifier"),
    ("the future", "up offset -5m", "negative offset"),
    ("the future of a range", "rate(up[5m] offset -1s)", "negative offset"),
    ("the future of a subquery", "max_over_time(up[5m:1m] offset -1s)", "negative offset"),
    ("a long range", "rate(up[61m])", "range in the query is 3660 s long, more than 3600 s"),
    ("a long subquery", "max_over_time(up[2h:1m])", "subquery in the query is 7200 s long"),
    ("a long range inside a parameter", "topk(scalar(sum(rate(up[2h]))), up)", "7200 s"),
    ("eleven selectors", "+".join(["up"] * 11), "11 times, more than 10"),
    ("no metric name", '{job="x"}', "names no metric"),
    ("any metric name", '{__name__=~".*",job="x"}', "names no metric"),
    ("a metric name by pattern", '{__name__=~"up|down"}', "names no metric"),
    ("an empty metric name", '{__name__="",job="x"}', "names no metric"),
    ("not that metric", '{__name__!="up",job="x"}', "names no metric"),
    ("another namespace", 'up{namespace="other"}', 'remove the matcher; namespace="shop" is added'),
    ("a pattern of namespaces", 'up{namespace=~"shop"}', "reads only its own"),
    ("every namespace but one", 'up{namespace!="other"}', "reads only its own"),
    ("two namespaces", 'up{namespace="shop",namespace="other"}', "reads only its own"),
    ("an unknown name", 'up{x="$version"}', "$version, which is unknown: in label matchers, $variant, $gate, $experiment"),
    ("a longer name than a known one", 'up{x="$variants"}', "$variants, which is unknown"),
    ("a name in braces", 'up{x="${variant}"}', "${variant}, which is unknown"),
    ("a name as a metric", "$variant", "not valid PromQL"),
    ("a name as a label", 'up{$variant="x"}', "not valid PromQL"),
    ("a name as a range", "rate(up[$variant])", "not valid PromQL"),
    ("a name in a string", 'label_replace(up, "v", "$variant", "", "")', "$variant stands in a string"),
    ("a hidden reader", "info(up)", "info(), which reads series that the query does not name"),
    ("an alternative among matchers", 'up{namespace="shop" or job="x"}', '"or" inside braces'),
    ("a label name that closes its list", 'sum by ("x) (secret) or sum by (y") (up)', "quotes a label name"),
    ("a label name that closes its matchers", 'up{"x=\\"\\"} or secret{y"="z"}', "quotes a label name"),
    ("a filled-in join", "a + fill(0) b", '"fill", which is experimental'),
    ("an unknown function", "frobnicate(up)", "not valid PromQL: unknown function"),
    ("a wrong argument", "rate(up)", "not valid PromQL: expected type matrix in call to function 'rate', got vector"),
    ("a broken regular expression", 'up{x=~"("}', "not valid PromQL: illegal regex"),
    ("too deep", "(" * 80 + "up" + ")" * 80, "deeper than 60 levels"),
    ("as deep as its length lets it", "-" * 2047 + "a", "deeper than 60 levels"),
    ("too long", "up" + " " * 3000, "3002 characters, more than 2048"),
    ("an offset of years", "up offset 27y", "further than 8 days"),
    ("an offset no clock can show", "up offset 3000y", "further than 8 days"),
    ("offsets that add up", "max_over_time(sum(up offset 5d)[1h:1m] offset 3d)", "further than 8 days"),
    ("a subquery of too many points", "max_over_time(up[1h:1ms])", "more than 1000 points"),
    ("a repetition without end in sight", 'up{x=~".{1,9999}"}', "repeats by count"),
    ("four repetitions by count", 'up{x=~"a{2}b{2}c{2}d{2}"}', "repeats by count"),
    ("an open repetition of many", 'up{x=~"a{101,}"}', "repeats by count"),
    ("more classes than a person writes", 'up{x=~"' + r"\\w" * 31 + '"}', "classes such as"),
    ("half a character", 'up{x="\ud800"}', "half a surrogate pair"),
]


@pytest.mark.parametrize(("query", "sentence"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_query_that_is_refused(query: str, sentence: str) -> None:
    with pytest.raises(QueryError) as refusal:
        compiled(query)
    message = str(refusal.value)
    assert sentence in message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 300


def test_a_known_name_without_a_value_is_refused() -> None:
    with pytest.raises(QueryError, match=r"\$gate, which has no value here"):
        compile_query('up{g="$gate"}', namespace="shop", substitutions={"variant": "b"})


def test_the_names_a_query_uses_are_reported() -> None:
    query = 'a{v="$variant"} / b{g=~"$gate|x", v!="$variant"}'
    assert compile_query(query, namespace="shop", substitutions=VALUES).uses == {"variant", "gate"}


def test_limits_can_be_set() -> None:
    tight = Limits(max_range=timedelta(minutes=1), max_selectors=1)
    with pytest.raises(QueryError, match="more than 60 s"):
        compile_query("rate(up[2m])", namespace="shop", limits=tight)
    with pytest.raises(QueryError, match="more than 1:"):
        compile_query("a + b", namespace="shop", limits=tight)


REACHES = [
    ("a constant reads nothing", "vector(1)", timedelta(0)),
    ("an instant selector looks back", "up", timedelta(minutes=5)),
    ("an offset comes on top", "up offset 10m", timedelta(minutes=15)),
    ("a range does not look back further", "rate(up[2m])", timedelta(minutes=2)),
    ("a range with an offset", "rate(up[2m] offset 3m)", timedelta(minutes=5)),
    ("a subquery over a range", "max_over_time(rate(up[2m])[30m:1m] offset 1m)", timedelta(minutes=33)),
    ("a subquery over an instant", "max_over_time(up[30m:1m])", timedelta(minutes=35)),
    ("a subquery in a subquery", "max_over_time(min_over_time(up[10m:1m])[20m:1m])", timedelta(minutes=35)),
    ("the furthest operand counts", "-rate(a[1m]) / rate(b[9m])", timedelta(minutes=9)),
    ("the furthest argument counts", "clamp_max(rate(a[1m]), scalar(b offset 1h))", timedelta(minutes=65)),
    ("a parameter counts", "topk(scalar(b offset 1h), rate(a[1m]))", timedelta(minutes=65)),
]


@pytest.mark.parametrize(("query", "reach"), [row[1:] for row in REACHES], ids=[row[0] for row in REACHES])
def test_how_far_back_a_query_reads(query: str, reach: timedelta) -> None:
    assert compile_query(query, namespace="shop").reach == reach


def test_lookback_is_an_argument() -> None:
    assert compile_query("up", namespace="shop", lookback=timedelta(seconds=90)).reach == timedelta(seconds=90)


def test_a_counter_is_read_as_samples_or_as_its_last_value() -> None:
    counter = compiled('orders{variant="$variant"}')
    selector = 'orders{variant="treatment",namespace="shop"}'
    assert samples_of(counter, length=timedelta(seconds=330)) == selector + "[330s]"
    assert last_value_of(counter, memory=timedelta(hours=6)) == f"last_over_time({selector}[6h])"


@pytest.mark.parametrize("written", ["secret", "up[", 'up{namespace="shop"} or secret'])
def test_a_tree_that_is_written_wrongly_is_never_sent(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setattr("rampgate_operator.core.promql.show", lambda _tree: written)
    with pytest.raises(QueryError, match="cannot be written down again"):
        compiled("up")


@pytest.mark.parametrize("query", ["rate(a[5m])", "a offset 5m", "a[5m]", "sum(a)", "1"])
def test_a_counter_that_is_more_than_a_selector_is_refused(query: str) -> None:
    with pytest.raises(QueryError, match="one selector without range, offset"):
        samples_of(query, length=timedelta(minutes=5))


def counted(text: str) -> str:
    return counter_for(("off", "v1.2", "baseline"), text=text, gate="new-checkout", namespace="shop")


COUNTERS = [
    ("with the gate", 'a{gate="$gate",variant="$variant"}', 'a{gate="new-checkout",variant=~"off|v1\\\\.2|baseline",namespace="shop"}'),
    ("confined already", 'a{variant="$variant",namespace="shop"}', 'a{namespace="shop",variant=~"off|v1\\\\.2|baseline"}'),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in COUNTERS], ids=[row[0] for row in COUNTERS])
def test_a_counter_is_asked_for_every_arm(text: str, expected: str) -> None:
    assert counted(text) == expected


NO_COUNTERS = [
    ('rate(a{variant="$variant"}[5m])', "one selector without range"),
    ('a{variant="$variant"}[5m]', "one selector without range"),
    ('a{variant="$variant"} offset 5m', "one selector without range"),
    ('sum(a{variant="$variant"})', "one selector without range"),
    ("a", 'matcher variant="$variant" once'),
    ('a{variant="on"}', 'matcher variant="$variant" once'),
    ('a{variant=~"$variant"}', 'matcher variant="$variant" once'),
    ('a{variant="$variant",variant!="x"}', 'matcher variant="$variant" once'),
    ('a{variant="$variant",job="$variant"}', "uses $variant, which has no value here"),
    ('a{variant="$variant",job="$varient"}', "uses $varient, which is unknown"),
    ('a{variant="$variant",namespace="other"}', "reads only its own"),
    ('{variant="$variant"}', "names no metric"),
    ('a{variant="$variant"', "not valid PromQL"),
    ('a{variant="$variant",b=~".{1,500}"}', "repeats by count"),
]


@pytest.mark.parametrize(("text", "sentence"), NO_COUNTERS)
def test_what_is_no_counter_of_every_arm_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(QueryError, match=re.escape(sentence)):
        counted(text)


# Whatever tree there is, and whatever values: what is sent means exactly that tree with those values.

NASTY = st.one_of(
    st.sampled_from(
        ['"', "\\", "\\\\", '"} or secret{a="', "\n", "\r", "\x00", "$gate", "${variant}", ".*", "a|b", "(", "[", "{}", "é", "😀", "`", "'"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
NAMES = st.sampled_from(["a", "http_requests_total", "job:rate5m", "_x"])
LABELS = st.sampled_from(["le", "job", "variant", "pod_name"])
LENGTHS = st.integers(1, 3_600_000).map(lambda n: timedelta(milliseconds=n))
PLAIN = NASTY.filter(lambda text: "$" not in text)
MATCHERS = st.one_of(
    st.builds(Matcher, LABELS, st.sampled_from(["=", "!="]), PLAIN | st.sampled_from(["$variant", 'x"$gate\\', "$variant$experiment"])),
    st.builds(Matcher, LABELS, st.sampled_from(["=~", "!~"]), PLAIN.map(regex_escape) | st.sampled_from(["$variant|b", "(?i)x$gate"])),
)
OFFSETS = st.just(timedelta(0)) | LENGTHS
INSTANTS = st.builds(Selector, NAMES, st.lists(MATCHERS, max_size=3).map(tuple), OFFSETS)
RANGES = st.builds(Selector, NAMES, st.lists(MATCHERS, max_size=2).map(tuple), OFFSETS, LENGTHS)


def compound(vectors: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    closed = vectors.map(lambda node: node if isinstance(node, Selector | Aggregate | Call) else Wrapped("(", node))
    grouping = st.none() | st.builds(Labels, st.sampled_from(["by", "without"]), st.lists(LABELS, max_size=2).map(tuple))
    clauses = st.just(()) | st.builds(Labels, st.sampled_from(["on", "ignoring"]), st.lists(LABELS, max_size=2).map(tuple)).map(
        lambda c: (c,)
    )
    matrix = RANGES | st.builds(Subquery, closed, LENGTHS, st.none() | LENGTHS, OFFSETS)
    return st.one_of(
        st.builds(Aggregate, st.just("sum"), grouping, st.none(), vectors),
        st.builds(Aggregate, st.just("topk"), grouping, st.just(Number("5")), vectors),
        st.builds(Binary, st.sampled_from(["+", "/", "^"]), st.just(value=False), clauses, closed, closed),
        st.builds(Binary, st.just(">"), st.booleans(), clauses, closed, closed),
        st.builds(lambda inner: Call("max_over_time", (inner,), "vector"), matrix),
        st.builds(lambda inner, a, b: Call("label_join", (inner, String("x"), String(a), String(b)), "vector"), vectors, PLAIN, PLAIN),
        st.builds(Wrapped, st.just("-"), closed),
    )


TREES: st.SearchStrategy[Node] = st.recursive(INSTANTS, compound, max_leaves=6)


def filled(value: str, values: dict[str, str], *, escape: bool) -> str:
    pieces = re.split(r"\$(variant|gate|experiment)", value)
    for index in range(1, len(pieces), 2):
        pieces[index] = regex_escape(values[pieces[index]]) if escape else values[pieces[index]]
    return "".join(pieces)


def confined_and_filled(tree: Node, values: dict[str, str], namespace: str) -> Node:
    def change(selector: Selector) -> Selector:
        matchers = [replace(m, value=filled(m.value, values, escape=m.is_regex)) for m in selector.matchers]
        return replace(selector, matchers=(*matchers, Matcher("namespace", "=", namespace)))

    return map_selectors(tree, change)


@settings(max_examples=300, deadline=None)
@given(tree=TREES, variant=NASTY, gate=NASTY, experiment=NASTY, namespace=NASTY)
def test_what_is_sent_means_the_query_with_its_values_and_nothing_else(
    tree: Node, variant: str, gate: str, experiment: str, namespace: str
) -> None:
    values = {"variant": variant, "gate": gate, "experiment": experiment}
    generous = Limits(max_range=timedelta(days=1), max_reach=timedelta(days=9999), max_selectors=100, max_points=10**9)
    text = compile_query(show(tree), namespace=namespace, substitutions=values, limits=generous).text
    assert parse(text) == confined_and_filled(tree, values, namespace)
    assert all(node.matchers[-1] == Matcher("namespace", "=", namespace) for node in walk(parse(text)) if isinstance(node, Selector))


@settings(deadline=None)
@given(text=st.text(st.sampled_from("ab_{}()[]\"\\'`$,=~!+-*/^@: 5mhsumbyoffset\n"), max_size=40))
def test_any_text_gives_a_query_or_a_sentence(text: str) -> None:
    try:
        sent = compiled(text)
    except QueryError as refusal:
        sentence = str(refusal)
    else:
        sentence = "."
        assert show(parse(sent)) == sent
    assert sentence.endswith(".")


@given(value=st.text(max_size=20))
def test_an_escaped_value_matches_itself_only(value: str) -> None:
    assert re.fullmatch(regex_escape(value), value)
    assert not re.fullmatch(regex_escape(value), value + "x")
