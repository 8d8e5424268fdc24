"""What may be golden: the events and milestones whose use is compared, and who had used them."""

import re
from dataclasses import dataclass

import numpy as np

from features.algebra import EventCount, Window
from features.catalog import catalogue
from features.settings import Milestone, Settings
from training.insights.effects import Floats
from training.insights.landmarks import Landmarks

SEEN_DAYS = 90
CONTROL = "many in-product messages shown"
SHOWN, SESSIONS = f"notifications_shown_{SEEN_DAYS}d", f"sessions_{SEEN_DAYS}d"


@dataclass(frozen=True)
class Candidate:
    """One thing an account may have done by a day, and the feature of the table that tells."""

    name: str
    label: str
    kind: str
    column: str
    event: str | None = None
    control: bool = False


def candidates(settings: Settings) -> list[Candidate]:
    """The product's features and core use cases, milestones beyond them, and a negative control.

    The control is what is shown *to* accounts: none of their doing, so that it can cause little.
    """
    counted = _counts(settings)
    core = set(settings.events.core_use_cases)
    found = [
        Candidate(event, words(event), "core use case" if event in core else "feature", name, event)
        for event, name in sorted(counted.items())
    ]
    found += [
        Candidate(m.name, words(m.name), "milestone", f"days_to_{m.name}")
        for m in settings.milestones
        if m.count > 1 or m.event not in counted
    ]
    if settings.events.notifications_shown:
        found.append(Candidate(CONTROL, CONTROL, "control", SHOWN, control=True))
    return found


def _counts(settings: Settings) -> dict[str, str]:
    """Event → the feature that counts it over 90 days."""
    return {
        f.expression.event: f.name
        for f in catalogue(settings).features
        if isinstance(f.expression, EventCount) and f.expression.window == Window(SEEN_DAYS)
    }


def exposure(candidate: Candidate, found: Landmarks, settings: Settings) -> Floats:
    """1 for the rows that had used it by their day, else 0.

    An event counts if it happened in the 90 days before and the plan of the day includes it, a
    milestone if it was ever reached; the control, if it happened more often per session than for
    half of all.
    """
    values = found.rows[candidate.column]
    if candidate.control:
        paced = values / found.rows[SESSIONS].clip(lower=1)
        return np.asarray((paced > paced.median()).to_numpy(dtype=float))
    if candidate.event is None:
        return np.asarray(values.notna().to_numpy(dtype=float))
    used = (values > 0).to_numpy(dtype=float)
    return np.asarray(used * _included(candidate.event, found, settings))


def _included(event: str, found: Landmarks, settings: Settings) -> Floats:
    """1 where the plan includes the feature, or nothing is known of what it includes.

    Prospects are taken as they are: a trial is not told by its plan.
    """
    if (found.rows["population"] == "prospect").all():
        return np.ones(len(found.rows))
    without = {plan for plan, names in settings.plans.features.items() if event not in names}
    return np.asarray((~found.rows["plan"].isin(without)).to_numpy(dtype=float))


def words(name: str) -> str:
    """An event's or a step's name as a person reads it.

    >>> words("report_shared")
    'report shared'
    """
    return re.sub(r"[\W_]+", " ", name).strip()


def steps(settings: Settings) -> list[Milestone]:
    """The steps that rules are made of: declared milestones, then the first use of each feature.

    An event without a milestone gets one named `first_<event>`; an event whose first use is a
    declared milestone is not named twice.
    """
    declared = list(settings.milestones)
    first = {m.event for m in declared if m.count == 1}
    taken = {m.name for m in declared}
    for event in sorted({*settings.events.features, *settings.events.core_use_cases,
                         *settings.events.invitations}):  # fmt: skip
        name = "first_" + re.sub(r"[^a-z0-9_]+", "_", event.lower())
        if event not in first and name not in taken:
            declared.append(Milestone(name=name, event=event))
            taken.add(name)
    return declared
