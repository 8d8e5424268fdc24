"""The main job as a newcomer runs it: real commands, a real lake, MLflow store and service."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

from features.table import read_features
from features.workspace import Workspace

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def goldpan(*arguments: str, expect: int = 0, **environment: str) -> str:
    """Run the command as a user would; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "goldpan", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == expect, said
    return said


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace in which a small demo ran to its end, and what it printed."""
    workspace = tmp_path_factory.mktemp("demo") / "workspace"
    options = ["--accounts", "1200", "--days", "540", "--no-serve"]
    return workspace, goldpan("demo", "--workspace", str(workspace), *options)


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(verb: str, *arguments: str, log: Path) -> Iterator[str]:
    """What a verb that serves prints once it answers; stopped by SIGINT afterwards."""
    command = [sys.executable, "-m", "goldpan", verb, *arguments]
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink)
    deadline = time.monotonic() + 90
    while "curl" not in log.read_text() and process.poll() is None:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    try:
        yield log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def pasted(said: str, **environment: str) -> dict[str, Any]:
    """What the request that was printed answers when it is pasted into a shell."""
    curl = next(line for line in said.splitlines() if line.startswith("curl"))
    return dict(
        json.loads(
            subprocess.check_output(["/bin/sh", "-c", curl], env={**os.environ, **environment})
        )
    )


def test_the_demo_says_what_it_did(made: tuple[Path, str]) -> None:
    """It says that the data are simulated, counts rows, and shows each model beside baselines."""
    _, said = made
    assert "Simulated data: Larkmoor" in said
    for word in ("sent", "duplicates", "dead letters", "AUC", "PR-AUC", "log-loss skill", "lift"):
        assert word in said
    for outcome in ("pql v1", "upgrade v1", "churn v1"):
        assert outcome in said
    for baseline in ("CBI rule", "recency", "logistic"):
        assert said.count(f"\n  {baseline}  ") == 3  # a row in each model's table
    assert "Most MRR at risk" in said
    assert "; peers" in said  # a reason: the account's own fact beside its peers


def test_nothing_is_written_outside_the_workspace(made: tuple[Path, str]) -> None:
    """One folder holds the lake, the models, the scores and MLflow's store."""
    found = {p.name for p in made[0].iterdir() if not p.name.startswith(".")}
    assert {"raw", "lake", "rollups", "features", "mlflow", "bundles", "scores"} <= found
    assert not (ROOT / "mlruns").exists()
    assert not (ROOT / "mlflow.db").exists()


def test_the_printed_curl_works_when_pasted(
    made: tuple[Path, str], port: int, tmp_path: Path
) -> None:
    """The service answers the pasted request with the batch's own figures, to the bit."""
    where = ["--workspace", str(made[0])]
    key = goldpan("key", "create", *where, "--name", "me", "--scope", "score").split()[-1]
    with started("serve", *where, "--port", str(port), log=tmp_path / "log") as said:
        assert pasted(said, GOLDPAN_KEY="")["status"] == 401
        answer = pasted(said, GOLDPAN_KEY=key)
    assert answer["simulated"] is True
    account = answer["results"][0]
    folder = made[0] / "scores" / (made[0] / "scores" / "current").read_text().strip()
    rows = pq.read_table(
        folder / "scores.parquet", filters=[("account_id", "==", account["account_id"])]
    ).to_pylist()
    batch = {r["model"]: (r["probability"], r["grade"], json.loads(r["reasons"])) for r in rows}
    online = {s["model"]: (s["probability"], s["grade"], s["reasons"]) for s in account["scores"]}
    assert online == batch
    assert all(len(s["reasons"]) == 5 for s in account["scores"])


def test_a_demo_prints_its_own_key_and_the_next_one_ends_it(
    made: tuple[Path, str], port: int, tmp_path: Path
) -> None:
    """What is pasted works at once; after the second start only the second key does."""
    options = ["--workspace", str(made[0]), "--accounts", "1200", "--days", "540"]
    options += ["--port", str(port)]
    with started("demo", *options, log=tmp_path / "first") as first:
        assert pasted(first)["results"]
    with started("demo", *options, log=tmp_path / "second") as second:
        assert "The former demo's key" in second
        assert pasted(second)["results"]
        assert "which is revoked" in pasted(first)["detail"]


def test_insights_are_told_with_their_doubt(made: tuple[Path, str]) -> None:
    """Golden features, sequences and frequencies come with intervals, and never as causes."""
    said = goldpan("insights", "--workspace", str(made[0]), "--write")
    for word in ("Simulated data", "Association, not cause", "Against chance", "adjusted",
                 "Sequences that go with buying", "Renewal by active days a week"):  # fmt: skip
        assert word in said
    written = json.loads((made[0] / "insights" / "insights.json").read_text())
    assert written["simulated"] is True
    assert "not cause" in written["caution"]
    told = [part for part in written["outcomes"] if not part["refused"]]
    assert told
    for part in told:
        assert part["golden"]["shuffled"]["times"] == 100
    refused = [part["refused"] for part in written["outcomes"] if part["refused"]]
    assert all("expected at least" in why for why in refused)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_to_its_end(
    made: tuple[Path, str], notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each notebook runs on what the demo left, and no cell warns."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GOLDPAN_WORKSPACE", str(made[0]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(notebook, as_version=4)
    beside = {"metadata": {"path": str(notebook.parent)}}
    NotebookClient(book, timeout=60, kernel_name="python3", resources=beside).execute()
    said = [o for c in book.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o.text for o in said if o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in said) >= 3


def test_ingesting_again_adds_nothing(made: tuple[Path, str]) -> None:
    """The same files a second time are all duplicates."""
    said = goldpan("ingest", "--workspace", str(made[0]))
    together = next(line for line in said.splitlines() if "together" in line)
    sent, stored, duplicates, dead = (int(n.replace(",", "")) for n in together.split()[1:])
    assert (stored, dead) == (0, 0)
    assert duplicates == sent > 100_000


def test_a_second_demo_is_served_at_once(made: tuple[Path, str]) -> None:
    """What a former demo with the same options made is not made again."""
    options = ["--accounts", "1200", "--days", "540", "--no-serve"]
    said = goldpan("demo", "--workspace", str(made[0]), *options)
    assert "holds this demo already" in said


def test_steps_out_of_order_say_what_is_missing(tmp_path: Path) -> None:
    """Each verb names the verb that must come first."""
    where = ["--workspace", str(tmp_path / "empty")]
    assert "Run `goldpan ingest` first" in goldpan("build", *where, expect=2)
    assert "Run `goldpan build` first" in goldpan("train", *where, expect=2)
    assert "promote" in goldpan("score", *where, expect=2)
    assert "promote" in goldpan("serve", *where, expect=2)
    assert "expected at least one file" in goldpan("ingest", *where, expect=2)


@pytest.mark.parametrize("verb", ["simulate", "ingest", "build", "train", "insights", "promote",
                                  "compare", "rollback", "dataset", "score", "serve",
                                  "demo"])  # fmt: skip
def test_every_verb_explains_itself(verb: str) -> None:
    """`--help` says what the verb does and where its files go."""
    said = goldpan(verb, "--help")
    assert "--workspace" in said
    assert len(said.splitlines()) > 8


@pytest.mark.parametrize(
    ("verb", "seconds"),
    [("build", 2.0), ("train", 6.0), pytest.param("build", 6.0, marks=pytest.mark.slow),
     pytest.param("train", 2.0, marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_killed_step_is_completed_by_the_next(
    made: tuple[Path, str], tmp_path: Path, verb: str, seconds: float
) -> None:
    """SIGKILL in the midst leaves no half-written table; running again completes."""
    workspace = made[0]
    command = [sys.executable, "-m", "goldpan", verb, "--workspace", str(workspace)]
    before = read_features(Workspace(workspace))
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    time.sleep(seconds)
    process.kill()
    process.wait()
    assert read_features(Workspace(workspace)) == before
    goldpan(verb, *(["churn"] if verb == "train" else []), "--workspace", str(workspace))
    after = read_features(Workspace(workspace))
    keys = after.select(["account_id", "as_of"]).to_pandas()
    assert not keys.duplicated().any()
    assert len(after) == len(before)
