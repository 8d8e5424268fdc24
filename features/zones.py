"""The clock of a time zone as an expression, the same on every engine.

Engines differ in their zone rules and functions, so the rules are read once, here, and written out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import ibis

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000


def local_microseconds(event_us: Any, zone: str, first: datetime, last: datetime) -> Any:
    """What the clock of `zone` shows, as microseconds since its 1970-01-01 00:00.

    `event_us`: an integer expression, microseconds UTC; exact for moments in `[first, last]`.
    """
    periods = list(offsets(zone, first, last))
    if len(periods) == 1:
        return event_us + periods[0][1] * SECOND_US
    cases = [(event_us < until, event_us + offset * SECOND_US) for until, offset in periods[:-1]]
    return ibis.cases(*cases, else_=event_us + periods[-1][1] * SECOND_US)


def offsets(zone: str, first: datetime, last: datetime) -> Iterator[tuple[int, int]]:
    """The periods of one offset that cover `[first, last]`, in order: (end in us UTC, seconds).

    >>> from datetime import datetime, UTC
    >>> spring = datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC)
    >>> list(offsets("Europe/Berlin", *spring))[0]
    (1711846800000000, 3600)
    """
    rules = ZoneInfo(zone)
    day, end = first, last + timedelta(days=1)
    while day < end:
        following = day + timedelta(days=1)
        if _offset(rules, day) != _offset(rules, following):
            yield _microseconds(_change(rules, day, following)), _offset(rules, day)
        day = following
    yield _microseconds(day), _offset(rules, day)


def _change(rules: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second on which the offset changes, between two moments that differ in it."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _offset(rules, middle) == _offset(rules, before):
            before = middle
        else:
            after = middle
    return after


def _offset(rules: ZoneInfo, moment: datetime) -> int:
    return (moment.astimezone(rules).utcoffset() or timedelta()) // timedelta(seconds=1)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
