"""Who is eligible: the tests that a person may ask of a unit's context.

Part of the `spec`. What each of them means is docs/rules-format.md's, and the SDK's to answer; nothing is evaluated here.
"""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from rampgate_operator.core.quantities import ShortText, Time
from rampgate_operator.core.schema import Model, Rule

MAX_BOUND = 9e15
"""Beyond 2^53 not every whole number is a double, which is all that some languages have."""

AttributeValue = Annotated[str, Field(max_length=256)]
Affix = Annotated[str, Field(min_length=1, max_length=256)]
Bound = Annotated[float, Field(ge=-MAX_BOUND, le=MAX_BOUND)]


class Condition(Model):
    """One test of a unit's context; a missing or mistyped attribute does not match."""

    attribute: ShortText
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

    RULES: ClassVar = (
        Rule(
            cel="[has(self.__in__), has(self.notIn), has(self.semver), has(self.equals), has(self.is), has(self.exists), "
            "has(self.startsWith), has(self.endsWith), has(self.contains), has(self.greaterThan), has(self.greaterOrEqual), "
            "has(self.lessThan), has(self.lessOrEqual), has(self.before), has(self.after)].filter(x, x).size() == 1",
            holds=lambda self: len(self.tests) == 1,
            message="give exactly one test, such as in, equals or semver",
        ),
    )

    @property
    def tests(self) -> dict[str, Any]:
        """What is asked of the attribute, by its name on the wire."""
        return {name: value for name, value in self.to_wire().items() if name != "attribute"}
