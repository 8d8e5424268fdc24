"""Two versions of a model on the same rows, none of which either has learnt from.

Where enough observations lie after both versions' cut-offs and the gap, the models are compared as
they are. Where not, the recipes are: columns, parameters and settings of each are refitted at
common cut-offs and judged on the days behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.special import expit

from features.catalog import catalogue
from features.errors import NotReadyError, RefusedError
from features.settings import Settings
from features.table import check_current
from features.workspace import Workspace
from training import evaluate, slices
from training.dataset import Column, Dataset, Floats, Mask, coded
from training.evaluate import Bootstrap, Draws, Figure, figure
from training.fitting.backtest import CUT_OFFS, SPAN, enough
from training.fitting.calibrate import margins
from training.fitting.fit import refit
from training.judging import worklist
from training.observations import read_history
from training.outcomes import chosen
from training.prepare import Parted, feature_table, labelled, task_of
from training.records.registry import Candidate
from training.split import Window, windows

FEWEST = 50  # positives behind both cut-offs, to compare the models as they are
OWN = ("bagging_seed", "feature_fraction_seed", "num_threads")
"""Parameters that belong to one run rather than to its recipe."""


class OutdatedError(NotReadyError):
    """A version that reads features which are no longer made: it cannot score, nor be compared."""


@dataclass(frozen=True)
class Period:
    """Days on which both were judged; `log_loss` and `auc`: the second less the first."""

    first: str
    last: str
    rows: int
    positives: int
    log_loss: Figure
    auc: Figure


@dataclass(frozen=True)
class Comparison:
    """The second version less the first, paired over resamples of accounts.

    `how`: in words. `differences`: log_loss, auc, pr_auc, log_loss_share (of the first's) and
    lift_share (at capacity, of the first's). `bounds`: the upper 90 % of log_loss_share and of
    lift_share. `slices`: differences of AUC.
    """

    outcome: str
    versions: tuple[str, str]
    how: str
    rows: int
    positives: int
    figures: tuple[Mapping[str, Figure], Mapping[str, Figure]]
    differences: Mapping[str, Figure]
    bounds: Mapping[str, float]
    periods: tuple[Period, ...]
    slices: Mapping[str, Figure]


@dataclass(frozen=True)
class Judged:
    """Rows with both versions' log-odds, and which period each row is of."""

    test: Dataset
    seen: Mask
    period: np.ndarray
    margins: tuple[Floats, Floats]
    how: str


def compare(
    workspace: Workspace, settings: Settings, one: Candidate, other: Candidate
) -> Comparison:
    """Compare two versions on the observations there are now.

    Raises NotReadyError without a current feature table, or when a version reads features that are
    no longer made; RefusedError when the time holds no common cut-off.
    """
    check_current(workspace, settings)
    timing = chosen(settings, [one.outcome])[one.outcome]
    history = read_history(workspace, settings)
    rows = labelled(settings, one.outcome, timing, feature_table(workspace), history)
    task = task_of(settings, catalogue(settings), one.outcome, timing, rows)
    X = (coded_for(one, rows), coded_for(other, rows))
    judged = as_they_are(one, other, task, X, settings) or by_recipe(one, other, task, X, settings)
    return measured(one, other, judged, settings)


def coded_for(version: Candidate, rows: pd.DataFrame) -> np.ndarray:
    """The rows as a version reads them: its columns, in its order, by its vocabularies."""
    wanted = version.files["schema.json"]["features"]
    if absent := [f["name"] for f in wanted if f["name"] not in rows]:
        raise OutdatedError(
            f"version {version.version} of outcome '{version.outcome}', which reads "
            f"{len(absent)} feature(s) that are no longer made: {', '.join(absent[:3])}",
            do="It cannot be scored, nor compared.",
        )
    columns = [coded(rows[f["name"]], f.get("vocabulary")) for f in wanted]
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float32)


def columns_of(version: Candidate) -> tuple[Column, ...]:
    """The columns that a version reads; which way they may bend stands in its recipe."""
    return tuple(
        Column(f["name"], f["signal"], f["unit"], f["kind"], 0, tuple(f["vocabulary"])
               if "vocabulary" in f else None)
        for f in version.files["schema.json"]["features"]
    )  # fmt: skip


def learnt_until(version: Candidate) -> np.datetime64:
    """The last as_of that a version was fitted, tuned or calibrated on."""
    card = version.files["card.json"]
    days = [b["to"] for name, b in card["blocks"].items() if name != "test"]
    return np.datetime64(max([*days, card.get("learnt_until", card["cut_off"])]))


def as_they_are(
    one: Candidate, other: Candidate, task: Parted, X: tuple[Any, Any], settings: Settings
) -> Judged | None:
    """Both models on the rows behind both cut-offs and the gap; None where they are too few."""
    until = max(learnt_until(one), learnt_until(other))
    gap = max(int(v.files["card.json"]["gap_days"]) for v in (one, other))
    later = task.data.as_of >= until + np.timedelta64(gap, "D")
    if task.data.y[later].sum() < FEWEST:
        return None
    test = task.data.take(later)
    halves = _in_halves(test)
    scores = tuple(
        margins(lgb.Booster(model_str=v.model), x[later], settings.training.threads)
        for v, x in zip((one, other), X, strict=True)
    )
    seen = np.isin(test.account, np.unique(task.data.account[task.data.as_of <= until]))
    how = (f"both models as they are, on observations from {test.as_of.min()} on: {gap} days after "
           f"the last that either learnt from ({until})")  # fmt: skip
    return Judged(test, seen, halves, (scores[0], scores[1]), how)


def by_recipe(
    one: Candidate, other: Candidate, task: Parted, X: tuple[Any, Any], settings: Settings
) -> Judged:
    """Both recipes refitted at common cut-offs and judged on the days behind each."""
    data = task.data
    found = windows(data.as_of, task.split.gap_days, CUT_OFFS, SPAN)
    usable = [w for w in found if enough(data.y, w)]
    if not usable:
        raise RefusedError(
            f"no observations behind both versions' cut-offs ({learnt_until(one)}, "
            f"{learnt_until(other)}) and no common cut-off to refit at",
            expected="a cut-off with 20 positives before its gap and 10 behind it",
            do="Wait until more outcomes are known.",
        )
    same = _recipe(one) == _recipe(other) and np.array_equal(X[0], X[1], equal_nan=True)
    parts, seen = [], []
    for window in usable:
        first = refitted(data, X[0], window, one, settings)
        parts.append((first, first if same else refitted(data, X[1], window, other, settings)))
        seen.append(np.isin(data.account[window.test], np.unique(data.account[window.fit])))
    rows = [np.nonzero(w.test)[0] for w in usable]
    period = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    scores = [np.concatenate([p[k] for p in parts]) for k in (0, 1)]
    how = (f"no {FEWEST} positives lie behind both cut-offs ({learnt_until(one)} and "
           f"{learnt_until(other)}) and the gap, so the recipes: each refitted at "
           f"{len(usable)} common cut-offs")  # fmt: skip
    test = data.take(np.isin(np.arange(len(data.y)), np.concatenate(rows)))
    return Judged(test, np.concatenate(seen), period, (scores[0], scores[1]), how)


def refitted(
    data: Dataset, X: Any, window: Window, version: Candidate, settings: Settings
) -> Floats:
    """Log-odds of a window's test rows from a refit of a version's recipe on its fitting rows."""
    block, columns = data.take(window.fit), columns_of(version)
    theirs = Dataset(X[window.fit], block.y, block.account, block.as_of, block.mrr, columns)
    fitted = refit(theirs, settings.training, _recipe(version))
    return margins(fitted.booster, X[window.test], settings.training.threads)


def measured(one: Candidate, other: Candidate, judged: Judged, settings: Settings) -> Comparison:
    """Figures of both and their differences, on the same resamples."""
    training, test = settings.training, judged.test
    sample = Bootstrap.of(test.account, training.bootstrap, training.seed)
    prevalence = float(test.y.mean())
    first, second = (
        evaluate.draws(m, test, sample, prevalence=prevalence, capacity=training.capacity)
        for m in judged.margins
    )
    shares = {
        "log_loss_share": second.log_loss / first.log_loss - 1,
        "lift_share": _ratio(second.precision, first.precision) - 1,
    }
    pairs = {m: getattr(second, m) - getattr(first, m) for m in ("log_loss", "auc", "pr_auc")}
    return Comparison(
        outcome=one.outcome,
        versions=(one.version, other.version),
        how=judged.how,
        rows=len(test.y),
        positives=int(test.y.sum()),
        figures=(_shown(first, judged, 0, sample), _shown(second, judged, 1, sample)),
        differences={name: figure(draws) for name, draws in (pairs | shares).items()},
        bounds={
            "log_loss_share": _percentile(shares["log_loss_share"], 90),
            "lift_share": _percentile(shares["lift_share"], 90),
        },
        periods=tuple(_period(judged, k, training) for k in np.unique(judged.period)),
        slices=_slices(judged, sample),
    )


def _shown(draws: Draws, judged: Judged, which: int, sample: Bootstrap) -> dict[str, Figure]:
    p = np.asarray(expit(judged.margins[which]), dtype=np.float64)
    return draws.figures() | worklist.captured(p, judged.test, sample)


def _period(judged: Judged, which: int, training: Any) -> Period:
    rows = judged.period == which
    test = judged.test.take(rows)
    sample = Bootstrap.of(test.account, training.bootstrap, training.seed)
    a, b = (m[rows] for m in judged.margins)
    size = sample.sums(np.ones_like(test.y))
    losses = [sample.sums(evaluate.log_losses(m, test.y)) / size for m in (a, b)]
    ranked = [evaluate.aucs(m, test.y, sample) for m in (a, b)]
    return Period(str(test.as_of.min()), str(test.as_of.max()), len(test.y), int(test.y.sum()),
                  figure(losses[1] - losses[0]), figure(ranked[1] - ranked[0]))  # fmt: skip


def _slices(judged: Judged, sample: Bootstrap) -> dict[str, Figure]:
    a, b = judged.margins
    return {
        name: figure(
            slices.within(b, judged.test, sample, rows)
            - slices.within(a, judged.test, sample, rows)
        )
        for name, rows in slices.masks(judged.test, judged.seen).items()
        if slices.tellable(judged.test.y, rows)
    }


def _recipe(version: Candidate) -> dict[str, Any]:
    """The parameters that a version was fitted with."""
    told = version.files.get("recipe.json", {}).get("parameters", {})
    return {name: value for name, value in told.items() if name not in OWN}


def _in_halves(test: Dataset) -> np.ndarray:
    """0 for the days up to which half of the positives lie, 1 for the days after."""
    days, place = np.unique(test.as_of, return_inverse=True)
    positives = np.cumsum(np.bincount(place, weights=test.y, minlength=len(days)))
    cut = int(np.searchsorted(positives, positives[-1] / 2))
    return np.asarray(place > min(cut, len(days) - 2), dtype=np.int64)


def _ratio(one: Floats, other: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return one / other


def _percentile(draws: Floats, level: float) -> float:
    spread = draws[1:][np.isfinite(draws[1:])]
    return float(np.percentile(spread, level)) if len(spread) else float("nan")
