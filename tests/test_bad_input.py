"""Bad input as a newcomer brings it: the real command, its words, its exit code, nothing lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from features import lake
from features.errors import InputError, NotReadyError
from features.read_settings import load_settings
from features.settings import Settings
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.table import check_current, refresh
from features.turns import alone
from features.vocabulary import unheard
from features.workspace import Workspace, publish_file, publish_folder, publish_json
from training.observations import grid
from training.train import train

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "goldpan.toml"
CSV = """
[company]
name = "Small"
[plans]
ladder = ["free", "team"]
[[sources]]
name = "clicks"
table = "events"
path = "clicks.csv"
[sources.columns]
event_time = "at"
account_id = "who"
event = "what"
"""


def command(*arguments: str) -> list[str]:
    """The command line of a user."""
    return [sys.executable, "-m", "goldpan", *arguments]


def goldpan(*arguments: str, expect: int, **environment: str) -> str:
    """Run the command; returns what it printed, which never holds a traceback."""
    done = subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert done.returncode == expect, said
    return said


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A small simulated company, ingested and built under the sample's settings."""
    place = Workspace(tmp_path_factory.mktemp("bad") / "workspace")
    settings = load_settings(SAMPLE)
    simulate(place, accounts=80, days=200, seed=5)
    ingest(place, settings, base=ROOT)
    refresh(place, settings, grid(place, settings))
    return place


def contents(workspace: Workspace) -> dict[str, bytes]:
    """The files of the feature table."""
    return {path.name: path.read_bytes() for path in workspace.features.iterdir()}


def variant(folder: Path, old: str, new: str) -> Path:
    """The sample's settings with one thing changed."""
    text = SAMPLE.read_text()
    assert text.count(old) == 1
    path = folder / "variant.toml"
    path.write_text(text.replace(old, new))
    return path


AGE = "min_age_days = 3         # younger accounts have not shown anything yet\nevery_days = "


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'core_use_cases = ["report_created", ',
            'core_use_cases = ["login", ',
            r"other \[events\] in",
        ),
        ("count = 5", "count = 6", r"under other \[milestones\] in"),
        ("free = 12.0", "free = 13.0", r"under other \[plans\] in"),
        (f"{AGE}7", f"{AGE}5", r"without \d.* of the \d.* observations of outcome 'pql'"),
    ],
)
def test_training_refuses_features_of_other_settings(
    workspace: Workspace, tmp_path: Path, old: str, new: str, told: str
) -> None:
    """Core use cases, milestones, limits and schedules that changed since the build are named."""
    settings = load_settings(variant(tmp_path, old, new))
    with pytest.raises(NotReadyError, match=f"{told}.*Run `goldpan build` again"):
        train(workspace, settings, ["pql"])


def test_settings_that_change_no_feature_ask_for_no_new_build(workspace: Workspace) -> None:
    """Grades and the capacity of the team are not in the features."""
    settings = load_settings(SAMPLE)
    training = settings.training.model_copy(update={"capacity": 7})
    check_current(workspace, settings.model_copy(update={"training": training}))


def test_training_refuses_features_of_an_older_lake(workspace: Workspace, tmp_path: Path) -> None:
    """An ingest that stored rows since the build is told, one of duplicates is not."""
    place, settings = Workspace(tmp_path / "copy"), load_settings(SAMPLE)
    for name in ("raw", "lake", "features"):
        shutil.copytree(workspace.root / name, place.root / name)
    ingest(place, settings, base=ROOT)
    check_current(place, settings)
    row = lake.read_table(place, "users").slice(0, 1)
    lake.append_rows(place, "users", row)
    with pytest.raises(NotReadyError, match="made before users changed in the lake"):
        train(place, settings)


def test_a_lake_deleted_and_made_anew_is_another_lake(workspace: Workspace, tmp_path: Path) -> None:
    """Its versions count from the same number, yet the state of each table differs."""
    place = Workspace(tmp_path / "again")
    shutil.copytree(workspace.raw, place.raw)
    ingest(place, load_settings(SAMPLE), base=ROOT)
    assert lake.table_version(place, "users") == lake.table_version(workspace, "users")
    assert lake.table_state(place, "users") != lake.table_state(workspace, "users")


def test_a_feature_table_without_its_origin_is_refused(
    workspace: Workspace, tmp_path: Path
) -> None:
    """A table that cannot say what it was made of is not believed."""
    place = Workspace(tmp_path)
    publish_json(place.features / "manifest.json", {"months": {"2026-01": "all.parquet"}})
    with pytest.raises(NotReadyError, match="does not say what it was made of"):
        check_current(place, load_settings(SAMPLE))


def test_an_event_name_that_never_occurs_is_told(workspace: Workspace, tmp_path: Path) -> None:
    """With the place where it stands, and the name that may be meant."""
    settings: Settings = load_settings(
        variant(tmp_path, 'logins = ["login"]', 'logins = ["logon"]')
    )
    told = unheard(workspace, settings)
    assert "no event is called 'logon' (events.logins); did you mean 'login'?" in told
    named = [line for line in unheard(workspace, load_settings(SAMPLE)) if "login" in line[:40]]
    assert named == []


def test_building_warns_of_an_event_name_that_never_occurs(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The build goes on: what is rare may be yet to come."""
    place = Workspace(tmp_path / "warned")
    shutil.copytree(workspace.lake, place.lake)
    other = variant(tmp_path, 'logins = ["login"]', 'logins = ["logon"]')
    said = goldpan("build", "--workspace", str(place.root), "--settings", str(other), expect=0)
    assert "warning: no event is called 'logon' (events.logins); did you mean 'login'?" in said


def test_a_workspace_that_cannot_be_is_told_without_a_traceback(tmp_path: Path) -> None:
    """A file where a folder should be: the path and what the system says."""
    (tmp_path / "file").write_text("in the way")
    where = ["--workspace", str(tmp_path / "file" / "ws")]
    said = goldpan("simulate", *where, expect=2)
    assert f"'Not a directory' for {tmp_path / 'file' / 'ws'}" in said


def test_a_tracking_server_that_is_dead_is_told_before_training(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked once, and named without the secrets that the address may hold."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(InputError, match=r"answers at http://127\.0\.0\.1:9, which") as told:
        train(workspace, load_settings(SAMPLE), ["pql"])
    assert "secret" not in str(told.value)


def test_promoting_before_training_is_something_to_put_right(tmp_path: Path) -> None:
    """Exit code 2, for the gate has refused nothing."""
    said = goldpan("promote", "--workspace", str(tmp_path), expect=2)
    assert said.count("no trained model for outcome") == 3


def test_when_all_rows_are_refused_no_empty_table_is_shown(tmp_path: Path) -> None:
    """Only the reasons, and the error that says what to do."""
    (tmp_path / "s.toml").write_text(CSV)
    (tmp_path / "clicks.csv").write_text("at,who,what\nsoon,a,open\n")
    where = ["--workspace", str(tmp_path / "ws"), "--settings", str(tmp_path / "s.toml")]
    said = goldpan("ingest", *where, expect=2)
    assert "Dead letters so far" in said
    assert "Ingested" not in said
    assert "no row of source 'clicks' that meets the contract" in said


def test_ctrl_c_is_answered_in_words(workspace: Workspace, tmp_path: Path) -> None:
    """Exit code 130, no traceback, and the former feature table stays as it was."""
    before = contents(workspace)
    other = variant(tmp_path, "count = 5", "count = 6")  # so that there is everything to compute
    line = command("build", "--settings", str(other), "--workspace", str(workspace.root))
    process = subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lock = workspace.root / ".build.lock"
    lock.unlink(missing_ok=True)
    while not lock.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[0]
    assert process.returncode == 130, said
    assert "Stopped." in said
    assert "Traceback" not in said
    assert contents(workspace) == before


def test_builds_take_turns(workspace: Workspace) -> None:
    """The second is told who is at work, and nothing of the first is touched."""
    with alone(workspace, "build"):
        said = goldpan("build", "--workspace", str(workspace.root), expect=2)
    assert f"another build at work in {workspace.root} (process {os.getpid()})" in said


def broken_off(writing: AbstractContextManager[Path], name: str = "") -> None:
    """Write half of what was to be written, then fail."""
    with writing as staged:
        (staged / name).write_text("half")
        raise KeyError("broken off")


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    """The former file stays, the half-made ones go."""
    (tmp_path / "file").write_text("former")
    with pytest.raises(KeyError, match="broken off"):
        broken_off(publish_file(tmp_path / "file"))
    with pytest.raises(KeyError, match="broken off"):
        broken_off(publish_folder(tmp_path / "folder"), "part")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "former"
