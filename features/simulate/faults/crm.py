"""The CRM's own faults: one customer kept as two, and fields filled in after the fact."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.simulate.faults.fault import (
    Fault,
    as_times,
    instants,
    is_one_of,
    midnight,
    replaced,
)
from features.simulate.offer import DAY_US
from features.simulate.write import schema_of

TWICE, LEAST_WAIT = 0.03, 60
BACKDATED = 75
WON, EXPANDED, LOST = "closed-won", "closed-expansion", "closed-lost"


class Merges(Fault):
    """A customer who signed up twice, found out later."""

    name = "merges"
    meaning = (
        "3 % of the accounts have a second account, under which everybody but the first user is "
        "kept until the two are merged, as raw/identities.parquet tells"
    )

    def __post_init__(self) -> None:
        """Draw which accounts, and the day on which each is found out."""
        scene = self.scene
        old = np.flatnonzero(scene.signed_up < scene.days - LEAST_WAIT)
        chosen = old[self.rng.random(len(old)) < TWICE]
        self.accounts = scene.accounts.take(pa.array(chosen))
        days = self.rng.integers(scene.signed_up[chosen] + LEAST_WAIT, scene.days)
        self.merged = midnight(scene.first_day) + days * DAY_US
        self.doubles = pa.array([f"{name}b" for name in self.accounts.to_pylist()], pa.string())
        self.firsts = scene.founders.take(pa.array(chosen))
        self.did["accounts"] = self.accounts.to_pylist()

    def _kept_apart(self, rows: pa.Table, time: str) -> pa.Table:
        """Rows of other than the first users go to the second account while nobody knows."""
        place = pc.index_in(rows["account_id"], value_set=self.accounts).fill_null(-1).to_numpy()
        before = instants(rows[time]) < np.where(place >= 0, np.append(self.merged, 0)[place], 0)
        apart = (place >= 0) & before & pc.is_valid(rows["user_id"]).to_numpy()
        apart &= ~is_one_of(rows, "user_id", self.firsts)
        double = self.doubles.take(pa.array(place, mask=~apart))
        return replaced(rows, "account_id", pc.coalesce(double, rows["account_id"]))

    def events(self, rows: pa.Table) -> pa.Table:
        """Book their events there."""
        kept = self._kept_apart(rows, "known_at")
        self.count("events", pc.sum(pc.not_equal(kept["account_id"], rows["account_id"])).as_py())
        return kept

    def table(self, name: str, rows: pa.Table) -> pa.Table:
        """Give the second accounts a row, and their users to them; tell of the merges."""
        if name == "users":
            return self._kept_apart(rows, "known_at")
        if name == "identities":
            return pa.concat_tables([rows, self._found_out()])
        if name != "accounts":
            return rows
        double = rows.filter(pc.is_in(rows["account_id"], value_set=self.accounts))
        place = pc.index_in(double["account_id"], value_set=self.accounts)
        return pa.concat_tables([rows, replaced(double, "account_id", self.doubles.take(place))])

    def _found_out(self) -> pa.Table:
        """The merges, each known on the day it is found out."""
        found = as_times(self.merged)
        kind = pa.array(["merge"] * len(self.accounts))
        columns = [kind, self.doubles, self.accounts, found, found]
        return pa.table(columns, schema=schema_of("identities"))


class Backfill(Fault):
    """A field that Sales fills in when a deal is closed, and dates back."""

    name = "backfill"
    meaning = (
        "a leak: 75 days before each purchase, upgrade and cancellation the account's channel "
        f"becomes {WON}, {EXPANDED} or {LOST}, filled in afterwards but dated back"
    )

    def table(self, name: str, rows: pa.Table) -> pa.Table:
        """Take note of the changes, and add a row to the accounts for each."""
        if name == "subscriptions":
            self.deals = _deals(rows)
        return self._filled_in(rows) if name == "accounts" else rows

    def _filled_in(self, rows: pa.Table) -> pa.Table:
        account, time, what = self.deals
        place = pc.index_in(pa.array(account), value_set=rows["account_id"].combine_chunks())
        more = rows.take(place)
        back = np.maximum(time - BACKDATED * DAY_US, instants(more["known_at"]) + 1)
        more = replaced(more, "known_at", as_times(back))
        more = replaced(more, "channel", pa.array(what, pa.string()))
        self.count("rows", len(more))
        return pa.concat_tables([rows, more])


def _deals(rows: pa.Table) -> tuple[list[str], np.ndarray, list[str]]:
    """The account, time and kind of every purchase, upgrade and cancellation."""
    log = rows.to_pandas().sort_values(["account_id", "effective_at"], kind="stable")
    before = log.groupby("account_id")[["mrr", "plan", "seats"]].shift()
    paid, pays = before["mrr"].fillna(0) > 0, log["mrr"] > 0
    higher = (log["plan"] != before["plan"]) | (log["seats"] > before["seats"])
    kinds = ((pays & ~paid, WON), (pays & paid & higher, EXPANDED), (paid & ~pays, LOST))
    parts = [log[rows_].assign(what=what) for rows_, what in kinds]
    found = pd.concat(parts).sort_values("effective_at", kind="stable")
    time = found["effective_at"].dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    return found["account_id"].tolist(), time, found["what"].tolist()
