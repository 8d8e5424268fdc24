"""Alarms for features that know too much, each with the feature and the evidence.

Three kinds of evidence: a feature that separates the outcome by itself, or is named like it
(`dataset.leaks`); one that names a good part of the outcomes without a miss, as a field does that
was filled in afterwards for some of those who left; and one that falls silent when it is made again
a week earlier, as only a feature does that looks ahead: what an honest feature knows today it
nearly knew a week ago.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.build import build
from features.points import known_points
from features.settings import Settings
from features.workspace import Workspace
from training.dataset import (
    Dataset,
    Floats,
    Leak,
    Mask,
    coded,
    leaks,
    separation,
)
from training.observations import PAIR

Values = NDArray[np.float32]
Rebuild = Callable[[str, pd.DataFrame], "pd.Series[Any]"]

EARLIER = 7  # days
LEAST = 0.75  # AUC from which a fall is looked for
COLLAPSE = 0.5  # how much of its AUC beyond a half an honest feature keeps for a week
RECALL, PURE, FEWEST = 0.2, 0.9, 50  # a fifth of 50 positives, named with nine hits in ten
PAIRS = 20  # positives with a row a week earlier; with fewer, the feature is made again
MOST_REBUILT = 4_000


def alarms(
    data: Dataset,
    learn: Mask,
    rows: pd.DataFrame,
    words: Iterable[str],
    rebuild: Rebuild | None = None,
) -> list[Leak]:
    """The suspects among the columns, by the rows to learn from.

    `rows`: account_id and as_of of each row of `data`; `rebuild`: makes one feature for such rows,
    where the grid has none a week earlier.
    """
    block = data.take(learn)
    found = leaks(block, words)
    known = {leak.feature for leak in found}
    found += [leak for leak in telling(block) if leak.feature not in known]
    return [made_earlier(leak, data, learn, rows, rebuild) for leak in found]


def telling(block: Dataset) -> list[Leak]:
    """Columns that name a fifth of the outcomes with nine hits in ten."""
    if block.y.sum() < FEWEST or block.y.mean() > 0.5:
        return []
    found = []
    for place, column in enumerate(block.columns):
        share = purity(block.X[:, place], block.y)
        if share >= PURE:
            evidence = (
                f"by itself it names a fifth of the outcomes with {share:.0%} hits "
                f"(of all rows {block.y.mean():.1%} have one): filled in afterwards?"
            )
            found.append(Leak(column.name, evidence, True))
    return found


def purity(values: Values, y: Floats, recall: float = RECALL) -> float:
    """The share of outcomes among the rows at the best end of a column that holds a fifth of them.

    The ends: the highest, the lowest, the missing, the present; rows of one value go together.

    >>> values = np.array([9, 9, 1, 2, 3, 4, 1, 2, 3, 4], dtype=np.float32)
    >>> purity(values, np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 1]), recall=0.5)
    1.0
    """
    missing = np.isnan(values)
    filled = np.where(missing, 0.0, values)
    ends = [
        np.where(missing, -np.inf, filled),
        np.where(missing, -np.inf, -filled),
        missing.astype(float),
        (~missing).astype(float),
    ]
    return max(_at_recall(score, y, recall) for score in ends)


def _at_recall(score: Floats, y: Floats, recall: float) -> float:
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.nonzero(ranked[1:] != ranked[:-1])[0], len(ranked) - 1)
    hits = np.cumsum(y[order])[ends]
    first = int(np.searchsorted(hits, recall * y.sum()))
    return float(hits[first] / (ends[first] + 1))


def made_earlier(
    leak: Leak, data: Dataset, learn: Mask, rows: pd.DataFrame, rebuild: Rebuild | None
) -> Leak:
    """The alarm with what the feature says when it is made a week earlier, where that can be told.

    A collapse makes an alarm of a warning.
    """
    if leak.feature not in data.names:
        return leak
    place = data.names.index(leak.feature)
    now, before, y = week_before(data, learn, place)
    if y.sum() < PAIRS and rebuild is not None:
        now, before, y = _made_again(data, learn, rows, place, rebuild)
    if y.sum() < PAIRS:
        return leak
    categorical = data.columns[place].vocabulary is not None
    today, earlier = (separation(v, y, categorical) for v in (now, before))
    if today < LEAST and purity(now, y) < PURE:
        return leak  # it says little: there is nothing to collapse
    collapsed = earlier - 0.5 < COLLAPSE * (today - 0.5)
    said = f"made {EARLIER} days earlier it falls from AUC {today:.3f} to {earlier:.3f}"
    kept = f"made {EARLIER} days earlier it still has AUC {earlier:.3f}"
    evidence = f"{leak.evidence}; {f'{said}: it looks ahead' if collapsed else kept}"
    return replace(leak, evidence=evidence, alarm=leak.alarm or collapsed)


def week_before(data: Dataset, learn: Mask, place: int) -> tuple[Values, Values, Floats]:
    """One column on the rows that have a row a week earlier: now, then, and y."""
    day = data.as_of.astype("datetime64[D]").astype(np.int64)
    keys = data.account * 100_000 + day
    order = np.argsort(keys)
    wanted = keys[learn] - EARLIER
    spot = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    then = order[spot]
    there = keys[then] == wanted
    return data.X[learn, place][there], data.X[then, place][there], data.y[learn][there]


def rebuilding(workspace: Workspace, settings: Settings) -> Rebuild:
    """How a feature is made again for other days: from the lake, as all features are."""

    def rebuild(name: str, rows: pd.DataFrame) -> "pd.Series[Any]":
        points = known_points(workspace, rows[PAIR])
        wanted = points.assign(as_of=points["as_of"].dt.date)
        with TemporaryDirectory(dir=workspace.tmp) as folder:
            out = build(workspace, settings, wanted, out=Path(folder) / "then.parquet",
                        names=[name])  # fmt: skip
            made = pq.read_table(out, columns=[*PAIR, name]).to_pandas(date_as_object=False)
        made["as_of"] = made["as_of"].astype(rows["as_of"].dtype)
        return rows.merge(made, on=PAIR, how="left").set_index(rows.index)[name]

    return rebuild


def _made_again(
    data: Dataset, learn: Mask, rows: pd.DataFrame, place: int, rebuild: Rebuild
) -> tuple[Values, Values, Floats]:
    """The same by making the feature again: all positives up to a limit, and as many others."""
    rng = np.random.default_rng(0)
    sides = [np.nonzero(learn & (data.y == label))[0] for label in (1, 0)]
    chosen = np.concatenate([_some(side, MOST_REBUILT // 2, rng) for side in sides])
    asked = rows.iloc[chosen].reset_index(drop=True)
    asked = asked.assign(as_of=asked["as_of"] - pd.Timedelta(days=EARLIER))
    values = rebuild(data.columns[place].name, asked)
    before = coded(values, data.columns[place].vocabulary)
    return data.X[chosen, place], before, data.y[chosen]


def _some(rows: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(rows, most, replace=False) if len(rows) > most else rows
