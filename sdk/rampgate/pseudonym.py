"""What a unit is called outside the process: a keyed hash, never the unit itself.

Knows a file with a key. Must not know where pseudonyms go.
"""

import hmac
from os import PathLike
from pathlib import Path

from rampgate.trouble import Trouble

SHORTEST_KEY = 32
"""Bytes. Units are often few and guessable, so whoever guesses the key has them all."""

_LONGEST_KEY = 4096


class Pseudonyms:
    """HMAC-SHA256 of units (UTF-8), in hexadecimal digits, by a key that is all the bytes of a file: equal wherever the key is.

    Without a sound key there are no pseudonyms, and without `key_file` none are wanted. `refresh` reads the file, for it may change or go.
    """

    def __init__(self, key_file: str | PathLike[str] | None) -> None:
        self._file = None if key_file is None else Path(key_file)
        self._key: bytes | None = None
        self._trouble = Trouble("pseudonyms of units")

    def of(self, unit: str) -> str | None:
        """Give a unit's pseudonym; None without a key."""
        key = self._key
        return None if key is None else hmac.digest(key, unit.encode(errors="surrogatepass"), "sha256").hex()

    def refresh(self) -> None:
        """Take the key that the file has now; a key that is gone is used no more."""
        if self._file is None:
            return
        key, problem = b"", ""
        try:
            with self._file.open("rb") as file:
                key = file.read(_LONGEST_KEY)
        except OSError as error:
            problem = f"no key: {error}"
        else:
            if len(key) < SHORTEST_KEY:
                problem = f"{self._file} has {len(key)} bytes, and a key has at least {SHORTEST_KEY}"
        self._key = None if problem else key
        self._trouble.report(problem and f"{problem}. Exposures are passed on WITHOUT a unit until there is one")
