"""What the middlewares for ASGI and WSGI have in common: a request's context, and the gates that are measured over it.

Knows `Gates`. Must not know what a request looks like.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from rampgate.gates import Gates, request_context
from rampgate.measure import Measurement
from rampgate.trouble import Trouble

R = TypeVar("R")
_NOBODY: Mapping[str, object] = {}


@contextmanager
def using(context: Mapping[str, object]) -> Iterator[None]:
    """Ask by this context where none is passed, within the block; afterwards by what it was before."""
    token = request_context.set(context)
    try:
        yield
    finally:
        with suppress(ValueError):  # left in another context, by whoever gave up a task: it was never set there
            request_context.reset(token)


class Contexts(Generic[R]):
    """Makes a context of each request, by the application's function. When that raises, or makes no mapping, the context is empty."""

    def __init__(self, make: Callable[[R], Mapping[str, object]]) -> None:
        self._make = make
        self._trouble = Trouble("the context of requests")

    def __call__(self, request: R) -> Mapping[str, object]:
        """Make one; never raises."""
        try:
            made = self._make(request)
        except Exception as error:  # noqa: BLE001 - the application's own function must not cost it the request
            self._trouble.report(f"empty, because making one raised {type(error).__name__}: {error}")
            return _NOBODY
        if isinstance(made, Mapping):
            return made
        self._trouble.report(f"empty, because what was made is no mapping but {type(made).__name__}")
        return _NOBODY


class Measured:
    """A request under all gates that are measured over it: every gate counts it, once."""

    def __init__(self, gates: Gates, names: Collection[str], context: Mapping[str, object]) -> None:
        self._measurements: list[Measurement] = [gates.measure(name, context) for name in names]

    def status(self, code: int) -> None:
        """Tell the status of the answer."""
        for each in self._measurements:
            each.status(code)

    def end(self, *, failed: bool = False) -> None:
        """Count the request, unless that was done."""
        ended, self._measurements = self._measurements, []
        for each in ended:
            each.end(failed=failed)
