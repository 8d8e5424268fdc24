import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from training.dataset import Dataset
from training.evaluate import (
    Bootstrap,
    Ranking,
    difference,
    draws,
    figure,
    log_losses,
    within_capacity,
)
from training.judging.worklist import captured, within_reach
from training.slices import sliced


def sample(rows=4000, accounts=400, seed=0):
    """Calibrated log-odds, the labels they made, and whose row each is."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-2, 1.2, rows)
    y = (rng.random(rows) < expit(margin)).astype(float)
    account = rng.integers(0, accounts, rows)
    as_of = np.datetime64("2024-01-01") + 7 * rng.integers(0, 8, rows).astype("timedelta64[D]")
    return margin, Dataset(np.empty((rows, 0), np.float32), y, account, as_of,
                           rng.integers(10, 90, rows).astype(float), ())  # fmt: skip


def test_weighted_ranking_equals_scikit_learn():
    """AUC and average precision with weights and ties are the library's."""
    rng = np.random.default_rng(1)
    score = rng.normal(size=500).round(1)
    y = (rng.random(500) < expit(score - 1)).astype(float)
    weights = rng.integers(0, 4, 500).astype(float)
    auc, precision = Ranking(score, y).both(weights)
    assert auc == pytest.approx(roc_auc_score(y, score, sample_weight=weights), abs=1e-12)
    expected = average_precision_score(y, score, sample_weight=weights)
    assert precision == pytest.approx(expected, abs=1e-12)


def test_a_calibrated_model_shows_slope_one_and_observed_over_expected_one():
    """Both intervals hold 1, skill is positive, lift is above 1."""
    margin, test = sample()
    found = draws(margin, test, Bootstrap.of(test.account, 100, 3), prevalence=float(test.y.mean()),
                  capacity=50).figures()  # fmt: skip
    assert found["calibration_slope"].low < 1 < found["calibration_slope"].high
    assert found["observed_expected"].low < 1 < found["observed_expected"].high
    assert found["calibration_intercept"].value == pytest.approx(0, abs=0.2)
    assert found["log_loss_skill"].low > 0
    assert found["lift_top_decile"].low > 1.5


def test_a_constant_has_no_skill_and_no_ranking():
    """The training prevalence itself scores AUC .5 and skill 0."""
    _, test = sample()
    prevalence = float(test.y.mean())
    constant = np.full(len(test.y), np.log(prevalence / (1 - prevalence)))
    found = draws(constant, test, Bootstrap.of(test.account, 50, 3), prevalence=prevalence,
                  capacity=50).figures()  # fmt: skip
    assert found["auc"].value == 0.5
    assert found["log_loss_skill"].value == pytest.approx(0, abs=1e-12)


def test_intervals_grow_when_rows_of_an_account_move_together():
    """Resampling accounts, not rows: copies of a row add no certainty."""
    margin, test = sample(rows=400, accounts=400)
    copies = test.take(np.ones(400, dtype=bool))
    tenfold = Dataset(copies.X.repeat(10, 0), copies.y.repeat(10), np.arange(400).repeat(10),
                      copies.as_of.repeat(10), copies.mrr.repeat(10), ())  # fmt: skip
    widths = []
    for data, m in ((tenfold, margin.repeat(10)), (sample(4000, 4000)[1], sample(4000, 4000)[0])):
        boot = Bootstrap.of(data.account, 200, 5)
        auc = draws(m, data, boot, prevalence=0.15, capacity=50).figures()["auc"]
        widths.append(auc.high - auc.low)
    assert widths[0] > 2 * widths[1]


def test_one_step_resampling_of_the_slope_is_close_to_refitting():
    """Newton's single step gives the interval that full refits give."""
    from sklearn.linear_model import LogisticRegression

    margin, test = sample(rows=2000)
    boot = Bootstrap.of(test.account, 40, 9)
    ours = draws(margin, test, boot, prevalence=0.15, capacity=50).calibration_slope
    weights = list(boot.by_row())
    for k in (0, 7, 23):
        model = LogisticRegression(C=1e9, tol=1e-10)
        model.fit(margin[:, None], test.y, sample_weight=weights[k])
        assert ours[k] == pytest.approx(model.coef_[0, 0], abs=0.03)


def test_a_paired_difference_is_narrower_than_two_intervals():
    """A slightly worse ordering is told apart on the same resamples."""
    margin, test = sample()
    boot = Bootstrap.of(test.account, 200, 2)
    noisy = margin + np.random.default_rng(4).normal(0, 1.0, len(margin))
    ours, theirs = (draws(m, test, boot, prevalence=0.15, capacity=50) for m in (margin, noisy))
    paired, alone = difference(ours.auc, theirs.auc), figure(ours.auc)
    assert paired.low > 0
    assert paired.high - paired.low < alone.high - alone.low


def test_capacity_is_spent_on_each_day():
    """The team works so many accounts each day; of the whole period where days hold fewer."""
    score = np.array([9.0, 8, 7, 1, 2, 3])
    days = np.array(["2024-01-01"] * 3 + ["2024-01-02"] * 3, dtype="datetime64[D]")
    assert within_capacity(score, days, 1).nonzero()[0].tolist() == [0, 5]
    assert within_capacity(score, days, 3).nonzero()[0].tolist() == [0, 1, 2]


def test_mrr_is_caught_by_probability_times_mrr():
    """All that is lost lies in the top decile when the score knows it."""
    margin, test = sample(rows=1000)
    boot = Bootstrap.of(test.account, 50, 0)
    p = np.where(np.cumsum(test.y) <= 20, test.y, 0.0)
    lost = Dataset(test.X, p, test.account, test.as_of, test.mrr, ())
    found = captured(p, lost, boot)
    assert found["mrr_caught_by_p_times_mrr"].value == 1.0
    assert found["mrr_caught_by_mrr_alone"].value < 0.5
    assert margin.shape == p.shape


def test_what_the_team_reaches_is_the_first_of_each_days_list_by_probability_times_mrr():
    """Of two days the team works one account each: one of two positives, the dearer of them."""
    y, mrr = np.array([1.0, 0, 0, 1]), np.array([90.0, 10, 50, 10])
    days = np.array(["2024-01-01"] * 2 + ["2024-01-02"] * 2, dtype="datetime64[D]")
    test = Dataset(np.empty((4, 0), np.float32), y, np.arange(4), days, mrr, ())
    boot = Bootstrap.of(test.account, 50, 0)
    found = within_reach(np.array([0.5, 0.5, 0.5, 0.9]), test, boot, 1)
    assert found["caught_at_capacity"].value == 0.5
    assert found["mrr_caught_at_capacity"].value == 0.9
    assert found["mrr_caught_at_capacity"].low < 0.9


def test_slices_with_few_positives_are_hidden():
    """Under 50 positives nothing is shown."""
    margin, test = sample()
    boot = Bootstrap.of(test.account, 50, 0)
    few = np.cumsum(test.y) <= 49
    found = sliced(margin, test, boot, {"few": few, "all": np.ones(len(test.y), dtype=bool)})
    assert set(found) == {"all"}


def test_log_loss_is_exact_for_certain_scores():
    """No overflow at log-odds of a thousand."""
    assert log_losses(np.array([1000.0, -1000.0]), np.array([1.0, 1.0])).tolist() == [0.0, 1000.0]
