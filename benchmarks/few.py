"""Few positives: `python -m benchmarks.few` shows whether intervals hold what they promise.

Of made-up accounts a sample is drawn, no larger than that 20, 50, 100 or 200 with the outcome are
learnt from. It is learnt and judged by the job's own steps; the truth is the model's AUC, and its
observed over expected, among 12,000 other accounts on the same days. Then the same with columns
that know nothing: the gate must refuse what was learnt from them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.special import expit

from benchmarks import report
from benchmarks.quality_flags import numbers
from features.settings import Training
from training.dataset import Column, Dataset
from training.evaluate import Bootstrap, Figure, Ranking, draws, figure
from training.fitting import few
from training.fitting.calibrate import margins
from training.fitting.fit import fit
from training.fitting.models import baselines
from training.judging.assess import baseline_margins, compared
from training.judging.gate import Verdict, judge
from training.outcomes import OUTCOMES
from training.split import split

ABOUT = "Few positives: whether intervals hold and random labels are refused; benchmarks/README.md."
MARKS = ("<!-- few: begin -->", "<!-- few: end -->")
PACKAGES = ("lightgbm", "scikit-learn", "numpy", "scipy")
COLUMNS = tuple(Column(f"x{i}", f"x{i}", "", "number", 0, None) for i in range(12))
TRAINING = Training(seed=3, threads=1, bootstrap=120)
LAST, HORIZON, RATE = 240, 30, 0.0018
SIZES = (20, 50, 100, 200)
STRENGTH = 0.7
POOL, MANY = 4_000, 12_000
say = partial(print, flush=True)


@dataclass(frozen=True)
class Judged:
    """One draw: accounts with the outcome learnt from, three intervals with their truths."""

    learnt: int
    auc: Figure
    percentiles: Figure
    ratio: Figure
    verdict: Verdict
    true_auc: float = np.nan
    true_ratio: float = np.nan

    def held(self) -> list[bool]:
        """Whether the truth lies within: the AUC, its bootstrap percentiles, O/E."""
        pairs = ((self.auc, self.true_auc), (self.percentiles, self.true_auc),
                 (self.ratio, self.true_ratio))  # fmt: skip
        return [f.low <= value <= f.high for f, value in pairs]


@dataclass(frozen=True)
class Shares:
    """What the draws of one size came to."""

    outcomes: int
    learnt: float
    auc: float
    percentiles: float
    ratio: float
    width: float
    passed: float
    refused: float


def main(arguments: list[str] | None = None) -> None:
    """Run the campaign and print its table."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.few", description=ABOUT)
    made.add_argument("--outcomes", type=numbers, default=SIZES, help="accounts with the outcome")
    made.add_argument("--draws", type=int, default=100, help="populations whose truth is known")
    made.add_argument("--labellings", type=int, default=300, help="populations without any signal")
    made.add_argument("--write", action="store_true", help="put the table into benchmarks/README")
    chosen = made.parse_args(arguments)
    say("Made-up accounts, drawn from seeds.")
    found = []
    for outcomes in chosen.outcomes:
        found.append(campaign(outcomes, chosen.draws, chosen.labellings))
        say(f"  {outcomes}: {found[-1]}")
    what = f"{chosen.draws} draws and {chosen.labellings} labellings of each size, seeds from 0."
    text = f"{report.machine(PACKAGES, 1)}\n\n{what}\n\n{table(found)}"
    say(f"\n{text}")
    if chosen.write:
        report.write(text, MARKS)


def campaign(outcomes: int, times: int, labellings: int) -> Shares:
    """Draws with a signal, whose truth is known, and draws without one."""
    told = [judged(outcomes, seed, truth=True) for seed in range(times)]
    blind = [judged(outcomes, seed, strength=0.0).verdict.passed for seed in range(labellings)]
    held = np.mean([one.held() for one in told], axis=0)
    return Shares(
        outcomes=outcomes,
        learnt=float(np.mean([one.learnt for one in told])),
        auc=float(held[0]),
        percentiles=float(held[1]),
        ratio=float(held[2]),
        width=float(np.mean([one.auc.high - one.auc.low for one in told])),
        passed=float(np.mean([one.verdict.passed for one in told])),
        refused=1 - float(np.mean(blind)),
    )


def population(accounts: int, seed: int, strength: float = STRENGTH) -> Dataset:
    """Accounts seen every ten days until they leave; three columns of twelve see how inclined."""
    rng = np.random.default_rng(seed)
    inclined = rng.normal(size=accounts)
    came = rng.integers(0, LAST - 60, accounts)
    left = came + rng.exponential(1 / (RATE * np.exp(inclined)))
    day = np.arange(0, LAST, 10)
    who, place = np.nonzero((day >= came[:, None]) & (day < left[:, None]))
    X = rng.normal(size=(len(who), 12))
    X[:, :3] += strength * inclined[who, None]
    y = (left[who] <= day[place] + HORIZON).astype(float)
    order = np.argsort(place, kind="stable")
    as_of = np.datetime64("2024-01-01") + day[place].astype("timedelta64[D]")
    return Dataset(X.astype(np.float32)[order], y[order], who[order], as_of[order],
                   np.ones(len(who)), COLUMNS)  # fmt: skip


def sized(outcomes: int, seed: int, strength: float = STRENGTH) -> Dataset:
    """As few accounts of a population as hold so many with the outcome to learn from."""
    pool, accounts = population(POOL, seed, strength), 4 * outcomes
    while True:
        data = pool.take(pool.account < accounts)
        if few.outcomes(data.take(split(data.as_of, data.y, HORIZON).fit)) >= outcomes:
            return data
        accounts = round(1.02 * accounts) + 1


def judged(outcomes: int, seed: int, strength: float = STRENGTH, *, truth: bool = False) -> Judged:
    """Learn from one population and judge it as `goldpan train` does; its truth if asked for."""
    data = sized(outcomes, seed, strength)
    parts = split(data.as_of, data.y, HORIZON)
    fitted = fit(data, parts, TRAINING)
    test = data.take(parts.test)
    sample = Bootstrap.of(test.account, TRAINING.bootstrap, seed)
    asked = {"prevalence": float(data.y[parts.fit].mean()), "capacity": 50}
    drawn = draws(margins(fitted.booster, test.X, 1), test, sample, **asked)
    rivals = {
        b.name: draws(baseline_margins(b, data, parts), test, sample, **asked)
        for b in baselines(data, OUTCOMES["churn"], TRAINING)
    }
    found = few.intervals(drawn, test)
    verdict = judge(drawn.figures() | found, {n: compared(drawn, r) for n, r in rivals.items()},
                    [], int(test.y.sum()))  # fmt: skip
    auc, ratio = _truth(fitted.booster, test, strength) if truth else (np.nan, np.nan)
    return Judged(few.outcomes(data.take(parts.fit)), found["auc"], figure(drawn.auc),
                  found["observed_expected"], verdict, auc, ratio)  # fmt: skip


def table(found: Sequence[Shares]) -> str:
    """The shares as a Markdown table."""
    names = ("accounts with the outcome", "AUC's interval held", "its percentiles would have",
             "its mean width", "O/E's interval held", "with a signal: passed the gate",
             "random labels: refused")  # fmt: skip
    lines = ["| " + " | ".join(names) + " |", "|" + "---:|" * len(names)]
    lines += [
        f"| {s.outcomes} ({s.learnt:.0f}) | {s.auc:.2f} | {s.percentiles:.2f} | {s.width:.2f} | "
        f"{s.ratio:.2f} | {s.passed:.2f} | {s.refused:.3f} |"
        for s in found
    ]
    return "\n".join(lines)


@cache
def everyone(strength: float) -> Dataset:
    """Very many accounts that no model has seen: what is found in them stands for the truth."""
    return population(MANY, 999, strength)


def _truth(booster: object, test: Dataset, strength: float) -> tuple[float, float]:
    """AUC and observed over expected of a model among very many accounts, on the same days."""
    many = everyone(strength)
    late = many.take(many.as_of >= test.as_of.min())
    margin = margins(booster, late.X, 1)
    auc = Ranking(margin, late.y).both(np.ones(len(late.y)))[0]
    return auc, float(late.y.sum() / expit(margin).sum())


if __name__ == "__main__":
    main()
