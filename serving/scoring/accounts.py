"""The accounts of one scoring day: rows for the models, facts for the reasons.

Read with pyarrow, without pandas: the service process must stay small.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import InputError, NotReadyError
from features.workspace import Workspace
from serving.models.integrity import MANIFEST, parse_json, read_verified
from serving.models.model import Model, promoted
from serving.scoring.eligibility import Context, Rules
from serving.scoring.explain import Fact, Wording
from serving.scoring.lives import LIVES, SHARED, Lives, read_lives
from serving.scoring.night import PARTS, Night, read_night
from serving.scoring.profiles import Profile, read_profiles

CONTEXT = (
    "account_id", "as_of", "population", "plan", "mrr", "term_end", "cancel_announced",
    "is_internal", "age_days",
)  # fmt: skip
PROFILES = "profiles.parquet"
SHOWN = "shown.json"
FILES = (
    "features.parquet", "peers.json", "signals.json", "meanings.json", "company.json", PROFILES,
)  # fmt: skip
LATER = (LIVES, SHARED)
"""Files that a snapshot of an earlier version lacks, and one that is not to be shown."""
SCORE_AGAIN = "Run `goldpan score` again."


@dataclass(frozen=True)
class Table:
    """The feature table of one day as numbers.

    `matrix[i, j]` is feature `names[j]` of account `ids[i]`; a category is its index in
    `categories[name]`; missing is NaN.
    """

    as_of: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    matrix: NDArray[np.float32]
    categories: Mapping[str, tuple[str, ...]]
    contexts: tuple[Context, ...]
    mrr: NDArray[np.float64]
    term_ends: tuple[str | None, ...] = ()
    days: Mapping[int, str] = field(default_factory=dict)

    def day(self, row: int) -> str:
        """The day of one row: that of all, or a later one (`days`) of a row made since."""
        return self.days.get(row, self.as_of)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Account id → its row."""
        return {account: row for row, account in enumerate(self.ids)}

    @cached_property
    def column_of(self) -> Mapping[str, int]:
        """Feature name → its column."""
        return {name: column for column, name in enumerate(self.names)}

    def facts(self, row: int) -> "Facts":
        """Feature → the account's value: a number (NaN when missing) or a word (None)."""
        return Facts(self, row)


@dataclass(frozen=True)
class Facts(Mapping[str, Fact]):
    """What `Table.facts` tells of one row, each looked up when it is asked for."""

    table: Table
    row: int

    def __getitem__(self, name: str) -> Fact:
        """The account's value of one feature; KeyError when there is no such feature."""
        value = float(self.table.matrix[self.row, self.table.column_of[name]])
        words = self.table.categories.get(name)
        return value if words is None else None if np.isnan(value) else words[int(value)]

    def __iter__(self) -> Iterator[str]:
        """The names of the features."""
        return iter(self.table.names)

    def __len__(self) -> int:
        """How many features there are."""
        return len(self.table.names)


@dataclass(frozen=True)
class Encoder:
    """From the table's columns and codes to one model's: the feature contract, applied."""

    columns: NDArray[np.intp]
    codes: Mapping[int, NDArray[np.float32]]

    def rows(self, table: Table, which: NDArray[np.intp]) -> NDArray[np.float32]:
        """The model's rows for some accounts; a category that it never saw is NaN."""
        rows = np.ascontiguousarray(table.matrix[which[:, None], self.columns])
        for column, known in self.codes.items():
            code = rows[:, column]
            seen = ~np.isnan(code)
            code[seen] = known[code[seen].astype(np.intp)]
        return rows


@dataclass(frozen=True)
class Snapshot:
    """One verified `scores/<version>/` folder, as far as the service needs it.

    `shown`: model → account id → the reasons that were told of it that night (`scoring.steady`);
    `night`: by the digest of a bundle what that night worked out; `scored_at`: when it was.
    """

    version: str
    table: Table
    peers: Mapping[str, Mapping[str, float | None]]
    wordings: Mapping[str, Wording]
    company: Mapping[str, Any]
    rules: Rules
    scored_at: datetime
    profiles: tuple[Profile, ...] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    lives: Lives | None = None
    shown: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    night: Mapping[str, Night] = field(default_factory=dict)


def current_snapshot(workspace: Workspace) -> Path:
    """The folder of the newest scoring day; NotReadyError when nothing was scored."""
    pointer = workspace.scores / "current"
    if not pointer.is_file():
        raise NotReadyError(f"no scored accounts in {workspace.root}", do="Run `goldpan score`.")
    return workspace.scores / pointer.read_text(encoding="utf-8").strip()


def an_account(workspace: Workspace) -> str:
    """The id of a scored account worth asking about first: the most revenue times probability.

    Raises NotReadyError before anything was promoted or scored, InputError for damaged scores.
    """
    promoted(workspace)
    contents, _ = read_verified(current_snapshot(workspace), ["scores.parquet"], do=SCORE_AGAIN)
    file = pq.ParquetFile(io.BytesIO(contents["scores.parquet"]))
    rows = file.read(["account_id", "probability", "mrr"]).to_pylist()
    if not rows:
        raise NotReadyError("no account to which a promoted model applies", do=SCORE_AGAIN)
    first = max(rows, key=lambda r: (r["probability"] * r["mrr"], r["probability"]))
    return str(first["account_id"])


def load_snapshot(folder: Path) -> Snapshot:
    """Verify a snapshot by its manifest and read it; InputError for any defect."""
    also = (*LATER, SHOWN, PARTS)
    contents, manifest = read_verified(folder, FILES, do=SCORE_AGAIN, also=also)
    shown = parse_json(contents[SHOWN], folder / SHOWN) if SHOWN in contents else {}
    peers = parse_json(contents["peers.json"], folder / "peers.json")
    company = parse_json(contents["company.json"], folder / "company.json")
    signals = parse_json(contents["signals.json"], folder / "signals.json")
    try:
        wordings = {name: Wording(name=name, **facts) for name, facts in signals.items()}
        rules = Rules(company["top_plan"], company["min_age_days"])
        table = read_table(contents["features.parquet"])
        profiles = read_profiles(contents[PROFILES], table.ids)
        lives = _lives(contents, folder, table.ids)
        night = read_night(contents[PARTS], len(table.ids)) if PARTS in contents else {}
        scored = _scored_at(manifest, folder)
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{folder} with a wrong part ({error!r})", do=SCORE_AGAIN) from None
    meanings = parse_json(contents["meanings.json"], folder / "meanings.json")
    return Snapshot(
        folder.name, table, peers, wordings, company, rules, scored, profiles, meanings, lives,
        shown, night,
    )  # fmt: skip


def _scored_at(manifest: Mapping[str, Any], folder: Path) -> datetime:
    """When a snapshot was made; of one that does not say it, when its manifest was written."""
    if "scored_at" in manifest:
        return datetime.fromisoformat(manifest["scored_at"]).astimezone(UTC)
    return datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC)


def _lives(contents: Mapping[str, bytes], folder: Path, ids: tuple[str, ...]) -> Lives | None:
    """What the accounts went through; None where the snapshot does not tell it."""
    if LIVES not in contents:
        return None
    return read_lives(contents[LIVES], parse_json(contents[SHARED], folder / SHARED), ids)


def read_table(content: bytes) -> Table:
    """The feature table in a Parquet file's bytes; its rows are of one `as_of`."""
    # ParquetFile, because pyarrow's read_table loads its dataset module, and that pandas.
    return as_table(pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read())


def as_table(frame: pa.Table) -> Table:
    """Feature rows of one `as_of` as numbers; InputError for rows of several days, or of none."""
    days = frame.column("as_of").unique().to_pylist()
    if len(days) != 1:
        raise InputError(f"{len(days)} days in the feature table", expected="one", do=SCORE_AGAIN)
    names = tuple(n for n in frame.column_names if n not in CONTEXT)
    matrix = np.empty((frame.num_rows, len(names)), dtype=np.float32)
    categories = {}
    for position, name in enumerate(names):
        matrix[:, position], words = _numbers(frame.column(name))
        if words is not None:
            categories[name] = words
    matrix.setflags(write=False)
    return Table(
        as_of=days[0].isoformat(),
        ids=tuple(frame.column("account_id").to_pylist()),
        names=names,
        matrix=matrix,
        categories=categories,
        contexts=_contexts(frame),
        mrr=frame.column("mrr").to_numpy().astype(np.float64),
        term_ends=_days(frame, "term_end"),
    )


def encoder(model: Model, table: Table) -> Encoder:
    """How this table's columns become the model's rows.

    Raises InputError when the table lacks a feature, or holds a number where the model learnt
    a category (or the other way round).
    """
    columns = []
    codes = {}
    for position, feature in enumerate(model.features):
        if feature.name not in table.column_of:
            raise _mismatch(model, f"no feature '{feature.name}' in the accounts' table")
        columns.append(table.column_of[feature.name])
        if (feature.vocabulary is not None) != (feature.name in table.categories):
            raise _mismatch(model, f"another type of '{feature.name}' in the accounts' table")
        if feature.vocabulary is not None:
            code_of = {word: code for code, word in enumerate(feature.vocabulary)}
            words = table.categories[feature.name]
            codes[position] = np.array([code_of.get(w, np.nan) for w in words], dtype=np.float32)
    return Encoder(np.array(columns, dtype=np.intp), codes)


def _numbers(column: pa.ChunkedArray) -> tuple[NDArray[np.float32], tuple[str, ...] | None]:
    """A column as numbers; for words also the words that its numbers stand for."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column.to_numpy().astype(np.float32), None
    coded = column.combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.float32)
    return codes, tuple(coded.dictionary.to_pylist())


def _days(frame: pa.Table, name: str) -> tuple[str | None, ...]:
    """A column of days as ISO has them."""
    days = frame.column(name).to_pylist() if name in frame.column_names else [None] * frame.num_rows
    return tuple(None if day is None else day.isoformat() for day in days)


def _contexts(frame: pa.Table) -> tuple[Context, ...]:
    fields = ("population", "plan", "cancel_announced", "is_internal", "age_days", "seats")
    absent = [None] * frame.num_rows
    present = set(frame.column_names)
    columns = (frame.column(f).to_pylist() if f in present else absent for f in fields)
    return tuple(Context(*values) for values in zip(*columns, strict=True))


def _mismatch(model: Model, found: str) -> InputError:
    return InputError(
        f"{found} that model {model.name} {model.version} was trained on",
        expected="the feature contract of its schema.json",
        do="Run `goldpan score` after `goldpan promote`, with the settings that trained it.",
    )
