import numpy as np
import pytest

from benchmarks.few import campaign, main, sized, table
from features.errors import RefusedError
from training.evaluate import Figure
from training.fitting import few
from training.split import split

HORIZON = 30


def test_intervals_of_few_positives_hold_the_truth_and_random_labels_are_refused(capsys):
    """The campaign of `python -m benchmarks.few`, a few draws of it, as it prints them."""
    found = campaign(50, 8, 12)
    assert found.auc >= 7 / 8
    assert found.ratio >= 7 / 8
    assert found.refused == 1
    assert 50 <= found.learnt < 53
    assert table([found]).endswith(f"| {found.refused:.3f} |")
    main(["--outcomes", "200", "--draws", "3", "--labellings", "3"])
    assert "| 1.000 |" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", [20, 50, 100, 200])
def test_the_campaign(outcomes, capsys):
    """Many draws: intervals cover as promised, and of random labels one in forty passes at most."""
    found = campaign(outcomes, 100, 300)
    with capsys.disabled():
        print(f"\n{found}")
    assert found.auc >= 0.90
    assert found.ratio >= 0.90
    assert found.refused >= 0.975


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
