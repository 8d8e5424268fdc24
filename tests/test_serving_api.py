"""The service as a CRM meets it: a real BentoML process, asked over HTTP."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest
from test_serving_world import ROOT, authorization, free_port, served

from serving.api.app import create_app
from serving.api.backing import Backing
from serving.api.bodies import ScoresAnswer
from serving.api.problems import Problem
from serving.ledger.database import opened
from serving.scoring.accounts import load_snapshot
from serving.state import State

JSON = {"content-type": "application/json"}
SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
"""


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    """A client of the running service, which must end by SIGINT and leave nothing behind."""
    arguments = [sys.executable, "-c", SERVE, str(served().workspace.root), str(free_port())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment, text=True) as process:
        url = process.stdout.readline().strip()
        family = psutil.Process(process.pid).children(recursive=True)
        with httpx.Client(
            base_url=url, timeout=30, trust_env=False, headers=authorization()
        ) as client:
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def some_accounts(population: str, count: int = 1) -> list[str]:
    """Ids of accounts of a population."""
    rows = pq.read_table(served().snapshot / "scores.parquet").to_pylist()
    return list(dict.fromkeys(r["account_id"] for r in rows if r["population"] == population))[
        :count
    ]


def refused(answer: httpx.Response, status: int, kind: str) -> Problem:
    """The problem that an answer tells, checked for what all have in common."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert problem.type == f"urn:goldpan:problem:{kind}"
    assert problem.status == status
    assert answer.headers["x-request-id"] == problem.request_id
    return problem


def scores(service: httpx.Client, **body: Any) -> ScoresAnswer:
    """A good answer, strictly as the API declares it."""
    answer = service.post("/v1/scores", json=body)
    assert answer.status_code == 200, answer.text
    return ScoresAnswer.model_validate_json(answer.content)


def test_one_account_gets_a_score_with_reasons_from_each_model_that_applies(
    service: httpx.Client,
) -> None:
    """A customer is scored for upgrade and churn; pql says why it does not apply."""
    [account] = some_accounts("customer")
    answer = scores(service, accounts=[account])
    assert (answer.as_of, answer.simulated, answer.errors) == ("2026-07-01", True, [])
    [result] = answer.results
    assert [s.model for s in result.scores] == ["churn", "upgrade"]
    assert all(s.model_version == "1" and s.reasons for s in result.scores)
    assert all(1 <= s.rank.position <= s.rank.of for s in result.scores)
    [other] = result.not_applicable
    assert (other.model, other.reason.split(";")[0]) == ("pql", "the account is a paying customer")


def test_the_service_answers_what_nightly_scoring_wrote_to_the_bit(service: httpx.Client) -> None:
    """Every account and model: probability, grade, rank and reasons are equal, not merely close."""
    written = {
        (r["account_id"], r["model"]): r
        for r in pq.read_table(served().snapshot / "scores.parquet").to_pylist()
    }
    ids = list(load_snapshot(served().snapshot).table.ids)
    found = service.post("/v1/scores", json={"accounts": ids, "reasons": True}).json()
    given = {(r["account_id"], s["model"]): s for r in found["results"] for s in r["scores"]}
    assert given.keys() == written.keys()
    for key, score in given.items():
        row = written[key]
        assert score["score_id"] == row["score_id"]
        assert score["probability"] == row["probability"]
        assert (score["grade"], score["rank"]) == (
            row["grade"],
            {"position": row["rank"], "of": row["of"]},
        )
        assert score["reasons"] == json.loads(row["reasons"])


def test_results_keep_the_order_of_the_request_and_unknown_accounts_are_listed(
    service: httpx.Client,
) -> None:
    """One unknown id does not spoil the rest of a batch."""
    ids = some_accounts("prospect", 3)
    answer = scores(service, accounts=[ids[2], "nobody", ids[0], ids[2]])
    assert [r.account_id for r in answer.results] == [ids[2], ids[0], ids[2]]
    assert [(e.account_id, e.type) for e in answer.errors] == [("nobody", "unknown_account")]


def test_reasons_can_be_left_out_and_change_no_score(service: httpx.Client) -> None:
    """`reasons: false` gives the same probability without the explanation."""
    ids = some_accounts("customer", 4)
    plain = scores(service, accounts=ids, reasons=False)
    full = scores(service, accounts=ids, reasons=True)
    assert [s.reasons for r in plain.results for s in r.scores] == [[]] * 8
    chances = [[s.probability for r in a.results for s in r.scores] for a in (plain, full)]
    assert chances[0] == chances[1]


def test_asking_for_one_model_answers_for_that_model_only(service: httpx.Client) -> None:
    """Accounts to which it does not apply say so beside those that are scored."""
    ids = some_accounts("customer") + some_accounts("prospect")
    answer = scores(service, accounts=ids, models=["churn"])
    assert [[s.model for s in r.scores] for r in answer.results] == [["churn"], []]
    assert [n.model for n in answer.results[1].not_applicable] == ["churn"]


def test_a_model_that_applies_to_no_account_is_a_typed_error(
    service: httpx.Client,
) -> None:
    """Asked by name for what cannot be answered, the service says why."""
    body = {"accounts": some_accounts("customer"), "models": ["pql"]}
    problem = refused(service.post("/v1/scores", json=body), 422, "model-not-applicable")
    assert problem.detail == "pql: the account is a paying customer; pql is about a prospect."
    assert problem.expected == "accounts for which pql is meant: accounts that pql is about"


def test_a_model_that_is_not_promoted_is_a_typed_error(service: httpx.Client) -> None:
    """The error lists the models that are."""
    body = {"accounts": some_accounts("customer"), "models": ["churn", "winback"]}
    problem = refused(service.post("/v1/scores", json=body), 422, "unknown-model")
    assert (problem.field, problem.expected) == ("models[1]", "one of churn, pql, upgrade")


def test_accounts_that_are_all_unknown_are_not_found(service: httpx.Client) -> None:
    """One unknown id is a 404 that names it."""
    problem = refused(
        service.post("/v1/scores", json={"accounts": ["x-1"]}), 404, "unknown-account"
    )
    assert problem.detail == "No account x-1 on the scoring day."


@pytest.mark.parametrize(
    ("body", "field", "found", "expected"),
    [
        ({}, "accounts", "nothing", "this key"),
        ([], "body", "[]", "a JSON object"),
        ({"accounts": []}, "accounts", "[]", "at least 1 item"),
        ({"accounts": ["a"] * 1001}, "accounts", "", "at most 1000 items"),
        ({"accounts": "a"}, "accounts", "'a'", "a valid list"),
        ({"accounts": [3]}, "accounts[0]", "3", "a valid string"),
        ({"accounts": ["a b"]}, "accounts[0]", "'a b'", "match pattern"),
        ({"accounts": ["a\0"]}, "accounts[0]", "'a\\x00'", "match pattern"),
        ({"accounts": ["a\n"]}, "accounts[0]", "'a\\n'", "match pattern"),
        ({"accounts": ["a" * 201]}, "accounts[0]", "", "match pattern"),
        ({"accounts": ["a"], "reasons": 1}, "reasons", "1", "a valid boolean"),
        ({"accounts": ["a"], "acounts": 1}, "acounts", "1", "accounts, models, reasons"),
        ({"accounts": ["a"], "models": ["A"]}, "models[0]", "'A'", "match pattern"),
    ],
)
def test_a_request_that_is_not_as_declared_names_the_field(
    service: httpx.Client, body: Any, field: str, found: str, expected: str
) -> None:
    """What was found and what was expected stand beside the field."""
    problem = refused(service.post("/v1/scores", json=body), 422, "invalid-request")
    assert problem.field == field
    assert found in problem.found
    assert expected in problem.expected
    assert problem.errors[0].field == field


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"accounts": [NaN]}', "NaN, which is not JSON"),
        (b'{"accounts": [-Infinity]}', "-Infinity, which is not JSON"),
        (b'{"accounts": [1e999]}', "1e999, which is too large"),
        (b'{"accounts": [' + b"9" * 400 + b"]}", "an integer of 400 digits"),
        (b'{"accounts": ["a"], "accounts": ["b"]}', "the key 'accounts' twice"),
        (b'{"accounts": ["\xff"]}', "bytes that are not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_not_strict_json_is_refused(
    service: httpx.Client, body: bytes, found: str
) -> None:
    """No NaN, no infinity, no huge number, no key twice, nothing too deep."""
    answer = service.post("/v1/scores", content=body, headers=JSON)
    assert found in refused(answer, 400, "invalid-json").detail


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_a_body_that_is_not_said_to_be_json_is_refused(
    service: httpx.Client, headers: dict[str, str]
) -> None:
    """Nothing is guessed from the bytes."""
    answer = service.post("/v1/scores", content=b'{"accounts":["a"]}', headers=headers)
    assert refused(answer, 415, "unsupported-media-type").expected == "application/json"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_one_mebibyte_is_refused(service: httpx.Client, chunked: bool) -> None:
    """Whether its length is declared or not."""
    body = b'{"accounts": ["' + b"a" * (2 << 20) + b'"]}'
    content = (body[i : i + 65536] for i in range(0, len(body), 65536)) if chunked else body
    answer = service.post("/v1/scores", content=content, headers=JSON)
    assert refused(answer, 413, "too-large").expected == "at most 1048576 bytes"


@pytest.mark.parametrize("path", ["/schema.json", "/docs.json", "/healthz", "/v1/scores/", "/%00"])
def test_nothing_is_exposed_but_our_own_routes(service: httpx.Client, path: str) -> None:
    """What the framework would serve by itself is not there."""
    refused(service.get(path), 404, "not-found")


def test_a_wrong_method_says_which_are_right(service: httpx.Client) -> None:
    """A 405 has the Allow header."""
    answer = service.get("/v1/scores")
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/livez", 200), ("/v1/accounts", 200), ("/x", 404), ("/console/sign-in", 200)],
)
def test_head_is_answered_as_get_without_the_body(
    service: httpx.Client, path: str, status: int
) -> None:
    """Status and headers are those of GET; on the same connection the next answer is whole."""
    there, whole = service.head(path), service.get(path)
    assert (there.status_code, there.content) == (status, b"")
    differs = {"x-request-id", "date", "ratelimit", "ratelimit-remaining", "ratelimit-reset"}
    kept = [{k: v for k, v in a.headers.items() if k not in differs} for a in (there, whole)]
    assert kept[0] == kept[1]
    assert whole.status_code == status
    assert len(whole.content) == int(there.headers["content-length"])


def test_head_asks_for_a_key_where_get_does(service: httpx.Client) -> None:
    """What is closed stays closed."""
    answer = httpx.head(f"{service.base_url}/v1/accounts", trust_env=False)
    assert (answer.status_code, answer.content) == (401, b"")


def test_liveness_readiness_and_index_are_json(service: httpx.Client) -> None:
    """Readiness names each model with its version, and the day of the accounts."""
    alive = service.get("/livez")
    assert alive.json() == {"request_id": alive.headers["x-request-id"], "status": "alive"}
    ready = service.get("/readyz").json()
    assert (ready["status"], ready["as_of"], ready["accounts"]) == ("ready", "2026-07-01", 120)
    assert [(m["name"], m["status"], m["model_version"]) for m in ready["models"]] == [
        ("churn", "ready", "1"), ("pql", "ready", "1"), ("upgrade", "ready", "1")
    ]  # fmt: skip
    assert service.get("/").json()["links"]["scores"] == "/v1/scores"


def test_the_api_describes_itself(service: httpx.Client) -> None:
    """The OpenAPI document holds the request's pattern, the answer and the problems."""
    document = service.get("/openapi.json").json()
    post = document["paths"]["/v1/scores"]["post"]
    request = meant(document, post["requestBody"]["content"]["application/json"]["schema"])
    assert request["properties"]["accounts"]["items"]["pattern"] == r"^[A-Za-z0-9_.:@-]{1,200}$"
    assert {"200", "404", "413", "415", "422", "503"} <= post["responses"].keys()
    refusal = meant(document, post["responses"]["422"])
    assert "application/problem+json" in refusal["content"]


def meant(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A part of a document, or the one that it refers to."""
    found: dict[str, Any] = document
    if "$ref" not in part:
        return part
    for name in part["$ref"].split("/")[1:]:
        found = found[name]
    return found


def asked_in_process(state: Callable[[], State]) -> httpx.Response:
    """The answer of an application with another state than the running service's."""

    async def ask() -> httpx.Response:
        workspace = served().workspace
        app = create_app(Backing(state, opened(workspace), workspace))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://here", headers=authorization()
        ) as client:
            return await client.post("/v1/scores", json={"accounts": ["a"]})

    return asyncio.run(ask())


def test_a_service_without_models_says_that_it_is_not_ready() -> None:
    """Scores are refused with what is missing."""
    assert refused(asked_in_process(State), 503, "not-ready").detail == "still loading"


def test_a_fault_of_ours_tells_nothing_of_its_inside() -> None:
    """An unforeseen exception is a 500 whose text is in the log only."""

    def broken() -> State:
        raise RuntimeError("secret of the house")

    answer = asked_in_process(broken)
    refused(answer, 500, "internal-error")
    assert "secret" not in answer.text
