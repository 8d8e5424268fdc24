"""Views of a queue that people come back to: each is an address, so that a bookmark keeps it."""

from dataclasses import dataclass, replace

from serving.console.views.asked import Asked
from serving.console.views.words import Words


@dataclass(frozen=True)
class View:
    """A named part of a queue."""

    text: str
    address: str
    chosen: bool


def saved(words: Words, asked: Asked) -> tuple[View, ...]:
    """The views of a queue, the whole of it first; the one that is shown is marked.

    >>> from serving.console.views.words import AT_RISK
    >>> [v.text for v in saved(AT_RISK, Asked(new=True, page=2)) if v.chosen]
    ['Not looked at yet']
    """
    views = {
        "Everyone": Asked(),
        "Not looked at yet": Asked(new=True),
        "Rose this week": Asked(moved="up", sort="movement"),
        "Grades A and B": Asked(grade=("A", "B")),
    }
    if words.renews:
        views["Renews within 30 days"] = Asked(renewal=30, sort="renewal")
    shown = replace(asked, page=1)
    return tuple(View(n, v.address(words.place), v == shown) for n, v in views.items())
