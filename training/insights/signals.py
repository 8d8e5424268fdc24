"""What goes with an outcome: every signal of the catalogue, standardised, among alike accounts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from features.catalog import catalogue
from features.declare import Feature, Signal
from features.settings import Settings
from training.insights.adjust import Adjusters, adjusters, standard
from training.insights.effects import Effect, Fit, Floats, discoveries, logistic
from training.insights.landmarks import Landmarks

ACTIVITY = "active_days_28d"
FEWEST_ROWS = 200  # that have a value, and of which no single value makes up all
MOST_OF_ONE = 0.98


@dataclass(frozen=True)
class Association:
    """One signal and one outcome: odds ratios for one standard deviation more of it.

    `alone`: among accounts of like company, plan, contract and age. `beyond_use`: also of like
    active days (None for these themselves). `change`: of its rise against the 28 days before, where
    that is told. `p` tests level and change together, beyond use; `q`: its false discovery rate.
    """

    signal: str
    label: str
    kind: str
    alone: Effect
    beyond_use: Effect | None
    change: Effect | None
    p: float
    q: float = 1.0
    discovery: bool = False


def columns(settings: Settings) -> list[str]:
    """The features that the table must hold for this."""
    declared = catalogue(settings)
    return [
        name
        for s in _numbers(settings)
        for name in (s.now, s.before)
        if name in declared.names and name is not None
    ]


def _numbers(settings: Settings) -> list[Signal]:
    """The signals that somebody can act on and that are told by a number."""
    declared = catalogue(settings)
    features: dict[str, Feature] = {f.name: f for f in declared.features}
    return [
        s for s in declared.signals.values()
        if s.kind == "act" and s.now in features and not features[s.now].categorical
    ]  # fmt: skip


def associations(found: Landmarks, settings: Settings) -> tuple[Association, ...]:
    """Every signal that varies enough, discoveries first, then by how sure they are.

    False discoveries are held to 5 % over all signals (Benjamini and Hochberg).
    """
    alike = adjusters(found, use=False)
    use = _activity(found)
    told = [_one(s, found, alike, use) for s in _numbers(settings) if _varies(found, s.now)]
    hits, q = discoveries([a.p for a in told])
    judged = [
        replace(a, discovery=bool(hit), q=float(level))
        for a, hit, level in zip(told, hits, q, strict=True)
    ]
    return tuple(sorted(judged, key=lambda a: (not a.discovery, a.p)))


def _activity(found: Landmarks) -> Floats:
    if ACTIVITY not in found.rows:
        return np.zeros((len(found.y), 0))
    score = normal_scores(found.rows[ACTIVITY])
    return standard(np.column_stack([score, score**2]))


def _varies(found: Landmarks, name: str) -> bool:
    if name not in found.rows:
        return False
    values = found.rows[name].dropna()
    return len(values) >= FEWEST_ROWS and (
        values.value_counts(normalize=True).iloc[0] <= MOST_OF_ONE
    )


def _one(signal: Signal, found: Landmarks, alike: Adjusters, use: Floats) -> Association:
    """Both fits of one signal."""
    now = found.rows[signal.now]
    level, absent = normal_scores(now), _missing(now)
    rise = _rise(signal, found.rows, level)
    alone = _fit(found, alike, [level, *absent])
    itself = signal.now == ACTIVITY
    wider = alike if itself else Adjusters(np.column_stack([use, alike.Z]))
    own = [level, *rise, *absent]
    both = _fit(found, wider, own)
    return Association(
        signal.name,
        signal.label,
        signal.kind,
        alone=alone.ratio(1),
        beyond_use=None if itself else both.ratio(1),
        change=both.ratio(2) if rise else None,
        p=both.wald([1, 2] if rise else [1]),
    )


def _fit(found: Landmarks, alike: Adjusters, own: Sequence[Floats]) -> Fit:
    X, ridge = alike.design(*own)
    return logistic(X, found.y, found.account, ridge)


def _missing(values: "pd.Series[float]") -> list[Floats]:
    """A column that marks missing values, where enough are and enough are not."""
    gone = np.where(values.isna(), 1.0, 0.0)
    return [gone] if 0.02 < gone.mean() < 0.98 else []


def _rise(signal: Signal, rows: pd.DataFrame, level: Floats) -> list[Floats]:
    """By how much a signal stands higher among all than it did 28 days before; [] if not told."""
    if signal.before is None or signal.before not in rows:
        return []
    rise = level - normal_scores(rows[signal.before])
    return [rise / rise.std()] if rise.std() > 0.05 else []


def normal_scores(values: "pd.Series[float]") -> Floats:
    """Values by their rank, as a standard normal variable; 0 for missing ones.

    >>> normal_scores(pd.Series([3.0, 10.0, np.nan, 900.0])).round(2).tolist()
    [-0.97, 0.0, 0.0, 0.97]
    """
    plain = values.to_numpy(dtype=float, na_value=np.nan)
    score = np.zeros(len(plain))
    here = ~np.isnan(plain)
    if here.any():
        score[here] = norm.ppf((rankdata(plain[here]) - 0.5) / here.sum())
    spread = score.std()
    return np.asarray(score / spread if spread > 0 and here.all() else score)
