"""Every error of the API as RFC 9457 `application/problem+json` with a stable type."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:goldpan:problem:"
SHOWN = 80

TITLES = {
    "invalid-http": (400, "That is not HTTP as we take it"),
    "invalid-json": (400, "The body is not JSON that we accept"),
    "http-error": (400, "The request was refused"),
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden": (403, "The key does not open this"),
    "unknown-account": (404, "No such account"),
    "unknown-score": (404, "No such score"),
    "no-score": (404, "The account has no score that early"),
    "not-found": (404, "No such address"),
    "method-not-allowed": (405, "This address does not take that method"),
    "too-slow": (408, "The request did not arrive in time"),
    "idempotency-key-in-use": (409, "The first request with this Idempotency-Key still runs"),
    "stale-cursor": (410, "The list has changed since its first page"),
    "model-gone": (410, "The version that made the score is no longer here"),
    "too-large": (413, "The body is too large"),
    "address-too-long": (414, "The address is too long"),
    "unsupported-media-type": (415, "The body must be JSON"),
    "invalid-request": (422, "The request does not say what it should"),
    "unknown-model": (422, "No such model is promoted"),
    "not-actionable": (422, "Nobody can act on that signal"),
    "model-not-applicable": (422, "The model does not apply to these accounts"),
    "idempotency-key-reused": (422, "This Idempotency-Key stands for another request"),
    "rate-limited": (429, "The key asks more often than its limit"),
    "overloaded": (429, "Too many requests are being answered"),
    "headers-too-large": (431, "The headers are too large"),
    "internal-error": (500, "We failed to answer"),
    "not-ready": (503, "The service cannot answer yet"),
    "timed-out": (504, "We did not answer in time"),
}


@dataclasses.dataclass
class ProblemError(Exception):
    """An answer that is an error: what was found, what was expected, in which field."""

    kind: str
    detail: str
    field: str | None = None
    found: str | None = None
    expected: str | None = None
    errors: Sequence[Mapping[str, str]] = dataclasses.field(default_factory=list)
    status: int | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        """The answer's body; what is not known is absent, never null."""
        status, title = TITLES[self.kind]
        body: dict[str, Any] = {
            "type": f"{TYPE_PREFIX}{self.kind}",
            "title": title,
            "status": self.status or status,
            "detail": self.detail,
            "request_id": request_id,
        }
        for name in ("field", "found", "expected", "errors"):
            if value := getattr(self, name):
                body[name] = value
        return {**body, **self.more}

    def response(self, request_id: str) -> JSONResponse:
        """The answer."""
        body = self.body(request_id)
        headers = {**self.headers, "x-request-id": request_id, "cache-control": "no-store"}
        return JSONResponse(body, body["status"], headers=headers, media_type=MEDIA_TYPE)


class FieldError(BaseModel):
    """One field that is not what it should be."""

    model_config = ConfigDict(extra="forbid")
    field: str
    found: str
    expected: str


class Problem(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")
    type: str
    title: str
    status: int
    detail: str
    request_id: str
    field: str = ""
    found: str = ""
    expected: str = ""
    errors: list[FieldError] = []


def kinds(status: int) -> list[str]:
    """The types of problem that a status stands for.

    >>> kinds(429)
    ['rate-limited', 'overloaded']
    """
    return [kind for kind, (its, _) in TITLES.items() if its == status]


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": " or ".join(TITLES[kind][1] for kind in kinds(status)),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in sorted({status for status, _ in TITLES.values()} - {414, 431})
}


def invalid(errors: Sequence[Mapping[str, str]]) -> ProblemError:
    """A request whose fields are not what they should be; the first one is told in the detail."""
    problem = unfit(*(errors[0][key] for key in ("field", "found", "expected")))
    problem.errors = errors
    return problem


def unfit(field: str, found: str, expected: str) -> ProblemError:
    """A field that is not what it should be."""
    detail = f"{field}: found {found}; expected {expected}."
    return ProblemError("invalid-request", detail, field, found, expected)


def shown(value: Any) -> str:
    """A value as an error quotes it: short, on one line, safe to log.

    >>> shown("a" * 100)[-5:], shown(3)
    ('aaaa…', '3')
    """
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
