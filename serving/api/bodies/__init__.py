"""What the API takes and gives: the bodies of `/v1`, a file for each subject."""

from serving.api.bodies.base import ID_PATTERN, AccountId, Body, Name
from serving.api.bodies.scores import MOST_ACCOUNTS, ScoresAnswer, ScoresRequest
from serving.api.bodies.strict import parse_strictly, read

__all__ = [
    "ID_PATTERN",
    "MOST_ACCOUNTS",
    "AccountId",
    "Body",
    "Name",
    "ScoresAnswer",
    "ScoresRequest",
    "parse_strictly",
    "read",
    "read_request",
]


def read_request(content: bytes) -> ScoresRequest:
    """A body as a request for scores."""
    return read(content, ScoresRequest)
