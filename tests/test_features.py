import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features import build as building
from features import lake
from features.catalog import catalogue
from features.compute import block
from features.read_settings import parse_settings
from features.sources.ingest import ingest
from features.workspace import Workspace
from tests.expressions import Declarer
from tests.parity import SHARED, WORLDS, Cells, batch, built, only, same, shared
from tests.reference_known import World, midnight
from tests.worlds import BACK, ENDS

EXAMPLES = int(os.environ.get("GOLDPAN_EXAMPLES", "5"))
SEARCH = settings(
    max_examples=max(1, EXAMPLES // len(ENDS)),
    deadline=None,
    phases=[Phase.generate],  # a batch takes seconds; the world that differs is printed whole
    suppress_health_check=list(HealthCheck),
)
ZONES = ("America/New_York", "Pacific/Auckland")
FEW = (SHARED, "leap day", "New York springs forward")
"""The kernel is tried around another end; the long tests try the SQL around all of them."""


@pytest.mark.parametrize(
    "end", [end if end in FEW else pytest.param(end, marks=pytest.mark.slow) for end in ENDS]
)
def test_every_cell_is_what_plain_python_says(end: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline and a slow, obvious reference agree on every cell of random worlds."""

    @SEARCH
    @given(st.integers(1, 10**9))
    def search(first: int) -> None:
        one = shared() if (end, first) == (SHARED, 1) else batch(end, first, WORLDS)
        features = catalogue(one.settings).features
        differences = list(one.differences(features, one.found))
        assert not differences, f"{len(differences)} cells differ; {one.story(differences[0])}"
        accounts = len({account for account, _ in one.points})
        with capsys.disabled():
            print(f" {accounts} accounts, {len(one.points) * len(features):,} cells ", end="")

    search()


@given(st.integers(1, 10**9))
@SEARCH
def test_any_expression_is_what_plain_python_says(first: int) -> None:
    """The whole algebra agrees with the reference, also where no catalogue declares it so."""
    dice = random.Random(first)  # noqa: S311 - reproducible, not secret
    one = batch(dice.choice(list(ENDS)), first, WORLDS)
    features = Declarer(dice).features(84)
    with only(features):
        differences = list(one.differences(features, one.found))
    meaning = {f.name: f.meaning for f in features}
    assert not differences, (
        f"{len(differences)} cells differ; {meaning.get(differences[0].feature)}; "
        f"{one.story(differences[0])}"
    )


def assert_same(found: Cells, expected: Cells) -> None:
    """Whether two tables hold the same; sums of doubles may differ in their last bits."""
    assert found.keys() == expected.keys()
    for point, row in expected.items():
        for name, value in row.items():
            assert same(found[point][name], value, 1e-12), (point, name, found[point][name], value)


@pytest.mark.parametrize("back", [7, pytest.param(28, marks=pytest.mark.slow)])
def test_what_is_learnt_later_changes_no_cell(back: int) -> None:
    """Features at t from everything equal features at t from only what was known at t."""
    one = shared()
    day = one.days[BACK.index(back)]
    then = one.whole.before(midnight(day))
    then.events = [e for e in then.events if e["event_time"] < midnight(day)]
    points = [point for point in one.points if point[1] == day]
    assert_same(built(then, one.settings, points), {point: one.found[point] for point in points})


def test_the_order_of_rows_does_not_matter() -> None:
    """Shuffled input gives the same table as ordered input."""
    one, dice = shared(), random.Random(3)  # noqa: S311 - reproducible, not secret
    tables = vars(one.whole).items()
    shuffled = World(**{name: dice.sample(rows, len(rows)) for name, rows in tables})
    assert_same(built(shuffled, one.settings, one.points), one.found)


def test_few_observations_stand_among_all_their_peers() -> None:
    """A cell is the same whether its account is observed alone or with everybody."""
    one = shared()
    few = one.points[::7]
    assert_same(built(one.whole, one.settings, few), {point: one.found[point] for point in few})


def test_how_a_build_is_cut_changes_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few days and chunks of few accounts give what one piece gives.

    On some days everybody is observed, on others few are, and only ranked.
    """
    one = shared()
    points = [p for p in one.points if p[1] == one.days[-1]]
    points += [p for p in one.points if p[1] in one.days[:2]][::9]
    monkeypatch.setattr(building, "BLOCK_POINTS", 60)
    monkeypatch.setattr(block, "CHUNK_POINTS", 70)
    monkeypatch.setattr(block, "CHUNK_RANKED", 90)
    cells = built(one.whole, one.settings, points)
    assert_same(cells, {point: one.found[point] for point in points})


BUILD = """
import sys, pyarrow.parquet as pq
from pathlib import Path
from features.workspace import Workspace
from tests.parity import batch, load, table_of
one, workspace = batch("Berlin springs forward", 1, 20), Workspace(Path(sys.argv[1]))
load(one.whole, workspace)
table_of(workspace, one.settings, one.points)
"""


def test_the_machine_s_time_zone_does_not_matter(tmp_path: Path) -> None:
    """The table is the same far west and far east of Greenwich."""
    root = Path(__file__).parent.parent
    tables = []
    for number, zone in enumerate(ZONES):
        subprocess.run(
            [sys.executable, "-c", BUILD, str(tmp_path / str(number))],
            env=os.environ | {"TZ": zone, "PYTHONPATH": str(root)}, check=True, cwd=root,
        )  # fmt: skip
        rows = pq.read_table(tmp_path / str(number) / "parity.parquet").to_pylist()
        tables.append({(row["account_id"], row["as_of"]): row for row in rows})
    assert len(tables[0]) > 100
    for table in tables[1:]:
        assert_same(table, tables[0])


def test_rows_that_come_again_change_nothing(tmp_path: Path) -> None:
    """What is ingested a second time, in another file and order, leaves the lake as it was."""
    one = batch("leap day", 1, 20)
    names = ("events", "accounts", "users", "subscriptions", "identities")
    sources = []
    for name in names:
        schema = lake.table_schema(name)
        own = [c for c in schema.names if c not in ("row_id", "source", "event_us", lake.MONTH)]
        rows = lake.pa.Table.from_pylist(getattr(one.whole, name), schema=schema).select(own)
        pq.write_table(rows, tmp_path / f"{name}.parquet")
        columns = {c: c for c in own}
        sources.append({"name": name, "table": name, "path": f"{name}*.parquet",
                        "columns": columns})  # fmt: skip
    values = one.settings.model_dump(exclude_none=True) | {"sources": sources}
    company, workspace = parse_settings(values), Workspace(tmp_path / "workspace")
    ingest(workspace, company, base=tmp_path)
    before = {name: lake.read_table(workspace, name) for name in names}
    assert all(before[name].num_rows for name in names)
    for name in names:
        rows = pq.read_table(tmp_path / f"{name}.parquet")
        pq.write_table(rows[::-1], tmp_path / f"{name}-again.parquet")
    counts = ingest(workspace, company, base=tmp_path)
    assert all(count.stored == 0 for count in counts)
    for name in names:
        assert lake.read_table(workspace, name).equals(before[name])
