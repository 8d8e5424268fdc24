"""When: one booster of the chance in each stretch of days, given that it has not happened yet.

Each observation becomes one row for each stretch of days (0-7, 7-14, 14-30, 30-60, 60-90) that was
wholly observed and that it had not left through the outcome; the stretch's number is one more
column. What a competing change ended stays among the rows as a 0, so that the risks are cumulative
incidences, as the labels are: P(outcome by day d) = 1 − ∏(1 − h), rising in d by construction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from features.settings import Training
from training.calibrate import Affine, affine, fold, margins
from training.dataset import Column, Dataset, Floats, Mask, schema
from training.fit import MORE, PATIENCE, REFIT_FOLDS, grouped, parameters_for
from training.split import Split, thinned

EDGES = (7, 14, 30, 60, 90)
MOST_ROWS = 100_000  # observation × stretch; more would cost memory and bring little
MOST_ROUNDS = 200
FEWEST = 20  # outcomes in the last stretch to be learnt from
STRETCH = Column("stretch", "stretch", "number", "context", 0, None)


@dataclass(frozen=True)
class Watch:
    """Observations with what became of them.

    `wait`: days from as_of to the outcome, inf where it never came or something competing came
    first; `seen`: days for which it is known what became of the observation. Rows are in the order
    of `data`; unlike those of the label, they hold outcomes within the lead.
    """

    data: Dataset
    wait: Floats
    seen: Floats

    def take(self, rows: Mask | NDArray[np.int64]) -> "Watch":
        """Only these rows."""
        return Watch(self.data.take(rows), self.wait[rows], self.seen[rows])

    def until(self, day: np.datetime64) -> "Watch":
        """As it was known at the midnight of `day`."""
        seen = np.minimum(self.seen, (day - self.data.as_of).astype(float))
        return replace(self, seen=seen)


@dataclass(frozen=True)
class When:
    """The booster and the days at which its curve is told; `offsets`: log-odds, one a stretch."""

    booster: lgb.Booster
    edges: tuple[int, ...]
    offsets: Floats
    columns: tuple[Column, ...]
    rounds: int
    calibration: Affine
    parameters: dict[str, Any] = field(default_factory=dict)

    def risks(self, X: NDArray[np.float32], threads: int = 1) -> Floats:
        """Rows × edges: the chance that the outcome has come by each of the days."""
        return curve(self.margins(X, threads))

    def margins(self, X: NDArray[np.float32], threads: int = 1) -> Floats:
        """Rows × stretches: calibrated log-odds of the outcome within each, if not before."""
        wide = np.empty((len(X), X.shape[1] + 1), dtype=np.float32)
        wide[:, :-1] = X
        found = np.empty((len(X), len(self.edges)))
        for stretch, offset in enumerate(self.offsets):
            wide[:, -1] = stretch
            found[:, stretch] = margins(self.booster, wide, threads) + offset
        return found

    def described(self) -> dict[str, Any]:
        """`when.json`: the columns, the days, the offsets and how a curve comes of them."""
        return schema([*self.columns, STRETCH]) | {
            "edges": list(self.edges),
            "offsets": [float(o) for o in self.offsets],
            "curve": "risk by edge k = 1 - prod over stretches 0..k of (1 - sigmoid(raw + offset))",
        }


def curve(margins: Floats) -> Floats:
    """Log-odds of each stretch (rows × stretches) → the risk by each stretch's end.

    >>> curve(np.array([[0.0, 0.0, -50.0]])).round(6).tolist()
    [[0.5, 0.75, 0.75]]
    """
    return -np.expm1(np.cumsum(-np.logaddexp(0.0, margins), axis=1))


def median(risks: Floats, edges: tuple[int, ...]) -> list[float | None]:
    """Days until the risk reaches one half, None where it does not within the edges.

    Within a stretch the hazard is taken as constant.

    >>> median(np.array([[0.2, 0.75], [0.1, 0.3], [0.75, 0.9]]), (10, 20))
    [14.0..., None, 5.0]
    """
    days = np.array([0, *edges], dtype=float)
    left = -np.log1p(-np.minimum(np.column_stack([np.zeros(len(risks)), risks]), 1 - 1e-12))
    half = np.log(2.0)
    return [float(np.interp(half, row, days)) if row[-1] >= half else None for row in left]


def follow(
    watch: Watch,
    split: Split,
    labelled: Dataset,
    training: Training,
    changed: Mapping[str, Any] | None = None,
) -> When | None:
    """Fit the pooled hazard on what the direct model was fitted on; None with too few outcomes.

    `labelled`: the rows that `split` cuts; `changed`: parameters that take the place of the stated
    ones. Nothing is learnt that was not known on the first day of the block behind: later outcomes
    of earlier rows are censored there.
    """
    fit, held, learn, settle = blocks_of(watch, split, labelled)
    edges = learnable(fit)
    if not edges:
        return None
    rounds, unseen = _stopped(learn, held, edges, training, changed)
    X, y, stretch = spread(fit, edges)
    offsets = starts(y, stretch, len(edges))
    parameters = parameters_for(_as_rows(X, y, fit.data), training, changed)
    booster = lgb.train(parameters, _binned(X, y, offsets[stretch], parameters), rounds)
    raw = When(booster, edges, offsets, fit.data.columns, rounds, Affine(), parameters)
    return _calibrated(raw, unseen if split.folded else raw, settle, training)


def blocks_of(watch: Watch, split: Split, labelled: Dataset) -> tuple[Watch, Watch, Watch, Watch]:
    """The rows to fit on, to stop by, to learn from while stopping, and to calibrate on."""
    day = watch.data.as_of
    known = watch.until(labelled.as_of[split.test].min())
    if split.folded:
        fit = known.take(day <= labelled.as_of[split.fit].max())
        learn, held = grouped(fit.data, REFIT_FOLDS)[0]
        return fit, fit.take(held), fit.take(learn), fit.take(held)
    tune, settle = (labelled.as_of[split.blocks[name]] for name in ("tune", "calibrate"))
    before = watch.until(settle.min())
    train = np.isin(day, np.unique(labelled.as_of[split.blocks["train"]]))
    during = (day >= tune.min()) & (day <= tune.max())
    later = (day >= settle.min()) & (day <= settle.max())
    return (
        before.take(train | during),
        before.take(during),
        before.take(train),
        known.take(later),
    )


def learnable(watch: Watch) -> tuple[int, ...]:
    """The edges up to the last stretch that holds outcomes enough to learn from."""
    found: list[int] = []
    for start, end in zip((0, *EDGES), EDGES, strict=False):
        inside = (watch.seen >= end) & (watch.wait > start) & (watch.wait <= end)
        if inside.sum() < FEWEST:
            break
        found.append(end)
    return tuple(found)


def spread(
    watch: Watch, edges: tuple[int, ...], most: int | None = MOST_ROWS
) -> tuple[NDArray[np.float32], Floats, NDArray[np.int64]]:
    """Observations × stretches: the matrix with the stretch last, whether it came, the stretch.

    A stretch is left out where it was not wholly observed (whether or not the outcome is known to
    have come in it: else those that came would be kept more often), or lies behind the outcome.
    """
    if most is not None:
        rows = np.ones(len(watch.wait), dtype=bool)
        watch = watch.take(thinned(watch.data.as_of, rows, most // len(edges)))
    starts_at, ends_at = np.array([0, *edges[:-1]]), np.array(edges)
    at_risk = (watch.seen[:, None] >= ends_at) & (watch.wait[:, None] > starts_at)
    who, stretch = np.nonzero(at_risk)
    came = watch.wait[who] <= ends_at[stretch]
    X = np.empty((len(who), watch.data.X.shape[1] + 1), dtype=np.float32)
    X[:, :-1] = watch.data.X[who]
    X[:, -1] = stretch
    return X, came.astype(np.float64), stretch.astype(np.int64)


def starts(y: Floats, stretch: NDArray[np.int64], count: int) -> Floats:
    """The log-odds of the outcome in each stretch over all rows: where boosting begins."""
    ones = np.bincount(stretch, weights=y, minlength=count)
    rows = np.bincount(stretch, minlength=count)
    return np.asarray(logit((ones + 0.5) / (rows + 1.0)), dtype=np.float64)


def _stopped(
    learn: Watch, held: Watch, edges: tuple[int, ...], training: Training, changed: Any
) -> tuple[int, When]:
    """Rounds by early stopping on held rows, capped; and the model that stopped there."""
    X, y, stretch = spread(learn, edges)
    V, v, later = spread(held, edges)
    offsets = starts(y, stretch, len(edges))
    parameters = parameters_for(_as_rows(X, y, learn.data), training, changed)
    binned = _binned(X, y, offsets[stretch], parameters)
    booster = lgb.train(
        parameters,
        binned,
        MOST_ROUNDS,
        valid_sets=[binned.create_valid(V, label=v, init_score=offsets[later])],
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )
    best = max(1, booster.best_iteration)
    rounds = min(MOST_ROUNDS, round(MORE * best))
    cut = lgb.Booster(model_str=booster.model_to_string(num_iteration=best))
    return rounds, When(cut, edges, offsets, learn.data.columns, best, Affine(), parameters)


def _calibrated(raw: When, unseen: When, settle: Watch, training: Training) -> When:
    """The model with slope and intercept from rows that `unseen` had not seen."""
    X, y, stretch = spread(settle, raw.edges)
    if not y.any():
        return raw
    margin = margins(unseen.booster, X, training.threads) + unseen.offsets[stretch]
    found = affine(margin, y)
    return replace(
        raw,
        booster=fold(raw.booster, Affine(found.slope, 0.0)),
        offsets=found(raw.offsets),
        calibration=found,
    )


def _as_rows(X: NDArray[np.float32], y: Floats, of: Dataset) -> Dataset:
    """The spread rows as a data set, for what depends on its columns and counts."""
    nothing = np.empty(0)
    return Dataset(X, y, nothing.astype(np.int64), nothing.astype("datetime64[D]"), nothing,
                   (*of.columns, STRETCH))  # fmt: skip


def _binned(X: NDArray[np.float32], y: Floats, start: Floats, parameters: Any) -> lgb.Dataset:
    return lgb.Dataset(
        X, label=y, init_score=start, params=parameters, free_raw_data=False
    ).construct()
