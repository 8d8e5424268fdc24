"""The people of an account: who is the champion, who is seen, who rises and who falls quiet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from serving.console.format import day, in_days, plural, whole
from serving.console.views.facts import Shown
from serving.console.views.journey import words
from serving.scoring.lives import Life, Member

FIRST = 6
LEFT_LATELY = timedelta(days=90)
MONTH = 28
UNSEEN = Shown("not lately", "not in the last 26 weeks")


@dataclass(frozen=True)
class Person:
    """One person as the page lists them; `way`: up, down, or neither."""

    user_id: str
    role: str
    champion: bool
    last: Shown
    days: str
    change: Shown
    way: str
    weeks: tuple[float, ...]
    told: str
    left: str


@dataclass(frozen=True)
class People:
    """Everyone whom the page lists, the busiest first, and what there is to say of them all."""

    summary: str
    champion: str
    first: tuple[Person, ...]
    others: tuple[Person, ...]
    unlisted: int


def people(life: Life, champion: str | None, as_of: date) -> People:
    """The people who belong to the account, and those who left it lately."""
    shown = [p for p in life.people if p.left is None or as_of - p.left <= LEFT_LATELY]
    listed = [_person(p, champion, as_of) for p in shown]
    here = sum(p.left is None for p in shown)
    return People(
        _summary(life, shown),
        _of_the_champion(shown, champion, as_of),
        tuple(listed[:FIRST]),
        tuple(listed[FIRST:]),
        max(0, life.members - here),
    )


def _summary(life: Life, shown: Sequence[Member]) -> str:
    seen = sum(p.left is None and p.days > 0 for p in shown)
    belong = plural(life.members, "person belongs", "people belong")
    return f"{belong} to it; {whole(seen)} did something in the last {MONTH} days."


def _of_the_champion(shown: Sequence[Member], champion: str | None, as_of: date) -> str:
    """What there is to say of the champion today, in one sentence; empty where there is none."""
    found = next((p for p in shown if p.user_id == champion), None)
    if champion is None:
        return ""
    if found is None:
        return f"The champion, {champion}, is not among them any more."
    if found.left:
        return f"The champion, {champion}, left {in_days((found.left - as_of).days)}."
    if found.last is None or (as_of - found.last).days > MONTH:
        return f"The champion, {champion}, was not seen in the last {MONTH} days."
    verb = {"up": "rose", "down": "fell"}.get(_way(found), "stayed near")
    was, now = whole(found.before), whole(found.uses)
    moved = f"{verb} from {was} to {now}" if verb != "stayed near" else f"{verb} {now}"
    seen = in_days((found.last - as_of).days)
    return f"The champion, {champion}, was last seen {seen}; their actions {moved} in {MONTH} days."


def _person(member: Member, champion: str | None, as_of: date) -> Person:
    last = UNSEEN
    if member.last is not None:
        last = Shown(in_days((member.last - as_of).days), day(member.last))
    told = ", ".join(whole(n) for n in member.weeks)
    change = Shown(
        f"{whole(member.before)} → {whole(member.uses)}",
        f"{plural(int(member.uses), 'action')} in the last {MONTH} days, "
        f"{whole(member.before)} in the {MONTH} before",
    )
    return Person(
        member.user_id, words(member.role or ""), member.user_id == champion, last,
        whole(member.days), change, _way(member), member.weeks, f"actions by week: {told}",
        "" if member.left is None else f"left {day(member.left)}",
    )  # fmt: skip


def _way(member: Member) -> str:
    """Whether someone clearly does more or less than before: by half, and more than a little."""
    more, less = max(member.uses, member.before), min(member.uses, member.before)
    if more - less < 5 or more < 1.5 * less:
        return ""
    return "up" if member.uses > member.before else "down"
