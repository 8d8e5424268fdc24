"""Nightly scoring: every living account, by every promoted model, with its reasons.

The snapshot `scores/<day>-<k>/` holds what was scored (`features.parquet`), what answers need
besides (`serving.scoring.told`), what came out (`scores.parquet`) and, written last, the sha256 of
each (`manifest.json`). The service answers from the same files by the same code. The ledger gets
every score before the snapshot is current.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Engine

from features import history
from features.build import build
from features.errors import InputError
from features.instants import day_number
from features.lifecycle.states import EVERY, timeline
from features.points import known_days
from features.progress import Progress, silent
from features.provenance import in_words, meaning, other_parts
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace, publish_folder, publish_json, publish_text
from serving.ledger.database import opened
from serving.ledger.shown import keep_shown, shown_until
from serving.models.integrity import MANIFEST, digest
from serving.models.model import Model, load_bundle, promoted
from serving.scoring.accounts import FILES, LATER, SHOWN, Snapshot, load_snapshot
from serving.scoring.accounts import an_account as an_account
from serving.scoring.lived import write_lives
from serving.scoring.night import PARTS, written
from serving.scoring.night import SCHEMA as PARTS_SCHEMA
from serving.scoring.recorded import record
from serving.scoring.scorer import Scorer, Scores, applicable_to, bind, in_blocks
from serving.scoring.told import known, write_profiles, write_words

BLOCK = 500
QUIET_DAYS = 28
THAT_DAY_ALONE = 10**6
SCORES = "scores.parquet"
TAKEN = ("score_id", "model", "model_version", "probability", "grade")
SCHEMA = pa.schema(
    [
        ("score_id", pa.string()),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("account_id", pa.string()),
        ("name", pa.string()),
        ("population", pa.string()),
        ("plan", pa.string()),
        ("mrr", pa.float64()),
        ("probability", pa.float64()),
        ("grade", pa.string()),
        ("rank", pa.int64()),
        ("of", pa.int64()),
        ("reasons", pa.string()),
    ]
)


@dataclass(frozen=True)
class AtRisk:
    """A customer who may leave; `mrr_at_risk` is probability × MRR."""

    account_id: str
    name: str | None
    mrr: float
    probability: float
    mrr_at_risk: float
    grade: str
    reasons: tuple[dict[str, Any], ...]


def score(
    workspace: Workspace,
    settings: Settings,
    *,
    as_of: date | None = None,
    shown: bool = True,
    progress: Progress = silent,
) -> Path:
    """Score every living account on a day (default: the one after the last event).

    A feature sees only what happened before that day's midnight UTC and was known by then. Returns
    the snapshot's folder, which is current from then on. `shown`: people will look at this day, so
    what the accounts went through until then is kept with it. Raises NotReadyError when nothing was
    promoted or ingested, InputError when a bundle is damaged, a model learnt under settings of
    another meaning, nothing is known of that day or no account existed.
    """
    models = [load_bundle(folder) for folder in promoted(workspace).values()]
    _check_meaning(models, settings)
    with alone(workspace, "score"):
        return _score(workspace, settings, models, as_of, progress, shown=shown)


def _score(
    workspace: Workspace,
    settings: Settings,
    models: list[Model],
    as_of: date | None,
    progress: Progress,
    *,
    shown: bool,
) -> Path:
    day = _scorable(as_of, history.scoring_day(workspace))
    names = living(workspace, day)
    ledger = opened(workspace)
    final = _unused_folder(workspace, day)
    with publish_folder(final) as folder:
        observations = pd.DataFrame({"account_id": list(names), "as_of": day})
        build(workspace, settings, observations, out=folder / FILES[0], progress=progress)
        write_words(folder, settings, FILES[0])
        files = (*FILES, *_write_told(folder, workspace, settings, day, progress, shown=shown))
        write_manifest(folder, files, day, models)
        snapshot = replace(load_snapshot(folder), version=final.name)
        write_scores(folder, models, snapshot, ledger, progress)
        write_manifest(folder, (*files, SCORES, SHOWN, PARTS), day, models)
    publish_text(workspace.scores / "current", final.name + "\n")
    return final


def _write_told(
    folder: Path,
    workspace: Workspace,
    settings: Settings,
    day: date,
    progress: Progress,
    *,
    shown: bool,
) -> tuple[str, ...]:
    """Write who the accounts are, and (`shown`) what they went through; the further files' names.

    Days that are not shown look at the rules of the lifecycle on that day alone, and do not know
    since when a state has lasted.
    """
    every = EVERY if shown else THAT_DAY_ALONE
    told = timeline(workspace, settings, day, every=every, progress=progress)
    write_profiles(folder, workspace, day, FILES[0], told, since=shown)
    if not shown:
        return ()
    write_lives(folder, workspace, settings, day, FILES[0], told, progress)
    return LATER


def _check_meaning(models: list[Model], settings: Settings) -> None:
    """Features must mean what they meant when the models learnt from them."""
    for model in models:
        learnt = model.card.get("meaning")  # a card from elsewhere may not say
        if learnt and (parts := other_parts(learnt, meaning(settings))):
            raise InputError(
                f"model {model.name} {model.version}, which learnt under {in_words(parts)}",
                expected="the settings that it learnt under",
                do="Score with those, or run `goldpan build`, `train` and `promote` again.",
            )


def _scorable(asked: date | None, newest: date) -> date:
    """The day asked for, unless nothing would be known of the four weeks before it."""
    if asked is not None and (asked - newest).days > QUIET_DAYS:
        raise InputError(
            f"no event in the {QUIET_DAYS} days before {asked}",
            expected=f"a day not long after {newest}, before which the last event happened",
            do="Choose an earlier day with --as-of, or ingest what is new.",
        )
    return asked or newest


def at_risk(snapshot: Path, top: int = 5) -> list[AtRisk]:
    """The customers whose leaving would cost most: by churn probability × MRR, largest first."""
    rows = pq.read_table(snapshot / SCORES, filters=[("model", "==", "churn")]).to_pylist()
    rows.sort(key=lambda r: (-r["probability"] * r["mrr"], r["account_id"]))
    return [
        AtRisk(
            account_id=r["account_id"],
            name=r["name"],
            mrr=r["mrr"],
            probability=r["probability"],
            mrr_at_risk=r["probability"] * r["mrr"],
            grade=r["grade"],
            reasons=tuple(json.loads(r["reasons"])),
        )
        for r in rows[:top]
    ]


def living(workspace: Workspace, day: date) -> dict[str, str | None]:
    """Account id → name, of the accounts that were known by that midnight and not merged away."""
    rows = known(workspace, day)
    number = day_number(day)
    spans = known_days(workspace)
    there = spans.loc[(spans["first"] <= number) & (number < spans["end"]), "account_id"]
    rows = rows.filter(pc.is_in(rows["account_id"], pa.array(there, pa.string())))
    if rows.num_rows == 0:
        raise InputError(
            f"no account that existed before {day}", do="Choose a later day with --as-of."
        )
    return dict(zip(rows["account_id"].to_pylist(), rows["name"].to_pylist(), strict=True))


def _unused_folder(workspace: Workspace, day: date) -> Path:
    taken = 1
    while (workspace.scores / f"{day.isoformat()}-{taken}").exists():
        taken += 1
    return workspace.scores / f"{day.isoformat()}-{taken}"


def write_scores(
    folder: Path,
    models: list[Model],
    snapshot: Snapshot,
    ledger: Engine,
    progress: Progress = silent,
) -> None:
    """Write `scores.parquet`, and to the ledger, what every model says of every account.

    Also what that is made of (`parts.parquet`) and which reasons were shown (`shown.json`), where
    those that the former night showed count.
    """
    day = date.fromisoformat(snapshot.table.as_of)
    snapshot = replace(snapshot, shown={m.name: shown_until(ledger, m.name, day) for m in models})
    told: dict[str, dict[str, list[str]]] = {model.name: {} for model in models}
    with (
        pq.ParquetWriter(folder / SCORES, SCHEMA, write_page_checksum=True) as sink,
        pq.ParquetWriter(folder / PARTS, PARTS_SCHEMA, write_page_checksum=True) as parts,
    ):
        for model in models:
            scorer = bind(model, snapshot)
            rows, done = applicable_to(model, snapshot).tolist(), 0
            for block in in_blocks(rows, BLOCK):
                scores = scorer.scores(block)
                record(ledger, scorer, scores)
                made_of = scores.parts
                assert made_of is not None  # noqa: S101 - explained just now
                parts.write_table(written(model.digest, scores.rows, scores.log_odds, made_of))
                told[model.name] |= _shown(scorer, scores.rows, made_of)
                records = list(_records(scorer, scores))
                sink.write_table(pa.Table.from_pylist(records, schema=SCHEMA))
                done += len(block)
                progress(done, len(rows), f"scoring {model.name}")
            keep_shown(ledger, model.name, day, told[model.name])
    publish_json(folder / SHOWN, told)


def _shown(
    scorer: Scorer, rows: NDArray[np.intp], parts: NDArray[np.float64]
) -> dict[str, list[str]]:
    """Account id → the reasons that are told of it."""
    both = zip(rows.tolist(), parts.tolist(), strict=True)
    return {scorer.snapshot.table.ids[row]: scorer.shown(row, its[:-1]) for row, its in both}


def _records(scorer: Scorer, scores: Scores) -> Iterator[dict[str, Any]]:
    snapshot = scorer.snapshot
    table = snapshot.table
    for row, answer in zip(scores.rows, scorer.answers(scores), strict=True):
        context = table.contexts[row]
        yield {
            **{key: answer[key] for key in TAKEN},
            "account_id": table.ids[row],
            "name": snapshot.profiles[row].name,
            "population": context.population,
            "plan": context.plan,
            "mrr": float(table.mrr[row]),
            "rank": answer["rank"]["position"],
            "of": answer["rank"]["of"],
            "reasons": json.dumps(answer["reasons"], ensure_ascii=False),
        }


def write_manifest(folder: Path, files: tuple[str, ...], day: date, models: list[Model]) -> None:
    """Write the manifest of a snapshot: its day, when it is, the models, each file's sha256."""
    manifest = {
        "as_of": day.isoformat(),
        "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": {model.name: model.version for model in models},
        "sha256": {name: digest((folder / name).read_bytes()) for name in files},
    }
    publish_json(folder / MANIFEST, manifest)
