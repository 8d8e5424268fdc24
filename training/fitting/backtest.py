"""The rolling backtest: refits at several cut-offs, each judged on the days after its gap.

The test span, the last two fifths of the time, is cut into as many periods as there are cut-offs.
Each refit sees the rows whose whole window was over when its period began, and nothing else: its
rounds, its calibration and its baselines are made of those rows anew, so that an early cut-off
knows nothing of what came later. A tuned set of parameters is the main fit's.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.progress import Progress, silent
from features.settings import Settings
from training.dataset import Dataset, Floats, Mask
from training.fitting.calibrate import margins
from training.fitting.fit import refit
from training.fitting.models import Rule, baselines
from training.outcomes import Outcome
from training.split import Split, Window, thinned, windows

CUT_OFFS = 4
SPAN = 0.4  # of the time, behind the first test day
MOST_ROWS = 40_000  # of a refit; where there are more, every second (third, …) day is taken
FEWEST_FIT, FEWEST_TEST = 20, 10  # positives; with fewer, a cut-off says nothing and is left out


@dataclass(frozen=True)
class CutOff:
    """One refit, judged on the days after it.

    `until`: the last as_of that was learnt from; `test`: the rows of its period; `seen`: test rows
    whose account was in the fitting rows; `prevalence` and `positives` of the fitting rows;
    `margins`: log-odds of the test rows, under "model" and each baseline's name ("mrr": the
    account's MRR alone, where there is any; a ranking rather than a probability).
    """

    until: np.datetime64
    test: Dataset
    seen: Mask
    prevalence: float
    positives: int
    margins: Mapping[str, Floats]


def backtest(
    data: Dataset,
    outcome: Outcome,
    split: Split,
    settings: Settings,
    parameters: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> tuple[CutOff, ...]:
    """Refit at four cut-offs and score each one's period, oldest first.

    `parameters`: what to change in the stated ones (a tuned set). A period with too few positives
    on either side of its gap is left out; `shortfall` says so.
    """
    periods = windows(data.as_of, split.gap_days, CUT_OFFS, SPAN)
    usable = [window for window in periods if enough(data.y, window)]
    # Each on one thread of its own: two small fits side by side beat two threads on one.
    alone = dict(parameters or {}) | {"num_threads": 1}
    with ThreadPoolExecutor(settings.training.threads) as pool:
        refits = pool.map(lambda w: cut_off(data, outcome, w, settings, alone), usable)
        found = []
        for made in refits:
            found.append(made)
            progress(len(found), len(usable), "backtest")
    return tuple(found)


def shortfall(data: Dataset, split: Split) -> str:
    """Why there are fewer than four cut-offs; empty where there are four.

    >>> empty = Dataset(np.zeros((1, 0), np.float32), np.ones(1), np.zeros(1, np.int64),
    ...     np.array(["2024-01-01"], "datetime64[D]"), np.ones(1), ())
    >>> shortfall(empty, Split("", {}, 30))
    '0 of 4 cut-offs: 1 day of observations do not hold a gap of 30 days and four periods'
    """
    days = int((data.as_of.max() - data.as_of.min()).astype(int)) + 1
    periods = windows(data.as_of, split.gap_days, CUT_OFFS, SPAN)
    if not periods:
        said = f"{days} day{'s' if days > 1 else ''} of observations do not hold a gap of"
        return f"0 of {CUT_OFFS} cut-offs: {said} {split.gap_days} days and four periods"
    usable = sum(enough(data.y, window) for window in periods)
    if usable == len(periods):
        return ""
    counts = ", ".join(f"{int(data.y[w.fit].sum())}/{int(data.y[w.test].sum())}" for w in periods)
    return (
        f"{usable} of {CUT_OFFS} cut-offs: each needs {FEWEST_FIT} positives before its gap and "
        f"{FEWEST_TEST} behind it; there are {counts}"
    )


def enough(y: Floats, window: Window) -> bool:
    """Whether both sides of the gap hold positives enough to say something."""
    return bool(y[window.fit].sum() >= FEWEST_FIT and y[window.test].sum() >= FEWEST_TEST)


def cut_off(
    data: Dataset,
    outcome: Outcome,
    window: Window,
    settings: Settings,
    parameters: Mapping[str, Any] | None = None,
) -> CutOff:
    """Fit model and baselines on the rows before the gap; score the rows of the period."""
    training = settings.training
    block, test = data.take(thinned(data.as_of, window.fit, MOST_ROWS)), data.take(window.test)
    fitted = refit(block, training, parameters)
    scores = {"model": margins(fitted.booster, test.X, threads=1)}
    for baseline in baselines(data, outcome, training):
        model = baseline.make().fit(block.X, block.y)
        scores[baseline.name] = np.asarray(model.decision_function(test.X), dtype=np.float64)
    if block.mrr.any():
        scores["mrr"] = mrr_alone(block, test)
    return CutOff(
        until=block.as_of.max(),
        test=test,
        seen=np.isin(test.account, np.unique(block.account)),
        prevalence=float(block.y.mean()),
        positives=int(block.y.sum()),
        margins=scores,
    )


def mrr_alone(block: Dataset, test: Dataset) -> Floats:
    """The larger the account's MRR, the higher: a ranking, on the scale of log-odds."""
    learnt, asked = (np.log1p(part.mrr)[:, None] for part in (block, test))
    return Rule(column=0, sign=1).fit(learnt, block.y).decision_function(asked)
