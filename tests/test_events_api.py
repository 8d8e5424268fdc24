import asyncio
import base64
import gzip
import json
import resource
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_serving_world import ROOT, authorization

from features.lake import read_table
from features.read_settings import load_settings
from features.workspace import Workspace
from serving.api.app import create_app
from serving.api.backing import Backing
from serving.ledger.database import opened
from serving.state import State

SETTINGS = load_settings(ROOT / "goldpan.toml")
TRACK = {"type": "track", "userId": "u1", "event": "login", "context": {"groupId": "a1"}}


class Intake:
    """An application over an empty workspace, asked in this process."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        app = create_app(Backing(State, opened(self.workspace), self.workspace))
        self.transport = httpx.ASGITransport(app)
        self.headers = authorization("events", root=root)

    def post(self, body: Any, path: str = "/v1/events", **more: Any) -> httpx.Response:
        """The answer to one request."""
        return asyncio.run(self._together([body], path, more))[0]

    def together(self, bodies: list[Any]) -> list[httpx.Response]:
        """The answers to requests that are all under way at once."""
        return asyncio.run(self._together(bodies, "/v1/events", {}))

    async def _together(self, bodies: list[Any], path: str, more: Any) -> list[httpx.Response]:
        async with httpx.AsyncClient(
            transport=self.transport, base_url="http://here", headers=self.headers
        ) as client:
            content = [{"json": b} if not isinstance(b, bytes) else {"content": b} for b in bodies]
            sent = (client.post(path, **one, **more) for one in content)
            return list(await asyncio.gather(*sent))

    def collect(self) -> list[Any]:
        """Move what was kept into the lake."""
        from serving.intake.collect import collected

        return collected(self.workspace, SETTINGS)

    def rows(self, table: str = "events") -> list[dict[str, Any]]:
        """A table of the lake."""
        return read_table(self.workspace, table).to_pylist()


def copied(workspace: Workspace, to: Path) -> Path:
    """A copy with a ledger of its own, and without the events that other tests have sent.

    To open SQLite's file beside SQLite lets go of its locks.
    """
    left = shutil.ignore_patterns("ledger.db*", "intake")
    return Path(shutil.copytree(workspace.root, to, ignore=left))


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    """An empty intake."""
    return Intake(tmp_path)


def told(answer: httpx.Response) -> tuple[int, int, int, int]:
    """Received, accepted, duplicates, dead letters of a good answer."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["received"], body["accepted"], body["duplicates"], body["dead_letters"]


def test_a_call_is_kept_and_reaches_the_lake_as_it_was_sent(intake: Intake) -> None:
    """Who, what and when stand in the lake; we note when we received it."""
    before = datetime.now(UTC)
    call = TRACK | {"messageId": "m-1", "properties": {"plan": "team", "value": 3}}
    assert told(intake.post(call | {"timestamp": "2026-03-01T10:00:00+01:00"})) == (1, 1, 0, 0)
    intake.collect()
    [row] = intake.rows()
    assert (row["account_id"], row["user_id"], row["event"]) == ("a1", "u1", "login")
    assert row["event_time"] == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert before <= row["known_at"] <= datetime.now(UTC)
    assert row["message_id"] == "a test:m-1"
    assert (row["value"], json.loads(row["properties"])) == (3.0, {"plan": "team", "value": 3})


def test_a_batch_keeps_the_good_calls_and_names_the_bad_ones(intake: Intake) -> None:
    """Sent is accepted, duplicate or dead; each dead one has its place, field and reason."""
    batch = [
        TRACK | {"messageId": "m-1"},
        {"type": "track", "userId": "u1"},
        TRACK | {"messageId": "m-1"},
        3,
        TRACK | {"messageId": "m-2", "timestamp": "2026-03-01T10:00:00"},
        TRACK,
    ]
    answer = intake.post({"batch": batch})
    assert told(answer) == (6, 2, 1, 3)
    assert [(e["index"], e["field"], e["found"]) for e in answer.json()["errors"]] == [
        (1, "event", "nothing"),
        (3, "message", "3"),
        (4, "timestamp", "'2026-03-01T10:00:00'"),
    ]
    [named] = answer.json()["named"]
    assert named["index"] == 5
    counts = {c.source: (c.sent, c.stored, c.duplicates, c.dead_letters) for c in intake.collect()}
    assert counts["intake_events"] == (2, 2, 0, 0)
    assert counts["intake_refused"] == (3, 0, 0, 3)
    reasons = sorted(row["reason"] for row in intake.rows("dead_letters"))
    assert reasons[0] == "event: found nothing; expected the name of what was done"
    assert f"a test:{named['message_id']}" in [row["message_id"] for row in intake.rows()]


def test_a_call_sent_again_is_stored_once_whatever_the_clock_says(intake: Intake) -> None:
    """A client that tries again sends another sentAt: the first that we stored is kept."""
    call = TRACK | {"messageId": "m-1", "timestamp": "2026-03-01T10:00:00Z"}
    for second in (1, 7):
        intake.post({"batch": [call], "sentAt": f"2026-03-01T10:00:0{second}Z"})
        intake.collect()
    assert len(intake.rows()) == 1
    assert intake.rows("dead_letters") == []
    noted = [r for r in intake.rows("ingests") if r["source"] == "intake_events"]
    assert sorted((r["stored"], r["duplicates"]) for r in noted) == [(0, 1), (1, 0)]


def test_one_message_id_of_two_sources_is_two_events(intake: Intake) -> None:
    """Ids are unique within the keys of one name."""
    from serving.ledger.keys import create

    intake.post(TRACK | {"messageId": "1"})
    text, _ = create(opened(intake.workspace), "the other shop", ("events",))
    intake.headers = {"authorization": f"Bearer {text}"}
    intake.post(TRACK | {"messageId": "1", "event": "report_created"})
    intake.collect()
    assert sorted(row["message_id"] for row in intake.rows()) == ["a test:1", "the other shop:1"]


def test_a_clock_that_is_wrong_is_corrected_as_segment_does(intake: Intake) -> None:
    """The age that the sender's clock gives an event is taken from the moment of its arrival."""
    sent = datetime(2031, 1, 1, tzinfo=UTC)  # years ahead
    happened = sent - timedelta(seconds=90)
    call = TRACK | {"originalTimestamp": happened.isoformat(), "sentAt": sent.isoformat()}
    intake.post(call)
    intake.collect()
    [row] = intake.rows()
    assert row["known_at"] - row["event_time"] == timedelta(seconds=90)


def test_identify_and_group_say_who_is_who(intake: Intake) -> None:
    """Users, accounts and identities come out of calls; what is known already is not told again."""
    calls = [
        {"type": "identify", "userId": "u1", "anonymousId": "anon-1", "traits": {"email": "x@y"}},
        {"type": "group", "userId": "u1", "groupId": "a1", "traits": {"name": "Acme"}},
        TRACK,
    ]
    for _ in range(2):
        assert told(intake.post({"batch": calls})) == (3, 3, 0, 0)
        intake.collect()
    [user], [account], [link] = (intake.rows(t) for t in ("users", "accounts", "identities"))
    assert (user["user_id"], user["account_id"]) == ("u1", "a1")
    assert (account["account_id"], account["name"]) == ("a1", "Acme")
    assert (link["kind"], link["from_id"], link["to_id"]) == ("alias", "anon-1", "u1")
    assert len(intake.rows()) == 2


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"type": "trakc"}, "type"),
        ({"type": "group", "groupId": ""}, "groupId"),
        ({"userId": ""}, "userId"),
        ({"userId": "a\0b"}, "userId"),
        ({"userId": True}, "userId"),
        ({"userId": "u" * 201}, "userId"),
        ({"messageId": "m" * 101}, "messageId"),
        ({"event": ""}, "event"),
        ({"event": ["login"]}, "event"),
        ({"properties": []}, "properties"),
        ({"context": {"groupId": 1.5}}, "groupId"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "2200-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ({"timestamp": 1e9}, "timestamp"),
        ({"sentAt": "soon", "timestamp": "2026-01-01T00:00:00Z"}, "sentAt"),
        ({"properties": {"a": "x" * 33_000}}, "message"),
        ({"properties": {"a": "\ud800"}}, "message"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused_by_its_field(
    intake: Intake, call: dict[str, Any], field: str
) -> None:
    """Alone in its request it is an error; in the dead letters it is all the same."""
    without = {"context": {}} if "userId" in call else {}
    answer = intake.post(json.dumps(TRACK | without | call).encode(), headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    intake.collect()
    assert len(intake.rows("dead_letters")) == 1


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "invalid-json"),
        (b'{"batch": NaN}', 400, "invalid-json"),
        (b"[]", 422, "invalid-request"),
        (b'{"batch": []}', 422, "invalid-request"),
        (b'{"batch": [3], "sentAt": 4}', 422, "invalid-request"),
        (b'{"a": "' + b"x" * (500 << 10) + b'"}', 413, "too-large"),
    ],
)
def test_a_body_that_is_no_batch_is_not_kept(
    intake: Intake, body: bytes, status: int, kind: str
) -> None:
    """It was not sent, as far as the counts go."""
    answer = intake.post(body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:goldpan:problem:{kind}")
    assert intake.collect() == []


def test_segments_own_addresses_lead_here(intake: Intake) -> None:
    """The type may stand in the address; it must not differ from that of the call."""
    call = {k: v for k, v in TRACK.items() if k != "type"}
    assert told(intake.post(call, "/v1/track")) == (1, 1, 0, 0)
    assert told(intake.post({"batch": [TRACK]}, "/v1/batch")) == (1, 1, 0, 0)
    assert intake.post(TRACK, "/v1/group").json()["field"] == "type"


def test_events_need_a_key_that_may_send_them(intake: Intake) -> None:
    """A key for scores is refused; so is none."""
    intake.headers = authorization("score", root=intake.workspace.root)
    assert intake.post(TRACK).status_code == 403
    intake.headers = {}
    assert intake.post(TRACK).status_code == 401


def test_a_disk_that_takes_no_more_loses_nothing_and_recovers(intake: Intake) -> None:
    """What cannot be written is refused with 503; what was acknowledged stays; then it goes on."""
    assert told(intake.post(TRACK | {"messageId": "before"})) == (1, 1, 0, 0)
    [journal] = (intake.workspace.root / "intake" / "journals").glob("*.journal")
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 20, former[1]))
    try:
        answer = intake.post(TRACK | {"messageId": "meanwhile"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert told(intake.post(TRACK | {"messageId": "after"})) == (1, 1, 0, 0)
    intake.collect()
    assert sorted(r["message_id"] for r in intake.rows()) == ["a test:after", "a test:before"]


def test_requests_that_come_together_share_a_sync(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred requests wait for a few syncs, not for a hundred."""
    import os

    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (synced.append(handle), real(handle))[1])
    answers = intake.together([TRACK | {"messageId": str(i)} for i in range(100)])
    assert [told(a) for a in answers] == [(1, 1, 0, 0)] * 100
    assert 1 <= len(synced) < 50
    intake.collect()
    assert len(intake.rows()) == 100


def as_segments_python_client(key: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What analytics-python posts: a batch, its own key in it, and the key as Basic's user."""
    now = datetime.now(UTC)
    call = {
        "integrations": {},
        "timestamp": (now - timedelta(seconds=5)).isoformat(),
        "context": {"library": {"name": "analytics-python", "version": "2.3.3"}, "groupId": "a1"},
        "type": "track",
        "userId": "u1",
        "anonymousId": None,
        "event": "report_created",
        "properties": {"minutes": 4},
        "messageId": "0f6de4f2-7fae-4b4f-9c51-a4b5b0a2a6ba",
    }
    body = {"sentAt": now.isoformat(), "writeKey": key, "batch": [call]}
    return body, {"user-agent": "analytics-python/2.3.3"}


def as_segments_node_client(key: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What analytics-node posts: milliseconds, a Z, and facts about itself."""
    call = {
        "messageId": "node-next-1764288000000-8a1d2c2e-5d0a-4b07-93d5-8f3b6a3c7d11",
        "timestamp": "2026-11-27T23:59:58.120Z",
        "type": "track",
        "userId": "u1",
        "event": "report_created",
        "properties": {},
        "context": {
            "library": {"name": "@segment/analytics-node", "version": "2.1.0"}, "groupId": "a1",
        },
        "integrations": {},
        "_metadata": {"nodeVersion": "20.11.0", "jsRuntime": "node"},
    }  # fmt: skip
    return {"batch": [call], "writeKey": key, "sentAt": "2026-11-27T23:59:59.003Z"}, {}


@pytest.mark.parametrize("client", [as_segments_python_client, as_segments_node_client])
def test_segments_own_clients_are_understood(intake: Intake, client: Any) -> None:
    """They send their key as the user of Basic, and more than anybody needs, which is not kept."""
    key = intake.headers["authorization"].removeprefix("Bearer ")
    body, headers = client(key)
    basic = base64.b64encode(f"{key}:".encode()).decode()
    intake.headers = {**headers, "authorization": f"Basic {basic}"}
    assert told(intake.post(body, "/v1/batch")) == (1, 1, 0, 0)
    for kept in (intake.workspace.root / "intake").rglob("*.journal"):
        assert key.encode() not in kept.read_bytes()
        assert b"library" not in kept.read_bytes()
    intake.collect()
    [row] = intake.rows()
    assert (row["account_id"], row["event"]) == ("a1", "report_created")


def test_a_compressed_body_is_refused_as_such(intake: Intake) -> None:
    """A client that can compress its batches is told to leave that."""
    packed = gzip.compress(json.dumps(TRACK).encode())
    answer = intake.post(packed, headers=JSON | {"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "not compressed" in answer.json()["detail"]
