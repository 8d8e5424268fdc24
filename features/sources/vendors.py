"""What analytics vendors export, as mappings to the contract: one file feeds several tables.

Each mapping follows the vendor's published schema. Where an export does not say when somebody
joined an account, or when an account signed up, the first row that shows it does.
"""

from collections.abc import Callable
from typing import NamedTuple

from features.settings import Source
from features.sources.exports.amplitude import amplitude
from features.sources.exports.json_text import Part
from features.sources.exports.mixpanel import mixpanel
from features.sources.exports.posthog import posthog
from features.sources.exports.segment import FIELDS, segment

UTC = "UTC"


class Vendor(NamedTuple):
    """One vendor: what its export looks like, its tables, and the keys that a row may lack."""

    title: str
    expects: str
    parts: Callable[[Source], dict[str, Part]]
    optional: tuple[str, ...]
    zone: str | None = UTC


def expanded(source: Source) -> list[Source]:
    """A source of the settings as mapped sources: itself, or one for each table of its vendor."""
    if source.vendor is None:
        return [source]
    vendor = VENDORS[source.vendor]
    parts = vendor.parts(source)
    return [
        source.model_copy(update={
            "name": name, "table": table, "columns": parts[table].columns,
            "where": _both(parts[table].where, source.where), "once": parts[table].once,
            "optional": vendor.optional,
            "zone": source.zone or vendor.zone,
        })
        for table, name in source.parts.items()
    ]  # fmt: skip


def expectation(source: Source) -> tuple[str, str]:
    """What a source of a vendor reads its file as, and what such a file holds."""
    vendor = VENDORS[str(source.vendor)]
    return f"an export of {vendor.title}", vendor.expects


def _both(own: str, theirs: str | None) -> str:
    return own if theirs is None else f"({own}) AND ({theirs})"


VENDORS = {
    "segment": Vendor(
        "Segment",
        "one call a line (type, messageId, userId or anonymousId, timestamp, receivedAt)",
        segment,
        FIELDS,
    ),
    "rudderstack": Vendor(
        "RudderStack",
        "one call a line (type, messageId, userId or anonymousId, originalTimestamp, receivedAt)",
        segment,
        FIELDS,
    ),
    "amplitude": Vendor(
        "Amplitude",
        "what its Export API gives (event_type, event_time, server_upload_time, user_id or "
        "device_id)",
        amplitude,
        ("user_id", "device_id", "amplitude_id", "$insert_id", "uuid", "server_upload_time",
         "groups", "event_properties"),
    ),
    "mixpanel": Vendor(
        "Mixpanel",
        "what its raw export gives (event, properties with time and distinct_id)", mixpanel, (),
        None,
    ),
    "posthog": Vendor(
        "PostHog",
        "the events model of its batch exports (uuid, event, distinct_id, properties, timestamp)",
        posthog,
        ("created_at", "_inserted_at"),
    ),
}  # fmt: skip
