"""Training and serving agree on whom a model is about, though neither knows the other."""

from itertools import product

import pandas as pd
import pytest

from features.settings import Outcome as Timing
from serving.scoring.eligibility import Context, Rules, why_not
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
