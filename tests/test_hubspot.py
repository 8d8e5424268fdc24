import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from asked import state_of
from test_serving_world import served

from serving.api.app import create_app
from serving.api.backing import Backing
from serving.crm.signatures import Signed, first, refusal, second, third
from serving.ledger.database import opened
from serving.state import State

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"  # noqa: S105 - of HubSpot's public examples
PUBLIC = "https://scores.example.com"
ADDRESS = f"{PUBLIC}/v1/hubspot/score"
NOTIFIED = (
    '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    '"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
    '"changeFlag":"NEW","appId":54321}]'
)


class HubSpot:
    """Our application, asked as HubSpot asks it."""

    def __init__(self) -> None:
        workspace = served().workspace
        self.state = state_of(workspace)
        app = create_app(Backing(lambda: self.state, opened(workspace), workspace))
        self.transport = httpx.ASGITransport(app)

    def post(self, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """The answer to a signed request, or to one with these headers."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = signed_third(content) if headers is None else headers
        return asyncio.run(self._post(content, sent))

    async def _post(self, content: bytes, headers: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self.transport, base_url="http://inside") as client:
            sent = {"content-type": "application/json", **headers}
            return await client.post("/v1/hubspot/score", content=content, headers=sent)


def signed_third(content: bytes, *, seconds_ago: float = 0, secret: str = SECRET) -> dict[str, str]:
    """Headers of version 3."""
    timestamp = str(int(1000 * (time.time() - seconds_ago)))
    signature = third(secret, Signed("POST", ADDRESS, content), timestamp)
    return {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": timestamp}


def versioned(version: str, signature: str) -> dict[str, str]:
    """Headers of version 1 or 2."""
    return {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version}


@pytest.fixture
def hubspot(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubSpot]:
    """HubSpot, set up."""
    monkeypatch.setenv("GOLDPAN_HUBSPOT_SECRET", SECRET)
    monkeypatch.setenv("GOLDPAN_PUBLIC_URL", PUBLIC + "/")
    return HubSpot()


def customer() -> str:
    """An account that churn applies to."""
    rows = pq.read_table(served().snapshot / "scores.parquet").to_pylist()
    return next(r["account_id"] for r in rows if r["model"] == "churn")


def action(account: Any, call: str = "ap-102670506-56776413549-7-0") -> dict[str, Any]:
    """A custom workflow action's request."""
    return {
        "callbackId": call,
        "origin": {"portalId": 102670506, "actionDefinitionId": 10860211},
        "context": {"source": "WORKFLOWS", "workflowId": 192814114},
        "object": {"objectId": 614, "objectType": "COMPANY"},
        "inputFields": {"account_id": account},
    }


def test_the_first_two_versions_sign_as_hubspots_public_examples() -> None:
    """The hashes are those that its pages on validating requests print."""
    notified = Signed("POST", "https://unused", NOTIFIED.encode())
    digest = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
    assert first(SECRET, notified) == digest
    assert refusal(SECRET, notified, lower(versioned("v1", digest)), 0) is None
    uri = "https://www.example.com/webhook_uri"
    got = Signed("GET", uri, b"")
    assert second(SECRET, got) == "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"
    posted = Signed("POST", uri, b'{"example_field":"example_value"}')
    assert (
        second(SECRET, posted) == "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900"
    )


def lower(headers: dict[str, str]) -> dict[str, str]:
    """Headers by their names in small letters."""
    return {name.lower(): value for name, value in headers.items()}


def test_the_third_version_signs_method_address_body_and_time() -> None:
    """The address as HubSpot decodes it; the value was worked out by another implementation."""
    request = Signed("POST", "https://a.example/x?to=b%40c", b'{"a":1}')
    # printf '%s' 'POSThttps://a.example/x?to=b@c{"a":1}1700000000000' |
    #   openssl dgst -sha256 -hmac yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy -binary | base64
    assert third(SECRET, request, "1700000000000") == OPENSSL


OPENSSL = "5+XC1dHZXHP71BKEYcalCNf0ehX5yu/2GI3ZVlxEViU="


def test_an_action_is_answered_with_flat_texts(hubspot: HubSpot) -> None:
    """Probability, grade, rank and reasons of each model that applies, as output fields."""
    answer = hubspot.post(action(customer(), "ap-1"))
    assert answer.status_code == 200, answer.text
    told = answer.json()["outputFields"]
    assert all(isinstance(value, str) for value in told.values())
    assert told["hs_execution_state"] == "SUCCESS"
    assert (told["account_id"], told["as_of"]) == (customer(), "2026-07-01")
    assert 0 <= float(told["churn_probability"]) <= 1
    assert told["churn_grade"] in "ABCD"
    assert told["churn_reason_1"]
    assert told["churn_reasons"].startswith(told["churn_reason_1"])
    assert "pql_probability" not in told


def test_an_action_that_is_sent_again_gets_the_same_bytes(hubspot: HubSpot) -> None:
    """Whatever changed meanwhile: even when the service can no longer answer."""
    once = hubspot.post(action(customer(), "ap-2"))
    hubspot.state = State()
    assert hubspot.post(action(customer(), "ap-3")).status_code == 503
    again = hubspot.post(action(customer(), "ap-2"))
    assert (again.status_code, again.content) == (200, once.content)


def test_a_workflows_webhook_is_answered_too(hubspot: HubSpot) -> None:
    """The account's id stands in a property, as plain text or with its history beside it."""
    for value in (customer(), {"value": customer(), "versions": []}):
        body = {"vid": 614, "properties": {"account_id": value}}
        told = hubspot.post(body).json()["outputFields"]
        assert told["account_id"] == customer()
        assert "churn_probability" in told


def test_the_field_that_holds_the_account_can_be_named(
    hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company that calls it otherwise says so in the environment."""
    monkeypatch.setenv("GOLDPAN_HUBSPOT_ACCOUNT_FIELD", "workspace_id")
    body = action(None, "ap-4") | {"inputFields": {"workspace_id": customer()}}
    assert hubspot.post(body).json()["outputFields"]["account_id"] == customer()


def test_notifications_are_answered_where_they_tell_an_account(hubspot: HubSpot) -> None:
    """A creation tells none; a change of the field does."""
    body = NOTIFIED.encode()
    answer = hubspot.post(body, versioned("v1", first(SECRET, Signed("POST", ADDRESS, body))))
    assert answer.json() == {"results": [], "ignored": 1}
    change = {"propertyName": "account_id", "propertyValue": customer(), "objectId": 1}
    [told] = hubspot.post([change]).json()["results"]
    assert told["account_id"] == customer()


def test_an_account_that_we_do_not_know_lets_the_workflow_go_on(hubspot: HubSpot) -> None:
    """HubSpot would try for three days what cannot succeed."""
    told = hubspot.post(action("nobody", "ap-5")).json()["outputFields"]
    assert told["hs_execution_state"] == "FAIL_CONTINUE"
    assert told["error"] == "No account nobody on the scoring day."


def test_every_version_opens_and_nothing_else(hubspot: HubSpot) -> None:
    """Unsigned, forged, altered, replayed and unknown versions are refused, each as such."""
    body = json.dumps(action(customer(), "ap-6")).encode()
    request = Signed("POST", ADDRESS, body)
    good = [versioned("v1", first(SECRET, request)), versioned("v2", second(SECRET, request))]
    assert [hubspot.post(body, headers).status_code for headers in good] == [200, 200]
    bad = [
        {},
        {"authorization": "Bearer gp_1_2"},
        versioned("v1", second(SECRET, request)),
        versioned("v2", second("another secret", request)),
        versioned("v3", first(SECRET, request)),
        versioned("v2", second(SECRET, Signed("POST", "http://inside/v1/hubspot/score", body))),
        signed_third(body, seconds_ago=301),
        signed_third(body, seconds_ago=-301),
        signed_third(body, secret="another"),  # noqa: S106
        signed_third(body + b" "),
        {**signed_third(body), "X-HubSpot-Request-Timestamp": "soon"},
        {**good[1], "X-HubSpot-Signature-v3": "forged", "X-HubSpot-Request-Timestamp": "1"},
    ]
    for headers in bad:
        answer = hubspot.post(body, headers)
        assert (answer.status_code, answer.json()["field"]) == (401, "signature"), headers
    assert hubspot.post(body, signed_third(body, seconds_ago=290)).status_code == 200


def test_without_a_secret_nobody_is_let_in(
    hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HubSpot tries again later: it may be set up meanwhile."""
    monkeypatch.setenv("GOLDPAN_HUBSPOT_SECRET", "")
    answer = hubspot.post(action(customer()), signed_third(b"", secret=""))
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:goldpan:problem:not-ready")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (3, "body"),
        ({}, "properties"),
        ({"callbackId": "x"}, "inputFields"),
        ({"callbackId": 3, "inputFields": {"account_id": "a"}}, "callbackId"),
        ({"callbackId": "x", "inputFields": {}}, "inputFields.account_id"),
        ({"properties": {"account_id": "a b"}}, "properties.account_id"),
        ({"properties": {"account_id": {"value": True}}}, "properties.account_id"),
        ({"properties": []}, "properties"),
    ],
)
def test_a_body_without_an_account_names_the_field(hubspot: HubSpot, body: Any, field: str) -> None:
    """HubSpot does not try again; who set the workflow up sees why."""
    answer = hubspot.post(body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
