import dataclasses

import numpy as np
import pytest
from made_up import made_up_settings, world

from features.catalog import catalogue
from features.errors import RefusedError
from training.dataset import schema
from training.evaluate import Figure
from training.fitting.calibrate import Affine, fold
from training.fitting.fit import fit
from training.prepare import labelled, task_of
from training.promoting.challenge import conditions
from training.promoting.compare import (
    OutdatedError,
    as_they_are,
    by_recipe,
    coded_for,
    learnt_until,
    measured,
)
from training.records.registry import Candidate

ONE = {"churn": {"horizon_days": 30, "every_days": 15}}
BUSY = {"convert": -4.0, "churn": -5.5}


@pytest.fixture(scope="module")
def made():
    """A world whose churn shows in use, its task, labelled rows and a version fitted on it."""
    settings = made_up_settings(**ONE)
    told = world(settings, accounts=500, days=450, strength=2.0, rates=BUSY)
    timing = settings.outcomes.declared()["churn"]
    rows = labelled(settings, "churn", timing, told.table, told.history)
    task = task_of(settings, catalogue(settings), "churn", timing, rows)
    fitted = fit(task.data, task.split, settings.training)
    return settings, task, rows, fitted, version(task, fitted, "1")


def version(task, fitted, number, booster=None, **changed):
    """A registered version as MLflow would give it back."""
    blocks = {
        name: {"to": str(task.data.as_of[rows].max())} for name, rows in task.split.blocks.items()
    }
    files = {
        "card.json": {"blocks": blocks, "cut_off": "2023-01-01", "gap_days": task.split.gap_days},
        "schema.json": schema(task.data.columns),
        "recipe.json": {"parameters": fitted.parameters | changed, "rounds": fitted.rounds},
    }
    return Candidate("churn", number, "", (booster or fitted.booster).model_to_string(), files)


def test_models_are_judged_only_on_rows_behind_both_cut_offs_and_the_gap(made):
    """The later of the two cut-offs counts, and the gap behind it."""
    settings, task, rows, fitted, one = made
    later = version(task, fitted, "2")
    later.files["card.json"]["learnt_until"] = str(learnt_until(one) + np.timedelta64(15, "D"))
    X = coded_for(one, rows)
    np.testing.assert_array_equal(X, task.data.X)
    judged = as_they_are(one, later, task, (X, X), settings)
    gap = np.timedelta64(task.split.gap_days + 15, "D")
    assert judged.test.as_of.min() >= learnt_until(one) + gap
    assert set(judged.period) == {0, 1}
    assert str(learnt_until(later)) in judged.how


def test_a_model_against_itself_differs_by_nothing_and_passes(made):
    """Every difference is zero, on two periods."""
    settings, task, rows, _, one = made
    X = coded_for(one, rows)
    found = measured(one, one, as_they_are(one, one, task, (X, X), settings), settings)
    assert {f.value for f in found.differences.values()} == {0.0}
    assert len(found.periods) == 2
    assert sum(p.positives for p in found.periods) == found.positives
    assert all(c.passed for c in conditions(found))


def test_a_worse_model_is_told_apart_and_refused(made):
    """Twice the log-odds: the same order, worse probabilities."""
    settings, task, rows, fitted, one = made
    bold = version(task, fitted, "2", fold(fitted.booster, Affine(2.5, 0.0)))
    X = coded_for(one, rows)
    found = measured(one, bold, as_they_are(one, bold, task, (X, X), settings), settings)
    assert found.differences["auc"].value == 0.0
    assert found.differences["log_loss"].low > 0
    failed = [c.what for c in conditions(found) if not c.passed]
    assert failed == [
        "log loss no worse than champion 1's",
        "log loss surely not 0.5% worse than champion 1's (upper 90 %)",
    ]


def test_without_later_rows_the_recipes_are_refitted_at_common_cut_offs(made):
    """It says so; the weaker recipe loses, and no row is judged that a refit has seen."""
    settings, task, rows, fitted, one = made
    weak = version(task, fitted, "2", min_data_in_leaf=2000)
    for v in (one, weak):
        v.files["card.json"]["learnt_until"] = str(task.data.as_of.max())
    X = coded_for(one, rows)
    assert as_they_are(one, weak, task, (X, X), settings) is None
    judged = by_recipe(one, weak, task, (X, X), settings)
    assert "the recipes: each refitted at" in judged.how
    assert len(judged.margins[0]) == len(judged.margins[1]) == len(judged.test.y)
    found = measured(one, weak, judged, settings)
    assert found.differences["auc"].value < -0.01
    assert not all(c.passed for c in conditions(found))
    del one.files["card.json"]["learnt_until"]


def test_a_feature_no_longer_made_and_no_time_at_all_are_errors_in_words(made):
    """The version and the feature are named; and what the time does not hold."""
    settings, task, rows, _, one = made
    with pytest.raises(OutdatedError, match="version 1 of outcome 'churn', which reads 1 feature"):
        coded_for(one, rows.drop(columns=["logins_7d"]))
    X = coded_for(one, rows)
    empty = dataclasses.replace(task, data=dataclasses.replace(task.data, y=task.data.y * 0))
    with pytest.raises(RefusedError, match="no observations behind both versions' cut-offs"):
        by_recipe(one, one, empty, (X, X), settings)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"periods": 1}, "compared with champion 1 on at least 2 matured cut-offs"),
        ({"bounds": {"log_loss_share": 0.0051, "lift_share": 0.0}}, "at most +0.51%"),
        ({"bounds": {"log_loss_share": 0.0, "lift_share": -0.021}}, "at most -2.1%"),
        ({"slices": {"plan pro": Figure(-0.06, -0.09, -0.031)}}, "the worst is 'plan pro'"),
    ],
)
def test_each_condition_of_a_challenger_refuses_with_its_figure(made, change, reason):
    """One figure beyond its bound, one condition failed."""
    settings, task, rows, _, one = made
    X = coded_for(one, rows)
    found = measured(one, one, as_they_are(one, one, task, (X, X), settings), settings)
    if "periods" in change:
        change = {"periods": found.periods[:1]}
    failed = [c for c in conditions(dataclasses.replace(found, **change)) if not c.passed]
    assert len(failed) == 1
    assert reason in str(failed[0])
