"""Who an event belongs to, again: slow, obvious, plain Python, for one event and one instant."""

from datetime import datetime
from typing import Any

Row = dict[str, Any]


def owner(
    event: Row, users: list[Row], identities: list[Row], as_of: datetime
) -> tuple[str, str] | None:
    """The (account, user) of an event by what was known of users and identities at `as_of`.

    None when nobody knows its account. The user of an event that names nobody is ''. Whether the
    event itself is visible at `as_of` is not asked here.
    """
    known = [row for row in identities if row["known_at"] <= as_of]
    user = _user(event, [row for row in known if row["kind"] == "alias"])
    account = event.get("account_id")
    if account is None:
        account = _account(user, event["event_time"], users, as_of)
    return None if account is None else (final(account, known), user)


def _user(event: Row, aliases: list[Row]) -> str:
    if event.get("user_id") is not None:
        return str(event["user_id"])
    anonymous = event.get("anonymous_id")
    if anonymous is None:
        return ""
    mine = [row for row in aliases if row["from_id"] == anonymous]
    if not mine:
        return str(anonymous)
    before = [row for row in mine if row["since"] <= event["event_time"]]
    chosen = max(r["since"] for r in before) if before else min(r["since"] for r in mine)
    equal = [row for row in mine if row["since"] == chosen]
    return str(max((row["known_at"], row["to_id"]) for row in equal)[1])


def _account(user: str, moment: datetime, users: list[Row], as_of: datetime) -> str | None:
    rows = [row for row in users if row["user_id"] == user and row["known_at"] <= as_of]
    newest: dict[tuple[datetime, str], Row] = {}
    for row in sorted(rows, key=lambda r: (r["known_at"], r["row_id"])):
        newest[row["created_at"], row["account_id"]] = row
    ahead = [stay for stay in newest if stay[0] > moment]
    begun = [
        stay
        for stay, row in newest.items()
        if stay[0] <= moment and (row.get("left_at") is None or row["left_at"] > moment)
    ]
    if begun:
        return max(begun)[1]
    earliest = min((created for created, _ in ahead), default=None)
    return max((account for created, account in ahead if created == earliest), default=None)


def final(account: str, known: list[Row]) -> str:
    """The account that an account goes on as, by the merges among the known identities."""
    passed = {account}
    while True:
        mine = [r for r in known if r["kind"] == "merge" and r["from_id"] == account]
        if not mine:
            return account
        onward = str(max((row["known_at"], row["to_id"]) for row in mine)[1])
        if onward in passed:
            return account
        passed.add(onward)
        account = onward
