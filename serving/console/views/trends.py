"""How the index, its parts and the signals of an account went over the last weeks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from serving.console.format import exact, plural
from serving.console.views.account import CBI
from serving.console.views.facts import fact
from serving.scoring.accounts import Snapshot
from serving.scoring.explain import number
from serving.scoring.lives import Lives

Known = float | None
INDEX = "cbi"


@dataclass(frozen=True)
class Trend:
    """One figure week by week, the oldest first, the last today's; None where it was not known."""

    label: str
    told: str
    values: tuple[Known, ...]
    peers: tuple[Known, ...]
    text: str = ""
    exact: str = ""


@dataclass(frozen=True)
class Index:
    """The Customer Behavior Index over time, with its five parts."""

    points: tuple[tuple[date, float], ...]
    peers: tuple[tuple[date, float], ...]
    parts: tuple[Trend, ...]


def signal_trends(snapshot: Snapshot, row: int, signals: Iterable[str]) -> dict[str, Trend]:
    """Signal → how its fact went, for those whose weeks are kept and differ."""
    words = {s: snapshot.wordings[s] for s in signals if s in snapshot.wordings}
    facts = {s: w.now for s, w in words.items() if w.now is not None}
    found = _trends(snapshot, row, [*facts.values()])
    return {
        s: _trend(words[s].label, *found[name], words[s].unit)
        for s, name in facts.items()
        if name in found and len({v for v in found[name][0] if v is not None}) > 1
    }


def index(snapshot: Snapshot, row: int) -> Index | None:
    """The index and its parts; None where fewer than two weeks of it are known."""
    found = _trends(snapshot, row, [INDEX, *(name for name, _ in CBI)])
    if INDEX not in found or sum(v is not None for v in found[INDEX][0]) < 2:
        return None
    days = _days(snapshot)
    values, peers = (_dated(days, of) for of in found[INDEX])
    parts = [_trend(label, *found[name], "count") for name, label in CBI if name in found]
    return Index(values, peers, tuple(p for p in parts if p.values[-1] is not None))


def _trends(
    snapshot: Snapshot, row: int, names: Sequence[str]
) -> dict[str, tuple[tuple[Known, ...], tuple[Known, ...]]]:
    """Feature → the account's values and its peers' medians, to the scoring day."""
    if snapshot.lives is None:
        return {}
    population = snapshot.table.contexts[row].population
    today = snapshot.peers.get(population, {})
    return {
        name: (
            (*map(_known, values), _now(snapshot, row, name)),
            (*_peers(snapshot.lives, population, name), today.get(name)),
        )
        for name, values in snapshot.lives.trends(row, names).items()
    }


def _peers(lives: Lives, population: str, name: str) -> Sequence[Known]:
    return lives.peers.get(population, {}).get(name) or [None] * len(lives.days)


def _trend(label: str, values: tuple[Known, ...], peers: tuple[Known, ...], unit: str) -> Trend:
    known = [(place, v) for place, v in enumerate(values) if v is not None]
    if not known:
        return Trend(label, "", values, peers)
    weeks = plural(len(values) - 1 - known[0][0], "week")
    told = f"{number(known[0][1], unit)} {weeks} ago, {number(known[-1][1], unit)} now"
    if (theirs := peers[-1]) is not None:
        told += f"; peers {number(theirs, unit)}"
    return Trend(label, told, values, peers, number(known[-1][1], unit), exact(known[-1][1]))


def _days(snapshot: Snapshot) -> list[date]:
    assert snapshot.lives is not None  # noqa: S101 - there are trends
    return [*snapshot.lives.days, date.fromisoformat(snapshot.table.as_of)]


def _dated(days: Sequence[date], values: Sequence[Known]) -> tuple[tuple[date, float], ...]:
    return tuple((d, v) for d, v in zip(days, values, strict=True) if v is not None)


def _now(snapshot: Snapshot, row: int, name: str) -> Known:
    value = fact(snapshot, row, name)
    return _known(value) if isinstance(value, float) else None


def _known(value: float) -> Known:
    return None if math.isnan(value) else value
