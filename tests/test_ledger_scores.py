"""Every score that was told stands in the ledger, and can be made again to the bit."""

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from asked import Asked
from click.testing import CliRunner
from sqlalchemy import Engine
from test_serving_world import promote, served

from features.errors import InputError
from features.workspace import Workspace
from goldpan import main
from serving.ledger.database import connected, migrate, opened
from serving.ledger.scores import (
    SCORES,
    Kept,
    day_of,
    find,
    history,
    newest,
    packed,
    row_digest,
    score_id,
    unpacked,
    week_before,
)
from serving.ledger.shown import keep_shown
from serving.models.model import load_bundle, promoted
from serving.scoring.accounts import load_snapshot
from serving.scoring.audit import audit
from serving.scoring.recorded import record
from serving.scoring.scorer import Scorer, bind


@pytest.fixture
def copy(tmp_path: Path) -> Workspace:
    """A copy of the shared world's bundles, scores and ledger."""
    return Workspace(copied(tmp_path / "copy"))


def copied(to: Path) -> Path:
    """Copy what serving reads, the ledger by SQLite's own backup."""
    root = served().workspace.root
    for name in ("bundles", "scores"):
        shutil.copytree(root / name, to / name)
    with opened(served().workspace).connect() as source:
        source.exec_driver_sql("VACUUM INTO ?", (str(to / "ledger.db"),))
    return to


def scorer(workspace: Workspace, name: str = "churn") -> Scorer:
    """A promoted model, bound to the current snapshot."""
    folder = workspace.scores / (workspace.scores / "current").read_text().strip()
    return bind(load_bundle(promoted(workspace)[name]), load_snapshot(folder))


def counted(ledger: Engine) -> int:
    """How many scores there are."""
    with ledger.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(SCORES)) or 0)


def a_score(ledger: Engine, model: str = "churn") -> Kept:
    """One score of the ledger."""
    with ledger.connect() as connection:
        name = connection.scalar(sa.select(sa.func.min(SCORES.c.score_id)).where(
            SCORES.c.model == model))  # fmt: skip
    found = find(ledger, str(name))
    assert found is not None
    return found


def test_the_night_keeps_every_score_with_what_made_it() -> None:
    """Rows, log-odds, parts and interval are those that the models give, to the bit."""
    workspace = served().workspace
    ledger = opened(workspace)
    for name in ("churn", "pql", "upgrade"):
        mine = scorer(workspace, name)
        rows = [r for r in range(len(mine.snapshot.table.ids)) if mine.why_not(r) is None]
        scores = mine.scores(rows)
        for i, row in enumerate(rows):
            kept = find(ledger, scores.ids[i])
            assert kept is not None
            assert kept.account_id == mine.snapshot.table.ids[row]
            assert kept.snapshot == mine.snapshot.version == "2026-07-01-1"
            assert kept.inputs.tobytes() == scores.inputs[i].tobytes()
            assert (kept.log_odds, kept.probability) == (scores.log_odds[i], scores.chances[i])
            assert scores.parts is not None
            assert kept.parts.tobytes() == scores.parts[i].tobytes()
            assert abs(kept.parts.sum() - kept.log_odds) < 1e-9
            assert kept.low is not None
            assert kept.low <= kept.probability <= (kept.high or 0)


def test_telling_a_score_again_adds_nothing(copy: Workspace) -> None:
    """The ids are those of what made the score: a second night of the same day writes none."""
    ledger, mine = opened(copy), scorer(copy)
    before = counted(ledger)
    rows = [r for r in range(len(mine.snapshot.table.ids)) if mine.why_not(r) is None]
    record(ledger, mine, mine.scores(rows))
    assert counted(ledger) == before > 0


def test_the_service_writes_only_what_the_night_did_not(copy: Workspace) -> None:
    """Under the night's version nothing; under one promoted since, each account once."""
    service = Asked(copy)
    ids = list(load_snapshot(copy.scores / "2026-07-01-1").table.ids)
    before = counted(service.ledger)
    service.post("/v1/scores", accounts=ids)
    assert counted(service.ledger) == before
    promote(copy, served().settings, "churn", seed=8, version="2")
    service.renew()
    for _ in range(2):
        told = service.post("/v1/scores", accounts=ids, models=["churn"])
        scored = [s for r in told["results"] for s in r["scores"]]
        assert counted(service.ledger) == before + len(scored)
    for score in scored:
        kept = find(service.ledger, score["score_id"])
        assert kept is not None
        assert (kept.model_version, kept.probability) == ("2", score["probability"])
        assert audit(copy, service.ledger, score["score_id"]).same


def test_any_score_is_made_again_when_its_snapshot_is_gone(copy: Workspace) -> None:
    """From the row in the ledger and the bundle alone."""
    shutil.rmtree(copy.scores)
    ledger = opened(copy)
    with ledger.connect() as connection:
        names = list(connection.scalars(sa.select(SCORES.c.score_id)))
    for name in names[::7]:
        found = audit(copy, ledger, name)
        assert found.same, found.differences
        assert found.again is not None
        assert found.again["probability"] == found.kept.probability


@pytest.mark.parametrize(
    ("column", "change", "said"),
    [
        ("probability", lambda v: np.nextafter(v, 1), "probability: kept"),
        ("log_odds", lambda v: np.nextafter(v, 0), "log_odds: kept"),
        ("low", lambda v: v / 2, "low: kept"),
        ("grade", lambda v: "A" if v != "A" else "B", "grade: kept"),
        ("account_id", lambda v: v + "x", "score_id: kept"),
        ("as_of", lambda v: v - dt.timedelta(days=1), "score_id: kept"),
        ("row_sha256", lambda v: "0" * 64, "row_sha256: kept"),
        ("bundle", lambda v: "0" * 64, "bundle: kept"),
        ("parts", lambda v: packed(unpacked(v, "<f8") * 1.0000001), "contributions"),
        ("inputs", lambda v: packed(unpacked(v, "<f4") + np.float32(1)), "row_sha256: kept"),
    ],
)
def test_a_score_that_was_tampered_with_is_found_out(
    copy: Workspace, column: str, change: Any, said: str
) -> None:
    """One bit of any part of it is enough, and the part is named."""
    ledger = opened(copy)
    kept = a_score(ledger)
    mine = SCORES.c.score_id == kept.score_id
    with ledger.begin() as connection:
        value = connection.scalar(sa.select(SCORES.c[column]).where(mine))
        connection.execute(SCORES.update().where(mine).values({column: change(value)}))
    found = audit(copy, ledger, kept.score_id)
    assert not found.same
    assert any(text.startswith(said) or said in text for text in found.differences)


def test_the_command_says_the_verdict_and_ends_by_it(copy: Workspace) -> None:
    """0 for the same to the bit, 3 where the bundle is gone or another one, 2 for no such score."""
    name = a_score(opened(copy)).score_id
    said = ["audit-score", name, "--workspace", str(copy.root)]
    good = CliRunner().invoke(main, said)
    assert good.exit_code == 0, good.output
    assert "the same to the bit" in good.output
    shutil.rmtree(copy.bundles / "churn" / "1")
    gone = CliRunner().invoke(main, said)
    assert gone.exit_code == 3
    assert "the bundle is gone: bundles/churn/1" in gone.output.replace("\n", " ")
    promote(copy, served().settings, "churn", seed=8)
    other = CliRunner().invoke(main, said)
    assert other.exit_code == 3
    assert "bundle: kept" in other.output
    unknown = CliRunner().invoke(main, ["audit-score", "0" * 32, "--workspace", str(copy.root)])
    assert unknown.exit_code == 2


def test_bytes_that_cannot_be_read_are_an_error_that_says_so(copy: Workspace) -> None:
    """A damaged ledger is no traceback."""
    ledger = opened(copy)
    kept = a_score(ledger)
    with ledger.begin() as connection:
        mine = SCORES.c.score_id == kept.score_id
        connection.execute(SCORES.update().where(mine).values(inputs=b"junk"))
    with pytest.raises(InputError, match="bytes that cannot be unpacked"):
        audit(copy, ledger, kept.score_id)


def test_numbers_are_kept_to_the_bit_and_missing_ones_by_one_pattern() -> None:
    """Every NaN is one NaN; minus zero is not zero."""
    row = np.array([1.5, -0.0, np.nan, 3e38], dtype=np.float32)
    other = row.copy()
    other.view(np.uint32)[2] |= 1  # another NaN
    assert unpacked(packed(row), "<f4").tobytes() == unpacked(packed(other), "<f4").tobytes()
    assert row_digest(row) == row_digest(other)
    assert row_digest(row) != row_digest(np.array([1.5, 0.0, np.nan, 3e38], dtype=np.float32))


def test_what_makes_a_score_makes_its_id() -> None:
    """Another account, day, model, version, bundle or row is another id."""
    made_of = ["a", dt.date(2026, 7, 1), "churn", "1", "b", "r"]
    others = ["b", dt.date(2026, 7, 2), "pql", "2", "c", "s"]
    ids = {score_id(*made_of)}
    for place, other in enumerate(others):
        ids.add(score_id(*[*made_of[:place], other, *made_of[place + 1 :]]))
    assert len(ids) == 7


@contextmanager
def on_postgresql() -> Iterator[str]:
    """The URL of an empty database of a real server; skipped where there is none."""
    postgres = pytest.importorskip("postgres")
    if postgres.LACKING and not postgres.REQUIRED:
        pytest.skip(postgres.LACKING)
    with postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A ledger without scores, of either kind."""
    here = nullcontext(f"sqlite:///{tmp_path / 'ledger.db'}")
    with here if request.param == "sqlite" else on_postgresql() as url:
        engine = connected(url)
        migrate(engine)
        yield engine
        engine.dispose()


def on(mine: Scorer, day: str) -> Scorer:
    """The same accounts, as if of another day."""
    table = replace(mine.snapshot.table, as_of=day)
    return replace(mine, snapshot=replace(mine.snapshot, table=table, version=f"{day}-1"))


def test_the_nearest_earlier_day_is_found(empty: Engine) -> None:
    """By account, and for all accounts of a model; before the first day there is none."""
    mine = scorer(served().workspace)
    rows = [r for r in range(len(mine.snapshot.table.ids)) if mine.why_not(r) is None][:4]
    for day in ("2026-06-20", "2026-06-24", "2026-07-01"):
        record(empty, on(mine, day), on(mine, day).scores(rows))
    account = mine.snapshot.table.ids[rows[0]]
    for asked, found in (("2026-07-09", "2026-07-01"), ("2026-06-30", "2026-06-24")):
        kept = newest(empty, account, "churn", dt.date.fromisoformat(asked))
        assert kept is not None
        assert str(kept.as_of) == found
    assert newest(empty, account, "churn", dt.date(2026, 6, 19)) is None
    day, then = day_of(empty, "churn", dt.date(2026, 6, 24), dt.date(2026, 6, 1))
    assert (str(day), len(then)) == ("2026-06-24", 4)
    assert then[account] == mine.chances[rows[0]]
    assert day_of(empty, "churn", dt.date(2026, 6, 19), dt.date(2026, 6, 1)) == (None, {})
    told = history(empty, account, None, 2)
    assert [str(row.as_of) for row in told] == ["2026-07-01", "2026-06-24"]
    last = told[-1]
    made = last.made_at.replace(tzinfo=dt.UTC)
    rest = history(empty, account, "churn", 9, (last.as_of, made, last.score_id))
    assert [str(row.as_of) for row in rest] == ["2026-06-20"]


@pytest.mark.parametrize("since_then", [True, False])
def test_a_day_of_fresh_scores_only_is_no_day_to_compare_with(
    empty: Engine, since_then: bool
) -> None:
    """Nor one of a night that was cut off; also in a ledger whose nights did not keep reasons."""
    mine = scorer(served().workspace)
    rows = [r for r in range(len(mine.snapshot.table.ids)) if mine.why_not(r) is None][:4]
    night = on(mine, "2026-06-20")
    record(empty, night, night.scores(rows))
    fresh = replace(on(mine, "2026-06-22"), snapshot=replace(on(mine, "2026-06-22").snapshot,
                    version=night.snapshot.version))  # fmt: skip
    record(empty, fresh, fresh.scores(rows[:1]))
    if since_then:
        keep_shown(empty, "churn", dt.date(2026, 6, 20), {mine.snapshot.table.ids[rows[0]]: []})
        cut_off = on(mine, "2026-06-23")
        record(empty, cut_off, cut_off.scores(rows[:2]))
    day, then = week_before(empty, "churn", dt.date(2026, 6, 30))
    assert (str(day), len(then)) == ("2026-06-20", 4)


def test_a_ledger_of_postgresql_keeps_and_tells_the_same(
    copy: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores to the bit, pages of the history, reviews; what the night wrote elsewhere is new."""
    with on_postgresql() as url:
        monkeypatch.setenv("GOLDPAN_LEDGER", url)
        service = Asked(copy)
        account = a_score(connected(f"sqlite:///{copy.root / 'ledger.db'}")).account_id
        told = service.post("/v1/scores", accounts=[account])["results"][0]["scores"]
        for score in told:
            found = audit(copy, service.ledger, score["score_id"])
            assert found.same, found.differences
        address = f"/v1/accounts/{account}"
        first = service.get(f"{address}/scores", limit=1)
        rest = service.get(f"{address}/scores", limit=1, cursor=first["next"])
        pages = [s["score_id"] for s in first["scores"] + rest["scores"]]
        assert sorted(pages) == sorted(s["score_id"] for s in told)
        for verdict in ("agree", "disagree"):
            service.post(f"{address}/reviews", 201, model="churn", verdict=verdict)
        page = service.get(f"{address}/reviews", limit=1)
        rest = service.get(f"{address}/reviews", limit=1, cursor=page["next"])
        assert [r["verdict"] for r in page["reviews"] + rest["reviews"]] == ["disagree", "agree"]
        card = service.get("/v1/models/churn")
        assert card["reviews"] == [{"model_version": "1", "agree": 1, "disagree": 1}]
        assert service.get("/v1/accounts", model="churn", order="movement")["total"] > 0
        service.ledger.dispose()
