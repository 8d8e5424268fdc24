"""Rows that link ids → spans of both clocks, as Arrow tables; `resolve` says the rules.

Most ids have one answer, which whole columns settle; only the others are told row by row.
"""

from collections.abc import Iterable, Iterator

import pandas as pd
import pyarrow as pa

from features.identity.successors import Merge, standings
from features.identity.timelines import Held, Start, Stay, by_start, by_stay
from features.instants import LONG_AGO, NEVER

SPANS = ("from_us", "to_us", "known_us", "until_us")


def alias_spans(rows: pd.DataFrame) -> pa.Table:
    """Identities of kind alias → anonymous_id, user_id and SPANS."""
    one = rows.groupby("from_id")["to_id"].transform("nunique") == 1
    plain = rows[one].groupby("from_id").agg(to_id=("to_id", "min"), known=("known_at", "min"))
    ids = plain.index.to_series()
    held = [
        _frame(ids, ids, to=NEVER, known=LONG_AGO, until=plain["known"]),
        _frame(ids, plain["to_id"], to=NEVER, known=plain["known"], until=NEVER),
    ]
    for anonymous, mine in rows[~one].groupby("from_id"):
        starts = map(Start, *(mine[c].tolist() for c in ("known_at", "since", "to_id")))
        held.append(_told(anonymous, by_start(starts, str(anonymous), lambda new, old: True)))
    return _table(held, ["anonymous_id", "user_id", *SPANS])


def membership_spans(rows: pd.DataFrame) -> pa.Table:
    """Users → user_id, account_id and SPANS."""
    rows = rows.assign(
        stays=rows["left_at"] == NEVER, end=rows[["created_at", "left_at"]].max(axis=1)
    )
    users = rows.groupby("user_id")
    one = (users["account_id"].transform("nunique") == 1) & users["stays"].transform("all")
    one |= users["account_id"].transform("size") == 1
    # Before it begins, the account that will be joined counts: such a span begins long ago.
    summary = {
        "account_id": ("account_id", "min"),
        "to": ("end", "max"),
        "known": ("known_at", "min"),
    }
    plain = rows[one].groupby("user_id").agg(**summary)
    ids = plain.index.to_series()
    held = [_frame(ids, plain["account_id"], to=plain["to"], known=plain["known"], until=NEVER)]
    rest = rows[~one].sort_values(["known_at", "row_id"])
    again = rest.groupby("user_id")
    single = (again["account_id"].transform("nunique") == 1) & (
        again["created_at"].transform("nunique") == 1
    )
    held.append(_retold(rest[single]))
    for user, mine in rest[~single].groupby("user_id"):
        held.append(_told(user, _stays(mine)))
    return _table(held, ["user_id", "account_id", *SPANS])


def _retold(rows: pd.DataFrame) -> pd.DataFrame:
    """One stay of each user, told several times: each row holds until the next is known."""
    until = rows.groupby("user_id")["known_at"].shift(-1, fill_value=NEVER)
    told = _frame(
        rows["user_id"], rows["account_id"], to=rows["end"], known=rows["known_at"], until=until
    )
    return told[told["known_us"] < told["until_us"]]


def _stays(mine: pd.DataFrame) -> Iterator[Held]:
    """The timeline of a user with several rows; without ends, the starts tell it."""
    columns = [mine[c].tolist() for c in ("known_at", "created_at", "account_id", "left_at")]
    if mine["stays"].all():
        return by_start(map(Start, *columns[:3]), None, lambda new, old: new > old)
    return by_stay(map(Stay, *columns))


def merge_spans(rows: pd.DataFrame) -> pa.Table:
    """Identities of kind merge → account_id, into_id, known_us and until_us."""
    merges = map(Merge, *(rows[c].tolist() for c in ("known_at", "from_id", "to_id")))
    told = pd.DataFrame(list(standings(merges)), columns=["account_id", "into_id", *SPANS[2:]])
    return _table([told], ["account_id", "into_id", *SPANS[2:]])


def _frame(
    ids: pd.Series, answers: pd.Series, *, to: object, known: object, until: object
) -> pd.DataFrame:
    spans = dict(zip(SPANS, (LONG_AGO, to, known, until), strict=True))
    return pd.DataFrame({"id": ids, "answer": answers, **spans})


def _told(subject: object, held: Iterable[Held]) -> pd.DataFrame:
    rows = [(subject, *row) for row in held]
    return pd.DataFrame(rows, columns=["id", "answer", *SPANS])


def _table(frames: list[pd.DataFrame], names: list[str]) -> pa.Table:
    types = [pa.string(), pa.string()] + [pa.int64()] * (len(names) - 2)
    schema = pa.schema(list(zip(frames[0].columns, types, strict=True)))
    tables = [pa.Table.from_pandas(f, schema, preserve_index=False) for f in frames if len(f)]
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks().rename_columns(names)
