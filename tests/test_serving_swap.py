"""Models and accounts are taken over while the service answers; what is broken is not."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving_process import Load, Service, copied, running, under_load, until
from test_serving_world import booster_of, made_up_rows, seal, served, write_bundle

from features.workspace import Workspace, publish_text
from serving.models.model import load_bundle
from serving.models.swap import Keeper
from serving.scoring.accounts import CONTEXT, load_snapshot
from serving.scoring.batch import SCORES
from serving.scoring.scorer import Scorer, bind

RATE = 50.0
ALLOWED_MB = 15.0


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The promoted models and the scores, to be changed."""
    return copied(served().workspace.root, tmp_path)


def another(workspace: Workspace, version: int, name: str = "churn") -> Path:
    """A further version of a model under the same contract, not yet promoted."""
    schema = json.loads((workspace.bundles / name / "1" / "schema.json").read_text())
    rows = made_up_rows(schema["features"], np.random.default_rng(version))
    folder = workspace.bundles / name / str(version)
    write_bundle(folder, name, schema["features"], rows, booster_of(rows, version))
    return folder


def promote(workspace: Workspace, version: int | str, name: str = "churn") -> None:
    """Make a version current."""
    publish_text(workspace.bundles / name / "current", f"{version}\n")


def again(workspace: Workspace, number: int) -> str:
    """A snapshot in which every account has done what the next one had; made current."""
    newest = workspace.scores / (workspace.scores / "current").read_text().strip()
    folder = Path(shutil.copytree(newest, workspace.scores / f"2026-07-01-{number}"))
    table = pq.read_table(folder / "features.parquet")
    kept = [name for name in table.column_names if name in CONTEXT]
    moved = pa.concat_tables([table.slice(1), table.slice(0, 1)]).drop_columns(kept)
    for name in kept:
        moved = moved.append_column(name, table[name])
    pq.write_table(moved, folder / "features.parquet", write_page_checksum=True)
    seal_snapshot(folder)
    publish_text(workspace.scores / "current", folder.name + "\n")
    return folder.name


def seal_snapshot(folder: Path) -> None:
    """Make a snapshot's manifest agree with its files."""
    import hashlib

    manifest = json.loads((folder / "manifest.json").read_text())
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"sha256": digests}))


def customers(workspace: Workspace) -> list[str]:
    """Accounts to which churn applies."""
    newest = workspace.scores / (workspace.scores / "current").read_text().strip()
    rows = pq.read_table(newest / SCORES, columns=["account_id", "model"]).to_pylist()
    return [row["account_id"] for row in rows if row["model"] == "churn"]


def scorers(workspace: Workspace) -> dict[tuple[str, str], Scorer]:
    """(model version, snapshot) → churn's answers."""
    snapshots = [load_snapshot(f) for f in sorted(workspace.scores.glob("2*/"))]
    models = [load_bundle(f) for f in sorted((workspace.bundles / "churn").glob("[0-9]*/"))]
    return {(m.version, s.version): bind(m, s) for m in models for s in snapshots}


def check_recomputed(workspace: Workspace, load: Load) -> set[str]:
    """Every score is what its model version says of the account; the versions that answered."""
    known, found = scorers(workspace), set()
    expected: dict[tuple[str, str], set[float]] = {}
    for answer in load.answers:
        [result] = answer["results"]
        [score] = result["scores"]
        key = (score["model_version"], result["account_id"])
        if key not in expected:
            expected[key] = {
                scorer.scores([scorer.snapshot.table.row_of[key[1]]]).chances[0]
                for (version, _), scorer in known.items()
                if version == key[0]
            }
        assert score["probability"] in expected[key]
        found.add(score["model_version"])
    return found


def swap_under_load(service: Service, versions: list[int]) -> Load:
    """Promote one version after the other, and new accounts in between, under steady load."""
    workspace = service.workspace
    bodies = [{"accounts": [id_], "models": ["churn"]} for id_ in customers(workspace)]

    def swaps(_: Load) -> None:
        for version in versions:
            promote(workspace, version)
            until(lambda version=version: service.version("churn") == str(version))
        name = again(workspace, 2)
        until(lambda: service.report()["snapshot"] == name)

    return under_load(service, bodies, RATE, swaps)


def test_models_are_swapped_under_load_without_an_error(workspace: Workspace) -> None:
    """Five promotions and a scoring day at 50 requests a second: each score is one version's."""
    for version in range(2, 7):
        another(workspace, version)
    with running(workspace) as service:
        load = swap_under_load(service, list(range(2, 7)))
        assert service.report()["status"] == "ready"
        [worker] = service.workers()
        loaded = {Path(m.path).parts[-2] for m in worker.memory_maps() if "site-packages" in m.path}
    assert load.errors == []
    assert check_recomputed(workspace, load) == {"1", "2", "3", "4", "5", "6"}
    assert not {part for part in loaded if part in ("pandas", "_libs", "sklearn")}


@pytest.mark.slow
def test_fifty_swaps_under_load_cost_no_request_and_no_memory(workspace: Workspace) -> None:
    """0 errors, every score recomputes; from the 10th to the 50th a worker grows by under 15 MB."""
    for version in range(2, 52):
        another(workspace, version)
    with running(workspace) as service:
        [worker] = service.workers()
        first = swap_under_load(service, list(range(2, 12)))
        before = worker.memory_info().rss
        rest = [swap_under_load_again(service, version) for version in range(12, 52)]
        grown = (worker.memory_info().rss - before) / 2**20
    loads = [first, *rest]
    assert [load.errors for load in loads] == [[]] * len(loads)
    for load in loads:
        check_recomputed(workspace, load)
    assert grown < ALLOWED_MB


def test_a_broken_bundle_leaves_the_last_good_one_answering(workspace: Workspace) -> None:
    """Readiness is degraded and names the model, the log says why; repaired, it is taken over."""
    another(workspace, 2)
    sealed = json.loads((another(workspace, 3) / "manifest.json").read_text())
    text = workspace.bundles / "churn" / "3" / "model.txt"
    whole = text.read_text()
    text.write_text(re.sub(r"split_feature=\d+", "split_feature=99999999", whole))
    seal(text.parent, sealed)
    with running(workspace) as service:
        promote(workspace, 2)
        until(lambda: service.version("churn") == "2")
        promote(workspace, 3)
        until(lambda: service.report()["status"] == "degraded")
        answer = service.client.get("/readyz")
        [told] = [m for m in answer.json()["models"] if m["status"] != "ready"]
        body = {"accounts": customers(workspace)[:1], "models": ["churn"]}
        scored = service.client.post("/v1/scores", json=body)
        text.write_text(whole)
        seal(text.parent, sealed)
        until(lambda: service.version("churn") == "3")
        assert service.report()["status"] == "ready"
    assert answer.status_code == 200
    assert (told["name"], told["status"], told["model_version"]) == ("churn", "degraded", "2")
    assert re.search(r"an end by SIG(ABRT|SEGV) while loading in the bundle", told["detail"])
    assert scored.json()["results"][0]["scores"][0]["model_version"] == "2"
    assert "churn: not taken over" in (workspace.tmp / "service.log").read_text()


def looked(keeper: Keeper) -> Keeper:
    """The keeper after another look."""
    keeper.look()
    return keeper


def test_a_new_worker_finds_the_last_good_version_when_the_newest_is_broken(
    workspace: Workspace,
) -> None:
    """What passed once is remembered: a worker started anew answers as the others do."""
    another(workspace, 2)
    promote(workspace, 2)
    looked(Keeper(workspace))
    (another(workspace, 3) / "card.json").write_text("{}")
    promote(workspace, 3)
    state = looked(Keeper(workspace)).state
    assert state.scorers["churn"].model.version == "2"
    assert list(state.kept) == ["churn"]
    assert state.report()["status"] == "degraded"


def test_broken_accounts_leave_the_last_good_ones_answering(workspace: Workspace) -> None:
    """A scoring day whose files are damaged is not taken over, by old workers or by new ones."""
    keeper = looked(Keeper(workspace))
    good = keeper.state.snapshot
    name = again(workspace, 2)
    (workspace.scores / name / "features.parquet").write_bytes(b"PAR1")
    assert looked(keeper).state.snapshot is good
    assert keeper.state.report()["status"] == "degraded"
    fresh = looked(Keeper(workspace)).state
    assert fresh.snapshot is not None
    assert fresh.snapshot.version == good.version if good else False
    assert "features.parquet" in fresh.kept["snapshot"]


def test_a_model_for_other_features_waits_for_the_accounts_that_have_them(
    workspace: Workspace,
) -> None:
    """The former version answers until `goldpan score` has run under the new contract."""
    keeper = looked(Keeper(workspace))
    schema = json.loads((workspace.bundles / "churn" / "1" / "schema.json").read_text())
    features = [f | {"name": f["name"] + "_new"} for f in schema["features"]]
    rows = made_up_rows(features, np.random.default_rng(2))
    write_bundle(workspace.bundles / "churn" / "2", "churn", features, rows, booster_of(rows))
    promote(workspace, 2)
    state = looked(keeper).state
    assert state.scorers["churn"].model.version == "1"
    assert "no feature" in state.kept["churn"]
    assert "_new" in state.kept["churn"]


def test_a_pointer_that_cannot_be_read_changes_no_answer(workspace: Workspace) -> None:
    """Nor do pointers that are gone altogether, as when a disk is."""
    keeper = looked(Keeper(workspace))
    (workspace.bundles / "churn" / "current").write_bytes(b"\xff\xfe")
    assert list(looked(keeper).state.scorers) == ["churn", "pql", "upgrade"]
    shutil.rmtree(workspace.bundles)
    assert list(looked(keeper).state.scorers) == ["churn", "pql", "upgrade"]
    assert keeper.state.report()["status"] == "degraded"


def test_a_model_that_is_promoted_no_more_answers_no_more(workspace: Workspace) -> None:
    """Removing its pointer takes it out of the answers; the rest is ready."""
    keeper = looked(Keeper(workspace))
    (workspace.bundles / "churn" / "current").unlink()
    assert list(looked(keeper).state.scorers) == ["pql", "upgrade"]
    assert keeper.state.ready


def test_what_is_unchanged_is_not_loaded_again(workspace: Workspace) -> None:
    """The models that stayed keep their place in memory when another is promoted."""
    another(workspace, 2)
    keeper = looked(Keeper(workspace))
    before = keeper.state
    assert looked(keeper).state is before
    promote(workspace, 2)
    after = looked(keeper).state
    assert after.scorers["pql"] is before.scorers["pql"]
    assert after.scorers["churn"] is not before.scorers["churn"]


def swap_under_load_again(service: Service, version: int) -> Load:
    """One promotion under steady load."""
    bodies = [{"accounts": [i], "models": ["churn"]} for i in customers(service.workspace)]

    def swap(_: Load) -> None:
        promote(service.workspace, version)
        until(lambda: service.version("churn") == str(version))

    return under_load(service, bodies, RATE, swap)
