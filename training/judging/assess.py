"""One model on its test period: figures, baselines beside them, slices and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from features.settings import Settings
from training import evaluate, slices
from training.dataset import Dataset, Floats, Leak
from training.evaluate import Bootstrap, Draws, Figure
from training.fitting import few
from training.fitting.backtest import CutOff
from training.fitting.calibrate import affine, margins
from training.fitting.fit import Fitted
from training.fitting.models import Baseline
from training.judging import worklist
from training.judging.backtested import CutOffFigures, backtested
from training.judging.gate import ENOUGH_FOR_REASONS, Verdict, judge
from training.judging.stability import Agreement, agreement
from training.split import Split

COMPARED = ("auc", "pr_auc", "log_loss")


@dataclass(frozen=True)
class Assessment:
    """What is known of a model. `margins`: log-odds of the test rows, by model and baseline."""

    figures: Mapping[str, Figure]
    baselines: Mapping[str, Mapping[str, Figure]]
    differences: Mapping[str, Mapping[str, Figure]]
    slices: Mapping[str, Figure]
    leaks: tuple[Leak, ...]
    verdict: Verdict
    margins: Mapping[str, Floats]
    backtest: tuple[CutOffFigures, ...] = ()
    agreement: Agreement | None = None


def assess(
    data: Dataset,
    split: Split,
    fitted: Fitted,
    baselines: list[Baseline],
    leaks: list[Leak],
    settings: Settings,
    cut_offs: Sequence[CutOff] = (),
) -> Assessment:
    """Score the test rows with the model and each baseline, and judge.

    `cut_offs`: the backtest's refits (`training.fitting.backtest`), oldest first.
    """
    training, test = settings.training, data.take(split.test)
    sample = Bootstrap.of(test.account, training.bootstrap, training.seed)
    scores = {"model": margins(fitted.booster, test.X, training.threads)}
    scores |= {b.name: baseline_margins(b, data, split) for b in baselines}
    prevalence = float(data.y[split.fit].mean())
    drawn = {
        name: evaluate.draws(
            margin, test, sample, prevalence=prevalence, capacity=training.capacity
        )
        for name, margin in scores.items()
    }
    ours = drawn.pop("model")
    differences = {name: compared(ours, theirs) for name, theirs in drawn.items()}
    figures = (
        ours.figures()
        | few.intervals(ours, test)
        | lists(scores["model"], test, sample, training.capacity)
    )
    backtest = backtested(cut_offs, training)
    signals = [c.signal for c in data.columns]
    steady = agreement(fitted, data.take(split.fit), test, signals, training)
    enough = data.y[split.fit].sum() >= ENOUGH_FOR_REASONS
    seen = np.isin(test.account, np.unique(data.account[split.fit]))
    return Assessment(
        figures=figures,
        baselines={name: theirs.figures() for name, theirs in drawn.items()},
        differences=differences,
        slices=slices.sliced(scores["model"], test, sample, slices.masks(test, seen)),
        leaks=tuple(leaks),
        verdict=judge(
            figures,
            differences,
            leaks,
            int(test.y.sum()),
            backtest,
            steady.weight if enough else None,
        ),
        margins=scores,
        backtest=backtest,
        agreement=steady,
    )


def lists(margin: Floats, test: Dataset, sample: Bootstrap, capacity: int) -> dict[str, Figure]:
    """What lists worked from the top find, and how far probabilities lie from what happens."""
    p = np.asarray(expit(margin), dtype=np.float64)
    draws = worklist.worked(margin, test, sample, capacity)
    draws["smooth_ece"] = worklist.smooth_ece(p, test.y, sample)
    reach = worklist.within_reach(p, test, sample, capacity) if test.mrr.any() else {}
    return worklist.figures(draws) | worklist.captured(p, test, sample) | reach


def baseline_margins(baseline: Baseline, data: Dataset, split: Split) -> Floats:
    """The baseline's log-odds on the test rows, fitted and calibrated on what the model was."""
    model = baseline.make().fit(data.X[split.fit], data.y[split.fit])
    margin = np.asarray(model.decision_function(data.X[split.test]), dtype=np.float64)
    if split.folded:
        return margin
    rows = split.blocks["calibrate"]
    unseen = np.asarray(model.decision_function(data.X[rows]), dtype=np.float64)
    return affine(unseen, data.y[rows])(margin)


def compared(ours: Draws, theirs: Draws) -> dict[str, Figure]:
    """Ours less theirs, on the same resamples."""
    return {m: evaluate.difference(getattr(ours, m), getattr(theirs, m)) for m in COMPARED}
