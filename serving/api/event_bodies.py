"""What `POST /v1/events` takes and gives."""

from typing import Any

from pydantic import Field

from serving.api.bodies import Body
from serving.intake.messages import MOST_ID, MOST_MESSAGE_ID, MOST_NAME, TYPES


class CallError(Body):
    """A call that went to the dead letters; `index` is its place in the batch, from 0."""

    index: int
    field: str
    found: str
    expected: str


class NamedCall(Body):
    """A call that came without a messageId and was given one."""

    index: int
    message_id: str


class EventsAnswer(Body):
    """What became of the calls: received = accepted + duplicates + dead_letters.

    Accepted calls are on the disk. `duplicates` had the messageId of another in the same request;
    those of earlier requests are found when the calls enter the lake.
    """

    request_id: str
    received: int
    accepted: int
    duplicates: int
    dead_letters: int
    errors: list[CallError]
    named: list[NamedCall] = Field(description="calls without a messageId, and the one they got")


def _text(longest: int, meaning: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": longest, "description": meaning}


def _time(meaning: str) -> dict[str, Any]:
    return {"type": "string", "format": "date-time", "description": meaning}


CALL: dict[str, Any] = {
    "type": "object",
    "title": "Calls",
    "description": "One call of the Segment specification, or a batch of them.",
    "properties": {
        "type": {"type": "string", "enum": list(TYPES)},
        "messageId": _text(MOST_MESSAGE_ID, "unique within the key's name; repeats are dropped"),
        "userId": _text(MOST_ID, "who did it"),
        "anonymousId": _text(MOST_ID, "who did it, before we know who that is"),
        "groupId": _text(MOST_ID, "the account, of a call of type group"),
        "previousId": _text(MOST_ID, "the former id, of a call of type alias"),
        "event": _text(MOST_NAME, "what was done, of a call of type track"),
        "name": _text(MOST_NAME, "of a page or a screen"),
        "properties": {"type": "object"},
        "traits": {"type": "object"},
        "context": {"type": "object", "description": "groupId names the account"},
        "timestamp": _time("when it happened, by the sender's clock"),
        "originalTimestamp": _time("the same, as some clients name it"),
        "sentAt": _time("when it was sent, by the sender's clock"),
        "batch": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    },
}
