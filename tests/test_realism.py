"""Whether the simulated worlds are as hard, and as possible, to foretell as real ones."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import QuantileTransformer

from features.read_settings import load_settings
from features.settings import Settings
from features.simulate.living import found_company
from features.simulate.oracle import mondays, oracle
from features.simulate.truth import GOLDEN, NOT_CAUSAL, planted
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.table import read_features, refresh
from features.workspace import Workspace
from training.evaluate import Bootstrap, aucs, figure
from training.labels import label
from training.observations import grid, read_history, schedule
from training.outcomes import OUTCOMES, eligible

END = date(2026, 6, 30)
SETTINGS = Path(__file__).parent.parent / "goldpan.toml"
SEEDS = (11, 12, 13)  # 7, 8 and 9 were looked at while the simulator was tuned
HORIZON = 30
LEADS = {"churn": 7}


def _expected_auc(p: np.ndarray) -> float:
    """The AUC of probabilities that are true, over what may happen."""
    order = np.argsort(p)
    wins, misses = p[order], 1 - p[order]
    below = np.cumsum(misses) - misses / 2
    return float((wins * below).sum() / (wins.sum() * misses.sum()))


def test_outcomes_are_as_rare_and_as_uncertain_as_real_ones() -> None:
    """In three worlds about 2 to 4 % within 30 days; even who knows all is often surprised.

    They differ: in the world of seed 13 customers leave half as often again as in that of 11.
    """
    on, size = mondays(date(2025, 9, 1), date(2026, 5, 1)), {"accounts": 1500, "days": 540}
    found = [
        oracle(on=on, **size, seed=seed, horizons=(HORIZON,), leads=LEADS, futures=6).assign(
            seed=seed
        )
        for seed in SEEDS
    ]
    for (name, lead), rows in pd.concat(found).groupby(["outcome", "lead_days"]):
        rates = rows.groupby("seed")["probability"].mean()
        assert rates.between(0.012, 0.06).all(), (name, lead)
        assert 0.02 < rates.mean() < 0.045, (name, lead)
        if lead == LEADS.get(name, 0):
            assert 0.78 < _expected_auc(rows["probability"].to_numpy()) < 0.93, name


def test_worlds_differ_in_more_than_their_accounts() -> None:
    """Another seed has other incidents, another price rise, other competitors and growth."""
    one, other = (found_company(50, 300, seed, END).climate for seed in (1, 2))
    assert one.price[-1] != other.price[-1]
    assert one.growth != other.growth
    assert not np.array_equal(one.incidents, other.incidents)
    assert not np.allclose(one.rival, other.rival)
    assert not np.allclose(one.appetite, other.appetite)


def test_golden_features_are_declared_once_and_have_controls() -> None:
    """Two causes of buying, one of upgrading, one of staying; everything else does nothing."""
    assert {name: len(causes) for name, causes in GOLDEN.items()} == {
        "pql": 2,
        "upgrade": 1,
        "churn": 1,
    }
    for name, causes in GOLDEN.items():
        assert np.count_nonzero(planted(name)) == len(causes)
        assert set(causes).isdisjoint(NOT_CAUSAL[name])
        assert len(causes) + len(NOT_CAUSAL[name]) == 6


@pytest.mark.slow
def test_what_a_model_finds_is_realistic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rates 2-4 %; churn AUC .70-.85, monthly .65-.75; no feature above .82; oracle below .92.

    And a logistic regression is behind, but not far. In each of three worlds; among accounts that
    pay by the month, in the three together, and in each as far as its accounts can tell.
    """
    found = pd.concat([_measured(Workspace(tmp_path / str(seed)), seed) for seed in SEEDS])
    with capsys.disabled():
        print(f"\n{found.round(3).to_string()}")
    assert found["rate"].between(0.02, 0.04).all()
    assert (found["single"] < 0.82).all()
    assert (found["auc"] - found["logistic"]).between(-0.01, 0.10).all()
    assert (found["oracle"] < 0.92).all()
    churn = found.loc["churn"]
    assert churn["auc"].between(0.70, 0.85).all()
    assert 0.65 < churn["monthly"].mean() < 0.75
    assert ((churn["low"] < 0.75) & (churn["high"] > 0.65)).all()


def _measured(place: Workspace, seed: int) -> pd.DataFrame:
    """One world's figures by outcome; `low` and `high` are the ends of those paying monthly."""
    settings = load_settings(SETTINGS)
    simulate(place, accounts=6000, days=720, seed=seed, end=END)
    ingest(place, settings, base=SETTINGS.parent)
    refresh(place, settings, grid(place, settings))
    on = mondays(date(2025, 7, 1), date(2026, 5, 31))
    told = oracle(on=on, seed=seed, end=END, horizons=(HORIZON,), leads=LEADS, futures=32)
    told = told[told["lead_days"] == told["outcome"].map(LEADS).fillna(0)]
    true = {name: rows["probability"].to_numpy() for name, rows in told.groupby("outcome")}
    parts = {
        name: _found(learn, test) | {"seed": seed, "oracle": _expected_auc(true[name])}
        for name, learn, test in _blocks(place, settings)
    }
    return pd.DataFrame(parts).T


def _found(learn: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """What a booster, a logistic regression and the best single number make of the test rows."""
    y, p = test["label"].to_numpy(float), _boosted(learn, test)
    monthly = (test["billing_months"] == 1).to_numpy()
    told = {
        "rate": y.mean(),
        "single": _single(test),
        "auc": roc_auc_score(y, p),
        "logistic": roc_auc_score(y, _logistic(learn, test)),
    }
    if not y[monthly].any():
        return told
    account = pd.factorize(test["account_id"][monthly])[0]
    within = figure(aucs(p[monthly], y[monthly], Bootstrap.of(account, 200, seed=1)))
    return told | {"monthly": within.value, "low": within.low, "high": within.high}


def _blocks(
    place: Workspace, settings: Settings
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Each outcome's rows within `HORIZON`: to learn from, and later ones after a gap."""
    past, table = read_history(place, settings), read_features(place).to_pandas()
    table["as_of"] = pd.to_datetime(table["as_of"]).astype("datetime64[us]")
    for name, outcome in OUTCOMES.items():
        timing = settings.outcomes.declared()[name].model_copy(update={"horizon_days": HORIZON})
        rows = schedule(past, timing, name).merge(table, on=["account_id", "as_of"])
        rows = rows[eligible(outcome, rows, settings, timing)]
        rows = label(rows, past.changes, outcome, timing, past.until)
        cut, gap = rows["as_of"].quantile(0.72), pd.Timedelta(days=timing.lead_days + HORIZON)
        yield name, rows[rows["as_of"] <= cut - gap], rows[rows["as_of"] > cut]


def _numbers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.select_dtypes(["number", "bool"]).drop(columns="label").astype(float)


def _single(test: pd.DataFrame) -> float:
    """The best AUC of any one number."""
    filled = _numbers(test).fillna(-1)
    found = [roc_auc_score(test["label"], filled[name]) for name in filled]
    return float(np.max(np.abs(np.array(found) - 0.5))) + 0.5


def _boosted(learn: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    start = {"learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 60, "reg_lambda": 10}
    noise = {"colsample_bytree": 0.4, "subsample": 0.8, "subsample_freq": 1, "random_state": 1}
    model = lgb.LGBMClassifier(n_estimators=120, num_threads=1, verbosity=-1, **start, **noise)
    model.fit(_numbers(learn), learn["label"])
    return np.asarray(model.predict_proba(_numbers(test)))[:, 1]


def _logistic(learn: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    even = QuantileTransformer(output_distribution="normal", n_quantiles=200)
    x = even.fit_transform(_numbers(learn).fillna(-1))
    model = LogisticRegression(C=0.005, max_iter=500).fit(x, learn["label"])
    return np.asarray(model.predict_proba(even.transform(_numbers(test).fillna(-1))))[:, 1]
