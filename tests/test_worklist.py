import numpy as np
import pytest
from scipy.special import expit

from features.settings import Contact
from training.dataset import Column, Dataset
from training.evaluate import Bootstrap
from training.fitting.backtest import CutOff
from training.judging.backtested import backtested
from training.judging.stability import agreed, resampled
from training.judging.worklist import profit, smooth_ece, worked
from training.slices import masks


def rows(y, mrr=None, X=None, columns=()):
    """Rows of one account each, on one day."""
    n = len(y)
    X = np.empty((n, 0), np.float32) if X is None else X
    day = np.full(n, np.datetime64("2024-01-01"))
    mrr = np.ones(n) if mrr is None else np.asarray(mrr, float)
    return Dataset(X, np.asarray(y, float), np.arange(n), day, mrr, columns)


def test_precision_and_lift_of_the_top_are_shares_of_those_chosen():
    """Of 100 rows 10 have the outcome: 4 of the top 5, 1 of the top 1, 2 of the first 3."""
    y = np.zeros(100)
    y[[0, 2, 3, 4, 50, 60, 70, 80, 90, 99]] = 1
    test = rows(y)
    found = worked(-np.arange(100.0), test, Bootstrap.of(test.account, 60, 0), capacity=3)
    assert found["precision_at_1pct"][0] == 1.0
    assert found["precision_at_5pct"][0] == pytest.approx(0.8)
    assert found["lift_at_5pct"][0] == pytest.approx(8.0)
    assert found["precision_at_capacity"][0] == pytest.approx(2 / 3)


def test_smooth_ece_is_small_when_calibrated_and_the_shift_when_shifted():
    """A fifth too much everywhere is an error of a fifth."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.3, 0.7, 8000)
    test = rows(rng.random(8000) < p)
    sample = Bootstrap.of(test.account, 50, 1)
    assert smooth_ece(p, test.y, sample)[0] < 0.02
    assert smooth_ece(p + 0.2, test.y, sample)[0] == pytest.approx(0.2, abs=0.02)


def test_profit_counts_money_kept_and_contacts_paid():
    """Two contacts at 10 each; the second keeps half a year of 100 a month with the chance .5."""
    test = rows([0, 1, 0], mrr=[50, 100, 50])
    share, money = profit(np.array([3.0, 2, 1]), test, Contact(cost=10.0, works=0.5, months=6))
    assert share.tolist() == [0, 1 / 3, 2 / 3, 1]
    assert money.tolist() == [0, -10, 280, 270]


def test_slices_cut_at_their_edges_and_leave_missing_out():
    """30 days to the renewal belong to the first band; an account without a term to none."""
    column = Column("days_to_renewal", "renewal", "days", "fixed", 0, None)
    plan = Column("plan_name", "plan", "", "fixed", 0, ("team", "pro"))
    X = np.array([[30, 0], [31, 1], [91, np.nan], [np.nan, 0]], np.float32)
    found = masks(
        rows([0, 0, 0, 0], X=X, columns=(column, plan)), np.array([True, True, False, False])
    )
    assert found["renewal within 30 days"].tolist() == [True, False, False, False]
    assert found["renewal in 31 to 90 days"].tolist() == [False, True, False, False]
    assert found["renewal later"].tolist() == [False, False, True, False]
    assert found["plan team"].tolist() == [True, False, False, True]
    assert found["accounts never seen"].tolist() == [False, False, True, True]


def test_a_cut_off_tells_seen_and_never_seen_apart():
    """A model that knows only the accounts it has seen."""
    rng = np.random.default_rng(2)
    margin = rng.normal(-1, 1.5, 2000)
    test = rows(rng.random(2000) < expit(margin))
    seen = np.arange(2000) < 1000
    blind = np.where(seen, margin, rng.normal(-1, 1.5, 2000))
    cut = CutOff(np.datetime64("2023-12-01"), test, seen, 0.3, 400, {"model": blind, "mrr": margin})
    training = type("Training", (), {"bootstrap": 60, "seed": 1, "capacity": 20})
    (found,) = backtested([cut], training)
    assert found.seen.low > 0.7
    assert found.unseen.low < 0.5 < found.unseen.high
    assert found.baselines["mrr"]["auc"].value > found.figures["auc"].value
    assert (found.until, found.positives) == ("2023-12-01", int(test.y.sum()))


def test_a_bootstrap_of_accounts_takes_all_rows_of_an_account_or_none():
    """As often as it was drawn."""
    block = rows(np.zeros(60))
    block = Dataset(block.X, block.y, np.repeat(np.arange(20), 3), block.as_of, block.mrr, ())
    found = resampled(block, np.random.default_rng(0))
    times = np.bincount(found.account, minlength=20)
    assert (times % 3 == 0).all()
    assert times.sum() == 60
    assert (times == 0).any()


def test_agreement_is_one_for_the_same_and_nothing_for_other_signals():
    """By names and by weight."""
    ours = np.array([[9.0, 5, 1, 0, 0, 0]])
    assert agreed(ours, ours).weight == agreed(ours, ours).names == 1.0
    assert agreed(ours, np.array([[0.0, 0, 0, 1, 2, 3]])).names == 0.0
