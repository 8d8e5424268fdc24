"""Every score that was told, with what it was made of: the same answer can be made again.

A score's id is the digest of what made it (account, day, model, version, bundle, row), so that
telling a score again adds nothing. The row that the model saw is kept as it was, so that a score
recomputes when the snapshot it came from is long gone; `contracts` says what its columns are.
"""

import datetime as dt
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite

from serving.ledger.database import METADATA, utc
from serving.ledger.shown import SHOWN

CONTRACTS = sa.Table(
    "contracts",
    METADATA,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("features", sa.Text, nullable=False),
)
SCORES = sa.Table(
    "scores",
    METADATA,
    sa.Column("score_id", sa.String(32), primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("bundle", sa.String(64), nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("snapshot", sa.String(64), nullable=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("probability", sa.Double, nullable=False),
    sa.Column("log_odds", sa.Double, nullable=False),
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
    sa.Column("grade", sa.String(1), nullable=False),
    sa.Column("contract", sa.String(64), sa.ForeignKey("contracts.hash"), nullable=False),
    sa.Column("row_sha256", sa.String(64), nullable=False),
    sa.Column("inputs", sa.LargeBinary, nullable=False),
    sa.Column("parts", sa.LargeBinary, nullable=False),
    sa.Index("scores_of_account", "account_id", "model", "as_of"),
    sa.Index("scores_of_day", "model", "as_of"),
)
Column = Mapping[str, Any]
WEEK, LONGEST = dt.timedelta(days=7), dt.timedelta(days=28)


@dataclass(frozen=True)
class Kept:
    """One score as the ledger has it.

    `inputs`: the model's row (float32), its columns in `features`; `parts`: log-odds by signal, in
    the order in which the signals first stand among the features, the base last.
    """

    score_id: str
    account_id: str
    model: str
    model_version: str
    bundle: str
    as_of: dt.date
    snapshot: str
    made_at: dt.datetime
    probability: float
    log_odds: float
    low: float | None
    high: float | None
    grade: str
    contract: str
    row_sha256: str
    inputs: NDArray[np.float32]
    parts: NDArray[np.float64]
    features: tuple[Column, ...]

    @property
    def by_signal(self) -> dict[str, float]:
        """Signal → its part of the log-odds, the base left out."""
        names = dict.fromkeys(str(f["signal"]) for f in self.features)
        return dict(zip(names, self.parts.tolist(), strict=False))


def score_id(
    account_id: str, as_of: dt.date, model: str, version: str, bundle: str, row_sha256: str
) -> str:
    """The name of a score: 128 bits of the digest of all that makes it.

    >>> score_id("a", dt.date(2026, 7, 1), "churn", "1", "", "")[:8]
    'b199f77f'
    """
    made_of = [account_id, as_of.isoformat(), model, version, bundle, row_sha256]
    text = json.dumps(made_of, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def row_digest(row: NDArray[np.float32]) -> str:
    """The sha256 of a row's bytes, little-endian, every missing value by the same bits."""
    return hashlib.sha256(_bytes(row)).hexdigest()


def packed(values: NDArray[Any]) -> bytes:
    """Numbers as the ledger keeps them; `unpacked` gives the same bits."""
    return zlib.compress(_bytes(values), level=1)


def unpacked(content: bytes, kind: str) -> NDArray[Any]:
    """What was packed; ValueError for bytes that are damaged."""
    try:
        return np.frombuffer(zlib.decompress(content), dtype=kind)
    except zlib.error as error:
        raise ValueError(f"bytes that cannot be unpacked ({error})") from None


def keep(ledger: Engine, contract: str, features: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write scores of one contract; those that are there already stay as they are."""
    with ledger.begin() as connection:
        write = _or_nothing(ledger, CONTRACTS)
        connection.execute(write, {"hash": contract, "features": features})
        if rows:
            connection.execute(_or_nothing(ledger, SCORES), list(rows))


def ids_of(ledger: Engine, model: str, bundle: str, as_of: dt.date) -> set[str]:
    """The ids of all scores of a model's bundle of one day."""
    mine = (SCORES.c.model == model) & (SCORES.c.as_of == as_of) & (SCORES.c.bundle == bundle)
    with ledger.connect() as connection:
        return set(connection.scalars(sa.select(SCORES.c.score_id).where(mine)))


def find(ledger: Engine, id: str) -> Kept | None:  # noqa: A002 - the field's name
    """The score of that id."""
    return _first(ledger, SCORES.c.score_id == id)


def newest(ledger: Engine, account_id: str, model: str, until: dt.date) -> Kept | None:
    """The account's last score by a model as of a day or before it."""
    mine = (SCORES.c.account_id == account_id) & (SCORES.c.model == model)
    return _first(ledger, mine & (SCORES.c.as_of <= until))


def history(
    ledger: Engine,
    account_id: str,
    model: str | None,
    limit: int,
    after: tuple[dt.date, dt.datetime, str] | None = None,
) -> list[sa.Row[Any]]:
    """An account's scores, newest first; `after`: only those behind (as_of, made_at, score_id)."""
    where = [SCORES.c.account_id == account_id]
    if model:
        where.append(SCORES.c.model == model)
    if after:
        where.append(sa.tuple_(*_AGE) < sa.tuple_(*(sa.bindparam(None, v) for v in after)))
    told = [c for c in SCORES.c if c.name not in ("inputs", "parts", "contract", "bundle")]
    query = sa.select(*told).where(*where).order_by(*(c.desc() for c in _AGE)).limit(limit)
    with ledger.connect() as connection:
        return list(connection.execute(query))


def day_of(
    ledger: Engine, model: str, until: dt.date, since: dt.date
) -> tuple[dt.date | None, dict[str, float]]:
    """The last day between two that a night scored by a model; account → its last probability then.

    Of days that have fresh scores only, most accounts would have none.
    """
    nights = sa.select(sa.func.max(SHOWN.c.as_of)).where(
        SHOWN.c.model == model, SHOWN.c.as_of.between(since, until)
    )
    # Before nights kept what they showed: their snapshots bear the day's name, others an earlier.
    former = sa.select(sa.func.max(SCORES.c.as_of)).where(
        SCORES.c.model == model,
        SCORES.c.as_of.between(since, until),
        SCORES.c.snapshot.startswith(sa.cast(SCORES.c.as_of, sa.String)),
    )
    with ledger.connect() as connection:
        day = connection.scalar(nights) or connection.scalar(former)
        if day is None:
            return None, {}
        told = sa.select(SCORES.c.account_id, SCORES.c.probability)
        mine = told.where((SCORES.c.model == model) & (SCORES.c.as_of == day))
        rows = connection.execute(mine.order_by(SCORES.c.made_at, SCORES.c.score_id))
        return day, {row.account_id: row.probability for row in rows}  # the last one stays


def week_before(
    ledger: Engine, model: str, today: dt.date
) -> tuple[dt.date | None, dict[str, float]]:
    """`day_of` for movement: the last scores that are at least a week old, and at most four."""
    return day_of(ledger, model, today - WEEK, today - LONGEST)


_AGE = (SCORES.c.as_of, SCORES.c.made_at, SCORES.c.score_id)


def _first(ledger: Engine, where: Any) -> Kept | None:
    query = sa.select(SCORES, CONTRACTS.c.features).join(CONTRACTS).where(where)
    with ledger.connect() as connection:
        row = connection.execute(query.order_by(*(c.desc() for c in _AGE)).limit(1)).first()
    return None if row is None else _kept(dict(row._mapping))


def _kept(row: Mapping[str, Any]) -> Kept:
    inputs, parts = unpacked(row["inputs"], "<f4"), unpacked(row["parts"], "<f8")
    made, features = utc(row["made_at"]), tuple(json.loads(row["features"]))
    changed = {"inputs": inputs, "parts": parts, "made_at": made, "features": features}
    return Kept(**{**row, **changed})


def _or_nothing(ledger: Engine, table: sa.Table) -> Any:
    """An insert that leaves what is there alone."""
    kind = postgresql if ledger.dialect.name == "postgresql" else sqlite
    return kind.insert(table).on_conflict_do_nothing()


def _bytes(values: NDArray[Any]) -> bytes:
    """The numbers' bytes, little-endian, with one pattern for every NaN."""
    plain = np.array(values, dtype=values.dtype.newbyteorder("<"))
    plain[np.isnan(plain)] = np.nan
    return plain.tobytes()


def texts(values: Iterable[Column]) -> str:
    """A contract's columns as the text that its hash is of."""
    return json.dumps(list(values), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
