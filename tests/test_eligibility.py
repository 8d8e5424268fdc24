"""Training and serving agree on whom a model is about, though neither knows the other."""

from itertools import product

import pandas as pd
import pytest

from features.settings import Outcome as Timing
from serving.scoring.eligibility import Context, Rules, why_not
from tests.test_facts import day, known, plan
from tests.worlds import sample_settings
from training.outcomes import OUTCOMES, eligible

SETTINGS = sample_settings()
CONTEXTS = pd.DataFrame(
    product(
        ["prospect", "customer", "former"],
        [None, *SETTINGS.plans.ladder],
        [True, False],
        [True, False],
        [0.0, 2.9, 3.0, 400.0],
        [float("nan"), 0.0, 5.0],
    ),
    columns=["population", "plan", "cancel_announced", "is_internal", "age_days", "seats"],
)


@pytest.mark.parametrize("name", OUTCOMES)
def test_who_may_be_learnt_from_may_be_scored(name: str) -> None:
    """An account is scored by a model exactly when it could have been an observation of it."""
    outcome, timing = OUTCOMES[name], Timing(horizon_days=30, every_days=7, min_age_days=3)
    rules = Rules(SETTINGS.plans.ladder[-1], {name: timing.min_age_days})
    scored = [
        why_not(name, outcome.population, Context(**row), rules) is None
        for row in CONTEXTS.to_dict("records")
    ]
    learnt = eligible(outcome, CONTEXTS, SETTINGS, timing).tolist()
    assert learnt == scored
    assert any(learnt)


@pytest.mark.parametrize(("ends", "announced", "watched"), [
    (0, 5, False),  # at that very midnight, as was known
    (-20, 5, False),
    (0, 0, False),  # known at that very midnight
    (0, -1, True),  # known a day later: nobody could know
])  # fmt: skip
@pytest.mark.parametrize("name", ["upgrade", "churn"])
def test_who_has_announced_to_leave_is_watched_no_more(
    name: str, ends: float, announced: float, watched: bool
) -> None:
    """Also where the end falls on the midnight itself; by the facts, in training and scoring."""
    left = plan(ends, "cancelled", known_at=day(announced))
    [facts] = known(bought=[plan(40), left])
    assert facts["population"] == "customer"
    fields = ("population", "plan", "cancel_announced", "is_internal", "age_days", "seats")
    row = {name: facts[name] for name in fields}
    outcome, timing = OUTCOMES[name], Timing(horizon_days=30, every_days=7)
    assert eligible(outcome, pd.DataFrame([row]), SETTINGS, timing).tolist() == [watched]
    why = why_not(name, outcome.population, Context(**row), Rules("pro", {}))
    assert why == (None if watched else "the account has already announced that it leaves")
