"""A queue as CSV that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date

from serving.console.views.asked import Asked
from serving.console.views.desk import Desk
from serving.console.views.facts import NONE, Shown
from serving.console.views.lines import Line, lines
from serving.console.views.picked import NOBODY, Asker, ordered
from serving.console.views.words import MILESTONES, Words

# What a spreadsheet may begin a formula with, also after a tab or a line break.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def exported(desk: Desk, words: Words, asked: Asked, asker: Asker = NOBODY) -> bytes:
    """The part of a queue that was asked for, all pages of it, as UTF-8 with a mark for Excel."""
    rows, _ = ordered(desk, words, asked, asker)
    sink = io.StringIO()
    writer = csv.writer(sink, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(_header(words))
    for line in lines(desk, words, rows, asker.ledger):
        writer.writerow([safe(value) for value in _values(words, line, desk.known.renewals)])
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
    columns = ["account_id", "name", "owner", "plan", "probability", "grade", "mrr"]
    columns += [words.by_money.lower().replace(" ", "_")] if words.by_money else []
    columns += ["renewal_date"] if words.renews else []
    columns += ["change_in_a_week", "champion", "last_contact"]
    return [*columns, *(c.feature for c in words.facts), "reason_1", "reason_2", "context",
            "next_step"]  # fmt: skip


def _values(words: Words, line: Line, renewals: Mapping[str, date]) -> Iterable[str | float]:
    yield from (
        line.account,
        line.name,
        line.owner,
        line.plan,
        line.probability,
        line.grade,
        line.mrr,
    )
    if words.by_money:
        yield line.expected
    if words.renews:
        yield renewals[line.account].isoformat() if line.account in renewals else ""
    yield line.moved.change if line.moved else ""
    yield line.champion.text if line.champion is not NONE else ""
    yield _exact(line.contact)
    for column, fact in zip(words.facts, line.facts, strict=True):
        known = fact is not NONE
        yield (fact.text if column is MILESTONES else float(fact.exact)) if known else ""
    reasons = [reason.text for reason in line.reasons if reason.kind == "act"]
    yield from [*reasons, "", ""][:2]
    yield next((reason.text for reason in line.reasons if reason.kind != "act"), "")
    yield line.step


def _exact(value: Shown) -> str:
    return "" if value is NONE else value.exact
