"""What makes a row the same row: its message id, or its content."""

from features.events import EVENTS, TIME, Column, Table

ONCE = "__once"


def content_sql(table: Table) -> str:
    """One name for the content of a row: equal rows have equal names, on every machine.

    An event that is sent again is the same event, whenever it was received and under any id.
    """
    aside = ("message_id", "known_at") if table is EVENTS else ()
    content = [_tagged(column) for column in table.columns if column.name not in aside]
    return f"md5(concat({', '.join(content)}))"


def _tagged(column: Column) -> str:
    name = f'"{column.name}"'
    text = f"CAST({f'epoch_us({name})' if column.type == TIME else name} AS VARCHAR)"
    return f"coalesce('{column.name}=' || length({text}) || ':' || {text}, '')"


def identity_sql(table: Table, once: bool = False) -> str:
    """`row_hash`, and whether equal ones are always one row; for events also where it belongs.

    With `once` the column of that name, where there is one, names the row instead of its content.
    """
    if table is not EVENTS:
        name = f"coalesce(md5('once:' || {ONCE}), content)" if once else "content"
        return f"{name} AS row_hash, true AS named"
    named = f"md5({_tagged(table.columns[0])})"
    return (
        f"CASE WHEN message_id IS NULL THEN content ELSE {named} END AS row_hash, "
        "message_id IS NOT NULL AS named, epoch_us(event_time) AS event_us, "
        "strftime(event_time, '%Y-%m') AS event_month"
    )
