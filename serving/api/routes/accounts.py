"""`GET /v1/accounts` and `/v1/accounts/{id}`: the queues, and all that is known of one account."""

import asyncio
import hashlib
import json
import math
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing
from serving.api.bodies.accounts import Account, AccountAnswer, QueueAnswer, QueueQuery
from serving.api.chosen import row_of, scorer_of, snapshot_of
from serving.api.cursors import cursor, place, unusable
from serving.api.problems import PROBLEMS, ProblemError, shown
from serving.api.recording import Recorder
from serving.api.routes.scores import results_of
from serving.scoring.account import described
from serving.scoring.known import known
from serving.scoring.lastweek import remembered
from serving.scoring.queues import Page, Queues
from serving.state import State


def routes(backing: Backing) -> APIRouter:
    """The queues and the profile."""
    router, prepared = APIRouter(), Prepared()

    @router.get(
        "/v1/accounts", operation_id="listAccounts", response_model=QueueAnswer,
        summary="The queues: accounts by probability, by value or by movement",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def list_accounts(request: Request, asked: Annotated[QueueQuery, Query()]) -> Response:
        return answered(request, await page(backing, prepared, asked))

    @router.get(
        "/v1/accounts/{account_id}", operation_id="getAccount", response_model=AccountAnswer,
        summary="All that is known of an account: profile, behaviour, state, scores, reasons",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def get_account(request: Request, account_id: Account) -> Response:
        return answered(request, await account(backing, account_id))

    return router


class Prepared:
    """The queues of the newest state that was asked for."""

    def __init__(self) -> None:
        self.made: tuple[State, Queues] | None = None

    def of(self, state: State) -> Queues:
        """The queues of a state."""
        if self.made is None or self.made[0] is not state:
            self.made = (state, Queues(snapshot_of(state), state.scorers))
        return self.made[1]


async def page(backing: Backing, prepared: Prepared, asked: QueueQuery) -> dict[str, Any]:
    """The body of a `QueueAnswer`."""
    state = backing.state()
    snapshot = snapshot_of(state)
    scorer = scorer_of(state, asked.model) if asked.model else None
    if scorer is None and (said := {"grade", "order"} & asked.model_fields_set):
        raise _needs_model(min(said))
    queues = prepared.of(state)
    if asked.order == "movement":
        await asyncio.to_thread(remembered, queues, backing.ledger, asked.model)
    filters = {name: getattr(asked, name) for name in ("owner", "plan", "population", "state")}
    keep = queues.kept(filters, asked.mrr_from, asked.mrr_to)
    if asked.grade:
        keep &= queues.grades(asked.model).among(asked.grade)
    stamp = _stamp(asked, snapshot.version, "" if scorer is None else scorer.model.digest)
    found = queues.page(asked.model, asked.order, keep, asked.limit, _after(asked, stamp))
    rows = [_listed(queues, row) for row in found.rows]
    if scorer is not None and found.rows:
        scores = scorer.scores(found.rows, explain=False)
        await Recorder.of(backing.ledger).keep(scorer, scores)
        for row, score in zip(rows, scorer.answers(scores, explain=False, when=False), strict=True):
            row |= {k: score[k] for k in score if k not in ("lead_days", "horizon_days")}
            row["value"] = row["probability"] * row["mrr"]
        _add_movement(queues, asked, found, rows)
    return {
        "as_of": snapshot.table.as_of,
        "simulated": bool(snapshot.company["simulated"]),
        "currency": snapshot.company["currency"],
        "total": found.total,
        **({"model": scorer.model.name, "model_version": scorer.model.version} if scorer else {}),
        "accounts": rows,
        **_next(found, rows, stamp),
    }


async def account(backing: Backing, account_id: str) -> dict[str, Any]:
    """The body of an `AccountAnswer`."""
    state = backing.state()
    snapshot = snapshot_of(state)
    row = row_of(snapshot, account_id)
    recorder = Recorder.of(backing.ledger)
    [told] = await results_of(state.scorers, [account_id], snapshot, recorder, explain=True)
    return {
        "as_of": snapshot.table.day(row),
        "simulated": bool(snapshot.company["simulated"]),
        **described(snapshot, row),
        **told,
    }


def _listed(queues: Queues, row: int) -> dict[str, Any]:
    snapshot = queues.snapshot
    context, profile = snapshot.table.contexts[row], snapshot.profiles[row]
    return known(
        account_id=snapshot.table.ids[row],
        name=profile.name,
        owner=profile.owner,
        population=context.population,
        state=profile.state,
        plan=context.plan,
        mrr=float(snapshot.table.mrr[row]),
        seats=context.seats,
        renewal_date=snapshot.table.term_ends[row],
    )


def _add_movement(
    queues: Queues, asked: QueueQuery, found: Page, rows: list[dict[str, Any]]
) -> None:
    """What moved since a week before, where the order has fetched it."""
    if asked.order != "movement":
        return
    since, then = queues.before[asked.model]
    for row, place_, change in zip(rows, found.rows, found.values, strict=True):
        if math.isfinite(change):
            before = float(then[place_])
            row["movement"] = {"since": since, "probability_before": before, "change": change}


def _stamp(asked: QueueQuery, snapshot: str, bundle: str) -> tuple[str, str]:
    """What a cursor belongs to: the accounts and model of the day; the order and the filters."""
    filters = asked.model_dump(exclude={"limit", "cursor"})
    text = json.dumps(filters, sort_keys=True)
    return f"{snapshot} {bundle[:12]}".strip(), hashlib.sha256(text.encode()).hexdigest()[:16]


def _after(asked: QueueQuery, stamp: tuple[str, str]) -> tuple[float, str] | None:
    """Where the page begins; ProblemError for a cursor of another list, or of another day's."""
    if not asked.cursor:
        return None
    day, filters, value, account_id = place(asked.cursor, str, str, str, str)
    if filters != stamp[1]:
        raise unusable(asked.cursor)
    if day != stamp[0]:
        raise ProblemError(
            "stale-cursor",
            "The accounts were scored anew since the first page. Begin again without a cursor.",
            field="cursor",
            found=shown(f"a cursor of {day.partition(' ')[0]}"),
            expected=f"one of {stamp[0].partition(' ')[0]}, or none",
        )
    try:
        return float.fromhex(value), account_id
    except (ValueError, OverflowError):
        raise unusable(asked.cursor) from None


def _next(found: Page, rows: list[dict[str, Any]], stamp: tuple[str, str]) -> dict[str, str]:
    if not found.more:
        return {}
    return {"next": cursor(*stamp, found.values[-1].hex(), rows[-1]["account_id"])}


def _needs_model(said: str) -> ProblemError:
    detail = f"{said}: found no model; expected a model with it, whose queue it is."
    expected = "the parameter model with it"
    return ProblemError("invalid-request", detail, said, "no model", expected)
