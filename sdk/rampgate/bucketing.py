"""Where a unit falls: two independent draws from one hash.

Knows text, bytes and integers. Must not know entries, contexts, reasons or where rules come from.
The arithmetic is fixed for every language (docs/rules-format.md, "Assignment"); tests/vectors/assignment.json is its proof.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import accumulate

from mmh3 import mmh3_32_uintdigest

MAX_TOTAL_WEIGHT = 2**31 - 1
"""Largest sum of weights, so that `hash * total` fits 64 unsigned bits in every language."""

_CACHED_LENGTHS = 256
"""CBOR prefixes are kept for texts up to this many bytes; longer ones are rare and are joined each time."""


class HashInput(StrEnum):
    """What is hashed: the text's UTF-8 bytes, or the same text as an RFC 8949 text string (flagd's second generation)."""

    UTF8 = "UTF8"
    CBOR = "CBOR"


def utf8(text: str) -> bytes:
    """UTF-8 bytes of `text`; a lone surrogate becomes its three bytes (WTF-8), because a bad unit must not raise."""
    return text.encode("utf-8", "surrogatepass")


def cbor_text_head(length: int) -> bytes:
    """Head of a definite-length CBOR text string of `length` bytes (RFC 8949 §3.1: major type 3, shortest form)."""
    if length < 24:
        return bytes((0x60 + length,))
    for marker, size in ((0x78, 1), (0x79, 2), (0x7A, 4)):
        if length < 1 << 8 * size:
            return bytes((marker,)) + length.to_bytes(size, "big")
    return b"\x7b" + length.to_bytes(8, "big")


def encode(text: str, hash_input: HashInput) -> bytes:
    """Bytes that are hashed for `text`."""
    data = utf8(text)
    return data if hash_input is HashInput.UTF8 else cbor_text_head(len(data)) + data


def compile_hash(salt: str, purpose: str, *, hash_input: HashInput) -> Callable[[str], int]:
    """Return `unit -> murmur3_x86_32(encode("salt:purpose:unit"), seed 0)`, unsigned, with the constant part joined once."""
    prefix = utf8(f"{salt}:{purpose}:")

    def hash_utf8(unit: str) -> int:
        return mmh3_32_uintdigest(prefix + utf8(unit))

    prefixes: dict[int, bytes] = {}

    def hash_cbor(unit: str) -> int:
        """Join head and prefix once per length of a unit."""
        data = utf8(unit)
        head = prefixes.get(len(data))
        if head is None:
            head = cbor_text_head(len(prefix) + len(data)) + prefix
            if len(data) < _CACHED_LENGTHS:
                prefixes[len(data)] = head
        return mmh3_32_uintdigest(head + data)

    return hash_utf8 if hash_input is HashInput.UTF8 else hash_cbor


def is_enrolled(enroll_hash: int, basis_points: int) -> bool:
    """Whether a unit with this `enroll` hash is inside `basis_points` (0..10000): raising them only ever adds units."""
    return enroll_hash * 10_000 >> 32 < basis_points


def pick_arm(arm_hash: int, running_weights: Sequence[int]) -> int:
    """Index of the first variant whose running weight sum exceeds `arm_hash * total >> 32`."""
    return bisect_right(running_weights, arm_hash * running_weights[-1] >> 32)


def compile_draw(salt: str, *, hash_input: HashInput, basis_points: int, weights: Sequence[int]) -> Callable[[str], int | None]:
    """Return `unit -> index of its arm`, or None when the unit is not enrolled."""
    enroll_hash = compile_hash(salt, "enroll", hash_input=hash_input)
    arm_hash = compile_hash(salt, "arm", hash_input=hash_input)
    running_weights = tuple(accumulate(weights))

    def draw(unit: str) -> int | None:
        if not is_enrolled(enroll_hash(unit), basis_points):
            return None
        return pick_arm(arm_hash(unit), running_weights)

    return draw
