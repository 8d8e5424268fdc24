"""A list worked from the top: what a share of it, or the team's capacity, finds and is worth."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from features.settings import Contact
from training.dataset import Dataset, Floats
from training.evaluate import (
    Bootstrap,
    Figure,
    figure,
    share_of_ones,
    top,
    within_capacity,
)

SHARES = (0.01, 0.05, 0.10)
CELLS, WIDTHS = 300, np.geomspace(5e-4, 0.2, 14)


def worked(margin: Floats, test: Dataset, sample: Bootstrap, capacity: int) -> dict[str, Floats]:
    """Precision and lift among the top 1, 5 and 10 % and within the capacity, by resample.

    The chosen rows are those of the whole test period, the same in each resample.
    """
    tops = {f"{share:.0%}".replace("%", "pct"): top(margin, share) for share in SHARES}
    tops["capacity"] = within_capacity(margin, test.as_of, capacity)
    base = share_of_ones(sample, test.y, np.ones(len(margin), dtype=bool))
    found = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, rows in tops.items():
            found[f"precision_at_{name}"] = share_of_ones(sample, test.y, rows)
            found[f"lift_at_{name}"] = found[f"precision_at_{name}"] / base
    return found


def smooth_ece(p: Floats, y: Floats, sample: Bootstrap) -> Floats:
    """How far predictions lie from what happens, smoothed, for each resample.

    Błasiok and Nakkiran, "Smooth ECE" (2023): residuals y − p smoothed over p by a Gaussian whose
    width equals the answer. On a grid of 300 cells up to the highest prediction, reflected at 0.
    A resample is noisier than the sample, so the interval lies somewhat high.
    """
    end = min(1.0, 1.25 * float(p.max()) + 1e-6)
    cell = np.minimum((p / end * CELLS).astype(np.int64), CELLS - 1)
    shape = (sample.weights.shape[1], CELLS)
    residuals = csr_matrix((y - p, (sample.account, cell)), shape=shape)
    weights = sample.weights.astype(np.float64)
    by_cell = np.asarray((residuals.T @ weights.T).T) / sample.sums(np.ones_like(y))[:, None]
    middles = (np.arange(CELLS) + 0.5) * end / CELLS
    errors = np.stack([np.abs(by_cell @ _kernel(middles, w)).sum(axis=1) for w in WIDTHS], axis=1)
    return np.array([_where_equal(WIDTHS, e) for e in errors])


def _kernel(middles: Floats, width: float) -> Floats:
    """Rows spread their mass over the cells; what would lie below 0 is reflected."""
    near = np.exp(-0.5 * ((middles[:, None] - middles[None, :]) / width) ** 2)
    mirrored = np.exp(-0.5 * ((middles[:, None] + middles[None, :]) / width) ** 2)
    both = near + mirrored
    return np.asarray(both / both.sum(axis=1, keepdims=True), dtype=np.float64)


def _where_equal(widths: Floats, errors: Floats) -> float:
    """The error at the width that equals it: errors fall as widths rise, so they cross once."""
    below = np.nonzero(errors <= widths)[0]
    if not len(below):
        return float(errors[-1])
    k = int(below[0])
    if k == 0:
        return float(errors[0])
    rise = widths[k] - widths[k - 1] - (errors[k] - errors[k - 1])
    part = (errors[k - 1] - widths[k - 1]) / rise
    return float(errors[k - 1] + part * (errors[k] - errors[k - 1]))


def captured(p: Floats, test: Dataset, sample: Bootstrap) -> dict[str, Figure]:
    """The share of the positives' MRR in the top decile: ranked by p × MRR, by p, by MRR alone.

    `mrr_gained_over_mrr_alone` is the first less the last, paired.
    """
    lost = test.mrr * test.y
    if not lost.any():
        return {}
    scores = {"p_times_mrr": p * test.mrr, "p": p, "mrr_alone": test.mrr}
    with np.errstate(invalid="ignore", divide="ignore"):
        caught = {
            name: sample.sums(lost * top(score, 0.10)) / sample.sums(lost)
            for name, score in scores.items()
        }
    found = {f"mrr_caught_by_{name}": figure(draws) for name, draws in caught.items()}
    gained = caught["p_times_mrr"] - caught["mrr_alone"]
    return found | {"mrr_gained_over_mrr_alone": figure(gained)}


def within_reach(p: Floats, test: Dataset, sample: Bootstrap, capacity: int) -> dict[str, Figure]:
    """What the first `capacity` of each day's list by p × MRR hold: of the positives, of their MRR.

    Of the whole test period's list where days hold no more accounts than that.
    """
    worked = within_capacity(p * test.mrr, test.as_of, capacity)
    wanted = {"caught_at_capacity": test.y, "mrr_caught_at_capacity": test.mrr * test.y}
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            name: figure(sample.sums(values * worked) / sample.sums(values))
            for name, values in wanted.items()
            if values.any()
        }


def profit(score: Floats, test: Dataset, contact: Contact) -> tuple[Floats, Floats]:
    """Share of the list worked, and the profit of working it: money kept less contacts paid.

    A contact costs `contact.cost` and keeps, with the chance `contact.works`, the MRR of an account
    that would have left for `contact.months` months. The mean over the days' lists; not a forecast:
    whether contacts work must be measured.
    """
    lists = len(np.unique(test.as_of))
    order = np.argsort(-score, kind="stable")
    kept = contact.works * contact.months * (test.mrr * test.y)[order]
    share = np.arange(len(score) + 1) / len(score)
    return share, np.append(0.0, np.cumsum(kept - contact.cost) / lists)


def figures(draws: Mapping[str, Floats]) -> dict[str, Figure]:
    """Each resampled figure with its interval."""
    return {name: figure(values) for name, values in draws.items()}
