"""One account's scores through time: what was told, why it moved, what if."""

import asyncio
import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from features.errors import GoldpanError
from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing
from serving.api.bodies.accounts import Account
from serving.api.bodies.history import (
    HistoryAnswer,
    HistoryQuery,
    MovementAnswer,
    MovementQuery,
    Point,
)
from serving.api.chosen import row_of, scorer_of, snapshot_of
from serving.api.cursors import cursor, place, unusable
from serving.api.problems import PROBLEMS, ProblemError, shown, unfit
from serving.ledger.database import utc
from serving.ledger.scores import Kept, history, newest
from serving.models.integrity import fingerprint
from serving.models.model import Model, load_bundle
from serving.scoring.known import known
from serving.scoring.movement import Movement, Part, moved
from serving.state import State

WEEK = dt.timedelta(days=7)
KEPT_VERSIONS = 4
"""Former versions of models that stay loaded: a few megabytes each."""


def routes(backing: Backing) -> APIRouter:
    """History and movement."""
    router = APIRouter()

    @router.get(
        "/v1/accounts/{account_id}/scores", operation_id="listScores",
        response_model=HistoryAnswer, summary="An account's scores, newest first",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def list_scores(
        request: Request, account_id: Account, asked: Annotated[HistoryQuery, Query()]
    ) -> Response:
        return answered(request, await told(backing, account_id, asked))

    @router.get(
        "/v1/accounts/{account_id}/movement", operation_id="getMovement",
        response_model=MovementAnswer, summary="Why an account's score moved between two days",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def get_movement(
        request: Request, account_id: Account, asked: Annotated[MovementQuery, Query()]
    ) -> Response:
        return answered(request, await movement(backing, account_id, asked))

    return router


async def told(backing: Backing, account_id: str, asked: HistoryQuery) -> dict[str, Any]:
    """The body of a `HistoryAnswer`, also of an account that is gone from all but the ledger."""
    after, limit = _after(asked.cursor), asked.limit + 1
    found = await asyncio.to_thread(
        history, backing.ledger, account_id, asked.model or None, limit, after
    )
    if not found and after is None:
        row_of(snapshot_of(backing.state()), account_id)
    rows = [_past(row) for row in found[: asked.limit]]
    body = {"account_id": account_id, "scores": rows}
    if len(found) > asked.limit:
        last = found[asked.limit - 1]
        made = utc(last.made_at).isoformat()
        body["next"] = cursor(last.as_of.isoformat(), made, last.score_id)
    return body


async def movement(backing: Backing, account_id: str, asked: MovementQuery) -> dict[str, Any]:
    """The body of a `MovementAnswer`."""
    state = backing.state()
    snapshot = snapshot_of(state)
    today = dt.date.fromisoformat(snapshot.table.as_of)
    end = _day(asked.to, "to") or today
    begin = _day(asked.since, "from") or max(end, dt.date.min + WEEK) - WEEK
    if begin > end:
        raise _wrong_day("from", str(begin), f"a day not after {end}")
    ends = [await _score(backing, state, account_id, asked.model, day) for day in (begin, end)]
    before, after = ends
    model = None if before.bundle == after.bundle else await _version(backing, state, after)
    currency, meanings = snapshot.company["currency"], snapshot.meanings
    found = moved(before, after, snapshot.wordings, currency, model, meanings)
    return {
        "account_id": account_id,
        "as_of": snapshot.table.as_of,
        "model": asked.model,
        "model_version": after.model_version,
        "before": _point(before, begin),
        "after": _point(after, end),
        **_parts(found),
    }


async def _score(backing: Backing, state: State, account_id: str, model: str, day: dt.date) -> Kept:
    """The account's last score up to a day; ProblemError where there is none."""
    kept = await asyncio.to_thread(newest, backing.ledger, account_id, model, day)
    if kept is None:
        row_of(snapshot_of(state), account_id)
        scorer_of(state, model)
        raise ProblemError(
            "no-score",
            f"{model} has no score of {account_id} as of {day} or before.",
            found=f"no score up to {day}",
            expected="a day on or after the first score; /v1/accounts/{id}/scores lists them",
        )
    return kept


async def _version(backing: Backing, state: State, kept: Kept) -> Model:
    """The model that made a score: the one that answers now, or its bundle if it is still there."""
    scorer = state.scorers.get(kept.model)
    if scorer is not None and scorer.model.digest == kept.bundle:
        return scorer.model
    folder = backing.workspace.bundles / kept.model / kept.model_version
    model = await asyncio.to_thread(_loaded, folder, kept.bundle)
    if model is None:
        raise ProblemError(
            "model-gone",
            f"Version {kept.model_version} of {kept.model} made the later score, another version "
            "the earlier, and its bundle is no longer here to score the earlier facts.",
            found=f"no bundle of {kept.model} {kept.model_version}",
            expected="two days of one version, or a version whose bundle is kept",
        )
    return model


def _loaded(folder: Path, bundle: str) -> Model | None:
    """The bundle in a folder, if it is that one."""
    try:
        files = tuple(sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()))
        model = _version_in(folder, fingerprint(folder), files)
    except (GoldpanError, FileNotFoundError):
        return None
    return model if model.digest == bundle else None


@lru_cache(maxsize=KEPT_VERSIONS)
def _version_in(folder: Path, _manifest: str, _files: tuple[tuple[str, int], ...]) -> Model:
    """A former version, which many movements ask for; read again where a file is another."""
    return load_bundle(folder)


def _parts(found: Movement) -> dict[str, Any]:
    causes = found.by_cause
    return {
        "difference": found.difference,
        "behaviour": causes["behaviour"],
        "passing_time": causes["passing_time"],
        "circumstances": causes["circumstances"],
        "version": causes["model_version"],
        "parts": [_part(part) for part in found.parts],
        **({"lacking": list(found.lacking)} if found.lacking else {}),
    }


def _part(part: Part) -> dict[str, Any]:
    return known(**vars(part))


def _point(kept: Kept, asked: dt.date) -> dict[str, Any]:
    return Point(
        asked=asked.isoformat(),
        as_of=kept.as_of.isoformat(),
        score_id=kept.score_id,
        model_version=kept.model_version,
        probability=kept.probability,
        log_odds=kept.log_odds,
    ).model_dump()


def _past(row: sa.Row[Any]) -> dict[str, Any]:
    body = {
        "score_id": row.score_id,
        "model": row.model,
        "model_version": row.model_version,
        "as_of": row.as_of.isoformat(),
        "made_at": utc(row.made_at).isoformat(timespec="seconds"),
        "snapshot": row.snapshot,
        "probability": row.probability,
        "log_odds": row.log_odds,
        "grade": row.grade,
    }
    return body | ({} if row.low is None else {"interval": {"low": row.low, "high": row.high}})


def _after(text: str) -> tuple[dt.date, dt.datetime, str] | None:
    if not text:
        return None
    day, made, name = place(text, str, str, str)
    try:
        moment = dt.datetime.fromisoformat(made)
        return dt.date.fromisoformat(day), moment.astimezone(dt.UTC), name.replace("\0", "")
    except (ValueError, OverflowError):
        raise unusable(text) from None


def _day(text: str, field: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise _wrong_day(field, text, "a day of the calendar such as 2026-07-01") from None


def _wrong_day(field: str, found: str, expected: str) -> ProblemError:
    return unfit(field, shown(found), expected)
