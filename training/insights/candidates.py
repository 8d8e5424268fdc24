"""What may be golden: the events and milestones whose use is compared, and who had used them."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.event_words import event_words
from features.settings import Milestone, Settings
from training.insights.effects import Floats
from training.insights.landmarks import Landmarks, landmarks

CONTROL = "many in-product messages shown"
SHOWN, SESSIONS = "notifications_shown_90d", "sessions_90d"
SETTLED_DAYS = 28
"""Customers' use counts from so long before their day: what they do when they are about to leave
or to buy more is a symptom."""


@dataclass(frozen=True)
class Candidate:
    """One thing that an account may have done by a day.

    `column` of the rows says how many days before that day it was first seen (missing: never);
    `event` is set where a plan may leave it out.
    """

    name: str
    label: str
    kind: str
    column: str
    event: str | None = None
    control: bool = False


def steps(settings: Settings) -> list[Milestone]:
    """The steps that insights look at: declared milestones, then the first use of each feature.

    An event without a milestone gets one named `first_<event>`; an event whose first use is a
    declared milestone is not named twice.
    """
    declared = list(settings.milestones)
    first = {m.event for m in declared if m.count == 1}
    taken = {m.name for m in declared}
    for event in sorted({*_offered(settings), *settings.events.invitations}):
        name = "first_" + re.sub(r"[^a-z0-9_]+", "_", event.lower())
        if event not in first and name not in taken:
            declared.append(Milestone(name=name, event=event))
            taken.add(name)
    return declared


def candidates(settings: Settings) -> list[Candidate]:
    """Features, core use cases and milestones beyond them, and a negative control.

    The control is what is shown *to* accounts: none of their doing, so that it can cause little.
    """
    core = set(settings.events.core_use_cases)
    found = []
    for step in steps(settings):
        is_use = step.count == 1 and step.event in _offered(settings)
        kind = "core use case" if step.event in core else "feature" if is_use else "milestone"
        name = step.event if is_use else step.name
        kind = kind if is_use else "milestone"
        event = step.event if is_use else None
        said = event_words(name, settings.words) if is_use else words(name)
        found.append(Candidate(name, said, kind, f"seen_{step.name}", event))
    if settings.events.notifications_shown:
        found.append(Candidate(CONTROL, CONTROL, "control", SHOWN, control=True))
    return found


def _offered(settings: Settings) -> set[str]:
    return {*settings.events.features, *settings.events.core_use_cases}


def with_steps(found: Landmarks, spans: pd.DataFrame, names: list[str]) -> Landmarks:
    """The rows with `seen_<step>`: how many days before their day it was first seen as known then.

    `spans` as `features.lifecycle.adoption.adopted` gives them.
    """
    day = found.rows["as_of"].to_numpy().astype("datetime64[D]").astype(np.int64)
    keys = pd.DataFrame({"account_id": found.rows["account_id"], "as_of_day": day})
    both = keys.reset_index(names="row").merge(spans, on="account_id")
    known = both[(both["day"] <= both["as_of_day"]) & (both["as_of_day"] < both["until"])]
    first = known.groupby(["row", "milestone"])["day"].min().unstack()
    first = first.reindex(index=keys.index, columns=names)
    since = first.rsub(day, axis=0).astype(float).add_prefix("seen_")
    return landmarks(found.name, pd.concat([found.rows, since], axis=1), found.y)


def exposure(candidate: Candidate, found: Landmarks, settings: Settings) -> Floats:
    """1 for the rows that had used it, else 0.

    Prospects: by their day. Customers: 28 days before it or earlier, and the plan of the day
    includes it. The control: more messages shown per session than to half of all.
    """
    values = found.rows[candidate.column]
    if candidate.control:
        paced = values / found.rows[SESSIONS].clip(lower=1)
        return np.where(paced > paced.median(), 1.0, 0.0)
    if (found.rows["population"] == "prospect").all():
        return np.where(values.notna(), 1.0, 0.0)
    used = (values >= SETTLED_DAYS) & _included(candidate.event, found, settings)
    return np.where(used, 1.0, 0.0)


def _included(event: str | None, found: Landmarks, settings: Settings) -> "pd.Series[bool]":
    """Whether the plan includes the feature, or nothing is known of what it includes."""
    without = {plan for plan, names in settings.plans.features.items() if event not in names}
    return ~found.rows["plan"].isin(without if event else ())


def words(name: str) -> str:
    """An event's or a step's name as a person reads it.

    >>> words("report_shared")
    'report shared'
    """
    return re.sub(r"[\W_]+", " ", name).strip()
