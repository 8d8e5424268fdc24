"""Unfitted models: the baselines first, then the booster's parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

from features.settings import Training
from training.dataset import Column, Dataset
from training.outcomes import Outcome

Matrix = NDArray[np.float32]
SCARCE = 30  # accounts with the outcome, under which only these columns are looked at
CHOSEN = frozenset({
    "cbi", "cbi_frequency", "cbi_time", "cbi_use_cases", "cbi_breadth", "cbi_notifications",
    "days_since_use", "active_days_28d", "logins_28d", "events_trend_7d_28d",
    "logins_trend_7d_28d", "minutes_trend_7d_28d", "core_use_cases_trend_7d_28d", "seats",
    "seats_taken", "seats_full", "days_to_full_seats", "plan_rank", "mrr_now", "days_to_renewal",
    "billing_months", "tenure_days", "age_days",
})  # fmt: skip
FEWEST_CHOSEN = 5
FEW = 300  # positives in training under which the booster is held more tightly


@dataclass(frozen=True)
class Baseline:
    """A model that ours must not be worse than; `make` returns it unfitted."""

    name: str
    make: Callable[[], Any]


def baselines(data: Dataset, outcome: Outcome, training: Training) -> list[Baseline]:
    """The baselines whose columns the table has: CBI rule, recency, logistic."""
    sign = outcome.cbi_sign
    rules = [("cbi", "cbi", sign), ("recency", "days_since_use", -sign)]
    here = [
        Baseline(name, partial(Rule, data.names.index(column), way))
        for name, column, way in rules
        if column in data.names
    ]
    return [*here, Baseline("logistic", partial(logistic_regression, data.columns, training.seed))]


class Rule:
    """One column as a score, its sign fixed beforehand; only its scale is fitted."""

    def __init__(self, column: int, sign: int) -> None:
        self.column, self.sign = column, sign
        self.fill, self.slope, self.intercept = 0.0, 1.0, 0.0

    def fit(self, X: Matrix, y: NDArray[np.float64]) -> "Rule":
        """Learn what a missing value stands for, and the scale of the log-odds."""
        values = X[:, self.column]
        here = values[~np.isnan(values)]
        self.fill = float(np.median(here)) if len(here) else 0.0
        x = self._values(X)
        spread = float(x.std()) or 1.0
        fitted = LogisticRegression(C=1e3).fit(x[:, None] / spread, y)
        # A wrong sign would turn the rule round: then its values keep their order and say little.
        self.slope = max(float(fitted.coef_[0, 0]), 1e-6) / spread
        self.intercept = float(fitted.intercept_[0])
        return self

    def decision_function(self, X: Matrix) -> NDArray[np.float64]:
        """Log-odds of each row."""
        return self.slope * self._values(X) + self.intercept

    def _values(self, X: Matrix) -> NDArray[np.float64]:
        values = X[:, self.column].astype(np.float64)
        return self.sign * np.where(np.isnan(values), self.fill, values)


def logistic_regression(columns: tuple[Column, ...], seed: int) -> Pipeline:
    """Quantile-normal numbers and one column per category, then a logistic regression."""
    numbers = [i for i, c in enumerate(columns) if c.vocabulary is None]
    words = [i for i, c in enumerate(columns) if c.vocabulary is not None]
    normal = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        QuantileTransformer(n_quantiles=200, output_distribution="normal", subsample=20_000,
                            random_state=seed),
    )  # fmt: skip
    one_hot = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32),
    )
    prepared = ColumnTransformer([("numbers", normal, numbers), ("words", one_hot, words)])
    return make_pipeline(prepared, LogisticRegression(C=0.05, max_iter=500, tol=1e-3))


def threads(rows: int, training: Training) -> int:
    """As many as the settings allow, but one for each 20,000 rows: fewer rows are slower by two.

    >>> threads(30_000, Training(threads=2)), threads(60_000, Training(threads=2))
    (1, 2)
    """
    return max(1, min(training.threads, rows // 20_000))


def booster_parameters(
    columns: tuple[Column, ...],
    training: Training,
    *,
    rows: int,
    positives: int,
    accounts: int,
    seed: int,
) -> dict[str, Any]:
    """LightGBM's parameters: at most 15 leaves and depth 5; tighter where positives are few.

    `accounts`: those with the outcome. Under 30, trees of one split on columns chosen beforehand:
    with 20 accounts of the sample company, AUC over draws .706 (spread .011) for churn and .671
    (.042) for upgrade, against .684 (.040) and .666 (.032) with all columns and seven leaves. From
    50 accounts on all columns are better (upgrade: .747 against .708), still with seven leaves.
    Seeds are given one by one: bins then do not depend on `seed`, so boosters can be averaged.
    """
    few = positives < FEW
    stated = {
        "objective": "binary",
        "learning_rate": 0.03 if few else 0.05,
        "num_leaves": 7 if few else 15,
        "max_depth": 3 if few else 5,
        "min_data_in_leaf": max(60 if not few else 20, rows // (100 if few else 1000)),
        "feature_fraction": 0.25 if few else 0.4,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 20.0 if few else 10.0,
        "monotone_constraints": [c.monotone for c in columns],
        "num_threads": threads(rows, training),
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,
        "data_random_seed": training.seed,
        "bagging_seed": seed,
        "feature_fraction_seed": seed,
        "verbosity": -1,
    }
    return stated | (scarce(columns) if accounts < SCARCE else {})


def scarce(columns: tuple[Column, ...]) -> dict[str, Any]:
    """Trees of one split, on the columns chosen beforehand; on all where there are none of them."""
    chosen = [c.name in CHOSEN or c.name == "stretch" for c in columns]
    tight = {"num_leaves": 2, "max_depth": 1, "learning_rate": 0.05, "lambda_l2": 30.0}
    if sum(chosen) < FEWEST_CHOSEN:
        return tight | {"feature_fraction": 0.25}
    # A gain multiplied by nothing is never the best: the column stays, and is never split on.
    return tight | {"feature_fraction": 0.5, "feature_contri": [float(c) for c in chosen]}
