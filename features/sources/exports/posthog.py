"""PostHog: the events model of its batch exports, JSON lines or Parquet."""

from features.settings import Source
from features.sources.checks import quote
from features.sources.exports.json_text import Part, inside, joined, number, without


def posthog(source: Source) -> dict[str, Part]:
    """Events of PostHog's batch exports; a distinct id is itself until an event says who it is."""
    p, at, got = "properties", '"timestamp"', "coalesce(created_at, _inserted_at)"
    kind = source.group_type or ""
    named = inside(p, f"$group_{kind}") if kind.isdigit() else inside(p, "$groups", kind)
    told = f"event = '$groupidentify' AND {inside(p, '$group_type')} = {quote(kind)}"
    account = f"CASE WHEN {told} THEN {inside(p, '$group_key')} ELSE {named} END"
    group = named if kind else "NULL"
    links = "'$create_alias', '$merge_dangerously'"
    origin = (
        f"CASE WHEN event = '$identify' THEN {inside(p, '$anon_distinct_id')} "
        f"WHEN event IN ({links}) THEN {inside(p, 'alias')} END"
    )
    said = {key: f"CASE WHEN {told} THEN {inside(p, '$group_set', key)} END"
            for key in ("name", "industry", "country")}  # fmt: skip
    return {
        "events": Part(
            {
                "message_id": "uuid", "event_time": at, "known_at": got, "account_id": group,
                "anonymous_id": "distinct_id", "event": "event", "value": number(p, "value"),
                "properties": without(p, "$ip", "$set", "$set_once", "$sent_at", "token"),
            },
            f"coalesce(event, '') NOT IN ('$identify', '$groupidentify', '$set', {links})",
        ),
        "users": Part(
            {"user_id": "distinct_id", "account_id": group, "created_at": at, "known_at": got},
            f"event <> '$groupidentify' AND {group} IS NOT NULL AND "
            f"coalesce({inside(p, '$is_identified')}, 'true') <> 'false'",
            joined("distinct_id", group),
        ),
        "accounts": Part(
            {"account_id": account, "created_at": at, "known_at": got, **said},
            f"{account} IS NOT NULL",
            account,
        ),
        "identities": Part(
            {"kind": "'alias'", "from_id": origin, "to_id": "distinct_id", "since": at,
             "known_at": got},
            f"{origin} <> distinct_id",
            joined(origin, "distinct_id", f"left(CAST({at} AS VARCHAR), 10)"),
        ),
    }  # fmt: skip
