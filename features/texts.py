"""Texts of the settings that must name something that there is: a zone, a day."""

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field


def _zone(name: str) -> str:
    """A zone's name, if there is such a zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"zone '{name}' is no time zone; say one like 'UTC' or 'Europe/Berlin'"
        ) from None
    return name


def _day(text: str) -> str:
    """A day's text, if there is such a day."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"'{text}' is no day; say one like '2026-07-01'") from None


Zone = Annotated[str, AfterValidator(_zone)]
Day = Annotated[str, AfterValidator(_day)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Said = Annotated[str, Field(min_length=1, max_length=160)]
