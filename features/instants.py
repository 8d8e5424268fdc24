"""Instants as whole microseconds since 1970-01-01 UTC: the one form on which all engines agree."""

from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

DAY_US = 86_400_000_000
LONG_AGO = -(2**62)
"""Before every instant."""
NEVER = 2**62
"""After every instant."""


def microseconds(time: Any) -> Any:
    """A timestamp of a table as an int64 instant; cut first, for engines that round.

    Without its time zone (UTC, as every engine is told): with one, calendars are consulted.
    """
    plain = time.cast("timestamp")
    return plain.truncate("s").epoch_seconds().cast("int64") * 1_000_000 + plain.microsecond()


def day_number(day: date) -> int:
    """A day as days since 1970-01-01.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return (day - date(1970, 1, 1)).days


def morning(moments: Any) -> Any:
    """The first day (since 1970-01-01) whose midnight is not before each instant.

    >>> morning(0), morning(1), morning(DAY_US)
    (0, 1, 1)
    """
    return (moments + (DAY_US - 1)) // DAY_US


def frame(table: pa.Table, *times: str) -> pd.DataFrame:
    """A table as a frame whose `times` are instants; an absent one is NEVER."""
    for name in times:
        whole = table[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).fill_null(NEVER)
        table = table.set_column(table.schema.get_field_index(name), name, whole)
    return table.to_pandas()
