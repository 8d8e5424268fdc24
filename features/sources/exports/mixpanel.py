"""Mixpanel: what its raw export gives, JSON lines whose fields are all in `properties`."""

from features.settings import Source
from features.sources.exports.json_text import Part, first_inside, inside, joined, number, without


def mixpanel(source: Source) -> dict[str, Part]:
    """Events of Mixpanel's raw export, which repeats some; ids by either way of merging them."""
    p = "properties"
    time = number(p, "time")
    seconds = f"(CASE WHEN {time} >= 1e11 THEN {time} / 1000 ELSE {time} END)"
    clock = f"make_timestamp(CAST(round({seconds} * 1000000) AS BIGINT))"
    # Projects of before 2023 export the wall clock of their zone as if it were UTC.
    at = clock if source.zone else seconds
    got = f"coalesce({number(p, 'mp_processing_time_ms')}, {number(p, '$mp_api_timestamp_ms')})"
    got = f"{got} / 1000"
    distinct, device = inside(p, "distinct_id"), inside(p, "$device_id")
    guest = f"coalesce(nullif(regexp_replace({distinct}, '^[$]device:', ''), ''), {device})"
    named = f"CASE WHEN {distinct} LIKE '$device:%' OR {distinct} = {device} THEN NULL"
    user = f"coalesce({inside(p, '$user_id')}, {named} ELSE nullif({distinct}, '') END)"
    group = first_inside(p, source.group_type) if source.group_type else "NULL"
    insert = inside(p, "$insert_id")
    key = f"md5(concat_ws('|', event, {distinct}, {inside(p, 'time')}, {insert}))"
    links = "'$identify', '$create_alias', '$merge'"
    origin = (
        f"CASE event WHEN '$identify' THEN {inside(p, '$anon_id')} "
        f"WHEN '$create_alias' THEN {distinct} "
        f"WHEN '$merge' THEN json_extract_string({p}, '$.\"$distinct_ids\"[1]') ELSE {device} END"
    )
    aim = (
        f"CASE event WHEN '$identify' THEN {inside(p, '$identified_id')} "
        f"WHEN '$create_alias' THEN {inside(p, 'alias')} "
        f"WHEN '$merge' THEN json_extract_string({p}, '$.\"$distinct_ids\"[0]') "
        f"ELSE {inside(p, '$user_id')} END"
    )
    return {
        "events": Part(
            {
                "message_id": f"CASE WHEN {insert} IS NOT NULL THEN {key} END", "event_time": at,
                "known_at": got, "account_id": group, "user_id": inside(p, "$user_id"),
                "anonymous_id": guest, "event": "event", "value": number(p, "value"),
                "properties": without(
                    p, "time", "distinct_id", "$insert_id", "$device_id", "$user_id",
                    "mp_processing_time_ms", "$mp_api_timestamp_ms", "$import",
                ),
            },
            f"coalesce(event, '') NOT IN ({links})",
        ),
        "users": Part(
            {"user_id": user, "account_id": group, "created_at": at, "known_at": got},
            f"{user} IS NOT NULL AND {group} IS NOT NULL",
            joined(user, group),
        ),
        "accounts": Part(
            {"account_id": group, "created_at": at, "known_at": got}, f"{group} IS NOT NULL", group
        ),
        "identities": Part(
            {"kind": "'alias'", "from_id": origin, "to_id": aim, "since": at, "known_at": got},
            f"(event IN ({links}) OR {inside(p, '$user_id')} IS NOT NULL AND {device} IS NOT NULL) "
            f"AND {origin} IS DISTINCT FROM {aim}",
            joined("event IN (" + links + ")", origin, aim, f"strftime({clock}, '%Y-%m')"),
        ),
    }  # fmt: skip
