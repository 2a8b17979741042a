"""Where a unit falls: two independent draws from one hash.

Knows text, bytes and integers. Must not know entries, contexts, reasons or where rules come from.
The arithmetic is fixed for every language (docs/rules-format.md, "Assignment"); tests/vectors/assignment.json is its proof.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import accumulate

from mmh3 import mmh3_32_uintdigest as murmur3

MAX_TOTAL_WEIGHT = 2**31 - 1
"""Largest sum of weights, so that `hash * total` fits 64 unsigned bits in every language."""

_CACHED_LENGTHS = 256
"""CBOR prefixes are kept for texts up to this many bytes; longer ones are rare and are joined each time."""


NOT_ENROLLED = -1
"""What is drawn for a unit that is outside the percentage, where others draw the index of their arm."""


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
    prefix = f"{salt}:{purpose}:"

    def hash_utf8(unit: str) -> int:
        # Encoded here: mmh3 5.3.1 ends the process when it is given half a surrogate pair as text.
        try:
            return murmur3((prefix + unit).encode())
        except UnicodeEncodeError:
            return murmur3(utf8(prefix + unit))

    head_and_prefix: dict[int, bytes] = {}
    data_of_prefix = utf8(prefix)

    def hash_cbor(unit: str) -> int:
        """Join head and prefix once per length of a unit."""
        data = utf8(unit)
        head = head_and_prefix.get(len(data))
        if head is None:
            head = cbor_text_head(len(data_of_prefix) + len(data)) + data_of_prefix
            if len(data) < _CACHED_LENGTHS:
                head_and_prefix[len(data)] = head
        return murmur3(head + data)

    return hash_utf8 if hash_input is HashInput.UTF8 else hash_cbor


def enroll_bound(basis_points: int) -> int:
    """The least `enroll` hash that is not enrolled: `hash * 10000 >> 32 < basis_points` (0..10000), solved for the hash.

    Raising the basis points only ever adds units.
    """
    return -(-(basis_points << 32) // 10_000)


def arm_bounds(weights: Sequence[int]) -> tuple[int, ...]:
    """For each variant the least `arm` hash that is beyond it: `hash * total >> 32 < running sum of weights`, solved for the hash."""
    total = sum(weights)
    return tuple(-(-(running << 32) // total) for running in accumulate(weights))


def compile_draw(salt: str, *, hash_input: HashInput, basis_points: int, weights: Sequence[int]) -> Callable[[str], int]:
    """Return `unit -> index of its arm`, or `NOT_ENROLLED`."""
    enroll_hash, bound = compile_hash(salt, "enroll", hash_input=hash_input), enroll_bound(basis_points)
    arm_hash, bounds = compile_hash(salt, "arm", hash_input=hash_input), arm_bounds(weights)
    certain = weights.index(sum(weights)) if sum(weights) in weights else None

    def draw(unit: str) -> int:
        if enroll_hash(unit) >= bound:
            return NOT_ENROLLED
        # Where one arm has all the weight the second hash would tell nothing.
        return bisect_right(bounds, arm_hash(unit)) if certain is None else certain

    return draw
