from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from features import history
from features.settings import Outcome, Settings
from features.workspace import Workspace
from tests.worlds import at, load, sample_settings
from training.labels import label
from training.outcomes import OUTCOMES

SETTINGS = sample_settings()
LAPSING = sample_settings(subscriptions={"lapse_after_days": 10})
JAN, FEB, MAR, APR = (date(2024, month, 1) for month in (1, 2, 3, 4))


def bought(account: str, day: date, **said: Any) -> dict[str, Any]:
    """One row of an account's subscription: a paid team plan, unless said otherwise."""
    usual = {"subscription_id": f"{account}-s", "status": "active", "plan": "team", "mrr": 50.0}
    row = usual | {"account_id": account, "effective_at": at(day), "known_at": at(day)} | said
    return row | {"row_id": f"{account}-{day}-{said.get('status')}"}


def merge(account: str, into: str, day: date) -> dict[str, Any]:
    """An account that goes on as another from a day on."""
    row = {"kind": "merge", "from_id": account, "to_id": into, "since": at(day)}
    return row | {"known_at": at(day), "row_id": f"{account}>{into}"}


@pytest.fixture
def told(tmp_path: Path) -> Any:
    """Load subscriptions and merges; return the changes as (account, kind, day)."""

    def read(
        subscriptions: list[Any], identities: list[Any], settings: Settings = SETTINGS
    ) -> list[tuple[str, str, date]]:
        event = {"account_id": "x", "event_time": at(APR), "known_at": at(APR), "event": "login"}
        load(
            SimpleNamespace(
                accounts=[], users=[], events=[event], subscriptions=subscriptions,
                identities=identities,
            ),  # type: ignore[arg-type]
            Workspace(tmp_path),
        )  # fmt: skip
        found = history.changes(Workspace(tmp_path), settings)
        return list(zip(found["account_id"], found["kind"], found["time"].dt.date, strict=True))

    return read


def test_what_becomes_of_the_successor_becomes_of_the_merged_account(told: Any) -> None:
    """After a merge both accounts leave when the one that goes on leaves."""
    rows = [bought("a", JAN), bought("b", FEB), bought("b", APR, status="cancelled")]
    rows.append(bought("a", APR - timedelta(days=5), status="cancelled"))
    assert told(rows, [merge("a", "b", MAR)]) == [
        ("a", "convert", JAN), ("a", "churn", APR),
        ("b", "convert", FEB), ("b", "churn", APR),
    ]  # fmt: skip


def test_a_merge_is_no_change(told: Any) -> None:
    """A prospect merged with a customer neither buys nor leaves by it."""
    rows = [bought("a", JAN), bought("a", APR, plan="business", mrr=90.0)]
    assert told(rows, [merge("a", "b", MAR)]) == [
        ("a", "convert", JAN), ("a", "upgrade", APR), ("b", "upgrade", APR)
    ]  # fmt: skip


def test_a_subscription_that_moves_with_its_account_is_counted_once(told: Any) -> None:
    """Billing writes the merged account's subscription on under the one that goes on."""
    rows = [bought("a", JAN), bought("b", APR, subscription_id="a-s", status="cancelled")]
    assert told(rows, [merge("a", "b", MAR)]) == [
        ("a", "convert", JAN), ("a", "churn", APR), ("b", "churn", APR)
    ]  # fmt: skip


def test_chains_of_merges_are_followed(told: Any) -> None:
    """An account merged into one that is merged again ends where the last one ends."""
    rows = [bought("c", JAN), bought("c", APR, status="cancelled")]
    found = told(rows, [merge("a", "b", FEB), merge("b", "c", MAR)])
    assert [kind for _, kind, day in found if day == APR] == ["churn"] * 3


def test_a_term_belongs_to_the_account_that_holds_it_at_its_end(tmp_path: Path, told: Any) -> None:
    """A term that ends after a merge is the successor's; one that ended before is not."""
    ends = [bought("a", day, term_end=at(end)) for day, end in ((JAN, FEB), (FEB, APR))]
    told(ends, [merge("a", "b", MAR)])
    assert history.terms(Workspace(tmp_path), SETTINGS)["account_id"].tolist() == ["a", "b"]


def test_a_term_is_renewed_by_its_own_account_only(told: Any) -> None:
    """Two accounts whose subscriptions bear the same name: one lapses as the other one begins."""
    rows = [bought("a", JAN, term_end=at(FEB)), bought("b", FEB), bought("b", APR)]
    rows = [row | {"subscription_id": "main"} for row in rows]
    assert told(rows, [], LAPSING) == [
        ("a", "convert", JAN),
        ("a", "churn", FEB),
        ("b", "convert", FEB),
    ]


def test_a_merged_account_s_term_is_renewed_by_the_one_that_goes_on(told: Any) -> None:
    """Billing writes a subscription on under the account that goes on: nothing lapsed."""
    rows = [bought("a", JAN, term_end=at(MAR)), bought("b", MAR, subscription_id="a-s")]
    assert told([*rows, bought("c", APR)], [merge("a", "b", FEB)], LAPSING)[:1] == [
        ("a", "convert", JAN)
    ]


def test_a_term_that_was_over_as_it_began_ends_as_it_begins(told: Any) -> None:
    """Nobody has a row for good whose term ended before it began."""
    day = FEB + timedelta(days=2)
    rows = [bought("a", JAN, term_end=at(FEB)), bought("a", day, term_end=at(FEB))]
    assert told([*rows, bought("b", APR)], [], LAPSING)[:2] == [
        ("a", "convert", JAN),
        ("a", "churn", day),
    ]


def test_more_data_changes_no_label_that_was_known(tmp_path: Path, told: Any) -> None:
    """A term that ends at the last midnight that is known has had its grace, to the instant."""
    told([bought("a", JAN, term_end=at(FEB)), bought("b", APR)], [], LAPSING)
    start = FEB - timedelta(days=30)
    rows = pd.DataFrame({"account_id": ["a"], "as_of": pd.to_datetime([start])})
    timing, seen = Outcome(horizon_days=30, every_days=7), {}
    for days in range(7, 15):
        told_by = (Workspace(tmp_path), LAPSING, FEB + timedelta(days=days))
        known = (
            history.changes(*told_by),
            OUTCOMES["churn"],
            timing,
            history.observed_until(*told_by),
        )
        seen[days] = label(rows, *known)["label"].tolist()
    assert seen == {7: [], 8: [], 9: [], 10: [], 11: [1], 12: [1], 13: [1], 14: [1]}
