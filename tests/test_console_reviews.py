"""Reviews made in the console: who made them, what is listed, what is left to look at."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from test_console_access import sign_in, token_in

from features.workspace import Workspace
from serving.ledger import reviews
from serving.ledger.database import opened
from serving.ledger.scores import SCORES, newest, packed
from serving.models.swap import Keeper
from serving.scoring.accounts import current_snapshot
from serving.scoring.recorded import record
from tests.console_world import Console, hostile_world, running
from tests.hostile import TEXTS

TODAY = date(2026, 7, 1)


def test_settled_are_the_accounts_reviewed_since_a_moment_or_still_at_rest(tmp_path: Path) -> None:
    """Another user's, another model's and what is past do not count; the last review does.

    What came by a key lets an account rest for everybody, but nobody has looked at it.
    """
    ledger = opened(Workspace(tmp_path))
    said = {"model_version": None, "score_id": None, "verdict": "agree", "action": None,
            "outcome": None, "note": None, "key_id": reviews.CONSOLE}  # fmt: skip
    later, past = TODAY + timedelta(days=1), datetime(2026, 1, 1, tzinfo=UTC)
    for account, user, model, rests in (
        ("a", "ana", "churn", later), ("b", "ana", "churn", TODAY), ("c", "ana", "churn", None),
        ("d", "ben", "churn", later), ("e", "ana", "upgrade", later),
        ("f", "ana", "churn", later), ("f", "ana", "churn", None),
        ("g", None, "churn", later), ("h", None, "churn", None), ("i", "ana", "churn", later),
        ("i", None, "churn", TODAY),
    ):  # fmt: skip
        reviews.add(ledger, account_id=account, user=user, model=model, snoozed_until=rests, **said)
    now = datetime.now(UTC)
    assert reviews.settled(ledger, "ana", "churn", past, TODAY) == {"a", "b", "c", "f", "g", "i"}
    assert reviews.settled(ledger, "ana", "churn", now + timedelta(hours=1), TODAY) == {"a", "g"}


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    """A running console."""
    with running(hostile_world()) as found:
        yield found


def a_customer(console: Console) -> str:
    """An account to which the model of leaving applies."""
    folder = current_snapshot(console.workspace)
    rows = pq.read_table(folder / "scores.parquet", columns=["account_id", "model"]).to_pylist()
    return next(str(r["account_id"]) for r in rows if r["model"] == "churn")


def test_a_reviewer_says_what_is_right_and_everybody_reads_it_as_text(console: Console) -> None:
    """It is the API's row too; a viewer, another site and a wrong day write nothing."""
    account = a_customer(console)
    place = f"/console/accounts/{account}"
    with sign_in(console, "viewer") as viewer:
        page = viewer.get(f"/console/accounts/{account}")
        assert page.status_code == 200
        assert 'name="verdict"' not in page.text
        form = {"csrf": token_in(page.text), "model": "churn", "verdict": "agree"}
        assert viewer.post(place, data=form).status_code == 403
    with sign_in(console, "reviewer") as reviewer:
        page = reviewer.get(f"/console/accounts/{account}?model=churn")
        form = {"csrf": token_in(page.text), "model": "churn", "verdict": "disagree"}
        for wrong in ({"csrf": "0" * 64}, {"verdict": "maybe"}, {"snoozed_until": "soon"},
                      {"snoozed_until": "1999-01-01"}, {"verdict": ""}):  # fmt: skip
            assert reviewer.post(place, data={**form, **wrong}).status_code in (403, 422)
        assert reviews.listed(console.ledger, account, 9) == []
        typed = {"snoozed_until": "1999-01-01", "note": TEXTS[0]}
        answer = reviewer.post(f"{place}?model=churn", data={**form, **typed})
        assert (answer.status_code, "expected a day after" in answer.text) == (422, True)
        assert f'rows="3">{escape(TEXTS[0])}</textarea>' in answer.text
        assert 'value="disagree" required checked>' in answer.text
        said = {"action": TEXTS[0], "note": TEXTS[1], "snoozed_until": next_week(console)}
        answer = reviewer.post(place, data={**form, **said})
        assert answer.status_code == 303, answer.text
        shown = reviewer.get(answer.headers["location"].partition("#")[0]).text
    assert "Your verdict is kept." in shown
    assert str(escape(TEXTS[0])) in shown
    assert TEXTS[0] not in shown
    [kept] = reviews.listed(console.ledger, account, 9)
    assert (kept.user, kept.key_id, kept.verdict) == ("reviewer", "console", "disagree")
    assert (kept.action, kept.note) == (TEXTS[0].strip(), TEXTS[1].strip())
    assert kept.snoozed_until.isoformat() == said["snoozed_until"]


def next_week(console: Console) -> str:
    """A week after the scoring day."""
    as_of = json.loads((current_snapshot(console.workspace) / "manifest.json").read_text())["as_of"]
    return (date.fromisoformat(as_of) + timedelta(days=7)).isoformat()


def test_a_slider_asks_the_model_and_as_a_form_too(console: Console) -> None:
    """The same sliders change the same number, whole page or part; where they stood, nothing."""
    account = a_customer(console)
    address = f"/console/accounts/{account}?model=churn"
    with sign_in(console) as browser:
        page = browser.get(address).text
        sliders = re.findall(r'type="range" name="(if\.\w+)".*?max="([\d.]+)".*?value="([\d.]+)"',
                             page)  # fmt: skip
        assert sliders
        assert "Move a slider to ask." in page
        same = "".join(f"&{name}={value}" for name, _, value in sliders)
        assert "Move a slider to ask." in browser.get(address + same).text
        other = f"{address}&{sliders[0][0]}={sliders[0][1]}"
        part = browser.get(other, headers={"hx-request": "true", "hx-target": "what-if"}).text
        assert part.startswith('<p id="what-if"')
        assert part.strip() in browser.get(other).text
        assert "The model would say" in part
        assert browser.get(f"{address}&{sliders[0][0]}=nan").status_code == 422


def test_why_it_moved_adds_up_and_bad_days_are_told(console: Console) -> None:
    """Two days of the ledger, one put there by hand: the causes sum to the difference.

    Swapped days are put in order; a typed day stays in its field.
    """
    account = a_customer(console)
    scored_twice(console, account)
    address = f"/console/accounts/{account}?model=churn"
    with sign_in(console) as browser:
        page = browser.get(address).text
        causes = [float(v) for v in re.findall(r'data-cause="([^"]+)"', page)]
        [difference] = [float(v) for v in re.findall(r'data-difference="([^"]+)"', page)]
        assert difference == pytest.approx(0.25, abs=1e-9)
        assert sum(causes) == pytest.approx(difference, abs=1e-9)
        only = {"hx-request": "true", "hx-target": "moved"}
        for days in ("&from=2026-06-25&to=2026-07-01", "&to=2026-06-25&from=2026-07-01"):
            told = browser.get(address + days).text
            assert 'name="from" value="2026-06-25"' in told
            assert f'data-difference="{difference!r}"' in told
        for wrong, said in (
            ("&from=soon", "no day of the calendar: choose two from 24 Jun 2026 to 1 Jul 2026."),
            ("&from=2999-01-01", "Both days have the score of 1 Jul 2026"),
            ("&from=2026-06-30&to=2026-06-30", "Choose two different days."),
            (
                "&to=1999-01-01&from=1998-01-01",
                "There is no score from that day or before: the first is of 24 Jun 2026.",
            ),
        ):
            told = browser.get(address + wrong, headers=only)
            assert (told.status_code, 'class="notice"' in told.text) == (200, True)
            assert said in told.text


def scored_twice(console: Console, account: str) -> None:
    """The account's score of today and, a week before, one with one signal's part 0.25 lower."""
    state = Keeper(console.workspace)
    state.look()
    today = date.fromisoformat(state.state.snapshot.table.as_of)
    scorer = state.state.scorers["churn"]
    record(console.ledger, scorer, scorer.scores([scorer.snapshot.table.row_of[account]]))
    now = newest(console.ledger, account, "churn", today)
    parts = now.parts.copy()
    parts[0] -= 0.25
    with console.ledger.begin() as connection:
        row = dict(connection.execute(SCORES.select()
                   .where(SCORES.c.score_id == now.score_id)).one()._mapping)  # fmt: skip
        row |= {"score_id": "0" * 32, "as_of": today - timedelta(days=7), "parts": packed(parts),
                "log_odds": now.log_odds - 0.25}  # fmt: skip
        connection.execute(SCORES.insert(), row)
