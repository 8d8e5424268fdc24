import lightgbm as lgb
import numpy as np
import pytest
from scipy.special import expit, logit

from training.fitting.calibrate import Affine, affine, average, contributions, fold, margins
from training.records.bundle import golden, thresholds


@pytest.fixture(scope="module")
def boosters():
    """Three boosters that differ by their seeds, and rows with missing values."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 6)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    y = (rng.random(3000) < expit(np.nan_to_num(X[:, 0]) - 3)).astype(float)
    parameters = {"objective": "binary", "num_leaves": 7, "max_depth": 3, "verbosity": -1,
                  "num_threads": 1, "bagging_fraction": 0.7, "bagging_freq": 1}  # fmt: skip
    data = lgb.Dataset(X, y, free_raw_data=False)
    return [lgb.train(parameters | {"bagging_seed": s}, data, 20) for s in range(3)], X, y


def test_the_average_of_boosters_is_one_booster_with_their_mean_margin(boosters):
    """To the last bits, on rows with missing values too."""
    several, X, _ = boosters
    mean = np.mean([margins(b, X, 1) for b in several], axis=0)
    one = average(several)
    assert one.num_trees() == 60
    np.testing.assert_allclose(margins(one, X, 1), mean, atol=1e-12, rtol=0)


def test_calibration_is_in_the_leaves_and_contributions_sum_to_it_after_reload(boosters):
    """sigmoid(raw) is the calibrated probability; contributions sum to its log-odds to 1e-9."""
    several, X, _ = boosters
    raw = average(several)
    folded = fold(raw, Affine(1.37, -0.21))
    reloaded = lgb.Booster(model_str=folded.model_to_string())
    expected = 1.37 * margins(raw, X, 1) - 0.21
    np.testing.assert_allclose(margins(reloaded, X, 1), expected, atol=1e-9, rtol=0)
    np.testing.assert_allclose(reloaded.predict(X), expit(expected), atol=1e-9, rtol=0)
    parts = contributions(reloaded, X, 1)
    np.testing.assert_allclose(parts.sum(axis=1), expected, atol=1e-9, rtol=0)
    scaled = 1.37 * contributions(raw, X, 1)
    np.testing.assert_allclose(parts[:, :-1], scaled[:, :-1], atol=1e-9, rtol=0)


def test_text_keeps_every_bit(boosters):
    """Saving and loading a model changes no score."""
    folded = fold(average(boosters[0]), Affine(0.9, 0.123456789))
    again = lgb.Booster(model_str=folded.model_to_string())
    np.testing.assert_array_equal(margins(again, boosters[1], 1), margins(folded, boosters[1], 1))


def test_a_model_of_one_leaf_can_be_calibrated():
    """Where nothing could be learnt the model is a constant, and still exact."""
    X = np.zeros((100, 2), dtype=np.float32)
    y = (np.arange(100) < 20).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    flat = [lgb.train(parameters, lgb.Dataset(X, y), 5) for _ in range(3)]
    folded = fold(average(flat), Affine(1.0, 0.5))
    assert margins(folded, X, 1)[0] == pytest.approx(logit(0.2) + 0.5, abs=1e-9)
    assert contributions(folded, X[:1], 1).sum() == pytest.approx(logit(0.2) + 0.5, abs=1e-9)


def test_affine_finds_the_slope_and_intercept_that_made_the_labels():
    """With 20,000 rows the planted calibration comes back."""
    rng = np.random.default_rng(1)
    margin = rng.normal(-1, 1.5, 20_000)
    y = (rng.random(20_000) < expit(0.6 * margin + 0.4)).astype(float)
    found = affine(margin, y)
    assert found.slope == pytest.approx(0.6, abs=0.05)
    assert found.intercept == pytest.approx(0.4, abs=0.08)


def test_few_positives_move_only_the_intercept():
    """Under 300 positives expected equals observed, and the slope is left alone."""
    rng = np.random.default_rng(2)
    margin = rng.normal(-2, 1, 1500)
    y = (rng.random(1500) < expit(0.5 * margin - 1)).astype(float)
    found = affine(margin, y)
    assert found.slope == 1.0
    assert expit(found(margin)).sum() == pytest.approx(y.sum(), rel=1e-6)


def test_golden_rows_are_made_up_and_repeatable(boosters):
    """They hold missing values, sit on thresholds and score as the model does."""
    model = average(boosters[0]).model_to_string()
    features = [{"name": f"f{i}"} for i in range(6)]
    rows = golden(model, features)
    assert rows == golden(model, features)
    X = np.array([[np.nan if v is None else v for v in r["values"]] for r in rows], np.float32)
    assert len(rows) == 20
    assert np.isnan(X).any()
    expected = [r["probability"] for r in rows]
    np.testing.assert_allclose(lgb.Booster(model_str=model).predict(X), expected, atol=1e-12)


def test_an_infinite_threshold_gives_no_golden_value():
    """LightGBM writes one where it splits missing from the rest; JSON could not hold it."""
    assert thresholds("split_feature=0 1\nthreshold=inf 2.5\n") == {0: [], 1: [2.5]}


def test_shap_computes_the_contributions_that_lightgbm_gives(boosters):
    """By shap's own algorithm on the trees it has read, missing values too; to 1e-9."""
    shap = pytest.importorskip("shap")
    folded = fold(average(boosters[0]), Affine(1.2, -0.1))
    X = boosters[1][:50].astype(np.float64)
    explainer = shap.TreeExplainer(folded)
    # For LightGBM shap would ask LightGBM, and we would compare it with itself: take that way out.
    explainer.model.model_type = "internal"
    explainer.model.original_model = None
    theirs = explainer(X, check_additivity=False)
    ours = contributions(folded, X, 1)
    np.testing.assert_allclose(theirs.values, ours[:, :-1], atol=1e-9, rtol=0)
    np.testing.assert_allclose(theirs.base_values, ours[:, -1], atol=1e-9, rtol=0)
    assert np.isnan(X).any()
    assert np.abs(theirs.values).max() > 0.1
