"""adapters/cluster: a right that is missing is told from a refusal by admission, however long the names are."""

import json

import pytest
from kubernetes.aio import client

from rampgate_operator.adapters.answers import LONGEST_MESSAGE, answered
from rampgate_operator.ports import DeniedError, ForbiddenError

LONG = "p" * 253
USER = f"system:serviceaccount:{'n' * 63}:{'s' * 63}"


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        (f'pods "{LONG}" is forbidden: User "{USER}" cannot patch resource "pods" in API group "" in the namespace "shop"', ForbiddenError),
        (f'pods "{LONG}" is forbidden: ValidatingAdmissionPolicy "legacy" denied request: legacy pods stay as they are', DeniedError),
    ],
)
async def test_who_refuses_is_told_by_the_whole_sentence_of_which_a_line_is_shown(sentence: str, kind: type[ForbiddenError]) -> None:
    async def refused() -> None:
        error = client.ApiException(status=403, reason="Forbidden")
        error.body = json.dumps({"message": sentence})
        raise error

    with pytest.raises(ForbiddenError) as caught:
        await answered(refused())
    assert type(caught.value) is kind
    assert len(str(caught.value)) < LONGEST_MESSAGE + 50


async def test_a_refusal_of_something_in_between_that_nests_without_end_is_one_too() -> None:
    async def refused() -> None:
        error = client.ApiException(status=403, reason="Forbidden")
        error.body = "[" * 150_000 + "]" * 150_000
        raise error

    with pytest.raises(DeniedError, match="403 Forbidden: Forbidden"):
        await answered(refused())
