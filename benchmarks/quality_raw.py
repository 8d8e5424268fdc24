"""End to end from raw events: our job against what people do without one.

Everybody is judged on the same out-of-time test rows, and may learn only from rows whose outcome
was known when the test begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb
import numpy as np
import pandas as pd

from benchmarks.quality_figures import Drawn, drawn, less, verdict
from benchmarks.quality_matrix import BOOSTERS, Entry, headline
from benchmarks.quality_oracle import spread
from benchmarks.quality_worlds import Study, World
from benchmarks.rivals.environment import Rival, UnavailableError
from benchmarks.rivals.exchange import taken
from features import lake
from features.errors import RefusedError
from training.dataset import Dataset, Floats, Mask
from training.evaluate import Bootstrap, figure
from training.fitting.calibrate import margins
from training.fitting.fit import fit
from training.split import Split

OURS = "Goldpan"
DEEP = Rival(
    "featuretools + LightGBM, random split", "deep_features",
    ("featuretools==1.31.0", "woodwork==0.31.0", "lightgbm==4.7.0", "setuptools==80.9.0",
     *BOOSTERS),
)  # fmt: skip
PATIENCE = 3600.0  # seconds that featuretools may take
RAW = {
    "accounts": "account_id, known_at, created_at, industry, country, employees, channel",
    "events": "account_id, known_at, event_time, user_id, event, value",
    "subscriptions": "account_id, known_at, effective_at, status, plan, mrr, seats, "
    "billing_months, term_end, discount",
}
"""What a rival is given of the lake's tables."""


@dataclass(frozen=True)
class Race:
    """All entries on the same test rows of one outcome (`rows`: which of the test rows)."""

    study: Study
    rows: Mask
    entries: tuple[Entry, ...]
    absent: tuple[tuple[str, str], ...]

    @property
    def test(self) -> Dataset:
        """The rows that everybody is judged on."""
        return self.study.test.take(self.rows)


def race(
    one: World, study: Study, cache: Path, dates: tuple[int, int], said: Callable[[str], None],
    *, deep: bool = True,
) -> Race:  # fmt: skip
    """Judge our job, two ways of one row per customer, and featuretools.

    `dates`: on how many days featuretools learns and is judged; each costs it a pass over the
    events. The others are judged on the same days.
    """
    learn_days, test_days = dates
    here = np.isin(study.test.as_of, spread(study.test.as_of, test_days))
    entries = [Entry(OURS, study.margins[here], study.seconds, "every week of every account")]
    absent = []
    for name, rows in (("one row per customer: the newest day", newest_day(study)),
                       ("one row per customer: a random day", random_day(study))):  # fmt: skip
        try:
            entries.append(once(name, study, rows, here))
        except RefusedError as error:
            absent.append((name, str(error)))
    if deep:
        try:
            entries.append(deep_features(one, study, cache, learn_days, here))
        except UnavailableError as error:
            absent.append((DEEP.name, str(error)))
    for entry in entries:
        said(f"  {entry.name}: {entry.seconds:.0f} s, {entry.note}")
    for name, why in absent:
        said(f"  {name}: LEFT OUT: {why}")
    return Race(study, here, tuple(entries), tuple(absent))


def matured(study: Study) -> Mask:
    """Rows whose outcome was known when the test begins."""
    return np.asarray(study.task.data.as_of <= study.open_until)


def newest_day(study: Study) -> Mask:
    """Everybody once, on the newest day whose outcomes are known: a snapshot of the customers."""
    known = matured(study)
    return known & (study.task.data.as_of == study.task.data.as_of[known].max())


def random_day(study: Study) -> Mask:
    """Everybody once, on a day drawn at random among their own."""
    rows = np.flatnonzero(matured(study))
    shuffled = np.random.default_rng(7).permutation(rows)
    _, first = np.unique(study.task.data.account[shuffled], return_index=True)
    chosen = np.zeros(len(study.task.data.y), dtype=bool)
    chosen[shuffled[first]] = True
    return chosen


def once(name: str, study: Study, rows: Mask, here: Mask) -> Entry:
    """Our features and our learner on one row per customer; rounds and calibration by folds."""
    data, training = study.task.data, study.settings.training
    if (ones := int(data.y[rows].sum())) < 10:
        raise RefusedError(f"{ones} positives among {int(rows.sum())} customers", expected="10")
    split = Split("development and test", {"development": rows, "test": study.split.test},
                  study.split.gap_days)  # fmt: skip
    started = perf_counter()
    booster = fit(data, split, training).booster
    margin = margins(booster, study.test.X[here], training.threads)
    note = f"{int(rows.sum()):,} rows, {ones:,} positives"
    return Entry(name, margin, perf_counter() - started, note)


def deep_features(one: World, study: Study, cache: Path, days: int, here: Mask) -> Entry:
    """Featuretools on the raw tables, LightGBM with a random split."""
    with TemporaryDirectory() as folder:
        raw, out = Path(folder), Path(folder) / "scores.parquet"
        export(one, raw)
        asked(study, days, here).to_parquet(raw / "rows.parquet")
        threads = study.settings.training.threads
        DEEP.run(cache, str(raw), str(out), "0", str(threads), threads=threads, limit=PATIENCE)
        margin, told = taken(out)
    note = f"{told['columns']} columns, {told['note']}"
    return Entry(DEEP.name, margin, told["seconds"], note)


def export(one: World, folder: Path) -> None:
    """The lake's tables as Parquet files, a row for each in the lake; times are naive UTC."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        for name, columns in RAW.items():
            rows = lake.read_table(one.workspace, name)
            con.register("rows", rows)
            chosen = [_naive(column, rows.schema.names) for column in columns.split(", ")]
            distinct = "distinct on (account_id) " if name == "accounts" else ""
            order = "account_id, known_at" if name == "accounts" else "known_at"
            con.execute(
                f"copy (select {distinct}{', '.join(c for c in chosen if c)} from rows "  # noqa: S608
                f"order by {order}) to '{folder / name}.parquet' (format parquet)"
            )
            con.unregister("rows")


def asked(study: Study, days: int, here: Mask) -> pd.DataFrame:
    """The rows that featuretools learns from, on so many days, and those it is judged on."""
    data, rows = study.task.data, study.rows.assign(test=False)
    known = matured(study)
    chosen = known & np.isin(data.as_of, spread(data.as_of[known], days))
    judged = np.flatnonzero(study.split.test)[here]
    test = rows.iloc[judged].assign(test=True)
    return pd.concat([rows[chosen], test], ignore_index=True)


def _naive(column: str, names: Sequence[str]) -> str:
    if column not in names:
        return ""
    times = ("known_at", "event_time", "created_at", "effective_at", "term_end")
    return f"{column}::timestamp as {column}" if column in times else column


def table(found: Race) -> str:
    """Every entry, and ours less it on the same rows and resamples."""
    scores = resampled(found)
    ours, days = scores[OURS], len(np.unique(found.test.as_of))
    lines = [
        f"{headline(found.study)} Everybody is judged on {days} of the test days: "
        f"{len(found.test.y):,} rows, {int(found.test.y.sum()):,} positives.",
        "", "| way | AUC | ours less it | log loss | ours less it | s | learnt from |",
        "|---|---|---|---:|---|---:|---|",
    ]  # fmt: skip
    for entry in found.entries:
        lines.append(_line(entry, scores[entry.name], ours))
    return "\n".join(
        [*lines, *(f"| {n} |  |  |  |  |  | left out: {w} |" for n, w in found.absent)]
    )


def resampled(found: Race) -> dict[str, Drawn]:
    """Every entry's figures, on the same resamples of accounts."""
    sample = Bootstrap.of(found.test.account, found.study.settings.training.bootstrap, 7)
    return {entry.name: drawn(entry.margins, found.test, sample) for entry in found.entries}


def _line(entry: Entry, theirs: Drawn, ours: Drawn) -> str:
    cells = [entry.name, str(figure(theirs.auc)), "", f"{theirs.log_loss[0]:.5f}", "",
             f"{entry.seconds:.0f}", entry.note]  # fmt: skip
    if entry.name != OURS:
        cells[2] = _apart(ours.auc, theirs.auc, 3, higher_is_better=True)
        cells[4] = _apart(ours.log_loss, theirs.log_loss, 5, higher_is_better=False)
    return "| " + " | ".join(cells) + " |"


def _apart(ours: Floats, theirs: Floats, places: int, *, higher_is_better: bool) -> str:
    apart = less(ours, theirs)
    value, low, high = (f"{v:+.{places}f}" for v in (apart.value, apart.low, apart.high))
    return f"{value} ({low} to {high}): {verdict(apart, higher_is_better=higher_is_better)}"
