import dataclasses
import time
from itertools import pairwise

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from features.incidence import agreeing, hazards, median
from features.incidence import risks as told
from features.settings import Training
from training.dataset import Column, Dataset
from training.fitting.backtest import CUT_OFFS, shortfall
from training.fitting.hazard import Watch, When, follow, learnable, spread
from training.fitting.tune import START, Judge, decided, folds, search, standard_error, tune
from training.leaks import alarms
from training.split import Split, thinned, windows

TRAINING = Training(seed=3, threads=1, bootstrap=60)
COLUMNS = tuple(Column(f"x{i}", f"x{i}", "", "number", 0, None) for i in range(6))
FIRST = np.datetime64("2024-01-01")


def company(accounts=600, days=360, seed=0, rate=0.004):
    """Observations every ten days; the daily chance to leave is rate × exp(x0), rivals come too."""
    rng = np.random.default_rng(seed)
    x0 = rng.normal(size=accounts)
    born = rng.integers(0, days // 2, accounts)
    left = born + rng.exponential(1 / (rate * np.exp(x0)))
    rival = born + rng.exponential(1 / 0.002, accounts)
    day = np.arange(0, days, 10)
    gone = np.minimum(left, rival)
    who, place = np.nonzero((day >= born[:, None]) & (day < gone[:, None]))
    who, place = who[np.argsort(place, kind="stable")], np.sort(place)
    X = rng.normal(size=(len(who), 6)).astype(np.float32)
    X[:, 0] = x0[who]
    wait = np.where(left[who] < rival[who], left[who] - day[place], np.inf)
    as_of = FIRST + day[place].astype("timedelta64[D]")
    y = (wait <= 30).astype(float)
    data = Dataset(X, y, who, as_of, np.ones(len(who)), COLUMNS)
    return Watch(data, wait, (days + 90.0) - day[place]), rate


@pytest.fixture(scope="module")
def followed():
    """A model of when, fitted on what was known on the first test day, and its company."""
    watch, rate = company()
    day = watch.data.as_of
    blocks = {"development": day < FIRST + 230, "test": day >= FIRST + 260}
    parts = Split("development and test", blocks, 30)
    return follow(watch, parts, watch.data, TRAINING), watch, rate, parts


def test_the_hazard_comes_back_and_its_curve_only_rises(followed):
    """Cumulative incidence with a competing risk, as planted, and the order of the accounts."""
    when, _, rate, _ = followed
    assert when.edges == (7, 14, 30, 60, 90)
    X = np.zeros((3, 6), dtype=np.float32)
    X[:, 0] = (-1, 0, 1)
    risks = told(when.hazards(X))
    assert (np.diff(risks, axis=1) > 0).all()
    mine = rate * np.exp(X[:, :1])
    both, days = mine + 0.002, np.array(when.edges)
    truth = mine / both * -np.expm1(-both * days)
    np.testing.assert_allclose(risks[1], truth[1], rtol=0.35)
    assert (np.diff(risks, axis=0) > 0).all()


def test_when_is_a_native_booster_and_plain_numbers(followed):
    """Text and JSON alone give the same curve."""
    when, watch, _, _ = followed
    kept = when.described((7, 67))
    again = When(lgb.Booster(model_str=when.booster.model_to_string()), tuple(kept["edges"]),
                 np.array(kept["offsets"]), watch.data.columns, 0, 1.0)  # fmt: skip
    X = watch.data.X[:50]
    np.testing.assert_array_equal(again.hazards(X), when.hazards(X))
    assert kept["window"] == [7, 67]
    assert [f["name"] for f in kept["features"]] == [*watch.data.names, "stretch"]


def test_nothing_known_after_the_first_test_day_moves_the_model_of_when(followed):
    """Outcomes and rows of the test period are out of its sight."""
    when, watch, _, parts = followed
    first = watch.data.as_of[parts.test].min()
    ahead = (first - watch.data.as_of).astype(float)
    later = watch.wait > ahead
    changed = dataclasses.replace(watch, wait=np.where(later, watch.wait + 5, watch.wait))
    again = follow(changed, parts, watch.data, TRAINING)
    assert again.booster.model_to_string() == when.booster.model_to_string()


def test_stretches_end_with_the_outcome_and_with_what_is_known():
    """A stretch not wholly seen is left out, even if the outcome is known to lie in it."""
    X = np.zeros((3, 6), dtype=np.float32)
    data = Dataset(X, np.zeros(3), np.arange(3), np.repeat(FIRST, 3), np.ones(3), COLUMNS)
    watch = Watch(data, np.array([7.0, 20.0, np.inf]), np.array([90.0, 29.0, 30.0]))
    rows, stretch = spread(watch, (7, 14, 30))
    assert rows.account.tolist() == [0, 1, 1, 2, 2, 2]
    assert stretch.tolist() == [0, 0, 1, 0, 1, 2]
    assert rows.y.tolist() == [1, 0, 0, 0, 0, 0]
    assert learnable(watch) == ()


@pytest.mark.parametrize(("waits", "edges"), [
    ((3, 10, 20, 40, 70), (7, 14, 30, 60, 90)),
    ((10, 10, 20, 40, 70), (14, 30, 60, 90)),  # none within the first week: it joins the second
    ((3, 3, 70), (7, 90)),
    ((3, 10, 20), (7, 14, 30)),  # nothing is told of days beyond
])  # fmt: skip
def test_a_stretch_with_too_few_outcomes_joins_the_next(waits, edges):
    """So that a small company is told a risk too, by fewer days."""
    wait = np.repeat(np.array(waits, dtype=float), 20)
    n = len(wait)
    data = Dataset(np.zeros((n, 6), np.float32), np.zeros(n), np.arange(n), np.repeat(FIRST, n),
                   np.ones(n), COLUMNS)  # fmt: skip
    watch = Watch(data, wait, np.full(n, 90.0))
    assert learnable(watch) == edges
    assert learnable(watch.take(np.arange(n) % 20 > 0)) != edges


def test_a_median_is_told_only_where_half_get_there():
    """Between the edges, with a constant hazard within a stretch."""
    found = median(hazards(np.log(np.array([[0.5, 1.0], [0.01, 0.01]]))), (10, 20))
    assert found[0] == pytest.approx(10 + 10 * np.log(4 / 3) / np.log(2), abs=1e-6)
    assert found[1] is None


def test_refits_end_a_gap_before_their_periods():
    """Four periods, one after the other, each a gap behind the last row learnt from."""
    days = np.arange("2024-01-01", "2025-07-01", dtype="datetime64[D]")
    found = windows(days, 67, CUT_OFFS, 0.4)
    assert len(found) == 4
    for w in found:
        assert days[w.test].min() - days[w.fit].max() == np.timedelta64(67, "D")
    for one, two in pairwise(found):
        assert days[two.test].min() - days[one.test].max() == np.timedelta64(1, "D")
    assert thinned(days, found[0].fit, 10)[found[0].fit][-1]
    short = company(accounts=30)[0].data
    assert "of 4 cut-offs: each needs 20 positives" in shortfall(short, Split("", {}, 30))


def test_tuning_takes_a_set_only_if_it_wins_by_more_than_its_standard_error():
    """The same mean gain is taken when accounts agree on it, and left when a few make it."""
    data = company(accounts=300)[0].data
    found = folds(data, 30)
    sizes = [int(w.test.sum()) for w in found]
    start = [np.full(n, 0.3) for n in sizes]
    rng = np.random.default_rng(0)
    steady = [s - 0.01 for s in start]
    noisy = [s - 0.01 + rng.normal(0, 2.0, n) for s, n in zip(start, sizes, strict=True)]
    noisy = [x - (x.mean() - 0.29) for x in noisy]
    better = {"num_leaves": 8}
    assert decided([({}, start), (better, steady)], data, found).changed == better
    refused = decided([({}, start), (better, noisy)], data, found)
    assert refused.changed == {}
    assert refused.gain == pytest.approx(0.01, abs=1e-9)
    assert "the starting point stays" in refused.decision
    assert decided([({}, start), (better, [s + 1 for s in start])], data, found).gain == 0


def test_the_search_tries_the_starting_point_first_and_keeps_to_its_time():
    """A stated time bounds it; the first set is the stated parameters; one seed, one course."""
    data = company(accounts=300)[0].data
    judge = Judge(data, folds(data, 30), TRAINING)
    started = time.monotonic()
    tried = [search(judge, 5, started) for _ in range(2)]
    assert tried[0][0][0] == {}
    assert [t[0] for t in tried[0]] == [t[0] for t in tried[1]]
    assert set(START) <= set(tried[0][1][0])
    assert tune(data, 30, TRAINING, 0).changed == {}
    assert "folds in time" in tune(data.take(data.as_of < FIRST + 40), 30, TRAINING, 1).decision


def test_accounts_are_the_units_of_the_standard_error():
    """Ten copies of each account's row leave it as it was."""
    gains = np.random.default_rng(0).normal(size=200)
    once = standard_error([gains], [np.arange(200)])
    tenfold = standard_error([np.repeat(gains, 10)], [np.repeat(np.arange(200), 10)])
    assert once == pytest.approx(gains.std() / np.sqrt(199), rel=1e-6)
    assert tenfold == pytest.approx(once, rel=1e-9)


def leaky(kind):
    """A company one of whose columns knows the future: weekly rows of 400 accounts."""
    rng = np.random.default_rng(1)
    who, week = np.repeat(np.arange(400), 12), np.tile(np.arange(12), 400)
    left = rng.integers(0, 60, 400)  # in weeks; most leave after the end
    ahead = left[who] - week
    keep = ahead > 0
    who, week, ahead = who[keep], week[keep], ahead[keep]
    y = (ahead <= 1).astype(float)
    X = rng.normal(size=(len(who), 6)).astype(np.float32)
    if kind == "looks ahead":
        X[:, 2] = np.where(y == 1, -4, 0) + 0.8 * X[:, 2]
    if kind == "filled in":  # for half of those who left within the year, at any time
        X[:, 2] = np.where((ahead <= 1) & (who % 2 == 0), 1.0, np.nan)
    if kind == "honest":
        X[:, 2] = -np.log(ahead) + 0.2 * X[:, 2]
    order = np.argsort(week, kind="stable")
    as_of = (FIRST + (7 * week).astype("timedelta64[D]"))[order]
    data = Dataset(X[order], y[order], who[order], as_of, np.ones(len(who)), COLUMNS)
    rows = pd.DataFrame({"account_id": who[order].astype(str), "as_of": pd.to_datetime(as_of)})
    return data, rows


def test_a_feature_that_looks_ahead_falls_silent_a_week_earlier():
    """The alarm names it and both figures; an honest one that knows much keeps what it knew."""
    (found,) = alarms(*_with_learn(leaky("looks ahead")), {"churn"})
    assert (found.feature, found.alarm) == ("x2", True)
    assert "made 7 days earlier it falls from AUC" in found.evidence
    honest = alarms(*_with_learn(leaky("honest")), {"churn"})
    assert all("still has AUC" in leak.evidence for leak in honest)


def test_a_field_filled_in_afterwards_for_some_is_found():
    """Its AUC is below every alarm, but whom it names, left."""
    (found,) = alarms(*_with_learn(leaky("filled in")), {"churn"})
    assert (found.feature, found.alarm) == ("x2", True)
    assert "filled in afterwards?" in found.evidence


def test_without_rows_a_week_earlier_the_suspect_is_made_again():
    """It is asked for by name, for days a week before the observations'."""
    data, rows = leaky("looks ahead")
    apart = data.as_of >= FIRST + 7
    alone = np.zeros(len(apart), dtype=bool)
    alone[::1] = (data.as_of - FIRST).astype(int) % 14 == 0
    few, theirs = data.take(alone & apart), rows[alone & apart].reset_index(drop=True)
    asked = []

    def rebuild(name, points):
        asked.append((name, points["as_of"].min()))
        return pd.Series(np.random.default_rng(0).normal(size=len(points)))

    learn = np.ones(len(few.y), dtype=bool)
    (found,) = alarms(few, learn, theirs, {"churn"}, rebuild)
    assert asked == [("x2", theirs["as_of"].min() - pd.Timedelta(days=7))]
    assert found.alarm


def test_nothing_is_said_of_honest_columns():
    """Noise raises no alarm."""
    assert alarms(*_with_learn(leaky("none")), {"churn"}) == []


def _with_learn(made):
    data, rows = made
    return data, np.ones(len(data.y), dtype=bool), rows


def test_chance_of_the_curve_is_that_of_the_stretches():
    """Risk by an edge is one less the chance to pass every stretch before it."""
    margins = np.random.default_rng(0).normal(size=(5, 4))
    risks = told(hazards(margins))
    np.testing.assert_allclose(risks, 1 - np.cumprod(1 - expit(margins), axis=1))


@pytest.mark.parametrize("window", [(0, 30), (7, 67), (0, 90), (10, 120)])
def test_the_curve_says_what_the_score_says(window):
    """Within the score's own days, whatever their ends; it goes on rising, and its order stays."""
    rng, days = np.random.default_rng(1), (7, 14, 30, 60, 90)
    summed = hazards(rng.normal(-4, 2, (200, 5)))
    score = rng.normal(-1, 3, 200)
    scaled = agreeing(summed, score, days, window)
    ends = np.array([0, *days, 2 * 90 - 60])
    grown = np.column_stack([np.zeros(200), scaled, 2 * scaled[:, -1] - scaled[:, -2]])
    first, last = (np.array([np.interp(day, ends, row) for row in grown]) for day in window)
    np.testing.assert_allclose(-np.expm1(first - last), expit(score), rtol=1e-9)
    assert (np.diff(told(scaled), axis=1) >= 0).all()
    alone = agreeing(summed[:1], score[:1], days, window)
    np.testing.assert_array_equal(alone, scaled[:1])
