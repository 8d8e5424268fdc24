"""`POST /v1/events`: what users did, kept before it is acknowledged.

One call of the Segment specification, or a batch of them, as its clients send it; the addresses of
Segment's own HTTP API lead here too.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from re import fullmatch
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing
from serving.api.bodies import parse_strictly
from serving.api.event_bodies import CALL, EventsAnswer
from serving.api.problems import PROBLEMS, ProblemError, invalid, shown, unfit
from serving.api.reading import body_of
from serving.intake.journal import Journal, JournalError, folder_of
from serving.intake.messages import (
    TYPES,
    Arrival,
    Call,
    CallRefusedError,
    each,
    refused_record,
    time_of,
)

MOST_BATCH_BYTES = 500 << 10
RETRY = {"retry-after": "5"}
REQUEST_BODY = {"required": True, "content": {"application/json": {"schema": CALL}}}


def routes(backing: Backing) -> APIRouter:
    """The intake, under its own address and under Segment's."""
    router = APIRouter()
    journal = Journal(folder_of(backing.workspace))

    @router.post(
        "/v1/events",
        operation_id="sendEvents",
        summary="Keep what users did: one call, or a batch of calls",
        response_model=EventsAnswer,
        responses=PROBLEMS,
        dependencies=opens("events"),
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def send_events(request: Request) -> Response:
        return await taken(request, journal)

    for name in ("batch", *TYPES):
        router.add_api_route(
            f"/v1/{name}",
            _as_segment(journal, None if name == "batch" else name),
            methods=["POST"],
            dependencies=opens("events"),
            include_in_schema=False,  # the same again, for clients that know Segment's addresses
        )
    return router


def _as_segment(journal: Journal, kind: str | None) -> Any:
    async def send(request: Request) -> Response:
        return await taken(request, journal, kind)

    return send


async def taken(request: Request, journal: Journal, kind: str | None = None) -> Response:
    """Judge the calls of a request, keep them, and say what became of each that was refused."""
    content = await body_of(request)
    received = datetime.now(UTC)
    messages, sent = _read(content)
    arrival = Arrival(source_of(request.state.key.name), received, sent, kind)
    judgements = list(each(messages, arrival))
    fresh = _without_repeats(judgements)
    refused = [(i, r) for i, r in enumerate(judgements) if isinstance(r, CallRefusedError)]
    records = [call.record for call in fresh]
    records += [refused_record(messages[i], refusal) for i, refusal in refused]
    await _keep(journal, records)
    if not fresh:
        raise _all_refused(refused, batch=len(messages) > 1)
    body = {
        "received": len(messages),
        "accepted": len(fresh),
        "duplicates": len(messages) - len(fresh) - len(refused),
        "dead_letters": len(refused),
        "errors": [{"index": i, **_field_error(refusal)} for i, refusal in refused],
        "named": [
            {"index": i, "message_id": call.message_id}
            for i, call in enumerate(judgements)
            if isinstance(call, Call) and call.named_by_us
        ],
    }
    return answered(request, body)


def source_of(name: str) -> str:
    """What message ids are unique within: keys of one name, so that a key can be replaced.

    >>> source_of("web shop"), source_of("café")
    ('web shop', '850f7dc43910ff89')
    """
    plain = fullmatch(r"[A-Za-z0-9_. -]{1,80}", name)
    return name if plain else sha256(name.encode()).hexdigest()[:16]


def _read(content: bytes) -> tuple[Sequence[Any], datetime | None]:
    """The calls of a body, and when the client sent them by its own clock."""
    if len(content) > MOST_BATCH_BYTES:
        found, expected = f"{len(content):,} bytes", f"at most {MOST_BATCH_BYTES:,} bytes"
        detail = f"Found a body of {found}; expected {expected}."
        raise ProblemError("too-large", detail, "body", found, expected)
    value = parse_strictly(content)
    if not isinstance(value, dict):
        raise unfit("body", shown(value), "a JSON object: a call, or a batch of calls")
    if "batch" not in value:
        return [value], None
    batch = value["batch"]
    if not isinstance(batch, list) or not batch:
        raise unfit("batch", shown(batch), "a list of calls, at least one")
    try:
        sent = None if value.get("sentAt") is None else time_of(value["sentAt"], "sentAt")
    except CallRefusedError as refusal:
        raise unfit(refusal.field, refusal.found, refusal.expected) from None
    return batch, sent


def _without_repeats(judgements: Sequence[Call | CallRefusedError]) -> list[Call]:
    """The calls that are accepted, each message id once."""
    calls = [call for call in judgements if isinstance(call, Call)]
    return list({call.message_id: call for call in reversed(calls)}.values())[::-1]


async def _keep(journal: Journal, records: Sequence[bytes]) -> None:
    try:
        await journal.keep(records)
    except JournalError as error:
        detail = f"Nothing of this request was kept ({error}). Send it again."
        raise ProblemError("not-ready", detail, headers=RETRY) from None


def _field_error(refusal: CallRefusedError) -> dict[str, str]:
    return {"field": refusal.field, "found": refusal.found, "expected": refusal.expected}


def _all_refused(refused: Sequence[tuple[int, CallRefusedError]], *, batch: bool) -> ProblemError:
    """Nothing was accepted: the first refusal, and up to twenty by their fields."""
    errors: list[Mapping[str, str]] = []
    for index, refusal in refused[:20]:
        place = f"batch[{index}]." if batch else ""
        errors.append({**_field_error(refusal), "field": f"{place}{refusal.field}"})
    return invalid(errors)
