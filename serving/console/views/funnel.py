"""The seven states of the lifecycle, how many get from one to the next, and how fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from features.event_words import capital
from serving.console.format import day, exact_money, money, percent, span, whole
from serving.console.views.facts import NONE, Shown

WITHIN = ("30", "90")
HALF = "0.5"
NAMES = {
    "visitor": "Visitor", "signup": "Signup or trial", "pql": "PQL", "customer": "Customer",
    "active": "Active customer", "renewed": "Renewed", "churned": "Churned",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One state: how many accounts are in it, their part of the fullest, what they pay."""

    key: str
    name: str
    accounts: int
    share: float
    active: str
    mrr: Shown
    entered: str


@dataclass(frozen=True)
class Way:
    """From one state or step to another: who set out, who got there in time, how fast."""

    text: str
    began: int
    within: tuple[Shown, ...]
    share: float
    half: Shown


@dataclass(frozen=True)
class Lifecycle:
    """The part of the page about the lifecycle."""

    stages: tuple[Stage, ...]
    ways: tuple[Way, ...]
    steps: tuple[Way, ...]
    revenue: tuple[tuple[str, Shown, str], ...]
    when: str


def lifecycle(report: Mapping[str, Any]) -> Lifecycle:
    """A report of `goldpan lifecycle` as a page shows it."""
    states = report["states"]
    most = max([s["accounts"] for s in states] or [0]) or 1
    since, as_of = (date.fromisoformat(report[k]) for k in ("since", "as_of"))
    steps = [*report["initial_value"], *(way for j in report["journeys"] for way in j["steps"])]
    return Lifecycle(
        tuple(_stage(s, most, report["currency"]) for s in states),
        tuple(_way(w) for w in report["ways"] if w["passage"]["began"]),
        tuple({way.text: way for w in steps if (way := _way(w)).began}.values()),
        tuple(_revenue(report["revenue"], report["currency"])),
        f"as of {day(as_of)}; ways of those who set out since {day(since)}",
    )


def _stage(state: Mapping[str, Any], most: int, currency: str) -> Stage:
    accounts, mrr = state["accounts"], state["mrr"]
    return Stage(
        state["state"], NAMES.get(state["state"], state["label"]), accounts, accounts / most,
        f"{percent(state['active'] / accounts)} active" if accounts else "",
        Shown(money(mrr, currency), exact_money(mrr, currency)) if mrr else NONE,
        f"{whole(state['entered'])} new in the period" if state["entered"] else "",
    )  # fmt: skip


def _way(way: Mapping[str, Any]) -> Way:
    passage = way["passage"]
    within = tuple(_estimate(passage["within"][d]) for d in WITHIN)
    last = passage["within"][WITHIN[-1]]["value"]
    half = passage["days"][HALF]["value"]
    return Way(
        capital(f"{_named(way['start'])} → {_named(way['to'])}"), passage["began"], within,
        last or 0.0,
        NONE if half is None else Shown(span(max(1, round(half))), f"{half:g} days"),
    )  # fmt: skip


def _estimate(found: Mapping[str, Any]) -> Shown:
    value, low, high = (found[k] for k in ("value", "low", "high"))
    if value is None:
        return Shown(NONE.text, "not observed so far")
    ends = f"95 % interval: {percent(low)} to {percent(high)}" if low is not None else ""
    return Shown(percent(value), ends)


def _named(step: str) -> str:
    """A state's name, or a milestone's in words."""
    return NAMES.get(step, step.replace("_", " "))


def _revenue(found: Mapping[str, Any], currency: str) -> list[tuple[str, Shown, str]]:
    if not found["starting"]:
        return []
    net, expansion = found["net_retention"], found["expansion_rate"]
    lost = found["churned"] / found["starting"]
    base = f"of the {money(found['starting'], currency)} that customers paid at the start"
    return [
        ("Net revenue retention", Shown(percent(net), f"{net:.6f}"), f"{base}, a year later"),
        ("Expansion", Shown(percent(expansion), f"{expansion:.6f}"), f"more {base}"),
        ("Churned", Shown(percent(lost), f"{lost:.6f}"), f"{base}, with those who left"),
    ]
