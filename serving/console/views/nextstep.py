"""What to do: the best next step, one rule after another, and the play for a reason."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from serving.console.format import plural, whole
from serving.console.views.desk import Desk
from serving.console.views.facts import NONE, Phrase, Shown, fact
from serving.console.views.words import PROSPECTS, UPGRADES, Words
from serving.scoring.accounts import Snapshot
from serving.scoring.explain import number
from serving.scoring.scorer import Scorer

NEAR, FULL = 0.8, 0.9


def next_step(desk: Desk, row: int, words: Words) -> str:
    """What to do first, with the fact that says so; empty for a queue of another kind."""
    if words not in (PROSPECTS, UPGRADES):
        return ""  # of accounts at risk the first reason's play is told
    seats, limit, looks = _room(desk.snapshot, row)
    if words is UPGRADES and seats >= FULL:
        return f"Offer more seats: {number(seats, 'share')} of them are in use"
    if words is UPGRADES and on_top(desk.snapshot, row):
        return beyond_the_top(desk.snapshot, row)
    if limit >= NEAR:
        offer = "the next plan" if words is UPGRADES else "a plan with more room"
        return f"Offer {offer}: {number(limit, 'share')} of a limit is used"
    if looks >= 1:
        times = plural(int(looks), "look")
        about = "the plans they looked at" if words is UPGRADES else "prices"
        return f"Talk about {about}: {times} at prices in 28 days"
    if words is PROSPECTS and (ahead := milestones_ahead(desk, row)):
        return f"Take them to their next milestone, {ahead[0]}"
    return "Show what the next plan adds" if words is UPGRADES else "Ask what they still miss"


def on_top(snapshot: Snapshot, row: int) -> bool:
    """Whether there is no higher plan to offer."""
    return snapshot.table.contexts[row].plan == snapshot.rules.top_plan


def beyond_the_top(snapshot: Snapshot, row: int) -> str:
    """What to offer who has the highest plan: a limit, seats; never a plan."""
    seats, limit, looks = _room(snapshot, row)
    if limit >= NEAR:
        return f"Offer a higher limit: {number(limit, 'share')} of one is used"
    if looks >= 1:
        return f"Ask what they want to add: {plural(int(looks), 'look')} at prices in 28 days"
    return f"Ask who else could use a seat: {number(seats, 'share')} of them are in use"


def with_plays(
    scorer: Scorer, row: int, reasons: Iterable[Phrase], most: int = 1
) -> tuple[Phrase, ...]:
    """The reasons, the first raising ones with what to do about each; a play is told once."""
    snapshot, model = scorer.snapshot, scorer.model.name
    plays = snapshot.company.get("plays", {}).get(model, {})
    if model == UPGRADES.model and on_top(snapshot, row):  # plays tell of the next plan
        plays = dict.fromkeys(plays, beyond_the_top(snapshot, row))
    found, told = [], set[str]()
    for reason in reasons:
        text = plays.get(reason.signal, "") if reason.raises and len(told) < most else ""
        found.append(reason if text in told or not text else replace(reason, play=text))
        told |= {text} - {""}
    return tuple(found)


def milestones(desk: Desk, row: int) -> Shown:
    """How many milestones are reached, of how many, and which are left."""
    total, ahead = len(desk.milestones), milestones_ahead(desk, row)
    if not total:
        return NONE
    left = f"still ahead: {', '.join(ahead)}" if ahead else "all of them"
    return Shown(f"{whole(total - len(ahead))} of {whole(total)}", left)


def milestones_ahead(desk: Desk, row: int) -> list[str]:
    """The milestones that the account has not reached, in the settings' order, in words."""
    reached = ~np.isnan(desk.table.matrix[row, [column for column, _ in desk.milestones]])
    return [name for (_, name), done in zip(desk.milestones, reached, strict=True) if not done]


def _room(snapshot: Snapshot, row: int) -> tuple[float, float, float]:
    """The share of the seats in use and of a limit, and the looks at prices in 28 days."""
    use, limit, looks = "seat_use_28d", "limit_use", "pricing_interest_28d"
    return _number(snapshot, row, use), _number(snapshot, row, limit), _number(snapshot, row, looks)


def _number(snapshot: Snapshot, row: int, feature: str) -> float:
    """A feature; 0 where it is not known."""
    value = fact(snapshot, row, feature)
    return 0.0 if not isinstance(value, float) or math.isnan(value) else value
