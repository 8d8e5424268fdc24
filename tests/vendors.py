"""Sample exports as the vendors' published schemas describe them: one short story, told by each.

A visitor (`guest`) looks around, signs up as `user` of account A, comes back signed out, moves to
account B. One event arrives late, some arrive twice, three rows are broken.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
START = datetime(2024, 2, 27, tzinfo=UTC)
GUEST, USER = "guest-7f3a", "user-0001"


class Step(NamedTuple):
    """Something that happened `at` days after START and arrived `late` days after that."""

    kind: str
    at: float
    late: float = 0.0
    user: str | None = None
    account: str | None = None
    event: str = ""
    guest: str | None = GUEST

    @property
    def happened(self) -> datetime:
        """When it happened."""
        return START + timedelta(days=self.at)

    @property
    def arrived(self) -> datetime:
        """When the vendor received it."""
        return START + timedelta(days=self.at + self.late, milliseconds=250)

    @property
    def name(self) -> str:
        """A unique id of the message."""
        return f"m-{self.kind}-{self.at}"


STORY = [
    Step("track", 0.5, event="pricing_viewed"),
    Step("identify", 1.25, user=USER),
    Step("group", 1.26, user=USER, account="A"),
    Step("track", 1.5, user=USER, account="A", event="report_created"),
    Step("track", 2.5, late=1.75, user=USER, event="login"),
    Step("track", 3.5, event="docs_viewed"),
    Step("group", 5.25, user=USER, account="B"),
    Step("track", 6.5, user=USER, event="login"),
]
AGAIN = [3, 4, 7]
"""Which steps are delivered twice, the second time a little later."""
EVENTS = [step for step in STORY if step.kind == "track"]


def told(render: Callable[[Step], Iterable[Row]]) -> list[Row]:
    """The story's rows, repeats included."""
    rows = [row for step in STORY for row in render(step)]
    for number in AGAIN:
        step = STORY[number]
        rows += render(step._replace(late=step.late + 0.01))
    return rows


def iso(moment: datetime) -> str:
    """2024-02-27T12:00:00.250Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(row: Row) -> Row:
    """A row without what is not known."""
    return {key: value for key, value in row.items() if value is not None}


def segment(step: Step) -> Iterable[Row]:
    """A call as Segment archives it."""
    call = {
        "type": step.kind, "messageId": step.name, "anonymousId": step.guest, "userId": step.user,
        "originalTimestamp": iso(step.happened + timedelta(minutes=3)),
        "sentAt": iso(step.arrived), "timestamp": iso(step.happened),
        "receivedAt": iso(step.arrived), "version": 2, "channel": "client",
        "context": {"library": {"name": "analytics.js"}, "ip": "192.0.2.1"},
    }  # fmt: skip
    if step.kind == "group":
        traits = {"name": f"{step.account} Ltd", "employees": 12, "industry": "retail"}
        call |= {"groupId": step.account, "traits": traits}
    elif step.kind == "track":
        call |= {"event": step.event, "properties": {"value": 2.5, "plan": "free"}}
        if step.account:
            call["context"]["groupId"] = step.account  # type: ignore[index]
    else:
        call["traits"] = {"email": "someone@example.com"}
    yield without_none(call)


def rudderstack(step: Step) -> Iterable[Row]:
    """A call as RudderStack dumps it: the same, without `timestamp`."""
    for call in segment(step):
        del call["timestamp"]
        yield call | {"originalTimestamp": iso(step.happened), "rudderId": "r-1"}


def amplitude(step: Step) -> Iterable[Row]:
    """An event of Amplitude's Export API: times in UTC without saying so."""
    text = "%Y-%m-%d %H:%M:%S.%f"
    names = {"track": step.event, "identify": "$identify", "group": "$identify"}
    yield {
        "$insert_id": step.name, "uuid": f"{step.name}-{step.late}", "amplitude_id": 987654321,
        "app": 12345, "device_id": step.guest, "user_id": step.user, "event_type": names[step.kind],
        "event_time": f"{step.happened:{text}}", "client_event_time": f"{step.happened:{text}}",
        "server_received_time": f"{step.arrived:{text}}",
        "server_upload_time": f"{step.arrived:{text}}", "session_id": 1708992000000,
        "groups": {"company": [step.account]} if step.account else {}, "group_properties": {},
        "event_properties": {"value": 2.5}, "user_properties": {"plan": "free"}, "platform": "Web",
        "ip_address": "192.0.2.1", "paying": None, "$schema": None,
    }  # fmt: skip


def mixpanel(step: Step) -> Iterable[Row]:
    """An event of Mixpanel's raw export under simplified merging of ids."""
    if step.kind == "track":
        yield _mixpanel(step, {"$device_id": step.guest, "$user_id": step.user})


def mixpanel_original(step: Step) -> Iterable[Row]:
    """An event of Mixpanel's raw export under its original merging of ids."""
    if step.kind == "identify":
        link = {"$anon_id": step.guest, "$identified_id": step.user}
        yield _mixpanel(step._replace(event="$identify"), link)
    elif step.kind == "track":
        yield _mixpanel(step, {})


def _mixpanel(step: Step, ids: Row) -> Row:
    guest = f"$device:{step.guest}" if "$device_id" in ids else step.guest
    told = {
        "time": int(step.happened.timestamp()), "distinct_id": step.user or guest,
        "$insert_id": step.name, "company_id": step.account, "value": 2.5, "$city": "Delft",
        "mp_processing_time_ms": int(step.arrived.timestamp() * 1000), "mp_lib": "web",
    }  # fmt: skip
    return {"event": step.event, "properties": without_none(told | ids)}


def posthog(step: Step) -> Iterable[Row]:
    """An event of PostHog's batch export as JSON lines."""
    names = {"track": step.event, "identify": "$identify", "group": "$groupidentify"}
    properties: Row = {"$lib": "web", "$ip": "192.0.2.1", "value": 2.5}
    if step.kind == "identify":
        properties["$anon_distinct_id"] = step.guest
    if step.kind == "group":
        properties |= {"$group_type": "company", "$group_key": step.account}
        properties["$group_set"] = {"name": f"{step.account} Ltd", "industry": "retail"}
    if step.account and step.kind == "track":
        properties["$groups"] = {"company": step.account}
    yield {
        "uuid": step.name, "event": names[step.kind], "distinct_id": step.user or step.guest,
        "person_id": "0190-person", "properties": properties, "person_properties": {},
        "elements_chain": "", "timestamp": iso(step.happened), "created_at": iso(step.arrived),
        "_inserted_at": iso(step.arrived + timedelta(seconds=9)),
    }  # fmt: skip


def broken(row: Row, kind: str) -> list[Row]:
    """Three rows that cannot be kept: without a time, of the future, and nobody's."""
    if kind == "mixpanel":
        return [row | {"properties": row["properties"] | change} for change in (
            {"time": None, "$insert_id": "x1"}, {"time": 4_000_000_000, "$insert_id": "x2"},
            {"distinct_id": "", "$device_id": None, "$user_id": None, "company_id": None,
             "$insert_id": "x3"},
        )]  # fmt: skip
    time = {"segment": "timestamp", "amplitude": "event_time", "posthog": "timestamp"}[kind]
    nobody: Row = dict.fromkeys(
        ("userId", "anonymousId", "user_id", "device_id", "amplitude_id", "distinct_id", "context",
         "groups"),
    )  # fmt: skip
    far = "2126-01-01T00:00:00Z"
    if kind == "posthog":
        nobody |= {"properties": {}}
    changes: list[Row] = [{time: None, "originalTimestamp": None}, {time: far}, nobody]
    names = ("messageId", "$insert_id", "uuid")
    return [
        row | change | {name: f"x{n}" for name in names if name in row}
        for n, change in enumerate(changes)
    ]


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    """JSON lines, packed as the name says: .json, .jsonl, either with .gz, or .zip of .json.gz."""
    rows = list(rows)
    if path.suffix == ".zip":
        half = len(rows) // 2
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("12345/", "")
            for hour, part in enumerate((rows[:half], rows[half:])):
                archive.writestr(
                    f"12345/12345_2024-02-27_{hour}#0.json.gz", gzip.compress(_text(part))
                )
        return
    path.write_bytes(gzip.compress(_text(rows)) if path.suffix == ".gz" else _text(rows))


def _text(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_parquet(path: Path, rows: Iterable[Row]) -> None:
    """PostHog's Parquet: typed times in UTC, properties as JSON text."""
    times = ("timestamp", "created_at", "_inserted_at")
    flat = [
        {k: datetime.fromisoformat(v) if k in times and v else
            json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()}
        for row in rows
    ]  # fmt: skip
    schema = pa.schema([(name, pa.timestamp("us", "UTC") if name in times else pa.string())
                        for name in flat[0]])  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(flat, schema=schema), sink)
    path.write_bytes(sink.getvalue())
