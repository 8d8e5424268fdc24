"""Reviews made in the console: who made them, what is listed, what is left to look at."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from features.workspace import Workspace
from serving.ledger import reviews
from serving.ledger.database import opened

TODAY = date(2026, 7, 1)


def test_settled_are_the_accounts_reviewed_since_a_moment_or_still_at_rest(tmp_path: Path) -> None:
    """Another user's, another model's and what is past do not count; the last review does."""
    ledger = opened(Workspace(tmp_path))
    said = {"model_version": None, "score_id": None, "verdict": "agree", "action": None,
            "outcome": None, "note": None, "key_id": reviews.CONSOLE}  # fmt: skip
    later, past = TODAY + timedelta(days=1), datetime(2026, 1, 1, tzinfo=UTC)
    for account, user, model, rests in (
        ("a", "ana", "churn", later), ("b", "ana", "churn", TODAY), ("c", "ana", "churn", None),
        ("d", "ben", "churn", later), ("e", "ana", "upgrade", later),
        ("f", "ana", "churn", later), ("f", "ana", "churn", None),
    ):  # fmt: skip
        reviews.add(ledger, account_id=account, user=user, model=model, snoozed_until=rests, **said)
    now = datetime.now(UTC)
    assert reviews.settled(ledger, "ana", "churn", past, TODAY) == {"a", "b", "c", "f"}
    assert reviews.settled(ledger, "ana", "churn", now + timedelta(hours=1), TODAY) == {"a"}
