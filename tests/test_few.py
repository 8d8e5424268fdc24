from functools import cache

import numpy as np
import pytest
from scipy.special import expit

from features.errors import RefusedError
from features.settings import Training
from training.dataset import Column, Dataset
from training.evaluate import Bootstrap, Figure, Ranking, draws, figure
from training.fitting import few
from training.fitting.calibrate import margins
from training.fitting.fit import fit
from training.judging.gate import judge
from training.split import split

COLUMNS = tuple(Column(f"x{i}", f"x{i}", "", "number", 0, None) for i in range(12))
TRAINING = Training(seed=3, threads=1, bootstrap=120)
LAST, HORIZON, RATE = 240, 30, 0.0018


def population(accounts, seed, strength=0.7):
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


def sized(outcomes, seed, strength=0.7):
    """A population with about so many accounts that leave among the rows to learn from."""
    return population(round(outcomes / 0.24), seed, strength)


def judged(outcomes, seed, strength=0.7):
    """A model of so few outcomes: its figures, naive and honest, and its verdict."""
    data = sized(outcomes, seed, strength)
    parts = split(data.as_of, data.y, HORIZON)
    fitted = fit(data, parts, TRAINING)
    test = data.take(parts.test)
    sample = Bootstrap.of(test.account, TRAINING.bootstrap, seed)
    drawn = draws(margins(fitted.booster, test.X, 1), test, sample,
                  prevalence=float(data.y[parts.fit].mean()), capacity=50)  # fmt: skip
    found = few.intervals(drawn, test)
    skill = figure(drawn.skill)
    verdict = judge({"auc": found["auc"], "log_loss_skill": skill}, {}, [], int(test.y.sum()))
    return fitted, found, figure(drawn.auc), verdict, few.outcomes(data.take(parts.fit)), test


@cache
def everyone(strength):
    """Very many accounts."""
    return population(12_000, 999, strength)


def truth(fitted, test, strength=0.7):
    """AUC and observed over expected of a model among very many accounts, on the same days."""
    many = everyone(strength)
    late = many.take(many.as_of >= test.as_of.min())
    margin = margins(fitted.booster, late.X, 1)
    auc = Ranking(margin, late.y).both(np.ones(len(late.y)))[0]
    return auc, late.y.sum() / expit(margin).sum()


def covered(outcomes, times, first=0):
    """Shares of draws whose intervals hold the truth: AUC, percentiles of the AUC, O/E."""
    hits = np.zeros(3)
    for seed in range(first, first + times):
        fitted, found, naive, _, _, test = judged(outcomes, seed)
        auc, ratio = truth(fitted, test)
        ends = (found["auc"], auc), (naive, auc), (found["observed_expected"], ratio)
        hits += [f.low <= value <= f.high for f, value in ends]
    return hits / times


def test_intervals_of_few_positives_hold_the_truth():
    """The AUC among very many accounts lies within the interval that fifty outcomes gave."""
    auc, _, ratio = covered(50, 8)
    assert auc >= 7 / 8
    assert ratio >= 7 / 8


def test_random_labels_are_refused():
    """Columns that know nothing of who leaves give no model that passes."""
    passed = [judged(50, seed, strength=0.0)[3].passed for seed in range(8)]
    assert not any(passed)


def test_under_the_floor_training_refuses_and_says_what_would_be_needed():
    """The accounts with the outcome are counted, not their rows."""
    data = sized(14, 1)
    parts = split(data.as_of, data.y, HORIZON)
    with pytest.raises(
        RefusedError, match=r"\d+ accounts with outcome 'churn' in the .* at least 20.* more days"
    ):
        few.check(data, parts, "churn")
    enough = sized(60, 1)
    few.check(enough, split(enough.as_of, enough.y, HORIZON), "churn")


def test_an_interval_widens_as_accounts_get_fewer():
    """And never leaves 0 to 1."""
    values = np.append(0.9, np.random.default_rng(0).normal(0.9, 0.05, 400).clip(0, 1))
    narrow, wide = few.auc_interval(values, 200), few.auc_interval(values, 5)
    assert 0 < wide.low < narrow.low < 0.9 < narrow.high < wide.high < 1
    assert np.isnan(few.auc_interval(values, 1).low)
    assert isinstance(narrow, Figure)


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", [20, 50, 100, 200])
def test_the_campaign(outcomes, capsys):
    """Many draws: intervals cover as promised, and of random labels one in forty passes at most."""
    times = 100
    shares = covered(outcomes, times)
    passed = np.mean([judged(outcomes, s, strength=0.0)[3].passed for s in range(times)])
    with capsys.disabled():
        print(f"\n{outcomes} outcomes: AUC held {shares[0]:.2f} (percentiles {shares[1]:.2f}), "
              f"O/E {shares[2]:.2f}; random labels refused {1 - passed:.3f}")  # fmt: skip
    assert shares[0] >= 0.90
    assert shares[2] >= 0.90
    assert passed <= 0.025
