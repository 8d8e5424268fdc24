"""Scores → rows of the ledger."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine

from serving.ledger.scores import keep, packed, texts
from serving.models.integrity import digest
from serving.models.model import Model
from serving.scoring.score import interval
from serving.scoring.scorer import Scorer, Scores


def record(ledger: Engine, scorer: Scorer, scores: Scores) -> None:
    """Keep scores, explained; those that are kept already stay as they are."""
    features = contract(scorer.model)
    name = digest(features.encode("utf-8"))
    made_at = dt.datetime.now(dt.UTC)
    common = {
        "model": scorer.model.name,
        "model_version": scorer.model.version,
        "bundle": scorer.model.digest,
        "snapshot": scorer.snapshot.version,
        "made_at": made_at,
        "contract": name,
    }
    keep(ledger, name, features, [common | row for row in _rows(scorer, scores)])


def contract(model: Model) -> str:
    """The columns of a model's rows as text: names, signals, units, kinds, vocabularies."""
    return texts(
        {"name": f.name, "signal": f.signal, "unit": f.unit, "kind": f.kind}
        | ({} if f.vocabulary is None else {"vocabulary": list(f.vocabulary)})
        for f in model.features
    )


def _rows(scorer: Scorer, scores: Scores) -> Iterator[dict[str, Any]]:
    parts = scorer.explained(scores).parts
    assert parts is not None  # noqa: S101 - explained just now
    for i, (row, log_odds) in enumerate(zip(scores.rows, scores.log_odds.tolist(), strict=True)):
        ends, chance = interval(scorer.model, log_odds), float(scores.chances[i])
        low, high = ends or (None, None)
        yield {
            "score_id": scores.ids[i],
            "account_id": scorer.snapshot.table.ids[row],
            "as_of": dt.date.fromisoformat(scorer.snapshot.table.day(int(row))),
            "probability": chance,
            "log_odds": log_odds,
            "low": low,
            "high": high,
            "grade": scorer.grade_of(chance),
            "row_sha256": scores.digests[i],
            "inputs": packed(scores.inputs[i]),
            "parts": packed(parts[i]),
        }
