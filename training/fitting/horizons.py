"""How well "when" is told: each horizon on the test period, beside the direct model at its own."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from features.incidence import agreeing, risks
from features.settings import Training
from training import slices
from training.dataset import Floats, Mask
from training.evaluate import Bootstrap, Figure, aucs, difference, figure
from training.fitting.hazard import Watch, When

FEWEST = 30  # outcomes and others in the test period by a horizon, for its figures to be told


@dataclass(frozen=True)
class Horizon:
    """One horizon on the test rows that were followed so long.

    `observed_expected`: outcomes that came by then, over the sum of the risks; `slices`: AUC within
    each part that holds 50 of both; `against`: AUC less that of the direct model's scores, on the
    same rows.
    """

    days: int
    rows: int
    positives: int
    auc: Figure
    observed_expected: Figure
    against: Figure
    slices: Mapping[str, Figure]


def horizons(
    when: When,
    watch: Watch,
    direct: Floats,
    window: tuple[int, int],
    training: Training,
    seen: Mask,
) -> tuple[Horizon, ...]:
    """Figures of every horizon that the test period holds, by the day.

    `watch`: the test rows; `direct`: the direct model's log-odds of them, which are about the days
    of `window`; `seen`: whether their account was learnt from.
    """
    summed = when.hazards(watch.data.X, training.threads)
    told = risks(agreeing(summed, direct, when.edges, window))
    found = []
    for place, days in enumerate(when.edges):
        rows = watch.seen >= days
        came = (watch.wait[rows] <= days).astype(np.float64)
        if min(came.sum(), len(came) - came.sum()) < FEWEST:
            continue
        part = watch.take(rows)
        found.append(
            _horizon(days, told[rows, place], came, part, direct[rows], training, seen[rows])
        )
    return tuple(found)


def _horizon(
    days: int,
    risk: Floats,
    came: Floats,
    part: Watch,
    direct: Floats,
    training: Training,
    seen: Mask,
) -> Horizon:
    sample = Bootstrap.of(part.data.account, training.bootstrap, training.seed)
    ours, theirs = (aucs(score, came, sample) for score in (risk, direct))
    test = part.data.relabelled(came)
    margin = np.asarray(logit(np.clip(risk, 1e-12, 1 - 1e-12)), dtype=np.float64)
    masks = slices.masks(test, seen)
    return Horizon(
        days=days,
        rows=len(came),
        positives=int(came.sum()),
        auc=figure(ours),
        observed_expected=figure(sample.sums(came) / sample.sums(risk)),
        against=difference(ours, theirs),
        slices=slices.sliced(margin, test, sample, masks),
    )


def metrics(found: tuple[Horizon, ...]) -> dict[str, float]:
    """For MLflow: `when_30_auc` and so on, with `_low` and `_high`."""
    named = {
        f"when_{h.days}_{name}": f
        for h in found
        for name, f in (("auc", h.auc), ("observed_expected", h.observed_expected))
    }
    return {key: value for name, f in named.items() for key, value in f.flat(name).items()}


def described(when: When | None, found: tuple[Horizon, ...]) -> dict[str, object] | None:
    """The card's part on when: how it was fitted, and each horizon's figures."""
    if when is None:
        return None
    return {
        "edges": list(when.edges),
        "rounds": when.rounds,
        "calibration": {"slope": when.slope, "offsets": [float(o) for o in when.offsets]},
        "horizons": [
            {
                "days": h.days,
                "rows": h.rows,
                "positives": h.positives,
                "auc": h.auc.as_dict(),
                "observed_expected": h.observed_expected.as_dict(),
                "auc_less_direct": h.against.as_dict(),
                "slices": {name: f.as_dict() for name, f in h.slices.items()},
            }
            for h in found
        ],
    }
