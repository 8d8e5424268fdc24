"""Contributions → reasons in plain words, with the account's own fact. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from serving.scoring.steady import shown

Fact = float | str | None

TOP = 5
MANY_MINUTES = 600
SIGNED = ("trend", "gap")
"""Units of a signal whose number says its sign in words: it does not rise or fall itself."""
DISTANCES = ("ago", "away")
FLAT = "flat"
WORD_UNITS = {"days": "day", "minutes": "minute", "months": "month", "hours": "hour"}


@dataclass(frozen=True)
class Wording:
    """What people call one signal, and which features state the account's fact.

    `phrase` reads after the number ("3 logins in 28 days").
    """

    name: str
    label: str
    now: str | None
    before: str | None
    phrase: str
    unit: str
    kind: str


@dataclass(frozen=True)
class Reason:
    """One signal's part in a score; `contribution` in log-odds, `share` of all parts' sizes."""

    signal: str
    label: str
    text: str
    direction: str
    contribution: float
    share: float
    kind: str


def reasons(
    parts: Mapping[str, float],
    wordings: Mapping[str, Wording],
    facts: Mapping[str, Fact],
    peers: Mapping[str, float | None],
    *,
    currency: str = "USD",
    top: int = TOP,
    told: Sequence[str] | None = None,
) -> list[Reason]:
    """The signals that moved the score most, largest first; never one that the model did not use.

    `parts`: signal → log-odds. `facts`: feature → the account's value. `peers`: feature → median.
    `told`: which are shown, each after its sign (`serving.scoring.steady`); by default as if none
    had been shown before.
    """
    used = {signal: part for signal, part in parts.items() if part != 0}
    total = sum(abs(part) for part in used.values())
    told = shown(used, context=context_of(wordings)) if told is None else told
    return [
        Reason(
            signal=signal,
            label=wordings[signal].label,
            text=sentence(wordings[signal], facts, peers, currency),
            direction="raises" if used[signal] > 0 else "lowers",
            contribution=used[signal],
            share=abs(used[signal]) / total,
            kind=wordings[signal].kind,
        )
        for signal in [name[1:] for name in told[:top]]
    ]


def context_of(wordings: Mapping[str, Wording]) -> frozenset[str]:
    """The signals that nobody can act on: what is context, and what is fixed."""
    return frozenset(name for name, wording in wordings.items() if wording.kind != "act")


def sentence(
    wording: Wording, facts: Mapping[str, Fact], peers: Mapping[str, float | None], currency: str
) -> str:
    """The account's own fact for one signal, and how its peers stand.

    >>> logins = Wording("logins", "Logins", "l", "b", "logins in 28 days", "count", "act")
    >>> sentence(logins, {"l": 3.0, "b": 14.0}, {"l": 11.0}, "USD")
    'Logins fell from 14 to 3 in 28 days; peers 11'
    >>> sentence(logins, {"l": 939.0, "b": 1371.0}, {"l": 48.0}, "USD")
    "Logins: 939 in 28 days; high beside peers' 48"
    """
    return "; ".join(filter(None, clauses(wording, facts, peers, currency)))


def clauses(
    wording: Wording, facts: Mapping[str, Fact], peers: Mapping[str, float | None], currency: str
) -> tuple[str, str]:
    """Both halves of the sentence: the account's own fact; its peers, empty where not known."""
    if wording.now is None:
        return f"{wording.label}: several measures together", ""
    now = _known(facts.get(wording.now))
    if wording.unit == "category" or isinstance(now, str):
        return f"{wording.label}: {now if now is not None else 'not known'}", ""
    before = _figure(_known(facts.get(wording.before))) if wording.before else None
    peer = _figure(_known(peers.get(wording.now)))
    wording, (now, before, peer) = _readable(wording, (now, before, peer))
    own = _own(wording, now, before, currency)
    if peer is None:
        return own, ""
    if level := _level(wording, now, before, peer):
        own = _own(wording, now, None, currency)
        return own, f"{level} beside peers' {number(peer, wording.unit)}"
    return own, f"peers {number(peer, wording.unit)}"


def _level(wording: Wording, now: float | None, before: float | None, peer: float) -> str:
    """High or low, where that is the news: far from the peers, and a change that hides it.

    Far: by two at least, and by more than the change. A fall to what is low hides nothing.
    """
    if wording.unit in SIGNED or wording.phrase in DISTANCES:
        return ""
    if not now or not before or min(now, before, peer) <= 0:
        return ""
    if number(now, wording.unit) == number(before, wording.unit):
        return ""
    far = max(2.0, before / now, now / before)
    if now < before:
        return "high" if now >= far * peer else ""
    return "low" if peer >= far * now else ""


def _readable(
    wording: Wording, values: tuple[float | None, ...]
) -> tuple[Wording, tuple[float | None, ...]]:
    """Many minutes as hours."""
    most = max((abs(value) for value in values if value is not None), default=0.0)
    if wording.unit != "minutes" or most < MANY_MINUTES:
        return wording, values
    hours = tuple(None if value is None else value / 60 for value in values)
    return replace(wording, unit="hours"), hours


def _own(wording: Wording, now: float | None, before: float | None, currency: str) -> str:
    label, unit = wording.label, wording.unit
    if now is None:
        past = "" if before is None else f", {amount(before, wording, currency)} before"
        return f"{label}: {'no data' if wording.kind == 'act' else 'not known'}{past}"
    tail = _in_full(now, wording, currency)
    if before is None:
        return f"{label}: {tail}"
    same = number(now, unit) == number(before, unit)
    if unit in SIGNED or wording.phrase in DISTANCES:
        return f"{label}: {tail}, {'as' if same else number(before, unit)} before"
    if same:
        return f"{label} stayed at {tail}"
    return f"{label} {'rose' if now > before else 'fell'} from {number(before, unit)} to {tail}"


def _in_full(value: float, wording: Wording, currency: str) -> str:
    """A number with its unit and the phrase that follows it."""
    if value == 0 and wording.phrase in DISTANCES:
        return "today"
    text = amount(value, wording, currency)
    return text if text == FLAT else f"{text}{_tail(wording)}"


def amount(value: float, wording: Wording, currency: str) -> str:
    """A number with its unit, unless the label or the phrase already says it.

    >>> amount(1.0, Wording("t", "Tenure", "t", None, "as a customer", "days", "context"), "USD")
    '1 day'
    """
    text = number(value, wording.unit)
    if wording.unit == "money":
        return f"{text} {currency}"
    word = WORD_UNITS.get(wording.unit)
    if word is None or f"{word}s" in wording.phrase.split():
        return text
    return f"{text} {word}" if text == "1" else f"{text} {word}s"


def number(value: float, unit: str) -> str:
    """A figure for people: one decimal at most, none from 100 up, shares in per cent.

    >>> number(0.4567, "share"), number(12345.6, "count"), number(2.04, "ratio")
    ('45.7 %', '12,346', '2')
    >>> number(-0.03, "trend"), number(12.0, "gap"), number(-3.0, "gap")
    ('down 3 %', '12 fewer', '3 more')
    """
    if unit in SIGNED:
        return _signed(value, unit)
    scaled = (value * 100 if unit == "share" else value) + 0.0  # no minus before a zero
    if 0 < abs(scaled) < 0.05:
        text = "under 0.1" if scaled > 0 else "just under 0"
    elif abs(scaled) >= 99.95:
        text = f"{scaled:,.0f}"
    else:
        text = f"{scaled:.1f}".removesuffix(".0")
    return f"{text} %" if unit == "share" else text


def _signed(value: float, unit: str) -> str:
    """A direction in words, and how far; a gap is what is missing."""
    if unit == "trend":
        size = number(abs(value), "share")
        return FLAT if value == 0 else f"{'up' if value > 0 else 'down'} {size}"
    if value == 0:
        return "as many"
    return f"{number(abs(value), 'count')} {'fewer' if value > 0 else 'more'}"


def _tail(wording: Wording) -> str:
    """The phrase after the number, without the words that the label has said already."""
    label = wording.label.lower()
    phrase = wording.phrase.replace(f" '{label}'", "").strip()
    if label.endswith(phrase.lower()):
        return ""
    rest = phrase[len(label) :] if phrase.lower().startswith(f"{label} ") else f" {phrase}"
    return rest if rest.startswith(" ") else f" {rest}"


def _known(value: Fact) -> Fact:
    return None if isinstance(value, float) and math.isnan(value) else value


def _figure(value: Fact) -> float | None:
    return None if isinstance(value, str) else value


def in_words(found: Sequence[Reason]) -> str:
    """The reasons' texts on one line, for a printed table."""
    return "; ".join(reason.text for reason in found)
