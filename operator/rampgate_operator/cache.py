"""What the operator last saw of the cluster: by the watch, by its lists, and by the answers to its own writes, whichever is newest.

So it reads its own writes, and a watch event that is late changes nothing. resourceVersions of one resource may be compared as numbers
(KEP-5504, comparable resource version).
"""

from collections.abc import Iterable, Iterator, Mapping

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

    def version(self, key: Key) -> int:
        """Give the newest version known of an object; 0 when it is not known."""
        known = self._objects.get(key)
        return 0 if known is None else version_of(known)

    def see(self, body: Body) -> bool:
        """Take in an object, unless a newer version is known; tell whether that was news."""
        if version_of(body) < self.version(key_of(body)):
            return False
        self._objects[key_of(body)] = body
        return True

    def see_live(self, body: Body, *, since: int) -> bool:
        """Take in an answer to a read that began when `since` was the newest version known.

        The API server reads no older than what it has ever told, but after a restore of its database: then it is right, and we are not.
        """
        if version_of(body) < since:
            self.forget(key_of(body))
        return self.see(body)

    def forget(self, key: Key) -> None:
        """Take in that an object is gone."""
        self._objects.pop(key, None)

    def versions(self, namespace: str | None = None) -> dict[Key, int]:
        """Give the version of each object known, in one namespace or in all."""
        return {key: version_of(body) for key, body in self._objects.items() if namespace in (None, key.namespace)}

    def replace(self, bodies: Iterable[Body], *, since: Mapping[Key, int]) -> set[Key]:
        """Take in a complete list, and give the keys of the objects that have vanished.

        `since` are the versions known when the list was asked for: what the watch has told of meanwhile has not vanished.
        """
        listed = {key_of(body): body for body in bodies}
        for key, body in listed.items():
            self.see_live(body, since=since.get(key, 0))
        vanished = since.keys() - listed.keys()
        for key in vanished:
            self.forget(key)
        return vanished

    def __iter__(self) -> Iterator[Body]:
        """Go through the objects as they are now."""
        return iter(tuple(self._objects.values()))
