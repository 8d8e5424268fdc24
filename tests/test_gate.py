import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from made_up import made_up_settings, world

from features.catalog import catalogue
from features.errors import RefusedError
from training.dataset import leaks, separation
from training.evaluate import Figure
from training.fitting.fit import fit
from training.fitting.hazard import follow
from training.fitting.models import baselines
from training.judging.assess import assess
from training.judging.gate import judge
from training.prepare import prepare
from training.split import blocks, split

ONE = {"churn": {"horizon_days": 30, "every_days": 15}}
BUSY = {"convert": -4.0, "churn": -5.5}


def assessed(made, table=None, name="churn"):
    """The job without the registry: prepare, fit, judge."""
    settings = made.settings
    timing = settings.outcomes.declared()[name]
    features = catalogue(settings)
    frame = made.table if table is None else table
    task = prepare(settings, features, name, timing, frame, made.history)
    suspects = leaks(task.data.take(task.split.learn), {"churn"})
    fitted = fit(task.data, task.split, settings.training)
    rivals = baselines(task.data, task.outcome, settings.training)
    return task, assess(task.data, task.split, fitted, rivals, suspects, settings)


@pytest.fixture(scope="module")
def planted():
    """A world whose churn is announced by falling use."""
    return world(made_up_settings(**ONE), accounts=700, strength=2.0, rates=BUSY)


def test_a_planted_signal_passes(planted):
    """Every condition holds, and the model beats the rules."""
    task, found = assessed(planted)
    assert found.verdict.passed, found.verdict.reasons
    assert task.split.protocol == "development and test"
    assert found.figures["auc"].low > 0.6
    assert found.differences["cbi"]["auc"].low > 0
    assert set(found.baselines) == {"cbi", "recency", "logistic"}


def test_with_plenty_of_positives_tuning_and_calibration_have_blocks_of_their_own(
    planted, monkeypatch
):
    """Each behind a gap; what is learnt there passes too, and tells when."""
    monkeypatch.setattr("training.split.PLENTY", 40)
    task, found = assessed(planted)
    assert task.split.protocol == "four blocks"
    ends = [task.data.as_of[task.split.blocks[name]] for name in ("train", "tune", "calibrate")]
    assert all(b.min() - a.max() >= np.timedelta64(30, "D") for a, b in pairwise(ends))
    assert found.verdict.passed, found.verdict.reasons
    when = follow(task.watch, task.split, task.data, planted.settings.training)
    assert when is not None
    assert when.edges[-1] >= 30


def test_features_that_say_nothing_are_refused():
    """A model at chance does not pass."""
    _, found = assessed(world(made_up_settings(**ONE), accounts=700, strength=0.0, rates=BUSY))
    assert not found.verdict.passed
    assert "better than chance" in " ".join(found.verdict.reasons)


def test_features_of_another_day_are_refused(planted):
    """The same features, shuffled between observations, lose their signal."""
    rng = np.random.default_rng(0)
    table = planted.table.copy()
    names = [f.name for f in catalogue(planted.settings).features]
    table[names] = table[names].to_numpy()[rng.permutation(len(table))]
    numbers = [f.name for f in catalogue(planted.settings).features if not f.categorical]
    table[numbers] = table[numbers].astype(np.float32)
    _, found = assessed(planted, table)
    assert not found.verdict.passed


def test_a_feature_that_knows_the_outcome_is_refused(planted):
    """The alarm names the feature and its AUC, and the gate does not open."""
    table = planted.table.copy()
    left = planted.history.changes.query("kind == 'churn'").set_index("account_id")["time"]
    when = table["account_id"].map(left).dt.tz_localize(None)
    ahead = (when - table["as_of"]).dt.days
    table["logins_7d"] = np.where(ahead.between(0, 29), 0, 5).astype(np.float32)
    _, found = assessed(planted, table)
    reasons = " ".join(found.verdict.reasons)
    assert not found.verdict.passed
    assert (
        "feature 'logins_7d' does not know the outcome: it separates the outcome alone" in reasons
    )


def figures(auc, skill=0.1):
    """A model's two figures as the gate sees them."""
    return {"auc": auc, "log_loss_skill": Figure(skill, skill, skill)}


GOOD = Figure(0.75, 0.70, 0.80)


def test_worse_than_a_baseline_is_refused():
    """Only when the paired interval lies wholly on the worse side."""
    worse = {"cbi": {"auc": Figure(-0.03, -0.05, -0.01)}}
    level = {"cbi": {"auc": Figure(-0.01, -0.03, 0.01)}}
    assert judge(figures(GOOD), level, [], 100).passed
    verdict = judge(figures(GOOD), worse, [], 100)
    assert verdict.reasons == ("AUC not worse than cbi: difference -0.030 (-0.050 to -0.010)",)


def test_a_worse_log_loss_than_the_logistic_is_refused():
    """A good ranking with worse probabilities does not pass."""
    worse = {"logistic": {"auc": Figure(0, -1, 1), "log_loss": Figure(0.02, 0.01, 0.03)}}
    assert "log loss not worse than logistic" in judge(figures(GOOD), worse, [], 100).reasons[0]


@pytest.mark.parametrize(
    ("found", "positives", "reason"),
    [
        (figures(GOOD), 29, "at least 30 positives in the test period: 29"),
        (figures(Figure(0.6, 0.5, 0.7)), 99, "better than chance"),
        (figures(Figure(np.nan, np.nan, np.nan)), 99, "better than chance"),
        (figures(GOOD, 0.0), 99, "skill from"),
    ],
)
def test_each_condition_refuses_with_its_figure(found, positives, reason):
    """The reason names the condition and what was found."""
    verdict = judge(found, {}, [], positives)
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]


@pytest.mark.parametrize(
    ("told", "agreement", "reason"),
    [
        ({"observed_expected": Figure(0.7, 0.6, 0.89)}, None, "observed over expected"),
        ({"calibration_slope": Figure(1.5, 1.21, 1.8)}, None, "slope of the calibration"),
        ({}, 0.49, "top three reasons (from 0.5): 0.49"),
    ],
)
def test_probabilities_and_reasons_that_do_not_hold_are_refused(told, agreement, reason):
    """Only when the interval lies wholly outside the band; the figure is named."""
    verdict = judge(figures(GOOD) | told, {}, [], 100, agreement=agreement)
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]
    wide = {name: Figure(f.value, 0.5, 1.6) for name, f in told.items()}
    assert judge(figures(GOOD) | wide, {}, [], 100, agreement=0.5).passed


def test_a_column_named_like_an_outcome_raises_the_alarm(planted):
    """Whatever it separates."""
    task, _ = assessed(planted)
    columns = list(task.data.columns)
    columns[5] = dataclasses.replace(columns[5], name="churn")
    found = leaks(dataclasses.replace(task.data, columns=tuple(columns)), {"churn"})
    assert [(leak.feature, leak.alarm) for leak in found] == [("churn", True)]


def test_missing_values_may_be_the_leak():
    """A column back-filled only for those who left is found by its gaps."""
    y = np.array([0.0, 0, 0, 1, 1, 1])
    values = np.array([np.nan, np.nan, np.nan, 4, 4, 4], dtype=np.float32)
    assert separation(values, y) == 1.0
    assert separation(np.array([3, 1, 2, 1, 3, 2], dtype=np.float32), y) == 0.5


def test_no_positives_is_refused_with_counts():
    """The message says how many rows were looked at, and what would be needed."""
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    with pytest.raises(RefusedError, match="no positives for outcome 'churn' in 60 observations"):
        split(days, np.zeros(60), 10, "churn")


def test_blocks_keep_the_gap_between_them():
    """A block's last window is over before the next block's first day."""
    days = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]").repeat(3)
    found = blocks(days, [0.55, 0.12, 0.13, 0.2], 30)
    for before, after in pairwise(found):
        assert days[after].min() - days[before].max() >= np.timedelta64(30, "D")


def test_short_time_falls_back_to_development_and_test():
    """The least share of the time that holds enough positives to test with, behind the gap."""
    days = np.arange("2024-01-01", "2024-05-01", dtype="datetime64[D]").repeat(10)
    y = (np.arange(len(days)) % 10 == 0).astype(float)
    found = split(days, y, 40)
    assert found.protocol == "development and test"
    assert y[found.test].sum() >= 20
    assert days[found.test].min() - days[found.fit].max() >= np.timedelta64(40, "D")


def test_a_span_within_one_gap_is_refused():
    """No test period can lie outside the horizon of the rows learnt from."""
    days = np.arange("2024-01-01", "2024-02-01", dtype="datetime64[D]")
    with pytest.raises(RefusedError, match="too few on one side of a gap of 60 days"):
        split(days, np.ones(len(days)), 60)
