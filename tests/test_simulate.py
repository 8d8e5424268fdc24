"""The simulator: reproducible, within the contract, consistent, and not trivially easy."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.errors import InputError
from features.events import CONTRACT, STATUSES
from features.read_settings import load_settings
from features.settings import Settings
from features.simulate import offer
from features.simulate.climate import PRICE_RISES_AT
from features.simulate.world import Counts, simulate
from features.workspace import Workspace

END = date(2026, 6, 30)
DAYS = 360
AFTER = datetime(2026, 7, 1, tzinfo=UTC)
FIRST = AFTER - timedelta(days=DAYS)
SETTINGS = Path(__file__).parent.parent / "goldpan.toml"

WRITTEN = ("events", "accounts", "users", "subscriptions")  # everybody is known by name


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Counts]:
    """A small company, made once for this file."""
    workspace = Workspace(tmp_path_factory.mktemp("company"))
    return workspace, simulate(workspace, accounts=600, days=DAYS, seed=7, end=END)


@pytest.fixture(scope="module")
def events(company: tuple[Workspace, Counts]) -> pd.DataFrame:
    """All its events."""
    return pd.read_parquet(company[0].raw / "events")


@pytest.fixture(scope="module")
def billing(company: tuple[Workspace, Counts]) -> pd.DataFrame:
    """Its commercial log, by account in the order of effect."""
    log = pd.read_parquet(company[0].raw / "subscriptions.parquet")
    return log.sort_values(["account_id", "effective_at"], kind="stable", ignore_index=True)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """The sample company's settings."""
    return load_settings(SETTINGS)


def _digest(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _small(folder: Path, seed: int) -> dict[str, str]:
    simulate(Workspace(folder), accounts=40, days=130, seed=seed, end=END)
    return _digest(folder / "raw")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """Two runs with one seed agree in every byte of every file; another seed changes all tables."""
    first, again, other = (
        _small(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert len(first) >= 4 + 4
    del first["identities.parquet"], other["identities.parquet"]  # without merges, both are empty
    assert not set(first.values()) & set(other.values())


def test_files_hold_the_contract_columns_and_types(company: tuple[Workspace, Counts]) -> None:
    """Every file has exactly the contract's columns and types; the required ones are filled."""
    raw = company[0].raw
    for name in WRITTEN:
        table = CONTRACT[name]
        paths = sorted((raw / name).glob("*.parquet")) or [raw / f"{name}.parquet"]
        for path in paths:
            rows = pq.read_table(path)
            assert [(f.name, f.type) for f in rows.schema] == [
                (c.name, c.type) for c in table.columns
            ]
            assert all(rows[c.name].null_count == 0 for c in table.columns if c.required)


def test_counts_returned_are_the_rows_written(company: tuple[Workspace, Counts]) -> None:
    """The counts returned, those in SIMULATED.json and the rows on disk are the same."""
    workspace, counts = company
    said = json.loads((workspace.raw / "SIMULATED.json").read_text())
    for name in WRITTEN:
        paths = (workspace.raw / name).glob("*.parquet") if name == "events" else None
        files = list(paths or [workspace.raw / f"{name}.parquet"])
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        assert rows == getattr(counts, name) == said[name]
    assert said["simulated"] is True
    assert counts.accounts == 600


def test_each_month_is_one_file_sorted_by_time(company: tuple[Workspace, Counts]) -> None:
    """A file holds one calendar month, in order of time, and no month is missing."""
    paths = sorted((company[0].raw / "events").glob("*.parquet"))
    assert [path.stem for path in paths] == [
        str(month) for month in pd.period_range(FIRST.date(), END, freq="M")
    ]
    for path in paths:
        times = pd.read_parquet(path, columns=["event_time"])["event_time"]
        assert times.is_monotonic_increasing
        assert set(times.dt.strftime("%Y-%m")) == {path.stem}


def test_events_lie_inside_the_time_and_after_sign_up(
    company: tuple[Workspace, Counts], events: pd.DataFrame
) -> None:
    """No event is before its user joined, or happened or was received after the last day."""
    users = pd.read_parquet(company[0].raw / "users.parquet")
    users = users[users["left_at"].isna()].set_index("user_id")
    assert events["message_id"].is_unique
    assert users.index.is_unique
    assert events["event_time"].between(FIRST, AFTER, inclusive="left").all()
    assert (events["known_at"] < AFTER).all()
    done = events.dropna(subset="user_id")
    who = users.loc[done["user_id"]]
    assert (done["event_time"].to_numpy() > who["created_at"].to_numpy()).all()
    assert (done["account_id"].to_numpy() == who["account_id"].to_numpy()).all()


def test_about_one_event_in_a_hundred_is_days_late(events: pd.DataFrame) -> None:
    """0.7-1.3 % arrive one to three days late; the others within two minutes, none early."""
    delay = events["known_at"] - events["event_time"]
    late = delay >= pd.Timedelta(days=1)
    assert 0.007 < late.mean() < 0.013
    assert delay[late].max() < pd.Timedelta(days=3, minutes=2)
    assert delay[~late].between(pd.Timedelta(0), pd.Timedelta(minutes=2)).all()


def test_users_work_in_sessions(events: pd.DataFrame) -> None:
    """Most events follow the user's last within half an hour, and logins begin most sessions."""
    ordered = events.dropna(subset="user_id").sort_values(["user_id", "event_time"])
    gap = ordered.groupby("user_id")["event_time"].diff()
    begins = gap.isna() | (gap > pd.Timedelta(minutes=30))
    assert 0.1 < begins.mean() < 0.4
    assert (ordered.loc[begins, "event"] == "login").mean() > 0.6


def test_every_event_name_of_the_settings_is_emitted(
    settings: Settings, events: pd.DataFrame
) -> None:
    """Each name in the lists, milestones and limits occurs, and nothing that is not named."""
    named = {name for names in settings.events.model_dump().values() for name in names}
    named |= {milestone.event for milestone in settings.milestones}
    named |= {name for limit in settings.plans.limits for name in limit.events}
    assert named == set(events["event"]) == set(offer.EVENTS)
    assert sum(milestone.initial_value for milestone in settings.milestones) == 1


def test_the_settings_sell_what_the_simulator_sells(
    settings: Settings, billing: pd.DataFrame
) -> None:
    """Plans, metered limits and the columns mapped are those of the simulated company."""
    assert settings.plans.ladder == offer.PLANS
    assert set(billing["plan"]) <= set(offer.PLANS)
    metered = dict(zip(offer.PLANS, offer.REPORTS_IN_28_DAYS.tolist(), strict=True))
    assert settings.plans.limits[0].by_plan == {k: v for k, v in metered.items() if np.isfinite(v)}
    sold = {
        plan: set(offer.ACTIONS) - set(offer.NOT_INCLUDED[plan]) for plan in settings.plans.ladder
    }
    assert {plan: set(names) for plan, names in settings.plans.features.items()} == sold
    assert set(settings.events.features) == set(offer.ACTIONS)
    assert set(settings.events.golden) < set(offer.ACTIONS)
    assert settings.company.simulated
    for source in settings.sources:
        columns = {column.name for column in CONTRACT[source.table].columns} - {"anonymous_id"}
        assert source.columns == {name: name for name in columns}


def test_prices_follow_plan_seats_and_discount(billing: pd.DataFrame) -> None:
    """MRR is price times seats less discount where active; prices rise once, at 62 % of time."""
    price = billing["plan"].map(dict(zip(offer.PLANS, offer.PRICE_PER_SEAT, strict=True)))
    before = price * billing["seats"] * (1 - billing["discount"])
    paid = billing["mrr"] > 0
    active = billing["status"] == "active"
    assert (paid == (active & (billing["plan"] != "free"))).all()
    level = (billing["mrr"] / before)[paid]
    rise = FIRST + timedelta(days=int(np.ceil(PRICE_RISES_AT * DAYS)))
    dearer = (billing["effective_at"] >= rise)[paid]
    assert np.allclose(level[~dearer], 1.0, atol=1e-3)
    assert 1.05 < level[dearer].max() < 1.2
    assert np.allclose(level[dearer], level[dearer].max(), atol=2e-3)  # to the cent


def test_subscription_rows_are_consistent_in_time(billing: pd.DataFrame) -> None:
    """Rows of an account never share an instant, start with a trial or free, and end only once."""
    assert set(billing["status"]) == set(STATUSES)
    assert not billing.duplicated(["account_id", "effective_at"]).any()
    assert (billing["known_at"] <= billing["effective_at"]).all()
    first = billing.groupby("account_id").head(1)
    assert ((first["status"] == "trial") | (first["plan"] == "free")).all()
    before = billing.groupby("subscription_id")["status"].shift()
    assert not (before == "cancelled").any()


def test_paid_terms_are_renewed_on_their_last_day(billing: pd.DataFrame) -> None:
    """While a subscription is paid, its next row comes no later than the term's end."""
    paid = billing[(billing["mrr"] > 0)]
    following = billing.groupby("subscription_id")["effective_at"].shift(-1).loc[paid.index]
    until = following.fillna(pd.Timestamp(AFTER))
    assert (until <= paid["term_end"]).all()
    assert (paid["term_end"] > paid["effective_at"]).all()
    assert set(paid["billing_months"]) == {1.0, 12.0}


def _changes(billing: pd.DataFrame) -> pd.DataFrame:
    """Paid or not, before and after each row, as the outcomes see it."""
    log = billing[billing["effective_at"] < AFTER].copy()
    log["before"] = log.groupby("account_id")["mrr"].shift().fillna(0.0)
    log["bought"] = (log["before"] == 0) & (log["mrr"] > 0)
    log["first"] = log["bought"] & (log.groupby("account_id")["bought"].cumsum() == 1)
    was = log.groupby("account_id")[["plan", "seats"]].shift()
    higher = (log["plan"] != was["plan"]) | (log["seats"] > was["seats"])
    log["more"] = (log["before"] > 0) & (log["mrr"] > log["before"]) & higher
    log["left"] = (log["before"] > 0) & (log["mrr"] == 0)
    return log


def test_every_outcome_occurs(billing: pd.DataFrame) -> None:
    """A small company has conversions, upgrades by plan and by seats, and cancellations."""
    log = _changes(billing)
    assert log["first"].sum() >= 60
    assert log["more"].sum() >= 10
    assert log["left"].sum() >= 10
    same_plan = log["plan"] == log.groupby("account_id")["plan"].shift()
    assert {True, False} == set(same_plan[log["more"]])


def test_annual_customers_leave_only_at_renewal(billing: pd.DataFrame) -> None:
    """An annual cancellation takes effect on the renewal date, save when payments failed."""
    ends = billing[(billing["status"] == "cancelled") & (billing["billing_months"] == 12)]
    at_renewal = ends["effective_at"] == ends["term_end"]
    announced = ends["known_at"] < ends["effective_at"]
    assert (at_renewal == announced).all()
    assert ((ends["effective_at"] - ends["known_at"]) <= pd.Timedelta(days=61)).all()


def _auc(value: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive's value is above a negative's, in the better direction."""
    rank = pd.Series(value).rank().to_numpy()
    count = positive.sum()
    won = rank[positive].sum() - count * (count + 1) / 2
    share = won / (count * (len(value) - count))
    return float(max(share, 1 - share))


def _observed(
    events: pd.DataFrame, billing: pd.DataFrame, users: pd.DataFrame, days: int
) -> pd.DataFrame:
    """Simple features of every account on every fourteenth day, by plain pandas."""
    log = _changes(billing)
    first = pd.Timestamp(AFTER - timedelta(days=days))
    dates = [first + pd.Timedelta(days=age) for age in range(90, days - 67, 14)]
    return pd.concat(
        [
            _labelled(
                _seen(events, log, as_of).join(_support_and_people(events, users, as_of)),
                log,
                as_of,
            )
            for as_of in dates
        ]
    )


def _seen(events: pd.DataFrame, log: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    known = log[log["effective_at"] < as_of].groupby("account_id").tail(1)
    rows = known.set_index("account_id")[["mrr", "seats", "billing_months", "term_end"]]
    seen = events[(events["event_time"] < as_of) & (events["known_at"] <= as_of)]
    counts = [_counts(seen, as_of, days) for days in (7, 28)]
    used = seen[
        ~seen["event"].isin(["notification_shown", *load_settings(SETTINGS).events.passive])
    ]
    last = used.groupby("account_id")["event_time"].max()
    rows = rows.join(counts).assign(
        since_use=(as_of - last).dt.days, to_renewal=(rows["term_end"] - as_of).dt.days
    )
    rows["trend"] = (rows["all_7"].fillna(0) + 1) / (rows["all_28"].fillna(0) + 4)
    return rows.drop(columns="term_end")


def _support_and_people(
    events: pd.DataFrame, users: pd.DataFrame, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Tickets, answers, scores and users who left, as known then."""
    seen = events[(events["event_time"] < as_of) & (events["known_at"] <= as_of)]
    of = {
        name: rows.groupby("account_id")
        for name, rows in seen.dropna(subset="value").groupby("event", observed=True)
    }
    closed = seen[seen["event"] == "ticket_closed"].groupby("account_id").size()
    gone = users[(users["left_at"] < as_of) & (users["known_at"] <= as_of)].groupby("account_id")
    opened = of["ticket_opened"].size()
    return pd.DataFrame(
        {
            "open": opened.sub(closed, fill_value=0),
            "gravest": of["ticket_opened"]["value"].max(),
            "hours": of["ticket_answered"]["value"].mean(),
            "nps": of["nps_answered"]["value"].mean(),
            "csat": of["csat_answered"]["value"].mean(),
            "left": gone.size(),
            "since_left": (as_of - gone["left_at"].max()).dt.days,
        }
    )


def _counts(seen: pd.DataFrame, as_of: pd.Timestamp, days: int) -> pd.DataFrame:
    recent = seen[seen["event_time"] >= as_of - pd.Timedelta(days=days)]
    counts = recent.groupby(["account_id", "event"]).size().unstack(fill_value=0)
    return counts.assign(all=counts.sum(axis=1)).add_suffix(f"_{days}")


def _labelled(rows: pd.DataFrame, log: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    ahead = (log["effective_at"] - as_of).dt.days
    for name, kind, lead, horizon in (
        ("pql", "first", 0, 30),
        ("upgrade", "more", 0, 60),
        ("churn", "left", 7, 60),
    ):
        inside = log[kind] & (ahead >= lead) & (ahead < lead + horizon)
        rows[name] = rows.index.isin(log.loc[inside, "account_id"])
    rows["former"] = rows.index.isin(log.loc[log["left"] & (ahead < 0), "account_id"])
    return rows


def test_no_simple_feature_gives_an_outcome_away(tmp_path: Path) -> None:
    """No count, recency, trend or commercial fact alone reaches AUC .82, for any outcome."""
    raw = Workspace(tmp_path).raw
    simulate(Workspace(tmp_path), accounts=2000, days=400, seed=7, end=END)
    columns = ["account_id", "event", "event_time", "known_at", "value"]
    events = pd.read_parquet(raw / "events", columns=columns).astype({"event": "category"})
    log = pd.read_parquet(raw / "subscriptions.parquet")
    users = pd.read_parquet(raw / "users.parquet")
    rows = _observed(events, log.sort_values(["account_id", "effective_at"]), users, days=400)
    for outcome in ("pql", "upgrade", "churn"):
        of = (rows["mrr"] == 0) & ~rows["former"] if outcome == "pql" else rows["mrr"] > 0
        name, best = _best_single(rows[of], outcome)
        assert 0.55 < best < 0.82, f"{outcome}: {name} alone has AUC {best:.3f}"


def _best_single(rows: pd.DataFrame, outcome: str) -> tuple[str, float]:
    positive = rows[outcome].to_numpy()
    assert positive.sum() >= 60
    simple = rows.drop(columns=["pql", "upgrade", "churn", "former"]).astype(float).fillna(-1.0)
    found = {name: _auc(simple[name].to_numpy(), positive) for name in simple}
    best = max(found, key=found.__getitem__)
    return best, found[best]


def test_a_failed_run_leaves_the_former_company_alone(tmp_path: Path) -> None:
    """Stopped half-way, a run leaves what was published before, whole."""
    before = _small(tmp_path, seed=1)

    def stop(done: int, total: int, what: str) -> None:
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(Workspace(tmp_path), accounts=40, days=130, seed=2, end=END, progress=stop)
    assert _digest(tmp_path / "raw") == before


def test_too_small_a_company_is_refused(tmp_path: Path) -> None:
    """Too few days are refused with what was found and what is expected; nothing is written."""
    with pytest.raises(InputError, match=r"Found .* 600 accounts over 30 days; expected at least"):
        simulate(Workspace(tmp_path), accounts=600, days=30)
    assert not (tmp_path / "raw").exists()
