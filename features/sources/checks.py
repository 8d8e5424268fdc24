"""What a mapped row must satisfy, as SQL: the first rule that a row breaks is its reason."""

from collections.abc import Sequence
from datetime import datetime

from features.events import (
    EVENTS,
    IDENTITIES,
    LINKS,
    STATUSES,
    SUBSCRIPTIONS,
    TIME,
    USERS,
    WHOSE,
    Column,
    Table,
)
from features.settings import Plans

EARLIEST, LATEST = "1990-01-01", "2200-01-01"
IDS = (
    "message_id", "account_id", "user_id", "anonymous_id", "subscription_id", "from_id", "to_id",
)  # fmt: skip
ID_LENGTH = 200


def quote(text: str) -> str:
    """Text as an SQL literal.

    >>> quote("Bob's")
    "'Bob''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def reason_sql(table: Table, plans: Plans, now: datetime) -> str:
    """An SQL expression: the reason why a row is refused, or NULL.

    It reads the typed columns of the table and, per column, `<name>_fault`: why its value could
    not be read, or NULL. `now` is the clock, with its zone.
    """
    rules: list[tuple[str, str]] = []
    for column in table.columns:
        rules.append((f'"{column.name}_fault" IS NOT NULL', f'"{column.name}_fault"'))
        rules += _column_rules(column)
    rules += _time_order_rules(table, now)
    if table is SUBSCRIPTIONS:
        rules += _subscription_rules(plans)
    rules += _OWN_RULES.get(table.name, [])
    return "CASE " + " ".join(f"WHEN {broken} THEN {reason}" for broken, reason in rules) + " END"


def _column_rules(column: Column) -> list[tuple[str, str]]:
    name = f'"{column.name}"'
    rules = []
    if column.required:
        rules.append((f"{name} IS NULL", quote(f"{column.name} is empty")))
    if column.type == TIME:
        for sign, bound, word in (("<", EARLIEST, "before"), (">", LATEST, "after")):
            limit = f"TIMESTAMPTZ '{bound} 00:00:00+00'"
            rules.append((f"{name} {sign} {limit}", quote(f"{column.name} is {word} {bound[:4]}")))
    elif column.name in IDS:
        rules.append(
            (f"length({name}) > {ID_LENGTH}", quote(f"{column.name} is over {ID_LENGTH} long"))
        )
        rules.append(
            (
                f"regexp_matches({name}, '[[:cntrl:]]')",
                quote(f"{column.name} holds a control character"),
            )
        )
    elif str(column.type) == "double":
        rules.append((f"NOT isfinite({name})", quote(f"{column.name} is not a finite number")))
    return rules


def _time_order_rules(table: Table, now: datetime) -> list[tuple[str, str]]:
    """Nothing may be known, and nothing but a subscription may begin, more than a day ahead."""
    limit = f"TIMESTAMPTZ {quote(now.isoformat())} + INTERVAL 1 DAY"
    rules = []
    if table is not SUBSCRIPTIONS:
        rules = [
            (f"{table.time} > {limit}", quote(f"{table.time} is in the future")),
            (
                f"{table.time} > known_at + INTERVAL 1 DAY",
                quote(f"{table.time} is more than a day after known_at"),
            ),
        ]
    return [*rules, (f"known_at > {limit}", quote("known_at is in the future"))]


def _one_of(column: str, allowed: Sequence[str]) -> tuple[str, str]:
    listed = ", ".join(quote(value) for value in allowed)
    said = quote(f"' is not one of {', '.join(allowed)}")
    return f"{column} NOT IN ({listed})", f"'{column} ''' || left({column}, 60) || {said}"


_OWN_RULES = {
    EVENTS.name: [
        (" AND ".join(f"{name} IS NULL" for name in WHOSE),
         quote(f"{', '.join(WHOSE)} are all empty: whose event is it?")),
        ("NOT coalesce(json_type(CASE WHEN json_valid(properties) THEN properties END)"
         " = 'OBJECT', properties IS NULL)", "'properties is not a JSON object'"),
    ],
    USERS.name: [("left_at < created_at", "'left_at is before created_at'")],
    IDENTITIES.name: [_one_of("kind", LINKS), ("from_id = to_id", "'from_id and to_id are equal'")],
}  # fmt: skip


def _subscription_rules(plans: Plans) -> list[tuple[str, str]]:
    allowed = ", ".join(quote(plan) for plan in (*plans.ladder, *plans.addons))
    beside = f" nor an add-on ({', '.join(plans.addons)})" if plans.addons else " nor an add-on"
    ladder = quote(f"' is neither on the ladder ({', '.join(plans.ladder)}){beside}")
    return [
        _one_of("status", STATUSES),
        (f"plan NOT IN ({allowed})", f"'plan ''' || left(plan, 60) || {ladder}"),
        ("mrr < 0", "'mrr is negative'"),
        ("seats < 0", "'seats is negative'"),
    ]
