"""JSON read strictly, and what is wrong with it told by the field."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from serving.api.problems import ProblemError, invalid, shown

MOST_DIGITS = 20
MOST_TOLD = 20
Read = TypeVar("Read", bound=BaseModel)


def read(content: bytes, kind: type[Read]) -> Read:
    """A body as what it should be; ProblemError says which field is wrong and why."""
    value = parse_strictly(content)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise wrong(error.errors(include_url=False), kind.model_fields) from None


def wrong(errors: Iterable[Any], keys: Iterable[str]) -> ProblemError:
    """What pydantic found, as a problem; `keys`: those that there may be."""
    return invalid([_field_error(e, keys) for e in list(errors)[:MOST_TOLD]])


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


def _field_error(error: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    found = "nothing" if error["type"] == "missing" else shown(error["input"])
    field = field.lstrip(".")[:200] or "body"
    return {"field": field, "found": found, "expected": _expected(error, keys)}


def _expected(error: Mapping[str, Any], keys: Iterable[str]) -> str:
    if error["type"] == "extra_forbidden":
        return f"no other key than {', '.join(keys)}"
    if error["type"] == "missing":
        return "this key"
    if error["type"] == "model_type":
        return "a JSON object"
    words = str(error["msg"]).replace("Input should be ", "")
    return words.replace("String should ", "a string that should ")
