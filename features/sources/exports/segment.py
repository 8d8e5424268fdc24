"""Segment and RudderStack: one call of their common specification a line."""

from features.settings import Source
from features.sources.exports.json_text import Part, inside, joined, number

FIELDS = (
    "userId", "user_id", "anonymousId", "anonymous_id", "messageId", "message_id", "timestamp",
    "originalTimestamp", "original_timestamp", "receivedAt", "received_at", "groupId", "group_id",
    "context", "context_group_id", "previousId", "previous_id", "event", "name", "properties",
    "traits",
)  # fmt: skip


def segment(source: Source) -> dict[str, Part]:
    """Calls of the Segment specification, which RudderStack shares; camelCase or snake_case."""
    user, guest = 'coalesce("userId", user_id)', 'coalesce("anonymousId", anonymous_id)'
    at = 'coalesce("timestamp", "originalTimestamp", original_timestamp)'
    got = 'coalesce("receivedAt", received_at)'
    of_call = 'coalesce("groupId", group_id)'
    group = f"coalesce({of_call}, {inside('context', 'groupId')}, context_group_id)"
    before = 'coalesce("previousId", previous_id)'
    name = f"coalesce(name, {inside('properties', 'name')})"
    born = f"coalesce({inside('traits', 'createdAt')}, {inside('traits', 'created_at')})"
    known = ", ".join(inside("traits", key) for key in ("name", "industry", "employees"))
    return {
        "events": Part(
            {
                "message_id": 'coalesce("messageId", message_id)', "event_time": at,
                "known_at": got, "account_id": group, "user_id": user, "anonymous_id": guest,
                "event": f"CASE WHEN type IN ('page', 'screen') "
                f"THEN concat_ws(': ', type, {name}) ELSE event END",
                "value": number("properties", "value"), "properties": "properties",
            },
            "coalesce(type, '') NOT IN ('identify', 'group', 'alias')",
        ),
        "users": Part(
            {"user_id": user, "account_id": group, "created_at": at, "known_at": got},
            f"{user} IS NOT NULL AND {group} IS NOT NULL",
            joined(user, group),
        ),
        "accounts": Part(
            {
                "account_id": of_call, "created_at": f"coalesce({born}, {at})", "known_at": got,
                "name": inside("traits", "name"), "industry": inside("traits", "industry"),
                "employees": number("traits", "employees"),
                "country": inside("traits", "address", "country"),
            },
            "type = 'group'",
            f"CASE WHEN {born} IS NULL THEN {of_call} ELSE {joined(of_call, born, known)} END",
        ),
        "identities": Part(
            {
                "kind": "'alias'", "to_id": user, "since": at, "known_at": got,
                "from_id": f"CASE WHEN type = 'alias' THEN {before} ELSE {guest} END",
            },
            f"(type = 'alias' OR (type = 'identify' AND {user} <> {guest}))",
            joined("type", before, guest, user, f"left({at}, 10)"),
        ),
    }  # fmt: skip
