"""What all bodies have in common: how ids and names read, and that nothing is ever null."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

ID_PATTERN = r"^[A-Za-z0-9_.:@-]{1,200}$"
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
DAY_PATTERN = r"^\d{4}-\d{2}-\d{2}$"

AccountId = Annotated[str, Field(pattern=ID_PATTERN, description="an account's id")]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class Body(BaseModel):
    """A body of the API: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Parameters(BaseModel):
    """What stands in an address behind the question mark: text, which is read as what it says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def absent(description: str = "", **more: Any) -> Any:
    """The default of a field that may be left out, and is never null: neither sent nor taken.

    In the code it is None; in the OpenAPI document the field is not required and of its one type.
    """
    return Field(
        default=None, description=description or None, json_schema_extra=_without_default, **more
    )


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Interval(Body):
    """Between which probabilities the truth lies, 95 times in 100.

    The truth of all accounts with this score together: how many of them have the outcome.
    """

    low: float
    high: float


class Answer(Body):
    """What every answer says."""

    request_id: str


class Of(Answer):
    """An answer about one account, as of the midnight (UTC) that begins a day."""

    account_id: str
    as_of: str
