"""What the operator last saw of the cluster: by the watch, by its lists, and by the answers to its own writes, whichever is newest.

So it reads its own writes, and a watch event that is late changes nothing. resourceVersions of one resource may be compared as numbers
(KEP-5504, comparable resource version).
"""

from collections.abc import Iterable, Iterator

from rampgate_operator.ports import Body, Key


def key_of(body: Body) -> Key:
    """Give the namespaced name of an object."""
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])


def version_of(body: Body) -> int:
    """Give an object's resourceVersion."""
    return int(body["metadata"]["resourceVersion"])


class Cache:
    """The newest known version of each object of one kind."""

    def __init__(self) -> None:
        self._objects: dict[Key, Body] = {}

    def get(self, key: Key) -> Body | None:
        """Give an object; None when it is not known to exist."""
        return self._objects.get(key)

    def see(self, body: Body) -> None:
        """Take in an object, unless a newer version is known."""
        known = self._objects.get(key_of(body))
        if known is None or version_of(known) <= version_of(body):
            self._objects[key_of(body)] = body

    def forget(self, key: Key) -> None:
        """Take in that an object is gone."""
        self._objects.pop(key, None)

    def replace(self, bodies: Iterable[Body]) -> set[Key]:
        """Take in a complete list, and give the keys of the objects that have vanished."""
        listed = list(bodies)
        vanished = self._objects.keys() - {key_of(body) for body in listed}
        for key in vanished:
            self.forget(key)
        for body in listed:
            self.see(body)
        return vanished

    def __iter__(self) -> Iterator[Body]:
        """Go through the objects as they are now."""
        return iter(tuple(self._objects.values()))
