"""From a value of a file to a value of the contract, as SQL, with the reason when it cannot be.

Times: a value with a zone is taken as it is; one without (a date, a timestamp or text without an
offset) needs the source's `zone`, a date being its midnight there. A number, or text that is one,
is seconds since 1970-01-01 UTC. A time that a zone skips in spring is moved on by the hour skipped;
one that it has twice in autumn is the second. Text loses white space at both ends; empty text is
null.
"""

from dataclasses import dataclass

import pyarrow as pa

from features.events import TIME, Column
from features.sources.checks import quote

_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
_OFFSET = r" ?(Z|UTC|[+-]\d{2}(:?\d{2})?)"
_NUMBER = r"-?\d+(\.\d+)?"
_NAIVE = 'has no time zone; add zone = "..." to the source'
_NO_TIME = "is not a time like 2026-01-31T09:00:00Z, nor seconds since 1970"
_MILLISECONDS = "is too large for seconds since 1970; divide milliseconds by 1000 in the mapping"
_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "BIGNUM")


class NaiveTimeError(Exception):
    """A column of times without a zone, in a source that states none."""


class WrongTypeError(Exception):
    """A column of a type that cannot be converted; its text says what was expected."""


@dataclass(frozen=True)
class Conversion:
    """How one mapped column, of DuckDB type `found`, becomes a contract column.

    Raises NaiveTimeError and WrongTypeError when no row could be converted.
    """

    column: Column
    found: str
    zone: str | None

    def sql(self) -> tuple[str, str]:
        """Two SQL expressions: the value, and why it cannot be read (NULL when it can)."""
        column, found, name = self.column, self.found, f'taken."{self.column.name}"'
        if found == "NULL":
            return "NULL", "NULL"
        if column.type == TIME:
            return self._time(column.name, name, found)
        if column.type == pa.string():
            return _text(name, found), "NULL"
        return self._plain(column, name, found)

    def _plain(self, column: Column, name: str, found: str) -> tuple[str, str]:
        """A number or a yes or no."""
        numeric = found == "BOOLEAN" or _is_number(found)
        word = "true or false" if column.type == pa.bool_() else "a number"
        if found != "VARCHAR" and not numeric:
            raise WrongTypeError(word)
        kind = sql_type(column)
        text = _text(name, found) if found == "VARCHAR" else name
        value = f"TRY_CAST({text} AS {kind})"
        reason = quote(f"{column.name} is not {word}")
        return value, f"CASE WHEN {text} IS NOT NULL AND {value} IS NULL THEN {reason} END"

    def _time(self, column: str, name: str, found: str) -> tuple[str, str]:
        reason = quote(f"{column} {_NO_TIME}")
        if found == "TIMESTAMP WITH TIME ZONE":
            return name, f"CASE WHEN NOT isfinite({name}) THEN {reason} END"
        if found == "DATE" or found.startswith("TIMESTAMP"):
            value = f"TRY(CAST({name} AS TIMESTAMP) AT TIME ZONE {self._stated_zone()})"
            fault = f"CASE WHEN {name} IS NOT NULL AND {value} IS NULL THEN {reason} END"
            return value, fault
        if _is_number(found):
            return self._seconds(column, f"CAST({name} AS DOUBLE)")
        if found != "VARCHAR":
            raise WrongTypeError("a time")
        return self._text_time(column, f"upper({_text(name, found)})")

    def _stated_zone(self) -> str:
        if self.zone is None:
            raise NaiveTimeError
        return quote(self.zone)

    def _seconds(self, column: str, number: str) -> tuple[str, str]:
        value = f"make_timestamptz(TRY_CAST(round({number} * 1000000) AS BIGINT))"
        sound = f"abs({number}) < 1e11"
        fault = f"CASE WHEN NOT ({sound}) THEN {quote(f'{column} {_MILLISECONDS}')} END"
        return f"CASE WHEN {sound} THEN {value} END", fault

    def _text_time(self, column: str, text: str) -> tuple[str, str]:
        aware = f"regexp_full_match({text}, '{_DATE}{_CLOCK}{_OFFSET}')"
        naive = f"regexp_full_match({text}, '{_DATE}({_CLOCK})?')"
        number = f"regexp_full_match({text}, '{_NUMBER}')"
        seconds, too_large = self._seconds(column, f"TRY_CAST({text} AS DOUBLE)")
        local = "NULL"
        if self.zone is not None:
            local = f"TRY_CAST({text} AS TIMESTAMP) AT TIME ZONE {quote(self.zone)}"
        value = (
            f"CASE WHEN {aware} THEN TRY_CAST({text} AS TIMESTAMPTZ) WHEN {naive} THEN {local} "
            f"WHEN {number} THEN {seconds} END"
        )
        told = f"WHEN {naive} THEN {quote(f'{column} {_NAIVE}')} "
        no_zone = told if self.zone is None else ""
        fault = (
            f"CASE WHEN {text} IS NULL THEN NULL {no_zone}"
            f"WHEN {number} THEN {too_large} "
            f"WHEN ({value}) IS NULL THEN {quote(f'{column} {_NO_TIME}')} END"
        )
        return value, fault


def _is_number(found: str) -> bool:
    return found != "INTERVAL" and any(part in found for part in _NUMBERS)


def _text(name: str, found: str) -> str:
    nested = found.endswith("[]") or found.startswith(("STRUCT", "MAP", "JSON"))
    text = f"CAST({f'to_json({name})' if nested else name} AS VARCHAR)"
    return f"nullif(trim({text}, E' \\t\\r\\n'), '')"


def sql_type(column: Column) -> str:
    """DuckDB's name for the type of a contract column."""
    if column.type == TIME:
        return "TIMESTAMPTZ"
    return {"string": "VARCHAR", "double": "DOUBLE", "bool": "BOOLEAN"}[str(column.type)]
