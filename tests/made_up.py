"""A made-up company for the tests of training: simulated, its signal planted and known."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.catalog import catalogue
from features.read_settings import parse_settings
from features.settings import Settings
from training.observations import PAIR, History, schedule

START = np.datetime64("2023-01-01")


@dataclass(frozen=True)
class World:
    """Settings, what happened, and a feature table that saw the accounts' inclination."""

    settings: Settings
    history: History
    table: pd.DataFrame


def made_up_settings(**outcomes: dict) -> Settings:
    """A small company's settings; `outcomes` replace the usual three."""
    usual = {
        "pql": {"horizon_days": 30, "min_age_days": 3, "every_days": 15},
        "upgrade": {"horizon_days": 60, "every_days": 15},
        "churn": {"horizon_days": 60, "every_days": 15},
    }
    columns = {"message_id": "id", "event_time": "at", "account_id": "account", "event": "name"}
    return parse_settings(
        {
            "company": {"name": "Made Up", "simulated": True},
            "sources": [{"name": "s", "table": "events", "path": "x.csv", "columns": columns}],
            "plans": {"ladder": ["free", "team", "pro"], "free": ["free"]},
            "events": {"logins": ["login"], "core_use_cases": ["report"]},
            "outcomes": outcomes or usual,
            "training": {"seed": 3, "threads": 2, "bootstrap": 60},
        }
    )


def world(
    settings: Settings | None = None,
    *,
    accounts: int = 800,
    days: int = 540,
    strength: float = 1.5,
    rates: dict[str, float] | None = None,
    seed: int = 1,
) -> World:
    """Accounts whose inclination drifts from day to day and drives what they do and what they use.

    `strength` 0: what they use says nothing. `rates`: logit of the daily chance of each change.
    """
    settings = settings or made_up_settings()
    rates = {"convert": -5.8, "upgrade": -6.2, "churn": -6.2} | (rates or {})
    rng = np.random.default_rng(seed)
    drift = inclinations(rng, accounts, days)
    ids = np.array([f"a{i:05d}" for i in range(accounts)])
    born = rng.integers(0, int(days * 0.6), accounts)
    happened = lives(rng, drift, born, rates)
    history = History(
        accounts=pd.DataFrame(
            {"account_id": ids, "created_at": utc(born), "is_internal": False}
            | {"first": START.astype(int) + born + 1, "end": 10**6}
        ),
        changes=pd.DataFrame(
            {
                "account_id": ids[happened["who"]],
                "time": utc(happened["day"]) + pd.Timedelta(hours=12),
                "kind": happened["kind"],
            }
        ),
        terms=pd.DataFrame({"account_id": ids[:0], "start": utc(born[:0]), "end": utc(born[:0])}),
        first_day=START.astype(dt.date),
        until=(START + np.timedelta64(days, "D")).astype(dt.date),
    )
    table = features_of(rng, settings, history, happened, drift * strength)
    return World(settings, history, table)


def inclinations(rng: np.random.Generator, accounts: int, days: int) -> np.ndarray:
    """Accounts × days: a slow drift about each account's own level, spread about 1."""
    level = rng.normal(0, 0.7, (accounts, 1))
    drift = np.zeros((accounts, days))
    for day in range(1, days):
        drift[:, day] = 0.97 * drift[:, day - 1] + rng.normal(0, 0.17, accounts)
    return level + drift


def lives(
    rng: np.random.Generator, drift: np.ndarray, born: np.ndarray, rates: dict[str, float]
) -> pd.DataFrame:
    """Each account's changes: it converts once, may upgrade, and may leave for good."""

    def first(kind: str, sign: int, after: np.ndarray) -> np.ndarray:
        chance = 1 / (1 + np.exp(-(rates[kind] + sign * drift)))
        happens = (rng.random(drift.shape) < chance) & (np.arange(drift.shape[1]) > after[:, None])
        return np.where(happens.any(axis=1), happens.argmax(axis=1), 10**6)

    convert = first("convert", 1, born)
    churn = first("churn", -1, convert)
    upgrade = first("upgrade", 1, convert)
    found = {
        "convert": convert,
        "upgrade": np.where(upgrade < churn, upgrade, 10**6),
        "churn": churn,
    }
    parts = [
        pd.DataFrame({"who": np.arange(len(born)), "day": d, "kind": k}) for k, d in found.items()
    ]
    return pd.concat(parts).query("day < 1000000").reset_index(drop=True)


def features_of(
    rng: np.random.Generator,
    settings: Settings,
    history: History,
    happened: pd.DataFrame,
    seen: np.ndarray,
) -> pd.DataFrame:
    """The feature table of all observations: some columns see the inclination, most do not."""
    wanted = settings.outcomes.declared().items()
    pairs = pd.concat([schedule(history, t, n) for n, t in wanted]).drop_duplicates()
    table = pairs.sort_values(PAIR, ignore_index=True)
    who = table["account_id"].str[1:].astype(int).to_numpy()
    day = (table["as_of"].to_numpy(dtype="datetime64[D]") - START).astype(int)
    table = table.assign(**context(history, happened, who, day))
    signal = seen[who, np.minimum(day, seen.shape[1]) - 1]
    columns = {}
    for place, feature in enumerate(catalogue(settings).features):
        noise = rng.normal(size=len(table))
        if feature.categorical:
            columns[feature.name] = rng.choice(["alpha", "beta", "gamma"], len(table))
        elif feature.name == "cbi":
            columns[feature.name] = np.float32(50 + 8 * (0.3 * signal + noise))
        else:
            loading = (0.9 if place % 9 == 0 else 0.0) * (feature.direction or 1)
            columns[feature.name] = np.float32(np.exp(0.4 * (loading * signal + noise)))
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def context(
    history: History, happened: pd.DataFrame, who: np.ndarray, day: np.ndarray
) -> dict[str, np.ndarray]:
    """The context columns: who is a prospect, a customer, gone, as of each day's midnight."""
    when = {k: np.full(len(history.accounts), 10**6) for k in ("convert", "upgrade", "churn")}
    for kind, rows in happened.groupby("kind"):
        when[str(kind)][rows["who"]] = rows["day"]
    bought, left, rose = (day > when[k][who] for k in ("convert", "churn", "upgrade"))
    born = history.accounts["created_at"].to_numpy(dtype="datetime64[D]")[who]
    population = np.where(left, "former", np.where(bought, "customer", "prospect"))
    return {
        "population": population,
        "plan": np.where(bought, np.where(rose, "pro", "team"), "free"),
        "mrr": np.where(bought & ~left, 20.0 + who % 100, 0.0),
        "term_end": np.full(len(who), None),
        "cancel_announced": np.zeros(len(who), dtype=bool),
        "is_internal": np.zeros(len(who), dtype=bool),
        "age_days": (START + day.astype("timedelta64[D]") - born).astype(int).astype(np.float32),
    }


def utc(days: np.ndarray) -> pd.DatetimeIndex:
    """Days after the start as moments in UTC."""
    moments = START + np.asarray(days).astype("timedelta64[D]")
    return pd.DatetimeIndex(moments.astype("datetime64[us]")).tz_localize("UTC")
