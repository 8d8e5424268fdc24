"""What a kept row of a model says, by the names of its features."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serving.ledger.scores import Column, Kept
from serving.scoring.explain import Fact


def facts(kept: Kept) -> dict[str, Fact]:
    """Feature → the account's value: a number (NaN when missing) or a word (None)."""
    return {
        str(column["name"]): _fact(column, value)
        for column, value in zip(kept.features, kept.inputs.tolist(), strict=True)
    }


def through(
    known: dict[str, Fact], columns: Sequence[Column]
) -> tuple[NDArray[np.float32], list[str]]:
    """A model's row from facts by name, and which of its features the facts lack.

    A word that the model never saw is missing to it, as in scoring.
    """
    row = np.full(len(columns), np.nan, dtype=np.float32)
    lacking = []
    for place, column in enumerate(columns):
        name, words = str(column["name"]), column.get("vocabulary")
        value = known.get(name)
        if name not in known or isinstance(value, float) == (words is not None):
            lacking += [name] if name not in known or value is not None else []
        elif isinstance(value, float):
            row[place] = value
        elif words is not None and value in words:
            row[place] = words.index(value)
    return row, lacking


def _fact(column: Column, value: float) -> Fact:
    words = column.get("vocabulary")
    if words is None:
        return value
    return None if math.isnan(value) else str(words[int(value)])
