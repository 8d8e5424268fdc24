"""Rows put in order by several whole numbers at once, and summed where all of these agree."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.kernel.compiled import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DIGIT = 10
"""Bits that are sorted by at once."""


def order_by(keys: Sequence[Ints]) -> Ints:
    """The order of rows by all keys, the first one first; equal ones stay as they are.

    >>> order_by([np.array([2, 1, 1]), np.array([0, 5, 4])]).tolist()
    [2, 1, 0]
    """
    lows, widths = _extent(keys)
    if sum(widths) > 62:
        return np.asarray(np.lexsort(tuple(keys)[::-1]), dtype=np.int64)
    return np.asarray(by_digits(_packed(keys, lows, widths), sum(widths))[0])


def summed(keys: Sequence[Ints], numbers: Sequence[Floats]) -> tuple[list[Ints], list[Floats]]:
    """The different combinations of some keys, in order, and the sum of each number for them.

    >>> (key,), (total,) = summed([np.array([2, 1, 2])], [np.array([1.0, 5.0, 2.0])])
    >>> key.tolist(), total.tolist()
    ([1, 2], [5.0, 3.0])
    """
    lows, widths = _extent(keys)
    if sum(widths) > 62 or not len(keys[0]):
        return _summed_apart(keys, numbers)
    order, packed = by_digits(_packed(keys, lows, widths), sum(widths))
    begins = np.flatnonzero(changes(packed))
    heads, found = packed[begins], list[Ints]()
    for low, width in zip(reversed(lows), reversed(widths), strict=True):
        found.append((heads & ((1 << width) - 1)) + low)
        heads = heads >> width
    return found[::-1], _sums(numbers, order, begins)


def changes(values: Ints | Floats) -> NDArray[np.bool_]:
    """Where a value differs from the one before; the first does."""
    return np.concatenate([np.ones(min(1, len(values)), dtype=bool), values[1:] != values[:-1]])


def _summed_apart(
    keys: Sequence[Ints], numbers: Sequence[Floats]
) -> tuple[list[Ints], list[Floats]]:
    """The same of keys that do not fit into one number."""
    order = order_by(keys)
    found = [key[order] for key in keys]
    begins = np.flatnonzero(np.logical_or.reduce([changes(key) for key in found]))
    if not len(begins):
        return found, [np.empty(0) for _ in numbers]
    return [key[begins] for key in found], _sums(numbers, order, begins)


def _sums(numbers: Sequence[Floats], order: Ints, begins: Ints) -> list[Floats]:
    """The sum of each number from one begin to the next."""
    with np.errstate(over="ignore"):  # the build names the cell that has no bound
        return [np.add.reduceat(number[order], begins) for number in numbers]


def _extent(keys: Sequence[Ints]) -> tuple[list[int], list[int]]:
    """The least number of each key, and the bits that those above it need."""
    lows = [int(key.min()) if len(key) else 0 for key in keys]
    tops = [int(key.max()) if len(key) else 0 for key in keys]
    return lows, [(top - low).bit_length() for low, top in zip(lows, tops, strict=True)]


def _packed(keys: Sequence[Ints], lows: Sequence[int], widths: Sequence[int]) -> Ints:
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    for key, low, width in zip(keys, lows, widths, strict=True):
        packed <<= width
        packed |= key - low
    return packed


@compiled
def by_digits(numbers: Ints, bits: int) -> tuple[Ints, Ints]:
    """The order of numbers below 2 to the power of `bits`, and the numbers in it."""
    order, other = np.arange(len(numbers)), np.empty(len(numbers), dtype=np.int64)
    found, moved = numbers.copy(), np.empty(len(numbers), dtype=np.int64)
    for shift in range(0, bits, DIGIT):
        place = np.zeros((1 << DIGIT) + 1, dtype=np.int64)
        for number in found:
            place[((number >> shift) & ((1 << DIGIT) - 1)) + 1] += 1
        for digit in range(1 << DIGIT):
            place[digit + 1] += place[digit]
        for i in range(len(found)):
            digit = (found[i] >> shift) & ((1 << DIGIT) - 1)
            moved[place[digit]], other[place[digit]] = found[i], order[i]
            place[digit] += 1
        found, moved, order, other = moved, found, other, order
    return order, found
