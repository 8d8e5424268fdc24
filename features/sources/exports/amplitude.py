"""Amplitude: what its Export API gives, zipped JSON lines with times in UTC."""

from features.settings import Source
from features.sources.exports.json_text import Part, first_inside, joined, number


def amplitude(source: Source) -> dict[str, Part]:
    """Events of Amplitude's Export API; a device is its user's once an event names both."""
    device = "coalesce(device_id, amplitude_id)"
    group = first_inside('"groups"', source.group_type) if source.group_type else "NULL"
    at, got = "event_time", "server_upload_time"
    return {
        "events": Part(
            {
                "message_id": f"coalesce({device} || ':' || \"$insert_id\", uuid)",
                "event_time": at, "known_at": got, "account_id": group, "user_id": "user_id",
                "anonymous_id": device, "event": "event_type",
                "value": number("event_properties", "value"), "properties": "event_properties",
            },
            "coalesce(event_type, '') NOT IN ('$identify', '$groupidentify')",
        ),
        "users": Part(
            {"user_id": "user_id", "account_id": group, "created_at": at, "known_at": got},
            f"user_id IS NOT NULL AND {group} IS NOT NULL",
            joined("user_id", group),
        ),
        "accounts": Part(
            {"account_id": group, "created_at": at, "known_at": got}, f"{group} IS NOT NULL", group
        ),
        "identities": Part(
            {"kind": "'alias'", "from_id": device, "to_id": "user_id", "since": at,
             "known_at": got},
            f"user_id <> {device}",
            joined(device, "user_id", f"left({at}, 7)"),
        ),
    }  # fmt: skip
