"""The band around a probability holds how many accounts of that score have the outcome."""

import numpy as np
import pytest
from scipy.special import expit, logit

from benchmarks.few import HORIZON, TRAINING, everyone, sized
from training.dataset import Dataset
from training.fitting.band import band
from training.fitting.calibrate import margins
from training.fitting.fit import fit
from training.split import split

BINS = 5


def banded(outcomes: int, seed: int) -> tuple[dict, np.ndarray, np.ndarray]:
    """A model's band, and for fifths of very many accounts: stated log-odds, true log-odds."""
    data = sized(outcomes, seed)
    parts = split(data.as_of, data.y, HORIZON)
    fitted = fit(data, parts, TRAINING)
    test = data.take(parts.test)
    found = band(margins(fitted.booster, test.X, 1), test, TRAINING.bootstrap, seed)
    many = everyone(0.7)
    late = many.take(many.as_of >= test.as_of.min())
    stated = margins(fitted.booster, late.X, 1)
    fifths = np.array_split(np.argsort(stated, kind="stable"), BINS)
    true = [float(logit(late.y[rows].mean())) for rows in fifths]
    return found, np.array([logit(expit(stated[r]).mean()) for r in fifths]), np.array(true)


def inside(found: dict, stated: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Whether the truth of each fifth lies within the band at what the model states."""
    low, high = (np.interp(stated, found["log_odds"], found[side]) for side in ("low", "high"))
    return (low <= true) & (true <= high)


def coverage(outcomes: int, times: int) -> float:
    """The share of fifths, over so many models, whose truth the band holds."""
    return float(np.mean([inside(*banded(outcomes, seed)) for seed in range(times)]))


def test_the_band_holds_the_truth_of_a_few_models() -> None:
    """Of the fifths of the accounts by score, nearly all have the outcome as often as told."""
    assert coverage(60, 4) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("outcomes", "times"), [(30, 60), (60, 60), (200, 40)])
def test_the_band_holds_the_truth_as_often_as_it_says(outcomes: int, times: int) -> None:
    """95 % of the time, with few outcomes and with many; at least 90 % in so many draws."""
    assert coverage(outcomes, times) >= 0.9


def made(rows: int, accounts: int, seed: int = 0) -> tuple[np.ndarray, Dataset]:
    """Log-odds that are true, and what became of accounts drawn by them."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-2, 1, rows)
    y = (rng.random(rows) < expit(margin)).astype(float)
    days = np.full(rows, np.datetime64("2026-01-01"))
    X = np.zeros((rows, 0), np.float32)
    return margin, Dataset(X, y, np.arange(rows) % accounts, days, np.ones(rows), ())


def test_the_band_is_wider_the_fewer_accounts_there_are() -> None:
    """And it always holds what the model states."""
    widths = []
    for accounts in (60, 600, 6000):
        found = band(*made(6000, accounts), 200, 1)
        low, high = np.array(found["low"]), np.array(found["high"])
        assert (low <= found["log_odds"]).all()
        assert (found["log_odds"] <= high).all()
        widths.append((high - low)[20])
    margin, test = made(200, 200)
    assert (np.array(band(margin, test, 200, 1)["high"]) - found["high"])[20] > 0
    assert found["level"] == pytest.approx(0.95)
    assert max(widths) < 2


def test_a_model_that_overstates_has_a_band_that_reaches_down_to_what_happened() -> None:
    """The test period contradicts the model: both lie within the band."""
    margin, test = made(6000, 6000)
    found = band(margin + 1.0, test, 200, 1)
    low = np.interp(-1.0, found["log_odds"], found["low"])
    assert low < -2.0 + 0.2
    assert np.interp(-1.0, found["log_odds"], found["high"]) == -1.0


def test_without_accounts_that_had_the_outcome_there_is_no_band() -> None:
    """One account is no sample."""
    margin, test = made(100, 100)
    y = np.zeros(100)
    y[3] = 1.0
    assert band(margin, test.relabelled(y), 50, 1) is None


def test_one_score_for_everybody_has_a_band_for_its_level() -> None:
    """A constant model's slope cannot be told; its level can."""
    _, test = made(2000, 2000)
    level = float(logit(test.y.mean()))
    found = band(np.full(2000, level), test, 200, 1)
    low, high = (np.interp(level, found["log_odds"], found[side]) for side in ("low", "high"))
    assert low < level < high < low + 0.6
