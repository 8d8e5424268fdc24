"""The clients that the documentation shows, each against a real service."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_process import Service, copied, running
from test_serving_world import ROOT, served

from serving.scoring.accounts import current_snapshot, load_snapshot

CLIENTS = ROOT / "docs" / "clients"
NODE, CURL = shutil.which("node"), shutil.which("curl")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service."""
    folder = tmp_path_factory.mktemp("clients") / "workspace"
    with running(copied(served().workspace.root, folder)) as found:
        yield found


@pytest.fixture
def environment(service: Service) -> dict[str, str]:
    """What the clients read: the address and the key."""
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    kept = {name: value for name, value in os.environ.items() if name not in proxies}
    return {**kept, "GOLDPAN_URL": service.url, "GOLDPAN_KEY": key(service)}


def key(service: Service) -> str:
    """The key of the test's own client."""
    return service.client.headers["authorization"].removeprefix("Bearer ")


def accounts(count: int) -> list[str]:
    """Ids of some accounts."""
    return list(load_snapshot(current_snapshot(served().workspace)).table.ids[:count])


def expected(service: Service, ids: list[str]) -> list[str]:
    """What the examples print, without the reasons."""
    results = service.client.post("/v1/scores", json={"accounts": ids}).json()["results"]
    return [
        f"{result['account_id']}  {score['model']}  "
        f"{100 * score['probability']:.1f}% ({score['grade']})"
        for result in results
        for score in result["scores"]
    ]


def said(command: list[str], environment: dict[str, str]) -> str:
    """What a client prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, str(CLIENTS / "score.py")],
        pytest.param(
            [str(NODE), str(CLIENTS / "score.mjs")],
            marks=pytest.mark.skipif(not NODE, reason="there is no Node"),
        ),
    ],
    ids=["python", "javascript"],
)
def test_the_examples_print_scores_with_reasons(
    service: Service, environment: dict[str, str], command: list[str]
) -> None:
    """One line for each account and model, with what the service answers, and the first reasons."""
    ids = accounts(5)
    lines = said([*command, *ids], environment).splitlines()
    wanted = expected(service, ids)
    assert len(lines) == len(wanted) > 4
    for line, beginning in zip(lines, wanted, strict=True):
        assert line.startswith(beginning + "  ")
        assert len(line) > len(beginning) + 20


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, str(CLIENTS / "score.py")],
        pytest.param(
            [str(NODE), str(CLIENTS / "score.mjs")],
            marks=pytest.mark.skipif(not NODE, reason="there is no Node"),
        ),
    ],
    ids=["python", "javascript"],
)
def test_the_examples_tell_the_problem(environment: dict[str, str], command: list[str]) -> None:
    """An account that we do not know ends them with the problem's type and what it says."""
    done = subprocess.run(
        [*command, "nobody"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "urn:goldpan:problem:unknown-account: No account nobody" in done.stderr


@pytest.mark.skipif(not CURL, reason="there is no curl")
@pytest.mark.parametrize("page", ["README.md", "docs/clients/README.md"])
def test_the_curl_of_the_documentation_works(
    service: Service, environment: dict[str, str], page: str
) -> None:
    """With this service's address and key, and an account that it has."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    command = re.findall(r"^curl -s \S+/v1/scores .*$", text, flags=re.MULTILINE)[0]
    told = {"$GOLDPAN_URL": service.url, "http://127.0.0.1:3000": service.url,
            "$GOLDPAN_KEY": key(service), "gp_…": key(service)}  # fmt: skip
    for shown, meant in told.items():
        command = command.replace(shown, meant)
    [account] = accounts(1)
    words = shlex.split(re.sub(r"acc_\d+", account, command))
    answer = json.loads(said([str(CURL), *words[1:]], environment))
    assert [result["account_id"] for result in answer["results"]] == [account]


def test_a_client_generated_from_the_openapi_document_scores_accounts(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openapi-python-client makes it; its typed answer holds what the service says."""
    document = tmp_path / "goldpan.json"
    document.write_text(service.client.get("/openapi.json").text)
    subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document),
         "--output-path", str(tmp_path / "made")],
        check=True, cwd=tmp_path, capture_output=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path / "made"))
    made = importlib.import_module("goldpan_client")
    call = importlib.import_module("goldpan_client.api.default.score_accounts")
    models = importlib.import_module("goldpan_client.models")
    ids = accounts(3)
    client = made.AuthenticatedClient(service.url, key(service), httpx_args={"trust_env": False})
    with client:
        answer = call.sync(client=client, body=models.ScoresRequest(accounts=ids))
    assert isinstance(answer, models.ScoresAnswer)
    told = service.client.post("/v1/scores", json={"accounts": ids}).json()["results"]
    assert [
        (result.account_id, score.model, score.probability)
        for result in answer.results
        for score in result.scores
    ] == [
        (result["account_id"], score["model"], score["probability"])
        for result in told
        for score in result["scores"]
    ]
