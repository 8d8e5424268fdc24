"""One model's answers about the accounts of one day; nightly scoring and the service share it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.errors import InputError
from serving.models.model import Model
from serving.scoring.accounts import Encoder, Snapshot, encoder
from serving.scoring.eligibility import why_not
from serving.scoring.explain import reasons
from serving.scoring.score import by_signal, grade, rank

BLOCK = 5_000
Item = TypeVar("Item")


@dataclass(frozen=True)
class Scorer:
    """A model bound to the accounts of a snapshot.

    `peers` are the probabilities, ascending, of all accounts to which the model applies.
    """

    model: Model
    snapshot: Snapshot
    encoder: Encoder
    peers: NDArray[np.float64]

    def why_not(self, row: int) -> str | None:
        """Why the model does not apply to the account in this row; None when it does."""
        return _why_not(self.model, self.snapshot, row)

    def answers(self, rows: Sequence[int], *, explain: bool = True) -> list[dict[str, Any]]:
        """What the model says of some accounts (rows of the table) to which it applies."""
        inputs = self.encoder.rows(self.snapshot.table, np.asarray(rows, dtype=np.intp))
        probabilities = self.model.predict(inputs).tolist()
        answers = [self._answer(p) for p in probabilities]
        if explain:
            parts = by_signal(self.model, self.model.contributions(inputs))
            for answer, row, its_parts in zip(answers, rows, parts.tolist(), strict=True):
                answer["reasons"] = self._reasons(row, its_parts)
        return answers

    def _answer(self, probability: float) -> dict[str, Any]:
        card = self.model.card
        return {
            "model": self.model.name,
            "model_version": self.model.version,
            "probability": probability,
            "grade": grade(self.model, probability),
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
        )
        return [dict(vars(reason)) for reason in found]


def bind(model: Model, snapshot: Snapshot) -> Scorer:
    """Make a model ready for a snapshot: check the contract and rank all its accounts.

    Raises InputError when the snapshot was made for other features or lacks a signal's wording.
    """
    if unknown := [s for s in model.signals if s not in snapshot.wordings]:
        raise InputError(
            f"no wording for signal '{unknown[0]}' of model {model.name} in {snapshot.version}",
            do="Run `goldpan score` again, with the settings that trained the model.",
        )
    encode = encoder(model, snapshot.table)
    applicable = [r for r in range(len(snapshot.table.ids)) if not _why_not(model, snapshot, r)]
    blocks = [
        model.predict(encode.rows(snapshot.table, np.asarray(block, dtype=np.intp)))
        for block in in_blocks(applicable, BLOCK)
    ]
    peers = np.sort(np.concatenate(blocks)) if blocks else np.empty(0)
    peers.setflags(write=False)
    return Scorer(model, snapshot, encode, peers)


def in_blocks(rows: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive parts of at most `size` rows.

    >>> list(in_blocks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _why_not(model: Model, snapshot: Snapshot, row: int) -> str | None:
    context = snapshot.table.contexts[row]
    return why_not(model.name, model.card["population"], context, snapshot.rules)
