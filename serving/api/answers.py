"""What every answer has in common: the request's id, and that nobody may store it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from serving.api.problems import ProblemError

JSON = "application/json"


def request_id(request: Request) -> str:
    """The name of this request, made once; in the body, the header and the log."""
    found = getattr(request.state, "request_id", None) or uuid4().hex
    request.state.request_id = found
    return str(found)


def answered_by(request: Request, models: Mapping[str, str]) -> None:
    """Note which models answer, name → version, for the log and the figures."""
    request.state.models = dict(models)


def headers_of(request: Request) -> dict[str, str]:
    """The headers that all answers have."""
    return {"x-request-id": request_id(request), "cache-control": "no-store"}


def answered(request: Request, body: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON answer that names its request, with the headers that all of ours have."""
    named = {"request_id": request_id(request), **body}
    return Response(encoded(named), status, headers=headers_of(request), media_type=JSON)


def refused(request: Request, problem: ProblemError) -> Response:
    """The answer that tells a problem; the log gets its kind."""
    request.state.problem = problem.kind
    return problem.response(request_id(request))


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as JSON, by pydantic's writer; ValueError for what JSON has no number for.

    >>> encoded({"a": 0.1, "b": "ö"}).decode()
    '{"a":0.1,"b":"ö"}'
    """
    content = to_json(body)
    if b"NaN" in content or b"Infinity" in content:  # in words, or as a number: that one is refused
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return content
