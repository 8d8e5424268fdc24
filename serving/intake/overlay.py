"""The rows of accounts of which something was learnt since the night: written, read, laid over.

`scores/fresh/current` names a Parquet file and its sha256; both appear whole or not at all. A row
holds what a row of the night's snapshot holds, its own `as_of`, and the version of the events that
it was made of (`made_of`), by which it is told whether a snapshot has overtaken it.
"""

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import GoldpanError, InputError
from features.workspace import Workspace, publish_file, publish_json
from serving.models.integrity import digest
from serving.scoring.accounts import Snapshot, Table, as_table
from serving.scoring.accounts import encoder as encoder_for
from serving.scoring.profiles import Profile
from serving.scoring.remembered import Remembered
from serving.scoring.scorer import Scorer, applicable_to, frozen, log_odds_of
from serving.state import State

MADE_OF = "made_of"
TABLES = ("events", "accounts", "users", "identities")
STAMP = b"goldpan"

log = logging.getLogger("goldpan.serving")


def folder_of(workspace: Workspace) -> Path:
    """Where the overlay lies."""
    return workspace.scores / "fresh"


def publish(workspace: Workspace, rows: pa.Table) -> None:
    """Make these the fresh rows, whole or not at all."""
    folder = folder_of(workspace)
    former = named(workspace)
    number = int(former.get("number", 0)) + 1
    file = folder / f"rows-{number:09}.parquet"
    with publish_file(file) as staged:
        pq.write_table(rows, staged, write_page_checksum=True)
    note = {"number": number, "file": file.name, "sha256": digest(file.read_bytes())}
    publish_json(folder / "current", note)
    for path in folder.glob("rows-*.parquet"):  # the former may be being read
        if path.name not in (file.name, former.get("file")):
            path.unlink()


def named(workspace: Workspace) -> dict[str, Any]:
    """What `current` says; nothing before the first."""
    try:
        return dict(json.loads((folder_of(workspace) / "current").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def read(workspace: Workspace) -> pa.Table | None:
    """The fresh rows; None when there are none. Raises InputError for a damaged file."""
    note = named(workspace)
    if not note:
        return None
    path = folder_of(workspace) / note["file"]
    content = path.read_bytes()
    if digest(content) != note["sha256"]:
        raise InputError(f"{path} with another sha256 than `current` says", do="Delete `current`.")
    return pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read()


def version_of(snapshot: Path) -> tuple[str, str]:
    """The day of a snapshot, and what it was made of, as its rows would say."""
    day = json.loads((snapshot / "manifest.json").read_text(encoding="utf-8"))["as_of"]
    states = stamp_of(snapshot).get("lake")
    return day, made_of(states) if states else "unknown"


def made_of(states: Mapping[str, str]) -> str:
    """The states of the tables as a row tells them.

    >>> made_of({"events": "x@7", "users": "y@2"})
    'x@7  y@2 '
    """
    return " ".join(states.get(name, "") for name in TABLES)


def stamp_of(snapshot: Path) -> dict[str, Any]:
    """What a snapshot's feature table says of what it was made of."""
    with pq.ParquetFile(snapshot / "features.parquet") as file:
        return dict(json.loads((file.schema_arrow.metadata or {}).get(STAMP, b"{}")))


def newer(row: tuple[str, str], snapshot: tuple[str, str]) -> bool:
    """Whether a row's (day, tables that it was made of) is ahead of a snapshot's.

    On the same day: of a later version of some table, and of no earlier one. Rows of before that
    tell of the events alone are judged by these alone.

    >>> newer(("2026-03-02", "x@7"), ("2026-03-01", "x@9"))
    True
    >>> newer(("2026-03-01", "x@9"), ("2026-03-01", "x@9"))
    False
    """
    (day, tables), (its_day, its_tables) = row, snapshot
    if day != its_day:
        return day > its_day
    both = zip(tables.split(" "), its_tables.split(" "), strict=False)
    steps = [_step(mine, its) for mine, its in both]
    return min(steps) >= 0 < max(steps)


def _step(mine: str, its: str) -> int:
    """1 for a later state of a table, 0 for the same, -1 for an earlier one or another table."""
    if mine == its or not its:
        return int(mine != its)
    (table, _, version), (its_table, _, its_version) = mine.partition("@"), its.partition("@")
    return 1 if table == its_table and int(version) > int(its_version) else -1


def ahead(rows: pa.Table, snapshot: tuple[str, str]) -> pa.Table:
    """The rows that a snapshot has not overtaken."""
    days = (day.isoformat() for day in rows["as_of"].to_pylist())
    told = zip(days, rows[MADE_OF].to_pylist(), strict=True)
    return rows.filter(pa.array([newer(row, snapshot) for row in told], pa.bool_()))


def laid_over(state: State, rows: pa.Table) -> State:
    """The state with these rows in the place of the night's; the others stay.

    Ranks go on counting the night's accounts. Raises InputError for rows of other features.
    """
    if state.snapshot is None or rows.num_rows == 0:
        return state
    table = _merged(state.snapshot.table, rows)
    profiles = state.snapshot.profiles
    profiles += (Profile(),) * (len(table.ids) - len(profiles))  # of new accounts nothing is told
    snapshot = replace(state.snapshot, table=table, profiles=profiles)
    scorers = {name: _rebound(scorer, snapshot) for name, scorer in state.scorers.items()}
    return replace(state, snapshot=snapshot, scorers=MappingProxyType(scorers))


def only(state: State, rows: pa.Table) -> State:
    """A state that knows these rows and nobody else; ranks and peers go on being the night's.

    Raises InputError for rows of other features than a model learnt from, or for no rows at all.
    """
    if state.snapshot is None:
        return state
    table = as_table(rows)
    snapshot = replace(state.snapshot, table=table, profiles=())
    scorers = {name: _alone(scorer, snapshot) for name, scorer in state.scorers.items()}
    return replace(state, snapshot=snapshot, scorers=MappingProxyType(scorers))


def _alone(scorer: Scorer, snapshot: Snapshot) -> Scorer:
    """The scorer of a table that has none of the night's rows."""
    model, table = scorer.model, snapshot.table
    encoder = encoder_for(model, table)
    log_odds = frozen(log_odds_of(model, table, encoder, applicable_to(model, snapshot)))
    return replace(scorer, snapshot=snapshot, encoder=encoder, log_odds=log_odds, parts=None,
                   told=Remembered())  # fmt: skip


def _rebound(scorer: Scorer, snapshot: Snapshot) -> Scorer:
    """The scorer over a table with fresh rows: their probabilities are new, the others stay."""
    table = snapshot.table
    encoder = encoder_for(scorer.model, table)
    bound = replace(scorer, snapshot=snapshot, encoder=encoder, told=Remembered())
    fresh = np.array(sorted(table.days), dtype=np.intp)
    applies = np.array([r for r in fresh if bound.why_not(int(r)) is None], dtype=np.intp)
    log_odds = log_odds_of(scorer.model, table, encoder, applies)
    old = np.setdiff1d(np.arange(len(scorer.log_odds)), fresh)
    log_odds[old] = scorer.log_odds[old]
    return replace(bound, log_odds=frozen(log_odds))


def _merged(base: Table, rows: pa.Table) -> Table:
    """The rows of both, the fresh ones in the place of those of the same account."""
    days = dict(zip(rows["account_id"].to_pylist(), rows["as_of"].to_pylist(), strict=True))
    one_day = pa.array([min(days.values())] * rows.num_rows, pa.date32())
    place = rows.schema.get_field_index("as_of")
    fresh = as_table(rows.set_column(place, "as_of", one_day).drop_columns([MADE_OF]))
    if fresh.names != base.names or set(fresh.categories) != set(base.categories):
        raise InputError("fresh rows of other features than the snapshot's")
    words, matrix = _same_words(base, fresh)
    new = [account for account in fresh.ids if account not in base.row_of]
    row_of = {**base.row_of, **{a: len(base.ids) + i for i, a in enumerate(new)}}
    at = np.array([row_of[account] for account in fresh.ids], dtype=np.intp)
    grown = np.concatenate([base.matrix, np.empty((len(new), len(base.names)), np.float32)])
    grown[at] = matrix
    grown.setflags(write=False)
    contexts = [*base.contexts, *[fresh.contexts[0]] * len(new)]
    mrr = np.concatenate([base.mrr, np.zeros(len(new))])
    mrr[at] = fresh.mrr
    term_ends = [*base.term_ends, *[None] * len(new)]
    for place_, row in enumerate(at.tolist()):
        contexts[row], term_ends[row] = fresh.contexts[place_], fresh.term_ends[place_]
    told = {row_of[account]: days[account].isoformat() for account in fresh.ids}
    return replace(
        base, ids=(*base.ids, *new), matrix=grown, categories=words, contexts=tuple(contexts),
        mrr=mrr, term_ends=tuple(term_ends), days=MappingProxyType({**base.days, **told}),
    )  # fmt: skip


def _same_words(
    base: Table, fresh: Table
) -> tuple[Mapping[str, tuple[str, ...]], NDArray[np.float32]]:
    """Words for the categories of both, the base's first, and the fresh numbers by them."""
    words = dict(base.categories)
    matrix = fresh.matrix.copy()
    for name, theirs in fresh.categories.items():
        words[name] = tuple(dict.fromkeys([*base.categories[name], *theirs]))
        code = np.array([words[name].index(w) for w in theirs] or [0], dtype=np.float32)
        column = matrix[:, fresh.column_of[name]]
        known = ~np.isnan(column)
        column[known] = code[column[known].astype(np.intp)]
    return words, matrix


def combined(workspace: Workspace, state: State) -> State:
    """A state with what is fresh and ahead of its snapshot; without it when that is damaged."""
    try:
        rows = read(workspace)
        if rows is None or state.snapshot is None:
            return state
        snapshot = version_of(workspace.scores / state.snapshot.version)
        return laid_over(state, ahead(rows, snapshot))
    except (GoldpanError, OSError, ValueError, KeyError, pa.ArrowException) as error:
        log.error("fresh scores are left out: %s", error)
        return state
