"""What every answer has in common: the request's id, and that nobody may store it."""

from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse


def request_id(request: Request) -> str:
    """The name of this request, made once; in the body, the header and the log."""
    found = getattr(request.state, "request_id", None) or uuid4().hex
    request.state.request_id = found
    return str(found)


def answered(request: Request, body: dict[str, Any], status: int = 200) -> JSONResponse:
    """A JSON answer with the headers that all of ours have."""
    headers = {"x-request-id": request_id(request), "cache-control": "no-store"}
    return JSONResponse(body, status, headers=headers)
