"""The service as a Bento: built from the checkout, run elsewhere, on the workspace it is given."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from serving_process import copied, until
from test_serving_world import ROOT, authorization, free_port, served

from serving.scoring.accounts import current_snapshot, load_snapshot


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BENTOML_HOME of its own."""
    return tmp_path_factory.mktemp("bentoml")


def bentoml(home: Path, *arguments: str) -> list[str]:
    """The command that `make bento` and an operator give."""
    return [sys.executable, "-m", "bentoml", *arguments]


def settings(home: Path, **more: str) -> dict[str, str]:
    """The environment, without the checkout on the path."""
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**without, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", **more}


@pytest.fixture(scope="module")
def tag(home: Path) -> str:
    """The tag of the Bento, built as `make bento` does."""
    assert "build --bentofile deploy/bentofile.yaml ." in (ROOT / "Makefile").read_text()
    done = subprocess.run(
        bentoml(home, "build", "--bentofile", "deploy/bentofile.yaml", "--output", "tag", "."),
        cwd=ROOT, env=settings(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    [found] = re.findall(r"__tag__:(goldpan:\w+)", done.stdout)
    return str(found)


@pytest.fixture(scope="module")
def source(home: Path, tag: str) -> Path:
    """The code in the Bento."""
    return home / "bentos" / tag.replace(":", "/") / "src"


@pytest.fixture(scope="module")
def service(
    home: Path, tag: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """The Bento, served from another folder, and a client with a key."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    workspace = copied(served().workspace.root, elsewhere / "workspace")
    port = free_port()
    with (elsewhere / "log").open("w") as log, subprocess.Popen(
        bentoml(home, "serve", tag, "--host", "127.0.0.1", "--port", str(port)),
        cwd=elsewhere, env=settings(home, GOLDPAN_WORKSPACE=str(workspace.root)),
        stdout=log, stderr=log,
    ) as process, httpx.Client(
        base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False,
        headers=authorization(root=workspace.root),
    ) as client:  # fmt: skip
        try:
            until(lambda: process.poll() is not None or answers(client))
            assert process.poll() is None, (elsewhere / "log").read_text()
            yield client, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def answers(client: httpx.Client) -> bool:
    """Whether the service is ready."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_bento_holds_the_service_its_lock_and_no_data(source: Path) -> None:
    """Nothing of training, no workspace; the requirements are the lock that `make lock` writes."""
    held = {path.relative_to(source).parts[0] for path in source.rglob("*") if path.is_file()}
    assert held == {"serving", "features", "requirements-serving.lock", "bentofile.yaml"}
    features = {path.name for path in (source / "features").rglob("*") if path.is_file()}
    assert features == {
        "__init__.py", "errors.py", "event_words.py", "incidence.py", "pseudonym.py", "workspace.py"
    }  # fmt: skip
    lock = (ROOT / "requirements-serving.lock").read_text()
    requirements = source.parent / "env" / "python" / "requirements.txt"
    assert pinned(requirements.read_text()) == pinned(lock)
    assert "--hash=sha256:" in requirements.read_text()


IMPORTS = """
import pkgutil
from importlib import import_module

import serving

for inside in ("api", "console", "ledger", "models", "scoring"):
    package = import_module(f"serving.{inside}")
    for module in pkgutil.walk_packages(package.__path__, f"serving.{inside}."):
        if not module.name.startswith("serving.ledger.migrations."):
            import_module(module.name)
print(serving.__file__)
"""


def test_all_that_answers_finds_what_it_imports(home: Path, source: Path) -> None:
    """Also what a page asks for only when it is opened; none of it comes from the checkout."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=source, env=settings(home), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(source)


def test_a_built_bento_answers_from_the_workspace_that_it_is_given(
    service: tuple[httpx.Client, psutil.Process], source: Path
) -> None:
    """It is called over HTTP, with a key, and tells what the checkout's code would tell."""
    client, process = service
    assert client.get("/readyz").json()["status"] == "ready"
    accounts = list(load_snapshot(current_snapshot(served().workspace)).table.ids[:20])
    answer = client.post("/v1/scores", json={"accounts": accounts})
    assert answer.status_code == 200, answer.text
    assert [result["account_id"] for result in answer.json()["results"]] == accounts
    [worker] = process.children()
    assert Path(worker.cwd()) == source
    maps = {Path(found.path) for found in worker.memory_maps()}
    packages = {path.parts[path.parts.index("site-packages") + 1] for path in maps
                if "site-packages" in path.parts}  # fmt: skip
    assert {"lightgbm", "pyarrow"} <= packages
    assert not packages & {"pandas", "sklearn", "duckdb", "_duckdb", "deltalake", "shap", "numba"}


def test_the_lock_for_serving_is_a_part_of_the_whole_lock() -> None:
    """The same versions with the same hashes, no address; nothing that only training needs."""
    whole, part = ((ROOT / name).read_text() for name in
                   ("requirements.lock", "requirements-serving.lock"))  # fmt: skip
    assert "://" not in part
    assert pinned(part) <= pinned(whole)
    names = {entry.partition("==")[0] for entry in pinned(part)}
    assert {"bentoml", "lightgbm", "pyarrow", "psycopg-binary"} <= names
    assert not names & {"mlflow", "pandas", "scikit-learn", "duckdb", "deltalake", "shap"}


def pinned(lock: str) -> set[str]:
    """The packages with their versions."""
    return set(re.findall(r"^[A-Za-z0-9._-]+==[^\s;\\]+", lock, flags=re.MULTILINE))
