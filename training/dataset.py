"""Rows with labels → a float32 matrix and its contract; alarms for features that know too much."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.declare import Feature
from features.errors import NotReadyError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WARN_AT, ALARM_AT = 0.90, 0.95
FEWEST_ACCOUNTS = 5  # a category seen in fewer is left out: rare, and it may name somebody
TELLING = frozenset({"label", "target", "outcome", "y", "future"})


@dataclass(frozen=True)
class Column:
    """One column of the model's input, as serving must make it."""

    name: str
    signal: str
    unit: str
    kind: str
    monotone: int
    vocabulary: tuple[str, ...] | None

    def described(self) -> dict[str, Any]:
        """The column's entry in `schema.json`."""
        entry: dict[str, Any] = {"name": self.name, "dtype": "float32", "signal": self.signal,
                                 "unit": self.unit, "kind": self.kind}  # fmt: skip
        if self.vocabulary is not None:
            entry |= {"dtype": "category", "vocabulary": list(self.vocabulary)}
        return entry


@dataclass(frozen=True)
class Dataset:
    """Observations in the order of time: X (rows × columns, float32), y and what else is known.

    `as_of` is datetime64[D]; `account` numbers the accounts from 0; `mrr` is per month.
    """

    X: NDArray[np.float32]
    y: Floats
    account: NDArray[np.int64]
    as_of: NDArray[np.datetime64]
    mrr: Floats
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names in order."""
        return [c.name for c in self.columns]

    def column(self, name: str) -> NDArray[np.float32] | None:
        """The values of one column, None where the table has no such feature."""
        return self.X[:, self.names.index(name)] if name in self.names else None

    def take(self, rows: Mask | NDArray[np.int64]) -> "Dataset":
        """Only these rows."""
        return Dataset(self.X[rows], self.y[rows], self.account[rows], self.as_of[rows],
                       self.mrr[rows], self.columns)  # fmt: skip

    def relabelled(self, y: Floats) -> "Dataset":
        """The same rows with another y."""
        return replace(self, y=y)


@dataclass(frozen=True)
class Leak:
    """A feature that separates the outcome better than an honest one does."""

    feature: str
    evidence: str
    alarm: bool


def assemble(rows: pd.DataFrame, features: Sequence[Feature], outcome: str, learn: Mask) -> Dataset:
    """Labelled rows, sorted by as_of, as a matrix; categories come from the rows `learn` only.

    Missing values and categories not learnt become NaN. Raises NotReadyError when the table lacks a
    feature of the catalogue.
    """
    absent = [f.name for f in features if f.name not in rows]
    if absent:
        raise NotReadyError(
            f"a feature table without {len(absent)} of the catalogue's features: "
            f"{', '.join(absent[:5])}",
            do="Run goldpan build again.",
        )
    X = np.empty((len(rows), len(features)), dtype=np.float32, order="F")
    columns = []
    for place, feature in enumerate(features):
        words = vocabulary(rows[learn], feature.name) if feature.categorical else None
        X[:, place] = coded(rows[feature.name], words)
        columns.append(Column(feature.name, feature.signal, feature.unit, feature.kind,
                              feature.monotone.get(outcome, 0), words))  # fmt: skip
    return Dataset(
        X=np.ascontiguousarray(X),
        y=rows["label"].to_numpy(dtype=np.float64),
        account=pd.factorize(rows["account_id"])[0].astype(np.int64),
        as_of=rows["as_of"].to_numpy(dtype="datetime64[D]"),
        mrr=rows["mrr"].fillna(0).to_numpy(dtype=np.float64),
        columns=tuple(columns),
    )


def vocabulary(rows: pd.DataFrame, name: str) -> tuple[str, ...]:
    """The categories that at least five accounts show, the most frequent first.

    Their places are what the trees split on: a split then parts the common from the rare.

    >>> rows = pd.DataFrame({"account_id": list("abcdef"), "plan": ["pro"] * 5 + ["odd"]})
    >>> vocabulary(rows, "plan")
    ('pro',)
    """
    accounts = rows.dropna(subset=[name]).groupby(name, observed=True)["account_id"].nunique()
    shown = accounts[accounts >= FEWEST_ACCOUNTS]
    return tuple(sorted(map(str, shown.index), key=lambda word: (-shown[word], word)))


def coded(values: "pd.Series[Any]", words: Sequence[str] | None) -> NDArray[np.float32]:
    """A column as float32; a category becomes its place in `words`.

    >>> coded(pd.Series(["b", None, "z"]), ("a", "b")).tolist()
    [1.0, nan, nan]
    """
    if words is None:
        return pd.to_numeric(values).to_numpy(dtype=np.float32, na_value=np.nan)
    places = {word: float(i) for i, word in enumerate(words)}
    return values.map(places).to_numpy(dtype=np.float32, na_value=np.nan)


def schema(columns: Iterable[Column]) -> dict[str, Any]:
    """`schema.json`: the columns in order, and the digest that serving compares."""
    described = [c.described() for c in columns]
    canonical = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"features": described, "hash": hashlib.sha256(canonical.encode()).hexdigest()}


def leaks(data: Dataset, outcome_words: Iterable[str]) -> list[Leak]:
    """Features that separate y by themselves, or are named like an outcome.

    Warns at an AUC of .90, raises the alarm at .95 (the largest honest one measured was .80).
    `data` is the training block: rows that the model may see.
    """
    words = TELLING | set(outcome_words)
    found = []
    for place, column in enumerate(data.columns):
        if column.name.lower() in words:
            found.append(Leak(column.name, "it is named like an outcome", True))
        auc = separation(data.X[:, place], data.y, column.vocabulary is not None)
        if auc >= WARN_AT:
            evidence = f"it separates the outcome alone: AUC {auc:.3f} (honest: below {WARN_AT})"
            found.append(Leak(column.name, evidence, auc >= ALARM_AT))
    return found


def separation(values: NDArray[np.float32], y: Floats, categorical: bool = False) -> float:
    """How well one column alone tells y, as an AUC of at least .5; being missing may tell too.

    >>> separation(np.array([1, 2, 3, 4], dtype=np.float32), np.array([0.0, 0, 1, 1]))
    1.0
    """
    missing = np.isnan(values)
    if categorical:
        auc = _auc(_shares(np.where(missing, -1, values), y), y)
        return max(auc, 1 - auc)
    here = [_auc(missing.astype(float), y)]
    if (~missing).any():
        here.append(_auc(values[~missing], y[~missing]))
    return max(max(a, 1 - a) for a in here)


def _shares(codes: NDArray[Any], y: Floats) -> Floats:
    """Each row's share of positives in its category."""
    _, place = np.unique(codes, return_inverse=True)
    return (np.bincount(place, weights=y) / np.bincount(place))[place]


def _auc(score: NDArray[Any], y: Floats) -> float:
    ones = float(y.sum())
    zeros = len(y) - ones
    if not ones or not zeros:
        return 0.5
    ranks = rankdata(score)
    return float((ranks[y == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))
