"""How far an account has come: its state and since when, its milestones, every state so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from features.event_words import capital
from serving.console.format import day, in_days, plural, span
from serving.console.views.facts import NONE, Shown
from serving.console.views.funnel import NAMES
from serving.scoring.accounts import Snapshot
from serving.scoring.lives import Life, Lives, Stage


@dataclass(frozen=True)
class Step:
    """A milestone, and when it was reached; None: not yet."""

    name: str
    when: Shown | None


@dataclass(frozen=True)
class Spell:
    """A state that the account was in, and for how long."""

    state: str
    since: str
    lasted: str


@dataclass(frozen=True)
class Journey:
    """What the page shows of it; `spells` are the newest first."""

    state: str
    since: Shown
    done: str
    steps: tuple[Step, ...]
    named: tuple[str, ...]
    spells: tuple[Spell, ...]


def journey(snapshot: Snapshot, row: int, life: Life) -> Journey | None:
    """The journey of an account; None where the snapshot does not tell it."""
    lives, as_of = snapshot.lives, date.fromisoformat(snapshot.table.as_of)
    if lives is None:
        return None
    reached = {r.milestone: r.day for r in life.milestones}
    steps = tuple(Step(words(name), _when(reached.get(name), as_of)) for name in lives.milestones)
    done = f"{sum(s.when is not None for s in steps)} of {plural(len(steps), 'milestone')}"
    return Journey(
        state_name(snapshot.profiles[row].state),
        since(snapshot, row),
        done if steps else "",
        steps,
        tuple(_journeys(lives, reached)),
        tuple(spells(life.states, as_of)),
    )


def since(snapshot: Snapshot, row: int) -> Shown:
    """Since when the account has been in its state."""
    told, as_of = snapshot.profiles[row].since, date.fromisoformat(snapshot.table.as_of)
    if told is None:
        return NONE
    first = date.fromisoformat(told)
    lasted = (as_of - first).days
    return Shown(f"since {day(first)}", f"for {span(lasted)}" if lasted else "from this day on")


def state_name(state: str | None) -> str:
    """What a state is called; empty for none."""
    return NAMES.get(state or "", state or "")


def words(name: str) -> str:
    """A name of the settings as people read it.

    >>> words("first_report")
    'First report'
    """
    return capital(name.replace("_", " "))


def spells(stages: Sequence[Stage], as_of: date) -> list[Spell]:
    """Every state so far, the newest first; the last lasts until today.

    >>> past = [Stage("signup", date(2026, 1, 1)), Stage("pql", date(2026, 1, 11))]
    >>> [(s.state, s.lasted) for s in spells(past, date(2026, 1, 12))]
    [('PQL', '1 day so far'), ('Signup or trial', '10 days')]
    """
    ends = [stage.since for stage in stages[1:]] + [as_of]
    found = []
    for stage, end in zip(stages, ends, strict=False):  # without a state there is no end
        lasted = span((end - stage.since).days)
        now = " so far" if stage is stages[-1] else ""
        found.append(Spell(state_name(stage.state), day(stage.since), f"{lasted}{now}"))
    return found[::-1]


def _when(reached: date | None, as_of: date) -> Shown | None:
    if reached is None:
        return None
    return Shown(day(reached), in_days((reached - as_of).days))


def _journeys(lives: Lives, reached: dict[str, date]) -> list[str]:
    """How much of each journey is done, where there is more than one milestone to it."""
    told = []
    for name, steps in lives.journeys.items():
        done = sum(step in reached for step in steps)
        told.append(f"{words(name)}: {done} of {plural(len(steps), 'step')}")
    return told
