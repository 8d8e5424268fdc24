"""Starting the service: what must be there first, what it loads, what it says when it cannot."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from test_serving_world import ROOT, free_port, seal, served

from features.errors import GoldpanError, InputError, NotReadyError
from features.turns import alone
from features.workspace import Workspace, publish_text
from serving.ledger.database import opened
from serving.ledger.keys import create, revoke
from serving.models.canary import tried
from serving.models.model import promoted
from serving.models.swap import Keeper
from serving.scoring.accounts import an_account, current_snapshot
from serving.start import BOOT_SECONDS, check, environment, serve
from serving.state import State

BOOT = """
import sys
from serving.service import Scoring
state = Scoring.inner().keeper.state
assert state.ready, state.report()
churn = state.scorers["churn"]
rows = [row for row in range(120) if not churn.why_not(row)]
assert churn.answers(churn.scores(rows[:3]))[0]["reasons"]
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Workspace:
    """The promoted models and the scores, to be damaged."""
    for name in ("bundles", "scores"):
        shutil.copytree(served().workspace.root / name, tmp_path / name)
    return Workspace(tmp_path)


def test_the_service_process_loads_no_training_code_and_no_heavy_library() -> None:
    """It boots and answers without MLflow, scikit-learn, SHAP, pandas, or what makes features."""
    done = subprocess.run(
        [sys.executable, "-c", BOOT],
        env=environment(served().workspace, 1),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"lightgbm", "serving", "features"} <= loaded
    unwanted = {"mlflow", "sklearn", "shap", "training", "pandas", "ibis", "duckdb", "deltalake"}
    assert loaded & unwanted == set()


def test_serving_before_anything_was_promoted_says_what_to_run(tmp_path: Path) -> None:
    """No process is started."""
    with pytest.raises(NotReadyError, match=r"nothing promoted in .*Run `goldpan train`"):
        serve(Workspace(tmp_path))


def test_serving_before_anything_was_scored_says_what_to_run(copy: Workspace) -> None:
    """A model alone has no accounts to answer about."""
    shutil.rmtree(copy.scores)
    with pytest.raises(NotReadyError, match=r"no scored accounts in .*Run `goldpan score`"):
        serve(copy)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_damaged_scores_stop_the_start(copy: Workspace, damage: Callable[[Path], object]) -> None:
    """The account that the printed request asks about comes from whole scores only."""
    damage(current_snapshot(copy) / "scores.parquet")
    with pytest.raises(InputError, match=r"scores\.parquet.*Run `goldpan score` again"):
        an_account(copy)


def test_a_tampered_bundle_stops_the_start(copy: Workspace) -> None:
    """The file is named before a process is started."""
    path = copy.bundles / "churn" / "1" / "model.txt"
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputError, match=r"sha256 .*churn/1/model\.txt"):
        serve(copy)


def test_a_bundle_that_a_pointer_names_but_is_gone_stops_the_start(copy: Workspace) -> None:
    """The missing folder is named."""
    publish_text(copy.bundles / "pql" / "current", "2\n")
    with pytest.raises(NotReadyError, match=r"no bundle at .*pql/2"):
        serve(copy)


def test_a_port_that_is_taken_is_named(copy: Workspace) -> None:
    """And another is asked for."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} on 127\.0\.0\.1.*another with --port"):
            check(copy, "127.0.0.1", port)


def test_a_host_that_others_can_reach_is_refused_while_there_are_no_keys(copy: Workspace) -> None:
    """The service binds to the loopback only, until somebody else could call it."""
    told = r"host 0\.0\.0\.0 and no valid key in the ledger; expected 127\.0\.0\.1 or ::1, or a key"
    with pytest.raises(InputError, match=told):
        check(copy, "0.0.0.0", free_port())  # noqa: S104 - it is refused
    _, key = create(opened(copy), "a CRM", ["score"])
    check(copy, "0.0.0.0", free_port())  # noqa: S104 - there is a key
    revoke(opened(copy), key.id)
    with pytest.raises(InputError, match=told):
        check(copy, "0.0.0.0", free_port())  # noqa: S104 - it is refused


def test_a_broken_model_leaves_the_others_answering_and_is_told(copy: Workspace) -> None:
    """The service is degraded, with the reason; the other models are loaded."""
    (copy.bundles / "pql" / "1" / "card.json").unlink()
    keeper = Keeper(copy)
    keeper.look()
    state = keeper.state
    assert list(state.scorers) == ["churn", "upgrade"]
    assert (state.answering, state.ready, state.report()["status"]) == (True, False, "degraded")
    [told] = [m for m in state.report()["models"] if m["status"] == "failed"]
    assert told["name"] == "pql"
    assert "card.json" in told["detail"]


def test_a_state_without_models_is_not_ready() -> None:
    """While loading, and when nothing could be loaded, the report says so."""
    assert State().report() == {
        "status": "not_ready",
        "models": [{"name": "service", "status": "failed", "detail": "still loading"}],
    }


def test_the_child_writes_inside_the_workspace_only(tmp_path: Path) -> None:
    """BentoML's home, its temporary files and its metrics lie in the workspace."""
    found = environment(Workspace(tmp_path), 2)
    inside = [found[name] for name in ("BENTOML_HOME", "TMPDIR", "PROMETHEUS_MULTIPROC_DIR")]
    assert all(Path(path).is_relative_to(tmp_path.resolve()) for path in inside)
    assert found["BENTOML_DO_NOT_TRACK"] == "True"
    assert found["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)


def test_a_model_that_scores_otherwise_than_when_promoted_ends_the_start(copy: Workspace) -> None:
    """Digests alone are not believed: golden scores are compared before a worker is started."""
    bundle = copy.bundles / "churn" / "1"
    shutil.copy(copy.bundles / "pql" / "1" / "model.txt", bundle)
    seal(bundle, json.loads((bundle / "manifest.json").read_text()))
    told: list[str] = []
    with pytest.raises(InputError, match=r"golden row \d+ scoring"):
        serve(copy, port=free_port(), ready=told.append)
    assert told == []
    assert psutil.Process().children() == []


def test_a_workspace_is_served_once(copy: Workspace) -> None:
    """A second service would clear away the first one's temporary files, and its log."""
    log, used = copy.tmp / "service.log", Path(environment(copy, 1)["TMPDIR"]) / "in-use"
    for path in (log, used):
        path.write_text("of the first")
    with (
        alone(copy, "serve"),
        pytest.raises(GoldpanError, match=r"another serve at work in .*; expected one at a time"),
    ):
        serve(copy, port=free_port(), ready=lambda url: os.kill(os.getpid(), signal.SIGTERM))
    assert [path.read_text() for path in (log, used)] == ["of the first"] * 2


def test_a_worker_that_cannot_start_ends_the_start_at_once(
    copy: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is told when it is known, not after the time that a start may take."""
    (tmp_path / "sitecustomize.py").write_text(
        "import serving.models.swap as swap\n"
        "def fail(keeper): raise RuntimeError('no luck today')\n"
        "swap.Keeper.look = fail\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for folder in promoted(copy).values():
        tried(copy, folder)
    began = time.monotonic()
    with pytest.raises(NotReadyError, match=r"a worker that cannot start .*no luck today"):
        serve(copy, port=free_port())
    assert time.monotonic() - began < BOOT_SECONDS / 2
    assert psutil.Process().children() == []
