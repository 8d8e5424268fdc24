"""An account's page tells its past: journey, index, trends, people and what happened when."""

import datetime as dt
import re
from dataclasses import replace
from html import unescape

import pytest
from asked import state_of
from test_serving_world import served

from serving.console.views.account import account
from serving.console.views.desk import desk
from serving.console.views.people import people
from serving.console.views.timeline import timeline
from serving.console.views.trends import index, signal_trends
from serving.console.views.words import AT_RISK
from serving.ledger.reviews import Review
from serving.scoring.lives import Change, Life, Member, Reached
from serving.state import State
from tests.console_asked import InProcess

DAY = dt.date(2026, 7, 1)
WEEKS = (0.0,) * 11 + (3.0,)


@pytest.fixture(scope="module")
def state() -> State:
    """The shared world as a worker holds it."""
    return state_of(served().workspace)


def words(page: str) -> str:
    """What a page says, without its markup, spaces as one."""
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<(title|desc)[^>]*>[^<]*</\1>", "", page))
    return " ".join(unescape(text).split())


def champion_of(state: State) -> tuple[int, str, str]:
    """A customer that the churn model is about and that has a champion: row, account, champion."""
    rows = (r for r, p in enumerate(state.snapshot.profiles) if p.champion)
    row = next(r for r in rows if state.scorers["churn"].why_not(r) is None)
    return row, state.snapshot.table.ids[row], state.snapshot.profiles[row].champion


def test_a_trend_ends_with_the_fact_of_today_beside_its_peers(state: State) -> None:
    """Twelve weeks as kept, then the number that the waterfall tells; flat ones have no line."""
    snapshot, (row, name, _) = state.snapshot, champion_of(state)
    steps = account(desk(state), name, "churn").why.steps
    found = signal_trends(snapshot, row, [s.signal for s in steps])
    assert found
    for signal, trend in found.items():
        feature = snapshot.wordings[signal].now
        kept = [None if v != v else v for v in snapshot.lives.trends(row, [feature])[feature]]
        now = snapshot.table.facts(row)[feature]
        assert [*kept, None if now != now else now] == list(trend.values)
        population = snapshot.table.contexts[row].population
        assert trend.peers[-1] == snapshot.peers[population].get(feature)
        assert len(trend.values) == len(trend.peers) == 13
        assert len({*trend.values} - {None}) > 1
    context = [s for s, w in snapshot.wordings.items() if w.kind != "act" and s != "cbi"]
    assert not {*context} & signal_trends(snapshot, row, context).keys()


def test_the_index_goes_over_twelve_weeks_with_its_five_parts(state: State) -> None:
    """Its last point is the index that the API tells."""
    row, *_ = champion_of(state)
    told = index(state.snapshot, row)
    assert [p.label for p in told.parts] == [
        "Frequency", "Time", "Use cases", "Breadth", "Notifications"
    ]  # fmt: skip
    assert told.points[-1] == (DAY, state.snapshot.table.facts(row)["cbi"])
    assert all(0 <= value <= 100 for _, value in (*told.points, *told.peers))
    assert (told.points[-1][0] - told.points[-2][0]).days == 7


def member(user_id: str, uses: float = 0.0, before: float = 0.0, **known) -> Member:
    """A person with a last week of three actions."""
    told = {"role": "member", "joined": dt.date(2026, 1, 2), "left": None, "last": DAY}
    days = float(uses > 0)
    return Member(user_id, uses=uses, before=before, days=days, weeks=WEEKS, **told | known)


def test_people_are_told_by_what_they_do_and_the_champion_first() -> None:
    """Rise and fall by half; who left long ago is not listed; who is cut off is counted."""
    life = Life(members=31, people=(
        member("u1", 30, 10), member("u2", 12, 40, last=dt.date(2026, 6, 28)), member("u3", 9, 8),
        member("u4", left=dt.date(2026, 6, 20)), member("u5", left=dt.date(2026, 1, 5)),
    ))  # fmt: skip
    told = people(life, "u2", DAY)
    assert told.summary == "31 people belong to it; 3 did something in the last 28 days."
    assert told.champion == (
        "The champion, u2, was last seen 3 days ago; their actions fell from 40 to 12 in 28 days."
    )
    assert [(p.user_id, p.way, p.champion, p.left) for p in told.first] == [
        ("u1", "up", False, ""), ("u2", "down", True, ""), ("u3", "", False, ""),
        ("u4", "", False, "left 20 Jun 2026"),
    ]  # fmt: skip
    assert told.unlisted == 28


@pytest.mark.parametrize(("champion", "told"), [
    (None, ""),
    ("u9", "The champion, u9, is not among them any more."),
    ("u4", "The champion, u4, left 11 days ago."),
    ("u6", "The champion, u6, was not seen in the last 28 days."),
    ("u3", "The champion, u3, was last seen today; their actions stayed near 9 in 28 days."),
])  # fmt: skip
def test_what_became_of_the_champion_is_one_sentence(champion: str | None, told: str) -> None:
    """Nobody, gone, left, quiet, steady."""
    life = Life(members=3, people=(
        member("u3", 9, 8), member("u4", left=dt.date(2026, 6, 20)),
        member("u6", last=dt.date(2026, 5, 1)),
    ))  # fmt: skip
    assert people(life, champion, DAY).champion == told


def test_a_timeline_lists_everything_newest_first_and_marks_what_is_in_its_half_year() -> None:
    """Each kind in words; scores where they jump; a verdict with what was done."""
    life = Life(
        milestones=(Reached("first_value", dt.date(2025, 1, 5)),
                    Reached("first_share", dt.date(2026, 6, 2))),
        changes=(Change(dt.date(2026, 3, 1), "convert", 0.0, 50.0),
                 Change(dt.date(2026, 6, 5), "downgrade", 50.0, 20.0)),
        core=(1.0,) * 26, tickets=(0.0,) * 24 + (2.0, 0.0), people=(member("u1", 3),), members=1,
    )  # fmt: skip
    scored = [(dt.date(2026, 6, 17), 0.1), (dt.date(2026, 6, 24), 0.12), (DAY, 0.31)]
    verdict = Review("r", "a", "churn", "1", None, "disagree", "Called", None, None, "console",
                     dt.datetime(2026, 6, 28, 9, tzinfo=dt.UTC), "ana", None)  # fmt: skip
    told = timeline(life, scored, [verdict], AT_RISK, "USD", DAY)
    assert [(str(h.day), h.text.replace("\u202f", " "), h.more) for h in told.first] == [
        ("2026-07-01", "Risk rose from 12 % to 31 %", ""),
        ("2026-06-28", "Verdict: ana disagrees", "Called"),
        ("2026-06-23", "2 support tickets that week", ""),
        ("2026-06-05", "Went down from $50 to $20 a month", ""),
        ("2026-06-02", "Reached: first share", ""),
        ("2026-03-01", "Became a customer, at $50 a month", ""),
        ("2026-01-02", "u1 (member) joined", ""),
        ("2025-01-05", "Reached: first value", ""),
    ]
    assert told.start == dt.date(2025, 12, 31)
    assert [m.kind for m in told.marks] == ["milestone", "gain", "risk", "verdict"]
    assert told.weeks[-2].tickets == 2
    assert told.weeks[-1].end == DAY


def test_a_page_shows_the_past_of_its_account(state: State) -> None:
    """Journey, trends, index, timeline and people stand on it, with the champion by name."""
    row, name, champion = champion_of(state)
    html = InProcess(served().workspace, state).as_("viewer").page(f"/console/accounts/{name}")
    text, life = words(html), state.snapshot.lives.life(row)
    assert f"{len(life.milestones)} of 5 milestones" in text
    assert f"{champion} Champion" in text
    found = account(desk(state), name)
    trends = signal_trends(state.snapshot, row, [s.signal for s in found.why.steps])
    waterfall = html[html.index('class="waterfall"') : html.index("</table>")]
    assert waterfall.count("drawing spark") == len(trends) > 0
    assert html.count("drawing curve overtime") == 1
    assert "Core use" in text


def test_a_page_of_a_snapshot_that_does_not_tell_the_past_is_whole_without_it(
    state: State,
) -> None:
    """As before the first scoring by this version: what is known is shown, and no error."""
    _, name, _ = champion_of(state)
    older = replace(state.snapshot, lives=None)
    scorers = {n: replace(s, snapshot=older) for n, s in state.scorers.items()}
    text = words(InProcess(served().workspace, State(older, scorers, {}))
                 .as_("viewer").page(f"/console/accounts/{name}"))  # fmt: skip
    assert "Why it may leave" in text
    assert "Customer Behavior Index" in text
    assert "Timeline" not in text


@pytest.mark.parametrize(("population", "term", "others"), [
    ("former", None, {"Customer for", "Renews", "Ends", "Trial ends"}),
    ("customer", "Renews", {"Ends", "Trial ends"}),
    ("prospect", "Trial ends", {"Customer for", "Renews", "Ends"}),
])  # fmt: skip
def test_a_profile_says_only_what_is_true_of_its_kind_of_account(
    state: State, population: str, term: str | None, others: set[str]
) -> None:
    """A former customer is none for any time; a trial does not renew."""
    made, table = desk(state), state.snapshot.table
    ids = [a for a, c in zip(table.ids, table.contexts, strict=True) if c.population == population]
    told = [{label for label, _ in account(made, name).profile} for name in ids]
    assert told
    assert not any(labels & others for labels in told)
    ending = [term in labels for labels in told]
    assert any(ending) == (term is not None)
    assert population != "customer" or all(ending)


def test_an_account_that_no_model_is_about_shows_its_past_all_the_same(state: State) -> None:
    """Timeline, people, index and what was said, but no form that asks about no number."""
    contexts, ids = state.snapshot.table.contexts, state.snapshot.table.ids
    name = next(ids[r] for r, c in enumerate(contexts) if c.population == "former")
    html = InProcess(served().workspace, state).as_("reviewer").page(f"/console/accounts/{name}")
    for shown in ("the account is a former customer", "Timeline", "People", "Verdicts",
                  "Customer Behavior Index", "No model gives it a number today"):  # fmt: skip
        assert shown in words(html)
    assert 'name="verdict"' not in html


def test_an_account_of_which_nothing_happened_says_so(state: State) -> None:
    """No person, no milestone, no change, no ticket: each card says what is not there."""
    _, name, _ = champion_of(state)

    class Nothing:
        """Lives in which nothing happened."""

        days, peers, milestones, journeys = (), {}, ("first_value",), {}

        def life(self, row: int) -> Life:
            """Nothing."""
            return Life()

        def trends(self, row: int, features) -> dict:
            """None."""
            return {}

    bare = replace(state.snapshot, lives=Nothing())
    scorers = {n: replace(s, snapshot=bare) for n, s in state.scorers.items()}
    browser = InProcess(served().workspace, State(bare, scorers, {})).as_("viewer")
    text = words(browser.page(f"/console/accounts/{name}"))
    assert "0 of 1 milestone" in text
    assert "First value : not yet" in text
    assert "Nobody is known" in text
    assert "Nothing noteworthy so far" in text
