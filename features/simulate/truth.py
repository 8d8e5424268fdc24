"""What truly makes accounts buy, buy more and leave: the effects that are planted, in log-odds.

The hazards read them from here and so may whoever checks what an insight has found. Of the
features that accounts take up, few matter and all look as if they did: engaged accounts take up
more of everything.
"""

from dataclasses import dataclass

import numpy as np

from features.simulate.offer import ADOPTABLE, Floats

GOLDEN = {
    "pql": {"report_shared": 1.0, "integration_synced": 0.8},
    "upgrade": {"automation_run": 1.6},
    "churn": {"api_called": -1.4},
}
"""Outcome → event → what having taken it up adds to the log-odds of every day."""

NOT_CAUSAL = {
    outcome: tuple(name for name in ADOPTABLE if name not in GOLDEN[outcome]) for outcome in GOLDEN
}
"""Outcome → events that can be taken up as well, and change nothing: the negative controls."""

SYMPTOMS = {"pql": (), "upgrade": (), "churn": ("export_run",)}
"""Outcome → events whose *frequency* foretells it without causing it: who leaves exports first."""


@dataclass(frozen=True)
class Sequence:
    """Events that count only if all happen within so many days of the sign-up."""

    events: tuple[str, ...]
    within_days: int
    log_odds: float


SEQUENCES = {"pql": Sequence(("invitation_sent", "report_created"), 9, 0.9)}
"""Outcome → what adds to the log-odds of every later day if it was done early."""


def planted(outcome: str) -> Floats:
    """The log-odds of an outcome's golden features, in the order of `ADOPTABLE`.

    >>> planted("upgrade").tolist()
    [0.0, 0.0, 0.0, 1.6, 0.0, 0.0]
    """
    return np.array([GOLDEN[outcome].get(name, 0.0) for name in ADOPTABLE])
