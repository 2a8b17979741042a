"""Who is eligible: the tests that a person may ask of a unit's context.

Part of the `spec`. What each of them means is docs/rules-format.md's, and the SDK's to answer; nothing is evaluated here.
A schema cannot refer to itself in Kubernetes, so each level of groups is a model of its own, with lists that get shorter: an item, within
it inner items, within those conditions. What CEL may cost at the API server is bounded, and grows with the product of their lengths.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from rampgate_operator.core.quantities import ShortText, Time
from rampgate_operator.core.schema import Model, Rule

MAX_BOUND = 9e15
"""Beyond 2^53 not every whole number is a double, which is all that some languages have."""
JOINS = ("all", "any", "not")
"""The fields that make an item a group."""

AttributeValue = Annotated[str, Field(max_length=256)]
Affix = Annotated[str, Field(min_length=1, max_length=256)]
Bound = Annotated[float, Field(ge=-MAX_BOUND, le=MAX_BOUND)]


_COUNT_OF_TESTS = (
    "[has(self.__in__), has(self.notIn), has(self.semver), has(self.equals), has(self.is), has(self.exists), "
    "has(self.startsWith), has(self.endsWith), has(self.contains), has(self.greaterThan), has(self.greaterOrEqual), "
    "has(self.lessThan), has(self.lessOrEqual), has(self.before), has(self.after)].filter(x, x).size()"
)


class Test(Model):
    """An attribute and what may be asked of it."""

    attribute: ShortText | None = None
    """The context attribute to look at; `user.plan` is sought by its whole name first, then as `plan` within `user`."""
    in_: Annotated[Annotated[list[AttributeValue], Field(min_length=1, max_length=1000)] | None, Field(alias="in")] = None
    """Matches when the attribute is one of these strings."""
    not_in: Annotated[list[AttributeValue], Field(min_length=1, max_length=1000)] | None = None
    """Matches when the attribute is a string and none of these."""
    semver: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Matches when the attribute is a version in this range, such as `>=2.4.0 <3.0.0`, `~2.4`, `^2.4` or `<1 || >=2.4`."""
    equals: AttributeValue | None = None
    """Matches when the attribute is this string."""
    is_: Annotated[bool | None, Field(alias="is")] = None
    """Matches when the attribute is this boolean."""
    exists: bool | None = None
    """`true` matches when there is such an attribute, `false` when there is none; null is none."""
    starts_with: Annotated[list[Affix], Field(min_length=1, max_length=100)] | None = None
    """Matches when the attribute is a string that begins with one of these."""
    ends_with: Annotated[list[Affix], Field(min_length=1, max_length=100)] | None = None
    """Matches when the attribute is a string that ends with one of these."""
    contains: Annotated[list[Affix], Field(min_length=1, max_length=100)] | None = None
    """Matches when the attribute is a string with one of these in it."""
    greater_than: Bound | None = None
    """Matches when the attribute is a number above this one."""
    greater_or_equal: Bound | None = None
    """Matches when the attribute is this number, or one above it."""
    less_than: Bound | None = None
    """Matches when the attribute is a number below this one."""
    less_or_equal: Bound | None = None
    """Matches when the attribute is this number, or one below it."""
    before: Time | None = None
    """Matches when the attribute is an instant, RFC 3339 with an offset, before this one."""
    after: Time | None = None
    """Matches when the attribute is an instant, RFC 3339 with an offset, after this one."""

    @property
    def tests(self) -> dict[str, Any]:
        """What is asked of the attribute, by its name on the wire."""
        return {name: value for name, value in self.to_wire().items() if name not in ("attribute", *JOINS)}


class Condition(Test):
    """One test of a unit's context; a missing or mistyped attribute does not match."""

    attribute: ShortText
    """The context attribute to look at; `user.plan` is sought by its whole name first, then as `plan` within `user`."""

    RULES: ClassVar = (
        Rule(
            cel=f"{_COUNT_OF_TESTS} == 1",
            holds=lambda self: len(self.tests) == 1,
            message="give exactly one test, such as in, equals or semver",
        ),
    )


class _Item(Test):
    """A condition, or a group of what may stand within it: exactly one of both."""

    RULES: ClassVar = (
        Rule(
            cel="[has(self.attribute), has(self.all), has(self.any), has(self.not)].filter(x, x).size() == 1",
            holds=lambda self: len(self.to_wire().keys() & {"attribute", *JOINS}) == 1,
            message="give exactly one of attribute, all, any and not; several of them are items of their own",
        ),
        Rule(
            cel=f"{_COUNT_OF_TESTS} == (has(self.attribute) ? 1 : 0)",
            holds=lambda self: len(self.tests) == (self.attribute is not None),
            message="give an attribute exactly one test, such as in, equals or semver; a group has none",
        ),
    )


class InnerItem(_Item):
    """A condition, or a group of conditions."""

    all_: Annotated[Annotated[list[Condition], Field(min_length=1, max_length=8)] | None, Field(alias="all")] = None
    """Matches when all of these conditions do."""
    any_: Annotated[Annotated[list[Condition], Field(min_length=1, max_length=8)] | None, Field(alias="any")] = None
    """Matches when at least one of these conditions does."""
    not_: Annotated[Condition | None, Field(alias="not")] = None
    """Matches when this condition does not, also for want of the attribute."""


class Item(_Item):
    """A condition, or a group of conditions and groups."""

    all_: Annotated[Annotated[list[InnerItem], Field(min_length=1, max_length=16)] | None, Field(alias="all")] = None
    """Matches when all of these do: conditions, and groups of conditions."""
    any_: Annotated[Annotated[list[InnerItem], Field(min_length=1, max_length=16)] | None, Field(alias="any")] = None
    """Matches when at least one of these does: conditions, and groups of conditions."""
    not_: Annotated[InnerItem | None, Field(alias="not")] = None
    """Matches when this condition or group does not, also for want of an attribute."""


AnyItem = Item | InnerItem | Condition


def group_of(item: AnyItem) -> tuple[str, tuple[AnyItem, ...]] | None:
    """Give the word that joins a group, and what it joins; None for a condition."""
    if isinstance(item, Condition) or item.attribute is not None:
        return None
    if item.not_ is not None:
        return "not", (item.not_,)
    return ("all", tuple(item.all_)) if item.all_ is not None else ("any", tuple(item.any_ or ()))


def paths_within(join: str, path: str, count: int) -> list[str]:
    """Give the paths of what a group at `path` joins."""
    return [f"{path}.not"] if join == "not" else [f"{path}.{join}[{index}]" for index in range(count)]


def conditions_within(item: AnyItem, path: str) -> Iterator[tuple[str, AnyItem]]:
    """Give every condition of an item at `path`, with its own path."""
    group = group_of(item)
    if group is None:
        yield path, item
        return
    join, inner = group
    for place, each in zip(paths_within(join, path, len(inner)), inner, strict=True):
        yield from conditions_within(each, place)
