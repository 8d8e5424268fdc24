"""What the API takes and gives: the bodies of `/v1`, and JSON read strictly."""

import json
import math
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from serving.api.problems import ProblemError, shown

ID_PATTERN = r"^[A-Za-z0-9_.:@-]{1,200}$"
MOST_ACCOUNTS = 1000
MOST_DIGITS = 20

AccountId = Annotated[str, Field(pattern=ID_PATTERN, description="an account's id")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Body(BaseModel):
    """A body of the API: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ScoresRequest(Body):
    """Which accounts to score, by which models (default: all that apply)."""

    accounts: list[AccountId] = Field(min_length=1, max_length=MOST_ACCOUNTS)
    models: list[Name] = Field(default=[], max_length=20, description="none: all that apply")
    reasons: bool = Field(default=True, description="the top five reasons with each score")


class Rank(Body):
    """The place among the accounts to which the model applies; 1 is the highest probability."""

    position: int
    of: int


class ReasonBody(Body):
    """One reason; `contribution` is in log-odds, `share` is its part of all contributions' size."""

    signal: str
    label: str
    text: str
    direction: Literal["raises", "lowers"]
    contribution: float
    share: float
    kind: Literal["act", "context", "fixed"]


class Score(Body):
    """One model's answer: the calibrated probability that the outcome happens in the window.

    The window is (as_of + lead_days, as_of + lead_days + horizon_days].
    """

    model: str
    model_version: str
    probability: float
    grade: Literal["A", "B", "C", "D"]
    rank: Rank
    lead_days: int
    horizon_days: int
    reasons: list[ReasonBody] = Field(default=[], description="absent when not asked for")


class NotApplicable(Body):
    """A model that says nothing about the account, and why."""

    model: str
    reason: str


class Result(Body):
    """All that was asked about one account."""

    account_id: str
    as_of: str = Field(default="", description="what happened before this midnight UTC counts")
    scores: list[Score]
    not_applicable: list[NotApplicable]


class AccountError(Body):
    """An account that could not be scored."""

    account_id: str
    type: Literal["unknown_account"]
    detail: str


class ScoresAnswer(Body):
    """Results in the order of the request; accounts that we do not know stand in `errors`."""

    request_id: str
    as_of: str
    simulated: bool
    results: list[Result]
    errors: list[AccountError]


def read_request(content: bytes) -> ScoresRequest:
    """A body as a request for scores; ProblemError says which field is wrong and why."""
    value = parse_strictly(content)
    try:
        return ScoresRequest.model_validate(value)
    except ValidationError as error:
        errors = [_field_error(e) for e in error.errors(include_url=False)[:20]]
        field, found, expected = (errors[0][key] for key in ("field", "found", "expected"))
        detail = f"{field}: found {found}; expected {expected}."
        raise ProblemError(
            "invalid-request", detail, field, found, expected, errors=errors
        ) from None


def parse_strictly(content: bytes) -> Any:
    """JSON as its standard has it: UTF-8, no NaN, no infinity, no huge number, no key twice."""
    try:
        return json.loads(
            content.decode("utf-8"),
            parse_constant=_refuse,
            parse_int=_integer,
            parse_float=_finite,
            object_pairs_hook=_no_key_twice,
        )
    except RecursionError:
        found = "values nested too deeply"
    except UnicodeDecodeError:
        found = "bytes that are not UTF-8"
    except ValueError as error:
        found = str(error)
    raise ProblemError("invalid-json", f"Found {found}; expected a JSON object.", found=found)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant}, which is not JSON")


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:MOST_DIGITS]}, which is too large for a number")
    return value


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} twice")
    return found


def _field_error(error: ErrorDetails) -> dict[str, str]:
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    found = "nothing" if error["type"] == "missing" else shown(error["input"])
    field = field.lstrip(".")[:200] or "body"
    return {"field": field, "found": found, "expected": _expected(error)}


def _expected(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return f"no other key than {', '.join(ScoresRequest.model_fields)}"
    if error["type"] == "missing":
        return "this key"
    if error["type"] == "model_type":
        return "a JSON object"
    words = error["msg"].replace("Input should be ", "")
    return words.replace("String should ", "a string that should ")
