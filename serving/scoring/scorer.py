"""One model's answers about the accounts of one day; nightly scoring and the service share it."""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.errors import InputError
from serving.ledger.scores import row_digest, score_id
from serving.models.model import Model
from serving.scoring.accounts import Encoder, Snapshot, Table, encoder
from serving.scoring.eligibility import why_not
from serving.scoring.explain import context_of, reasons
from serving.scoring.remembered import Remembered
from serving.scoring.score import by_signal, how_soon, interval, letter, rank, thresholds
from serving.scoring.steady import shown

BLOCK = 5_000
Item = TypeVar("Item")


@dataclass(frozen=True)
class Scores:
    """What a model says of some accounts, in numbers; one row each.

    `rows`: their places in the snapshot's table; `inputs`: what the model saw; `parts`: log-odds by
    signal, the base last, None when nobody asked why.
    """

    rows: NDArray[np.intp]
    ids: tuple[str, ...]
    digests: tuple[str, ...]
    inputs: NDArray[np.float32]
    log_odds: NDArray[np.float64]
    chances: NDArray[np.float64]
    parts: NDArray[np.float64] | None = None

    def take(self, which: Sequence[int]) -> "Scores":
        """Only these rows."""
        parts = None if self.parts is None else self.parts[which]
        ids, digests = ([of[i] for i in which] for of in (self.ids, self.digests))
        return Scores(self.rows[which], tuple(ids), tuple(digests), self.inputs[which],
                      self.log_odds[which], self.chances[which], parts)  # fmt: skip


@dataclass(frozen=True)
class Scorer:
    """A model bound to the accounts of a snapshot.

    `log_odds`: those of every account of the table, NaN where the model does not apply; `peers`:
    the probabilities that there are, ascending. `parts`: the log-odds by signal of the accounts
    that the night worked out (`scoring.night`).
    """

    model: Model
    snapshot: Snapshot
    encoder: Encoder
    log_odds: NDArray[np.float64]
    peers: NDArray[np.float64]
    parts: NDArray[np.float64] | None = None
    told: Remembered = field(default_factory=Remembered, repr=False, compare=False)

    @cached_property
    def chances(self) -> NDArray[np.float64]:
        """The probability of every account of the table, NaN where the model does not apply."""
        return frozen(np.asarray(expit(self.log_odds)))

    def why_not(self, row: int) -> str | None:
        """Why the model does not apply to the account in this row; None when it does."""
        return _why_not(self.model, self.snapshot, row)

    def shown_before(self, row: int) -> Sequence[str]:
        """The account's reasons of the last night, as `steady.shown` gave them."""
        mine = self.snapshot.shown.get(self.model.name, {})
        return mine.get(self.snapshot.table.ids[row], ())

    def shown(self, row: int, parts: Sequence[float]) -> list[str]:
        """The signals to tell of the account, from its parts by signal (without the base)."""
        before = self.shown_before(row)
        if before and self.is_of_the_night(row):
            return list(before)
        known = dict(zip(self.model.signals, parts, strict=True))
        return shown(known, before, self.context)

    def is_of_the_night(self, row: int) -> bool:
        """Whether the night worked out this row, and nothing of it is newer."""
        return self.parts is not None and row not in self.snapshot.table.days

    @cached_property
    def context(self) -> frozenset[str]:
        """The signals that nobody can act on."""
        return context_of(self.snapshot.wordings)

    def scores(self, rows: Sequence[int], *, explain: bool = True) -> Scores:
        """What the model says of some accounts (rows of the table) to which it applies."""
        which = np.asarray(rows, dtype=np.intp)
        inputs = self.encoder.rows(self.snapshot.table, which)
        log_odds = self.log_odds[which]
        digests = tuple(row_digest(row) for row in inputs)
        ids = tuple(self._id(row, its) for row, its in zip(which, digests, strict=True))
        chances = np.asarray(expit(log_odds), dtype=np.float64)
        found = Scores(which, ids, digests, inputs, log_odds, chances)
        return self.explained(found) if explain else found

    def explained(self, scores: Scores) -> Scores:
        """The same scores with their parts."""
        if scores.parts is not None:
            return scores
        return replace(scores, parts=self.parts_of(scores.rows, scores.inputs))

    def parts_of(self, rows: NDArray[np.intp], inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log-odds of some rows by signal, the base last; `inputs`: what the model saw."""
        found = np.full((len(rows), len(self.model.signals) + 1), np.nan)
        if self.parts is not None:
            old = [i for i, row in enumerate(rows.tolist()) if self.is_of_the_night(row)]
            found[old] = self.parts[rows[old]]
        if (new := np.isnan(found[:, -1])).any():
            contributions = self.model.contributions(inputs[new])
            signals = by_signal(self.model, contributions)
            found[new] = np.column_stack([signals, contributions[:, -1]])
        return found

    @cached_property
    def limits(self) -> list[float]:
        """The probabilities above which an A, a B and a C begin."""
        return thresholds(self.model)

    def grade_of(self, probability: float) -> str | None:
        """The letter of a probability; None for NaN."""
        return None if math.isnan(probability) else letter(self.limits, probability)

    def answers(
        self, scores: Scores, *, explain: bool = True, when: bool = True
    ) -> list[dict[str, Any]]:
        """The scores as they are told: plain values, the curve, the reasons in words."""
        each = zip(scores.ids, scores.chances.tolist(), scores.log_odds.tolist(), strict=True)
        answers = [self._answer(*told) for told in each]
        if when:
            soon = how_soon(self.model, scores.inputs, scores.log_odds)
            answers = [answer | risk for answer, risk in zip(answers, soon, strict=True)]
        if explain and scores.parts is not None:
            for answer, row, parts in zip(answers, scores.rows, scores.parts.tolist(), strict=True):
                answer["reasons"] = self._reasons(int(row), parts[:-1])
        return answers

    def _id(self, row: np.intp, digest: str) -> str:
        model, table = self.model, self.snapshot.table
        day = dt.date.fromisoformat(table.day(int(row)))
        return score_id(table.ids[row], day, model.name, model.version, model.digest, digest)

    def _answer(self, id_: str, probability: float, log_odds: float) -> dict[str, Any]:
        card, ends = self.model.card, interval(self.model, log_odds)
        return {
            "score_id": id_,
            "model": self.model.name,
            "model_version": self.model.version,
            "probability": probability,
            **({"interval": {"low": ends[0], "high": ends[1]}} if ends else {}),
            "grade": letter(self.limits, probability),
            "rank": rank(self.peers, probability),
            "lead_days": card["lead_days"],
            "horizon_days": card["horizon_days"],
        }

    def _reasons(self, row: int, parts: list[float]) -> list[dict[str, Any]]:
        snapshot = self.snapshot
        population = snapshot.table.contexts[row].population
        found = reasons(
            dict(zip(self.model.signals, parts, strict=True)),
            snapshot.wordings,
            snapshot.table.facts(row),
            snapshot.peers.get(population, {}),
            currency=snapshot.company["currency"],
            told=self.shown(row, parts),
        )
        return [dict(vars(reason)) for reason in found]


def bind(model: Model, snapshot: Snapshot) -> Scorer:
    """Make a model ready for a snapshot: check the contract and score all its accounts.

    Raises InputError when the snapshot was made for other features or lacks a signal's wording.
    """
    if unknown := [s for s in model.signals if s not in snapshot.wordings]:
        raise InputError(
            f"no wording for signal '{unknown[0]}' of model {model.name} in {snapshot.version}",
            do="Run `goldpan score` again, with the settings that trained the model.",
        )
    encode = encoder(model, snapshot.table)
    applicable = applicable_to(model, snapshot)
    night = snapshot.night.get(model.digest)
    if night is not None and night.fits(applicable, len(model.signals)):
        log_odds, parts = night.log_odds, night.parts
    else:
        log_odds, parts = log_odds_of(model, snapshot.table, encode, applicable), None
    peers = frozen(np.sort(expit(log_odds[applicable])))
    return Scorer(model, snapshot, encode, frozen(log_odds), peers, parts)


def applicable_to(model: Model, snapshot: Snapshot) -> NDArray[np.intp]:
    """The rows of the table to which a model applies."""
    everyone = range(len(snapshot.table.ids))
    return np.array([r for r in everyone if not _why_not(model, snapshot, r)], dtype=np.intp)


def log_odds_of(
    model: Model, table: Table, encode: Encoder, rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The log-odds of some rows of a table, by its rows; of the others NaN."""
    found = np.full(len(table.ids), np.nan)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        found[block] = model.log_odds(encode.rows(table, block))
    return found


def in_blocks(rows: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive parts of at most `size` rows.

    >>> list(in_blocks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    return (rows[start : start + size] for start in range(0, len(rows), size))


def frozen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same array, which nobody changes any more."""
    values.setflags(write=False)
    return values


def _why_not(model: Model, snapshot: Snapshot, row: int) -> str | None:
    context = snapshot.table.contexts[row]
    return why_not(model.name, model.card["population"], context, snapshot.rules)
