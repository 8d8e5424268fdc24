"""The queues: every account once, in order, through pages and filters."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from asked import state_of
from test_serving_world import served

from serving.scoring.accounts import load_snapshot
from serving.scoring.queues import Queues


@cache
def queues() -> Queues:
    """The shared world's queues, with a week before that knows some of the accounts."""
    state = state_of(served().workspace)
    assert state.snapshot is not None
    made = Queues(state.snapshot, state.scorers)
    ids = state.snapshot.table.ids
    made.remember("churn", "2026-06-24", dict.fromkeys(ids[::2], 0.25))
    return made


def walked(model: str, order: str, size: int, keep: np.ndarray | None = None) -> list[int]:
    """All rows, page by page."""
    everyone = np.ones(len(queues().snapshot.table.ids), dtype=bool)
    keep = everyone if keep is None else keep
    found, after = [], None
    while True:
        page = queues().page(model, order, keep, size, after)
        found += page.rows
        if not page.more:
            assert len(found) == page.total
            return found
        after = (page.values[-1], queues().snapshot.table.ids[page.rows[-1]])


@pytest.mark.parametrize("size", [1, 7, 200])
@pytest.mark.parametrize("order", ["probability", "value", "movement"])
def test_pages_of_any_size_give_every_account_once_and_in_order(order: str, size: int) -> None:
    """By falling value, equals by their id; what has no movement comes last."""
    table, chances = queues().snapshot.table, queues().scorers["churn"].chances
    values = {
        "probability": chances,
        "value": chances * table.mrr,
        "movement": [c - 0.25 if i % 2 == 0 else -math.inf for i, c in enumerate(chances)],
    }[order]
    applies = [row for row in range(len(table.ids)) if not math.isnan(chances[row])]
    expected = sorted(applies, key=lambda row: (-values[row], table.ids[row]))
    assert walked("churn", order, size) == expected


def test_without_a_model_all_accounts_come_by_revenue() -> None:
    """Those that pay nothing too, by their ids."""
    table = queues().snapshot.table
    expected = sorted(range(len(table.ids)), key=lambda r: (-table.mrr[r], table.ids[r]))
    assert walked("", "probability", 50) == expected


def test_a_page_goes_on_behind_an_account_that_is_no_longer_there() -> None:
    """A cursor's account need not exist; nobody is told twice or left out."""
    everyone = np.ones(len(queues().snapshot.table.ids), dtype=bool)
    whole = queues().page("churn", "probability", everyone, 200, None)
    middle = (whole.values[3] + whole.values[4]) / 2
    rest = queues().page("churn", "probability", everyone, 200, (middle, "gone"))
    assert rest.rows == whole.rows[4:]


def test_filters_add_up_and_their_values_are_alternatives() -> None:
    """Plan, state, population, owner, and the bounds of the MRR."""
    snapshot = queues().snapshot
    table = snapshot.table
    keep = queues().kept({"plan": ["team", "business"], "state": ["active", "renewed"],
                          "population": ["customer"], "owner": []}, 20, 500)  # fmt: skip
    expected = [
        c.plan in ("team", "business") and p.state in ("active", "renewed")
        and c.population == "customer" and 20 <= m <= 500
        for c, p, m in zip(table.contexts, snapshot.profiles, table.mrr, strict=True)
    ]  # fmt: skip
    assert keep.tolist() == expected
    assert 0 < sum(expected) < len(expected)
    assert not queues().kept({"owner": ["nobody"]}, 0, 1e9).any()
    owner = next(p.owner for p in snapshot.profiles if p.owner)
    mine = queues().kept({"owner": [owner]}, 0, 1e9)
    assert mine.tolist() == [p.owner == owner for p in snapshot.profiles]


def test_the_grades_of_a_queue_are_those_of_its_scores() -> None:
    """Letter by letter they part the accounts to which the model applies."""
    scorer, words = queues().scorers["churn"], queues().grades("churn")
    parts = [words.among([letter]) for letter in "ABCD"]
    assert (sum(part.astype(int) for part in parts) == ~np.isnan(scorer.chances)).all()
    for letter, part in zip("ABCD", parts, strict=True):
        rows = np.flatnonzero(part).tolist()
        told = scorer.answers(scorer.scores(rows, explain=False), explain=False)
        assert {answer["grade"] for answer in told} <= {letter}


def test_the_profiles_say_who_each_account_is_and_its_state() -> None:
    """A state for everyone that is not ours, prospects and customers by what they bought."""
    snapshot = load_snapshot(served().snapshot)
    for context, profile in zip(snapshot.table.contexts, snapshot.profiles, strict=True):
        assert (profile.state is None) == context.is_internal
        paying = {"customer", "active", "renewed"}
        assert context.is_internal or (profile.state in paying) == (
            context.population == "customer"
        )
        assert profile.name
        assert profile.created_at
    assert replace(snapshot.profiles[0], name=None).name is None
