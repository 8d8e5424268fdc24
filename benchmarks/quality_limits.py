"""What keeps our models from the oracle: too few accounts to learn from, or what features hide.

Two measurements on the oracle's own test rows. Learnt from a part of the accounts: how ρ grows with
their number. Learnt from the oracle's probabilities in the place of what happened, on the same
rows: outcomes are rare and say little each, these say all; what is then still missing is hidden
from the features, whatever learns from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.quality_figures import drawn
from benchmarks.quality_oracle import looked_up, spread, truth
from benchmarks.quality_worlds import Study, World
from benchmarks.rivals.exchange import log_odds
from training.dataset import Dataset, Floats, Mask
from training.evaluate import Bootstrap
from training.fitting.calibrate import margins
from training.fitting.fit import averaged, folded, grouped, parameters_for

PARTS = (0.25, 0.5, 1.0)
FOLDS = 3
TAUGHT = {"objective": "cross_entropy", "num_leaves": 31, "max_depth": 8, "min_data_in_leaf": 20,
          "lambda_l2": 1.0}  # fmt: skip
"""Parameters where labels are probabilities: there is less noise to hold out."""


@dataclass(frozen=True)
class Limits:
    """One outcome's expected ρ: from parts of the accounts; on the same days, from each label."""

    outcome: str
    seed: int
    by_part: Mapping[float, float]
    happened: float
    taught: float


def limits_of(
    one: World, studies: Sequence[Study], learn_dates: int, test_dates: int, futures: int
) -> list[Limits]:
    """Each outcome's limits; the oracle is asked on so many days of either side."""
    tested = _common([study.test.as_of for study in studies], test_dates)
    learnt = _common([s.task.data.as_of[s.split.fit] for s in studies], learn_dates)
    days = np.union1d(learnt, tested)
    told = truth(one.company, days, studies[0].task.timing.horizon_days, futures)
    found = []
    for study in studies:
        true = looked_up(told, study.rows, study.task.outcome.name)
        found.append(_limits(study, true, learnt, tested, one.company.seed))
    return found


def _limits(study: Study, true: Floats, learnt: Any, tested: Any, seed: int) -> Limits:
    data, known = study.task.data, ~np.isnan(true)
    test = np.isin(data.as_of, tested) & study.split.test & known
    fit = data.take(study.split.fit)
    by_part = {}
    for part in PARTS:
        some = _some(fit, part)
        fitted = _fitted(some, parameters_for(some, study.settings.training))
        by_part[part] = _rho(fitted, data, true, test)
    same = np.isin(data.as_of, learnt) & study.split.fit & known
    block = data.take(same)
    plain = parameters_for(block, study.settings.training)
    return Limits(
        outcome=study.task.outcome.name,
        seed=seed,
        by_part=by_part,
        happened=_rho(_fitted(block, plain), data, true, test),
        taught=_rho(_fitted(replace(block, y=true[same]), plain | TAUGHT), data, true, test),
    )


def _common(days: Sequence[Any], count: int) -> Any:
    return spread(np.array(sorted(set.intersection(*map(set, days)))), count)


def _some(block: Dataset, part: float) -> Dataset:
    """The rows of a part of the accounts, drawn by a seed."""
    names = np.unique(block.account)
    chosen = np.random.default_rng(1).permutation(names)[: round(part * len(names))]
    return block.take(np.isin(block.account, chosen))


def _fitted(block: Dataset, parameters: dict[str, Any]) -> Any:
    """Three boosters as one, their rounds from folds of accounts."""
    return averaged(block, parameters, folded(block, parameters, grouped(block, FOLDS))[0])


def _rho(booster: Any, data: Dataset, true: Floats, rows: Mask) -> float:
    """The expected ρ on these rows: each counts as a positive to the part that the oracle says."""
    test = replace(data.take(rows), y=true[rows])
    sample = Bootstrap.of(test.account, 1, seed=1)
    ours, best = (
        drawn(margin, test, sample).auc[0] - 0.5
        for margin in (margins(booster, test.X, 1), log_odds(true[rows]))
    )
    return float(ours / best)


def table(found: Sequence[Limits]) -> str:
    """Every outcome's limits as a Markdown table."""
    names = [f"ρ from {part:.0%} of the accounts" for part in PARTS]
    heads = ["outcome", "seed", *names, "ρ on fewer days, from what happened",
             "the same, from the oracle's probabilities"]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for one in found:
        parts = " | ".join(f"{one.by_part[part]:.3f}" for part in PARTS)
        lines.append(f"| {one.outcome} | {one.seed} | {parts} | {one.happened:.3f} | "
                     f"{one.taught:.3f} |")  # fmt: skip
    return "\n".join(lines)
