"""A queue as CSV that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Collection, Iterable

from serving.console.views.asked import Asked
from serving.console.views.desk import Desk
from serving.console.views.queue import Line, lines, ordered
from serving.console.views.words import Words

# What a spreadsheet may begin a formula with, also after a tab or a line break.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def exported(
    desk: Desk, words: Words, asked: Asked, settled: Collection[str] = frozenset()
) -> bytes:
    """The part of a queue that was asked for, all pages of it, as UTF-8 with a mark for Excel."""
    places, _ = ordered(desk, words, asked, settled)
    sink = io.StringIO()
    writer = csv.writer(sink, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(_header(words))
    for line in lines(desk, words, places):
        writer.writerow([safe(value) for value in _values(words, line)])
    return sink.getvalue().encode("utf-8-sig")


def safe(value: str | float) -> str | float:
    """A value that a spreadsheet shows as it is: a text that looks like a formula gets a quote.

    >>> safe("=1+1"), safe("  @x"), safe("Ann"), safe(-0.5)
    ("'=1+1", "'  @x", 'Ann', -0.5)
    """
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(RISKY) or value.strip().startswith(RISKY) else value


def _header(words: Words) -> list[str]:
    columns = ["account_id", "name", "owner", "plan", "probability", "grade", "movement", "mrr"]
    columns += [words.by_money.lower().replace(" ", "_")] if words.by_money else []
    columns += ["renewal_date"] if words.renews else []
    return [*columns, *(c.feature for c in words.facts), "reason_1", "reason_2"]


def _values(words: Words, line: Line) -> Iterable[str | float]:
    yield from (
        line.account,
        line.name,
        line.owner,
        line.plan,
        line.probability,
        line.grade,
        "" if line.moved is None else line.moved,
        line.mrr,
    )
    if words.by_money:
        yield line.expected
    if words.renews:
        yield line.renewal.exact if line.renewal.text != "–" else ""
    for fact in line.facts:
        yield float(fact.exact) if fact.text != "–" else ""
    reasons = [reason.text for reason in line.reasons]
    yield from [*reasons, "", ""][:2]
