"""Instants as whole microseconds since 1970-01-01 UTC: the one form on which all engines agree."""

from typing import Any

LONG_AGO = -(2**62)
"""Before every instant."""
NEVER = 2**62
"""After every instant."""


def microseconds(time: Any) -> Any:
    """A timestamp of a table as an int64 instant; cut first, for engines that round."""
    return time.truncate("s").epoch_seconds().cast("int64") * 1_000_000 + time.microsecond()
