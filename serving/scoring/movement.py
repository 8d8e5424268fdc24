"""Why a score moved between two days: behaviour, passing time, circumstances, another model.

Both scores stand in the ledger with their rows. Where one version made both, a signal's part is its
contribution on the later day less that on the earlier. Where two versions did, the earlier row is
scored by the later version first: what that changes is the part of the version, and all else is
told as the later version sees it. Either way the parts sum to the difference in log-odds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from serving.ledger.scores import Kept
from serving.models.model import Model
from serving.scoring.explain import Fact, Wording, number, sentence
from serving.scoring.facts import facts, through
from serving.scoring.score import by_signal

BEHAVIOUR, TIME, CIRCUMSTANCES, VERSION = (
    "behaviour", "passing_time", "circumstances", "model_version",
)  # fmt: skip
CAUSES = (BEHAVIOUR, TIME, CIRCUMSTANCES, VERSION)
BEFORE, AFTER = "earlier fact", "later fact"


@dataclass(frozen=True)
class Part:
    """One signal's part in a movement, in log-odds; of the model's version: no signal."""

    cause: str
    signal: str | None
    label: str
    text: str
    contribution: float


@dataclass(frozen=True)
class Movement:
    """From one score to another; `parts`, the largest first, sum to `difference` within 1e-9.

    `lacking`: features of the later version that the earlier row did not hold.
    """

    before: Kept
    after: Kept
    parts: tuple[Part, ...]
    lacking: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """The later log-odds less the earlier."""
        return self.after.log_odds - self.before.log_odds

    @property
    def by_cause(self) -> dict[str, float]:
        """Cause → the sum of its parts."""
        return {
            cause: math.fsum(p.contribution for p in self.parts if p.cause == cause)
            for cause in CAUSES
        }


def moved(
    before: Kept,
    after: Kept,
    wordings: Mapping[str, Wording],
    currency: str,
    model: Model | None = None,
    meanings: Mapping[str, str] = MappingProxyType({}),
) -> Movement:
    """Take a movement apart; `model`: the later version, needed where the two versions differ.

    `meanings`: feature → what it says, for signals whose main fact stayed as it was.
    """
    start, versions = before.by_signal, []
    lacking: list[str] = []
    if before.bundle != after.bundle:
        if model is None:
            raise ValueError("two versions, and no model of the later one")
        start, part, lacking = _another_version(before, after, model)
        versions = [part]
    told = {BEFORE: facts(before), AFTER: facts(after)}

    def text(wording: Wording) -> str:
        return _said(wording, told, _others(wording, after, meanings), currency)

    parts = [
        Part(_cause(words), signal, words.label, text(words), change)
        for signal, value in after.by_signal.items()
        if (change := value - start[signal]) and (words := _wording(wordings, signal, after))
    ]
    ordered = sorted([*versions, *parts], key=lambda p: (-abs(p.contribution), p.label))
    return Movement(before, after, tuple(ordered), tuple(lacking))


def _another_version(
    before: Kept, after: Kept, model: Model
) -> tuple[dict[str, float], Part, list[str]]:
    """The earlier row by the later model: its parts, what that changed, what the row lacked."""
    row, lacking = through(facts(before), after.features)
    rows = row.reshape(1, -1)
    parts = by_signal(model, model.contributions(rows))[0].tolist()
    change = float(model.log_odds(rows)[0]) - before.log_odds
    chance = float(model.predict(rows)[0])
    text = (
        f"Version {after.model_version} of the model took the place of version "
        f"{before.model_version}: of the same facts it says {number(chance, 'share')} instead of "
        f"{number(before.probability, 'share')}"
    )
    version = Part(VERSION, None, "Version of the model", text, change)
    return dict(zip(model.signals, parts, strict=True)), version, lacking


def _cause(wording: Wording) -> str:
    """What the catalogue's kind says of a signal: done by the account, by the calendar, or else."""
    if wording.kind == "act":
        return BEHAVIOUR
    return TIME if wording.unit == "days" else CIRCUMSTANCES


def _wording(wordings: Mapping[str, Wording], signal: str, kept: Kept) -> Wording:
    """A signal's words; of one that the company has given up, its bare name."""
    kind = next(str(f["kind"]) for f in kept.features if f["signal"] == signal)
    label = signal.replace("_", " ").capitalize()
    return wordings.get(signal, Wording(signal, label, None, None, "", "count", kind))


def _others(wording: Wording, kept: Kept, meanings: Mapping[str, str]) -> dict[str, str]:
    """A signal's measures besides its main ones, in words."""
    mine = [str(f["name"]) for f in kept.features if f["signal"] == wording.name]
    return {
        n: meanings[n] for n in mine if n in meanings and n not in (wording.now, wording.before)
    }


def _said(
    wording: Wording,
    told: Mapping[str, Mapping[str, Fact]],
    others: Mapping[str, str],
    currency: str,
) -> str:
    """The fact that states the signal, on the two days; `others`: its other measures in words."""
    if wording.now is None:
        return sentence(wording, {}, {}, currency)
    before, now = (told[when].get(wording.now) for when in (BEFORE, AFTER))
    if wording.unit == "category":
        words = [value if isinstance(value, str) else "not known" for value in (before, now)]
        changed = f"changed from {words[0]} to {words[1]}"
        return f"{wording.label} {changed if words[0] != words[1] else f'stayed {words[0]}'}"
    phrase = "" if wording.phrase.startswith("over ") else wording.phrase
    plain = replace(wording, now=AFTER, before=BEFORE, phrase=phrase)
    text = sentence(plain, {AFTER: now, BEFORE: before}, {}, currency)
    if "stayed at" not in text and not text.endswith(", as before"):
        return text
    if other := _other(told, others, currency):
        return f"{text}; {other}"
    if now == before:
        return f"{text}, but counts differently beside what changed"
    return f"{wording.label} hardly changed: {text.partition(' stayed at ')[2]}"


def _other(told: Mapping[str, Mapping[str, Fact]], others: Mapping[str, str], currency: str) -> str:
    """The measure that changed most for its size, where the main one did not change."""
    best, most = "", 0.0
    for name, meaning in others.items():
        before, now = told[BEFORE].get(name), told[AFTER].get(name)
        if not isinstance(before, float) or not isinstance(now, float) or ":" in meaning:
            continue
        size = max(abs(before), abs(now))
        if size and abs(now - before) / size > most:
            most = abs(now - before) / size
            wording = Wording(name, meaning, AFTER, BEFORE, "", "count", "act")
            best = sentence(wording, {AFTER: now, BEFORE: before}, {}, currency)
    return best
