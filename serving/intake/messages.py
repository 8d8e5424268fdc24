"""Calls of the Segment specification, judged one by one when they arrive.

What is accepted here the lake takes; what is refused goes to the dead letters with its reason.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from serving.api.problems import shown

MOST_EVENT_BYTES = 32 << 10
MOST_ID = 200
MOST_MESSAGE_ID = 100
MOST_NAME = 1_000
MOST_RAW = 2_000
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
TYPES = ("track", "identify", "group", "page", "screen", "alias")
IDS = ("userId", "anonymousId", "groupId", "previousId")
OBJECTS = ("properties", "traits", "context")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass
class CallRefusedError(Exception):
    """Why a call is refused: what was found in which field, and what was expected."""

    field: str
    found: str
    expected: str

    @property
    def reason(self) -> str:
        """As the dead letter says it."""
        return f"{self.field}: found {self.found}; expected {self.expected}"


@dataclass(frozen=True)
class Call:
    """A call that is accepted; `named_by_us`: it came without a messageId."""

    message_id: str
    named_by_us: bool
    row: Mapping[str, Any]

    @property
    def record(self) -> bytes:
        """As the journal keeps it: one JSON object."""
        return _compact(self.row)


@dataclass(frozen=True)
class Arrival:
    """What all calls of one request share: who sent it (`source`), when it was sent and came."""

    source: str
    received: datetime
    sent: datetime | None = None
    type: str | None = None


def judged(message: Any, arrival: Arrival) -> Call:
    """One call as it will be kept; raises CallRefusedError."""
    if not isinstance(message, dict):
        raise CallRefusedError("message", shown(message), "a JSON object")
    _check_size(message)
    kind = _type(message, arrival)
    message_id = _message_id(message)
    row: dict[str, Any] = {
        "type": kind,
        "messageId": f"{arrival.source}:{message_id or uuid4().hex}",
        **_ids(message, kind),
        **_event(message, kind),
        **_told_of(message, kind),
        "timestamp": _told(_happened(message, arrival)),
        "receivedAt": _told(arrival.received),
    }
    given = row["messageId"].removeprefix(f"{arrival.source}:")
    return Call(given, message_id is None, row)


def refused_record(message: Any, refusal: CallRefusedError) -> bytes:
    """A refused call as the journal keeps it, for the dead letters."""
    raw = json.dumps(message, ensure_ascii=True, default=str)[:MOST_RAW]
    return _compact({"refused": refusal.reason[:MOST_RAW], "raw": raw})


def time_of(text: Any, field: str) -> datetime:
    """A time of ISO 8601 with its zone, in UTC; raises CallRefusedError.

    >>> time_of("2026-03-01T10:00:00.5+01:00", "timestamp").isoformat()
    '2026-03-01T09:00:00.500000+00:00'
    """
    expected = "a time with its zone, such as 2026-03-01T09:00:00Z"
    if not isinstance(text, str):
        raise CallRefusedError(field, shown(text), expected)
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise CallRefusedError(field, shown(text), expected)


def _check_size(message: Mapping[str, Any]) -> None:
    try:
        size = len(_compact(message))
    except UnicodeEncodeError:
        found = "half of a surrogate pair"
        raise CallRefusedError("message", found, "text that is Unicode") from None
    if size > MOST_EVENT_BYTES:
        expected = f"at most {MOST_EVENT_BYTES:,} bytes"
        raise CallRefusedError("message", f"{size:,} bytes", expected)


def _type(message: Mapping[str, Any], arrival: Arrival) -> str:
    """What kind of call it is, by itself or by the address it was sent to."""
    found = message.get("type", arrival.type)
    if found not in TYPES or arrival.type not in (None, found):
        what = "nothing" if found is None else shown(found)
        raise CallRefusedError("type", what, arrival.type or f"one of {', '.join(TYPES)}")
    return str(found)


def _message_id(message: Mapping[str, Any]) -> str | None:
    found = _text(message, "messageId", MOST_MESSAGE_ID)
    return None if found is None else str(found)


def _ids(message: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The ids that a call names; `context.groupId` stays where it stands."""
    found = {name: text for name in IDS if (text := _text(message, name, MOST_ID)) is not None}
    context = message.get("context")
    inside = _text(context, "groupId", MOST_ID) if isinstance(context, dict) else None
    needed = {"group": ("groupId",), "alias": ("userId", "previousId")}.get(kind, ())
    for name in needed:
        if name not in found:
            raise CallRefusedError(name, "nothing", f"the {name} of a call of type {kind}")
    who = {"userId", "anonymousId"} if kind == "identify" else {"userId", "anonymousId", "groupId"}
    if not who & set(found) and (kind == "identify" or inside is None):
        raise CallRefusedError("userId", "nothing", "a userId or an anonymousId")
    return found


def _event(message: Mapping[str, Any], kind: str) -> dict[str, str]:
    name = _text(message, "event", MOST_NAME)
    if kind != "track":
        return {}
    if name is None:
        raise CallRefusedError("event", "nothing", "the name of what was done")
    return {"event": name}


def _text(message: Mapping[str, Any], name: str, longest: int) -> str | None:
    """A text of a call, a whole number as text; None where there is none."""
    found = message.get(name)
    if found is None or found == "":
        return None
    text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if not isinstance(text, str) or len(text) > longest or CONTROL.search(text):
        expected = f"a text of at most {longest:,} characters, none of them a control character"
        raise CallRefusedError(name, shown(found), expected)
    return text


def _told_of(message: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What the lake takes of the rest, and no more: addresses and devices are not kept."""
    for name in OBJECTS:
        found = message.get(name)
        if found is not None and not isinstance(found, dict):
            raise CallRefusedError(name, shown(found), "a JSON object")
    properties, traits, context = (message.get(name) or {} for name in OBJECTS)
    group = _text(context, "groupId", MOST_ID)
    told = {
        "name": _text(message, "name", MOST_NAME),
        "context": None if group is None else {"groupId": group},
        "properties": properties,
        "traits": traits if kind == "group" else None,
    }
    return {name: value for name, value in told.items() if value}


def _happened(message: Mapping[str, Any], arrival: Arrival) -> datetime:
    """When it happened by our clock: receivedAt less the age that the sender's clock gives it.

    Source: Segment's specification, timestamps: receivedAt − (sentAt − originalTimestamp). Without
    `sentAt` the sender's clock is believed; without any time it happened when it came.
    """
    field = "originalTimestamp" if message.get("originalTimestamp") is not None else "timestamp"
    if message.get(field) is None:
        return arrival.received
    original = time_of(message[field], field)
    said = message.get("sentAt")
    sent = arrival.sent if said is None else time_of(said, "sentAt")
    happened = original if sent is None else _corrected(original, sent, arrival.received)
    if not EARLIEST <= happened <= arrival.received + AHEAD:
        expected = f"a time from {EARLIEST.year} on and at most a day ahead"
        raise CallRefusedError(field, shown(message[field]), expected)
    return happened


def _corrected(original: datetime, sent: datetime, received: datetime) -> datetime:
    try:
        return received - (sent - original)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _told(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def each(messages: Sequence[Any], arrival: Arrival) -> Iterator[Call | CallRefusedError]:
    """Every call of a request: accepted, or why not."""
    for message in messages:
        try:
            yield judged(message, arrival)
        except CallRefusedError as refusal:
            yield refusal
