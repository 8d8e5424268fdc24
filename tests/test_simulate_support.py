"""The simulated company's support, scores and people: what must hold in every one of its rows."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.read_settings import load_settings
from features.simulate.emit import Sessions
from features.simulate.offer import DAY_US, HOUR_US, NEVER, NOT_INCLUDED
from features.simulate.state import Burden, feel_tickets, first_state
from features.simulate.support import no_tickets, opened, serve
from features.simulate.surveys import closures, survey
from features.simulate.traits import draw_traits
from features.simulate.world import simulate
from features.workspace import Workspace

END = date(2026, 6, 30)
AFTER = pd.Timestamp(datetime(2026, 7, 1, tzinfo=UTC))
SETTINGS = Path(__file__).parent.parent / "goldpan.toml"
SEVERITIES = {1.0, 2.0, 3.0, 4.0}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a small company, made once for this file."""
    workspace = Workspace(tmp_path_factory.mktemp("support"))
    simulate(workspace, accounts=500, days=360, seed=11, end=END)
    return workspace.raw


@pytest.fixture(scope="module")
def events(raw: Path) -> pd.DataFrame:
    """All its events, in the order of time."""
    return pd.read_parquet(raw / "events").sort_values("event_time", ignore_index=True)


@pytest.fixture(scope="module")
def users(raw: Path) -> pd.DataFrame:
    """All rows of its users."""
    return pd.read_parquet(raw / "users.parquet")


def _named(events: pd.DataFrame, name: str) -> pd.DataFrame:
    return events[events["event"] == name]


def test_values_are_said_where_an_event_has_one(events: pd.DataFrame) -> None:
    """Severities 1 to 4, hours above 0, NPS 0 to 10 and CSAT 1 to 5 in full; nothing else."""
    values = {name: _named(events, name)["value"] for name in events["event"].unique()}
    assert set(values.pop("ticket_opened")) == SEVERITIES
    assert values["ticket_answered"].between(0.19, 240).all()
    assert values.pop("ticket_answered").median() < 24
    nps = set(values.pop("nps_answered"))
    assert set(map(float, range(2, 11))) <= nps <= set(map(float, range(11)))
    assert set(values.pop("csat_answered")) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert all(value.isna().all() for value in values.values())


def test_an_answer_comes_its_hours_after_a_ticket_and_by_nobody(events: pd.DataFrame) -> None:
    """The time of an answer less its hours is the time at which that account opened a ticket."""
    answers, opened = _named(events, "ticket_answered"), _named(events, "ticket_opened")
    asked = answers["event_time"] - pd.to_timedelta(answers["value"], "h").dt.round("s")
    tickets = set(zip(opened["account_id"], opened["event_time"].dt.round("s"), strict=True))
    near = [
        any((account, at + pd.Timedelta(seconds=s)) in tickets for s in (-1, 0, 1))
        for account, at in zip(answers["account_id"], asked.dt.round("s"), strict=True)
    ]
    assert np.mean(near) > 0.98  # a ticket that has not reached us by the end is in no file
    assert answers["user_id"].isna().all()
    assert _named(events, "ticket_closed")["user_id"].isna().all()
    assert opened["user_id"].notna().all()


def test_tickets_are_answered_and_mostly_closed(events: pd.DataFrame) -> None:
    """At no time has an account more answers than tickets, or more closed than answered."""
    steps = ["ticket_opened", "ticket_answered", "ticket_closed"]
    whole = events["event_time"] < AFTER - timedelta(days=4)  # all have reached us
    happened = events[events["event"].isin(steps) & whole]
    so_far = {
        step: (happened["event"] == step).groupby(happened["account_id"]).cumsum() for step in steps
    }
    assert (so_far["ticket_answered"] <= so_far["ticket_opened"]).all()
    assert (so_far["ticket_closed"] <= so_far["ticket_answered"]).all()
    old = happened[happened["event_time"] < AFTER - timedelta(days=60)]
    opened, answered, closed = (len(_named(old, step)) for step in steps)
    assert 0.95 < answered / opened <= 1
    assert 0.80 < closed / opened < 0.97


def test_few_people_are_asked_and_few_answer(events: pd.DataFrame, users: pd.DataFrame) -> None:
    """Nobody answers NPS twice in 90 days; a minority ever does; a CSAT answer needs a closure."""
    nps = _named(events, "nps_answered")
    gaps = nps.groupby("user_id")["event_time"].diff().dropna()
    assert len(gaps) > 10
    assert (gaps > pd.Timedelta(days=88)).all()
    assert 0.1 < nps["user_id"].nunique() / users["user_id"].nunique() < 0.6
    rated = len(_named(events, "csat_answered")) / len(_named(events, "ticket_closed"))
    assert 0.15 < rated < 0.35


def test_who_has_left_does_nothing_afterwards(events: pd.DataFrame, users: pd.DataFrame) -> None:
    """A leaver's second row tells the end, known when it came; no event of theirs is later."""
    left = users.dropna(subset="left_at").set_index("user_id")
    joined = users[users["left_at"].isna()].set_index("user_id").loc[left.index]
    assert left.index.is_unique
    assert 0.05 < len(left) / users["user_id"].nunique() < 0.5
    assert (left["known_at"] == left["left_at"]).all()
    assert (left["left_at"] > left["created_at"]).all()
    assert left[["account_id", "created_at", "role"]].equals(
        joined[["account_id", "created_at", "role"]]
    )
    done = events[events["user_id"].isin(left.index)]
    assert len(done) > 1000
    ends = left["left_at"].loc[done["user_id"]]
    assert (done["event_time"].to_numpy() < ends.to_numpy()).all()


def test_nobody_uses_what_the_plan_does_not_include(raw: Path, events: pd.DataFrame) -> None:
    """Each feature used is in the account's plan then, or in that of the session's begin."""
    log = pd.read_parquet(raw / "subscriptions.parquet").sort_values("effective_at")
    used = events[events["event"].isin(["automation_run", "api_called"])]
    lacks = []
    for back in (pd.Timedelta(0), pd.Timedelta(hours=6)):
        asked = used.assign(at=(used["event_time"] - back).dt.as_unit("us"))
        plans = pd.merge_asof(
            asked, log, left_on="at", right_on="effective_at", by="account_id", direction="backward"
        )["plan"]
        lacks.append(
            [
                event in NOT_INCLUDED.get(plan, ())
                for event, plan in zip(asked["event"], plans, strict=True)
            ]
        )
    assert len(used) > 1000
    assert not np.all(lacks, axis=0).any()


def test_support_is_never_counted_as_use(events: pd.DataFrame) -> None:
    """The settings set aside every event of support, sentiment and payment."""
    passive = load_settings(SETTINGS).events.passive
    said = ("ticket_", "nps_", "csat_", "payment_")
    assert set(passive) == {name for name in events["event"].unique() if name.startswith(said)}


def test_grave_tickets_and_slow_answers_spoil_the_mood() -> None:
    """Of accounts that are alike, those with tickets feel worse, and worst while nobody answers."""
    rng = np.random.default_rng(3)
    traits = draw_traits(3000, 200, 0.6, rng)
    state = first_state(traits, rng)
    group = np.arange(3000) % 3
    for _ in range(10):
        burden = Burden(
            trouble=np.zeros(3000), open=(group > 0).astype(int), waiting=(group > 1).astype(int)
        )
        feel_tickets(state, burden, np.zeros(3000), rng)
    calm, helped, ignored = (state.mood[group == g].mean() for g in range(3))
    assert calm > helped + 0.2 > ignored + 0.4


def test_scores_show_the_mood_with_noise() -> None:
    """Content accounts are helped alike and asked alike, but give higher NPS and CSAT."""
    rng = np.random.default_rng(5)
    traits = draw_traits(4000, 200, 0.6, rng)
    state, asked = first_state(traits, rng), np.full(int(traits.potential.sum()), NEVER)
    happy = np.arange(4000) % 2 == 0
    state.mood = np.where(happy, 0.8, -1.2)
    state.day, account, slot = 100, np.arange(4000), traits.first_slot
    start = np.full(4000, 100 * DAY_US + 9 * HOUR_US)
    nps = survey(asked, Sessions(account, slot, start, slot), state, rng)
    new = opened(account, start, state.mood, np.zeros(4000), rng)
    new.slot[:] = slot
    assert set(new.severity.tolist()) == SEVERITIES
    remaining = serve(no_tickets(), new, 100, rng).remaining
    state.day = 112
    csat = closures(serve(remaining, no_tickets(), 112, rng).closed, state, rng)[-1]
    for scores in (nps, csat):
        high, low = (scores.value[happy[scores.account] == is_] for is_ in (True, False))
        assert min(len(high), len(low)) > 30
        assert high.mean() > low.mean() + 0.6
        assert low.max() > high.min()
