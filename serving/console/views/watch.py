"""How a promoted model fares now: freshness, drift of its scores, its versions, what people say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from features.workspace import Workspace
from serving.console.format import ago, day, in_days, instant, percent, points
from serving.console.views.desk import Desk
from serving.console.views.facts import Shown
from serving.ledger.reviews import counts
from serving.scoring.scorer import Scorer

Values = NDArray[np.float64]
OLD_DAYS = 120
SHIFT = 1.5
"""Scores whose mean is so many times what it was in the test months, or less than its inverse."""
LISTED = 8
"""So many of the newest versions a page lists."""


@dataclass(frozen=True)
class Fresh:
    """One line about age; `old` when somebody should act."""

    label: str
    value: Shown
    old: bool = False


@dataclass(frozen=True)
class Drift:
    """How today's scores stand beside those of the test months; `told` in one sentence."""

    told: str
    shifted: bool
    means: tuple[tuple[str, Shown], ...]
    grades: tuple[tuple[str, Shown, Shown], ...]


@dataclass(frozen=True)
class Version:
    """One promotion or rollback."""

    version: str
    what: str
    when: Shown
    now: bool
    reason: str


@dataclass(frozen=True)
class Agreement:
    """What people said of one version's scores."""

    version: str
    agree: int
    disagree: int

    @property
    def share(self) -> float:
        """Of those who said something, who agree."""
        return self.agree / (self.agree + self.disagree)


@dataclass(frozen=True)
class Watch:
    """What a model's page says of now."""

    fresh: tuple[Fresh, ...]
    drift: Drift | None
    versions: tuple[Version, ...]
    agreement: tuple[Agreement, ...]


def watch(desk: Desk, model: str, workspace: Workspace, ledger: Engine) -> Watch:
    """Everything about now."""
    scorer = desk.state.scorers[model]
    return Watch(
        tuple(freshness(scorer, datetime.now(UTC))),
        drift(scorer, *desk.queues.before[model]),
        tuple(versions(workspace, model, scorer.model.version)),
        tuple(_agreement(ledger, model)),
    )


def freshness(scorer: Scorer, now: datetime) -> list[Fresh]:
    """How old the scores are, and how old is what the model knows."""
    card = scorer.model.card
    as_of = datetime.fromisoformat(scorer.snapshot.table.as_of).date()
    told = [Fresh("Scores know what happened before", Shown(day(as_of), f"{as_of}, 00:00 UTC"))]
    if "cut_off" in card:
        until = datetime.fromisoformat(card["cut_off"]).date()
        age = (as_of - until).days
        told.append(_learnt(card, until, age))
    if "created_at" in card:
        then = datetime.fromisoformat(card["created_at"])
        told.append(Fresh("Trained", Shown(ago(then, now), instant(then))))
    return told


def _learnt(card: Mapping[str, Any], until: date, age: int) -> Fresh:
    """Up to when it learnt; old once it is well beyond what outcomes not yet known explain."""
    value = Shown(f"{day(until)}, {in_days(-age)}", f"{age} days before the scoring day")
    return Fresh("Learnt from what was seen up to", value, age > OLD_DAYS + _wait(card))


def drift(scorer: Scorer, since: str, then: Values) -> Drift | None:
    """Today's scores beside those of the test months, and of a week before."""
    quantiles = scorer.model.card.get("reference_quantiles")
    now = scorer.chances[~np.isnan(scorer.chances)]
    if not quantiles or not now.size:
        return None
    middle = float(np.mean(quantiles))  # of evenly spaced quantiles: close to the mean itself
    mean, before = float(now.mean()), then[~np.isnan(then)]
    ratio = mean / middle if middle else 1.0
    shifted = not 1 / SHIFT <= ratio <= SHIFT
    means = [("In its test months", _share(middle)), ("Now", _share(mean))]
    if before.size:
        when = day(datetime.fromisoformat(since).date())
        means.insert(1, (f"On {when}", _share(float(before.mean()))))
    return Drift(_told(shifted, mean - middle), shifted, tuple(means), tuple(_grades(scorer, now)))


def versions(workspace: Workspace, model: str, now: str) -> list[Version]:
    """The promotions and rollbacks of a model, the newest first; lines of another form are none."""
    try:
        lines = (workspace.bundles / "promotions.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = [told for line in lines if (told := _version(line, model))]
    newest = found[: -LISTED - 1 : -1]
    first = next((i for i, v in enumerate(newest) if v.version == now), None)
    return [replace(v, now=i == first) for i, v in enumerate(newest)]


def _version(line: str, model: str) -> Version | None:
    try:
        told: Any = json.loads(line)
        if told["outcome"] != model:
            return None
        then = datetime.fromisoformat(told["at"])
        what = "rolled back to" if told["what"] == "rollback" else "promoted"
        if told.get("failed"):
            what = "promoted in spite of the gate"
        when = Shown(ago(then), instant(then))
        return Version(str(told["to"]), what, when, False, str(told.get("reason") or ""))
    except (ValueError, KeyError, TypeError):
        return None


def _agreement(ledger: Engine, model: str) -> list[Agreement]:
    said = sorted(counts(ledger, model).items(), key=lambda item: item[0] or "", reverse=True)
    return [Agreement(version or "", n["agree"], n["disagree"]) for version, n in said if n.total()]


def _grades(scorer: Scorer, now: Values) -> list[tuple[str, Shown, Shown]]:
    """Of each grade its share among today's accounts, and in the test months."""
    quantiles = scorer.model.card["reference_quantiles"]
    today, then = ([scorer.grade_of(p) for p in ps] for ps in (now.tolist(), quantiles))
    return [
        (g, _share(today.count(g) / len(today)), _share(then.count(g) / len(then))) for g in "ABCD"
    ]


def _told(shifted: bool, change: float) -> str:
    if not shifted:
        return "Scores are about as high as in the months that it was judged on."
    way = "higher" if change > 0 else "lower"
    return (f"Scores are clearly {way} than in the months that it was judged on ({points(change)} "
            "points in the mean). Look first whether tracking broke or prices changed; retrain "
            "only when accounts really are different.")  # fmt: skip


def _wait(card: Mapping[str, Any]) -> int:
    """How old the newest usable observation is at least: its outcome must be known."""
    return int(card["lead_days"]) + int(card["horizon_days"]) + int(card.get("gap_days", 0))


def _share(value: float) -> Shown:
    return Shown(percent(value), repr(value))
