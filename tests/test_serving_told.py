"""What the service tells of itself: a log without persons, figures without accounts."""

import io
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving_process import Service, running
from test_serving_world import authorization, served

from serving.api.logs import JsonLine, raised

EMAIL = "ada.lovelace@example.com"
PLANTED = re.compile(rb"ada.{0,3}lovelace", re.IGNORECASE)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Two workers."""
    with running(served().workspace, workers=2) as service:
        yield service


def an_account() -> str:
    """One that is scored."""
    table = pq.read_table(served().snapshot / "scores.parquet", columns=["account_id"])
    return str(table["account_id"][0].as_py())


def plant(service: Service) -> int:
    """Send an e-mail address in every place that a request has; how many requests."""
    encoded = EMAIL.replace("@", "%40")
    headers = authorization()
    bodies: list[Any] = [{"accounts": [EMAIL]}, {"accounts": [an_account(), EMAIL]}, {EMAIL: 1}]
    bodies += [[EMAIL], {"accounts": [EMAIL + " "]}, {"accounts": ["a"], "models": [EMAIL]}]
    with service.asking(headers) as client:
        for body in bodies:
            client.post("/v1/scores", json=body)
        client.post("/v1/scores", content=b'{"' + EMAIL.encode(), headers={"content-type": EMAIL})
        for path in (f"/v1/accounts/{encoded}", f"/{encoded}", f"/?q={encoded}", f"/livez?{EMAIL}"):
            client.get(path, headers={"user-agent": EMAIL, "x-request-id": EMAIL, "referer": EMAIL})
        client.get("/", headers={"authorization": f"Bearer {EMAIL}"})
        client.get("/", headers={"authorization": EMAIL})
        client.request("PROPFIND", f"/{encoded}")
        client.post("/v1/scores", json=bodies[0], headers={"idempotency-key": EMAIL})
        client.post("/v1/scores", json=bodies[1], headers={"idempotency-key": EMAIL})
    for junk in (
        f"GET /{EMAIL}\r\n\r\n",
        f"{EMAIL} / HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{EMAIL}\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(junk.encode() + b"\r\n")
            connection.recv(65536)
    return len(bodies) + 10 + 3


def test_no_line_of_the_log_knows_a_person(service: Service) -> None:
    """An address planted in ids, paths, queries, bodies and headers stands nowhere; all is JSON."""
    before = len(service.log())
    sent = plant(service)
    time.sleep(0.5)
    assert not PLANTED.search(service.log_text().encode())
    lines = service.log()[before:]
    assert len(lines) >= sent
    assert all({"time", "level", "log"} <= line.keys() for line in lines)


def test_a_line_says_what_an_operator_needs(service: Service) -> None:
    """Method, template, status, milliseconds, key, models and the request's id; no more."""
    with service.asking(authorization()) as client:
        answer = client.post("/v1/scores", json={"accounts": [an_account()]})
    time.sleep(0.3)
    [line] = [li for li in service.log() if li.get("request_id") == answer.json()["request_id"]]
    assert line.keys() == {"time", "level", "log", "request_id", "method", "route", "status", "ms",
                           "key", "models"}  # fmt: skip
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/scores", 200)
    [result] = answer.json()["results"]
    assert line["models"] == {s["model"]: s["model_version"] for s in result["scores"]}
    assert line["models"]
    assert line["key"] == authorization()["authorization"].split("_")[1]
    assert 0 < line["ms"] < 10_000


def figures(service: Service) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample that `/metrics` gives."""
    with service.asking(authorization("read")) as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def counted(service: Service, **labels: str) -> float:
    """Requests counted under some labels."""
    return sum(
        value for (name, its), value in figures(service).items()
        if name == "goldpan_requests_total" and labels.items() <= dict(its).items()
    )  # fmt: skip


def test_the_figures_are_those_of_all_workers(service: Service) -> None:
    """Forty requests on forty connections are forty, whichever worker one asks."""
    before = counted(service, route="/v1/scores", status="200")
    for _ in range(40):
        with service.asking(authorization()) as client:
            assert client.post("/v1/scores", json={"accounts": [an_account()]}).status_code == 200
    for _ in range(6):
        assert counted(service, route="/v1/scores", status="200") == before + 40


def test_labels_are_few_and_know_no_account(service: Service) -> None:
    """Templates, statuses, models: made-up paths and methods become one label."""
    with service.asking(authorization()) as client:
        for n in range(20):
            client.get(f"/v1/accounts/{EMAIL}/{n}/x")
            client.request("M-SEARCH", f"/{n}")
    found = figures(service)
    labels = {value for _, its in found for _, value in its}
    assert not [value for value in labels if "ada" in value or "acc_" in value]
    routes = {dict(its)["route"] for name, its in found if "route" in dict(its)}
    assert "unknown" in routes
    assert len(routes) < 40
    versions = {its for name, its in found if name == "goldpan_model_answers_total"}
    assert frozenset({("model", "churn"), ("version", "1")}) in versions
    assert {dict(its).get("method") for _, its in found} <= {None, "GET", "POST", "other"}


def test_uvicorn_runs_on_uvloop_and_httptools(service: Service) -> None:
    """The worker has both, compiled, in its memory."""
    for worker in service.workers():
        loaded = {Path(m.path).name.partition(".")[0] for m in worker.memory_maps()}
        assert {"loop", "parser"} <= loaded


def test_what_a_killed_worker_had_under_way_is_forgotten(service: Service) -> None:
    """Its counts stay; the figure of requests in flight is of those who live."""
    before = counted(service, route="/v1/scores")
    victim = service.workers()[0]
    os.kill(victim.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(service.workers()) < 2 or victim.pid in {w.pid for w in service.workers()}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert counted(service, route="/v1/scores") == before
    assert figures(service)["goldpan_requests_in_flight", frozenset()] == 1  # the one that asks


def formatted(raise_: Any, **extra: Any) -> dict[str, Any]:
    """What the formatter makes of an error that is logged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLine())
    log = logging.getLogger("somebody.else")
    log.handlers, log.propagate = [handler], False
    try:
        raise_()
    except Exception:
        log.exception("failed for %s\nand more: %s", EMAIL, EMAIL, **extra)
    return dict(json.loads(stream.getvalue()))


def test_an_exception_is_told_by_its_type_and_place() -> None:
    """What a library interpolated and what the exception says may be a person's: left out."""

    def broken() -> None:
        raise ValueError(EMAIL)

    line = formatted(broken)
    assert line["message"] == "failed for %s"
    assert line["exception"]["type"] == "ValueError"
    assert line["exception"]["at"][-1].endswith("broken")
    assert EMAIL not in json.dumps(line)


def test_what_nothing_caught_is_told_in_the_same_form() -> None:
    """At the top of the process and in a thread, in a process that is configured."""
    import subprocess

    code = (
        "import threading; from serving.api.logs import configure; configure()\n"
        f"t = threading.Thread(target=lambda: int('{EMAIL}')); t.start(); t.join()\n"
        f"raise RuntimeError('{EMAIL}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["exception"]["type"] for line in lines] == ["ValueError", "RuntimeError"]
    assert EMAIL not in done.stderr
    assert threading.active_count() >= 1
    assert raised(RuntimeError(EMAIL)) == {"type": "RuntimeError", "at": []}
