"""What accounts are made alike in before two of them are compared."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from training.insights.effects import Fit, Floats, Ints, logistic
from training.insights.landmarks import Landmarks, columns_present

USE = ("events_28d", "events_90d", "active_days_28d", "active_days_90d")
MORE_USE = ("active_days_7d", "active_users_28d", "minutes_28d", "users_joined",
            "champion_days_quiet", "cbi", "pricing_interest_28d", "limit_hits_28d",
            "events_prev_28d", "sessions_28d", "sessions_90d", "days_since_use", "users_lost_28d",
            "top_user_share_28d", "tickets_28d", "tickets_90d", "tickets_open",
            "failed_payments_90d", "administration_28d")  # fmt: skip
COMPANY = ("employees", "seats", "tenure_days", "price_per_seat", "discount")
WORDS = ("plan", "industry", "channel")
AGES = (7, 14, 21, 35, 60, 90, 180, 365)
FEWEST_ACCOUNTS = 30
PENALTY = 1.0
ALIKE_ROWS = 100
READ = (*USE, *MORE_USE, *COMPANY, "industry", "channel", "in_trial", "billing_months",
        "days_to_renewal", "events_slope_12w")  # fmt: skip
"""The features that adjustment reads, where the settings have them."""
NEAR_RENEWAL_DAYS = 90


@dataclass(frozen=True)
class Adjusters:
    """Standardised columns by which accounts are made alike; the constant is not among them."""

    Z: Floats

    def design(self, *first: Floats) -> tuple[Floats, Floats]:
        """A constant, the columns asked about, then the adjusters; and the penalty of each."""
        asked = np.column_stack(first) if first else np.zeros((len(self.Z), 0))
        X = np.column_stack([np.ones(len(self.Z)), asked, self.Z])
        free = 1 + asked.shape[1]
        return X, np.r_[np.zeros(free), np.full(self.Z.shape[1], PENALTY)]


def adjusters(found: Landmarks, *, use: bool = True) -> Adjusters:
    """Engagement (if `use`), age, plan and contract, company, and the quarter of the year.

    Amounts enter as logarithms, bent at their quartiles where use is concerned; all as known at
    each row's `as_of`.
    """
    rows = found.rows
    parts = [_context(rows), _ages(rows), _words(rows), _quarters(rows)]
    if use:
        parts = [_use(rows), *parts]
    return Adjusters(standard(pd.concat(parts, axis=1).to_numpy(dtype=float)))


def _use(rows: pd.DataFrame) -> pd.DataFrame:
    made: dict[str, Floats] = {}
    for name in columns_present(rows, USE):
        value = logs(rows[name])
        made[name] = value
        for part in (0.25, 0.5, 0.75):
            made[f"{name} {part}"] = np.maximum(value - np.quantile(value, part), 0)
    made |= {name: logs(rows[name]) for name in columns_present(rows, MORE_USE)}
    if "events_slope_12w" in rows:
        made["slope"] = rows["events_slope_12w"].fillna(0).clip(-1, 1).to_numpy(dtype=float)
    return pd.DataFrame(made, index=rows.index)


def _context(rows: pd.DataFrame) -> pd.DataFrame:
    made = {name: logs(rows[name]) for name in columns_present(rows, COMPANY)}
    if "employees" in made:
        made["employees^2"] = made["employees"] ** 2
    if "in_trial" in rows:
        made["in_trial"] = rows["in_trial"].fillna(0).to_numpy(dtype=float)
    if {"billing_months", "days_to_renewal"} <= set(rows.columns):
        yearly = np.where(rows["billing_months"] >= 12, 1.0, 0.0)
        near = np.where(rows["days_to_renewal"] < NEAR_RENEWAL_DAYS, 1.0, 0.0)
        made |= {"yearly": yearly, "near renewal": yearly * near}
    return pd.DataFrame(made, index=rows.index)


def _ages(rows: pd.DataFrame) -> pd.DataFrame:
    age = rows["age_days"].to_numpy(dtype=float)
    bands = {f"age {b}": np.where(age >= b, 1.0, 0.0) for b in AGES}
    return pd.DataFrame(bands | {"age": age / 100}, index=rows.index)


def _words(rows: pd.DataFrame) -> pd.DataFrame:
    made = {}
    for name in columns_present(rows, WORDS):
        accounts = rows.groupby(name, observed=True)["account_id"].nunique()
        for word in sorted(accounts.index[accounts >= FEWEST_ACCOUNTS])[1:]:
            made[f"{name} {word}"] = (rows[name] == word).to_numpy(dtype=float)
    return pd.DataFrame(made, index=rows.index)


def _quarters(rows: pd.DataFrame) -> pd.DataFrame:
    quarter = rows["as_of"].dt.to_period("Q").astype(str)
    return pd.get_dummies(quarter, drop_first=True).astype(float)


def logs(values: "pd.Series[float]") -> Floats:
    """log(1 + amount), 0 where it is missing.

    >>> logs(pd.Series([0.0, np.nan, np.e - 1])).tolist()
    [0.0, 0.0, 1.0]
    """
    filled = values.astype(float).fillna(0).clip(lower=0).to_numpy(dtype=float)
    return np.asarray(np.log1p(filled))


def standard(columns: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; those that hardly differ are left out."""
    spread = columns.std(axis=0)
    kept = columns[:, spread > 0.02]
    return np.asarray((kept - kept.mean(axis=0)) / kept.std(axis=0))


def expected(found: Landmarks, alike: Adjusters) -> tuple[Floats, Fit]:
    """The chance of the outcome that the adjusters alone give each row, and their fit."""
    X, ridge = alike.design()
    fit = logistic(X, found.y, found.account, ridge)
    return np.asarray(expit(X @ fit.beta)), fit


def strata(chance: Floats) -> Ints:
    """Rows of about the same chance together, about a hundred in each, numbered from 0.

    In wide bands the chance would no longer be what the adjusters give, and the fits would lean on
    the candidates to make up for it.
    """
    bands = max(len(chance) // ALIKE_ROWS, 5)
    edges = np.quantile(chance, np.arange(1, bands) / bands)
    return np.asarray(np.searchsorted(edges, chance), dtype=np.int64)
