"""Events that say what is not so: a new name for the old thing, and machines that act as people."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.simulate.faults.fault import (
    Fault,
    Scene,
    as_times,
    instants,
    midnight,
    replaced,
    some,
)
from features.simulate.offer import DAY_US

OLD, NEW, RENAMED_AT = "report_created", "report_built", 0.7
BOTS, BOT_DAYS, A_DAY = 0.01, 30, 150
DONE = "dashboard_viewed"


class Rename(Fault):
    """A tidy-up in the product that told nobody."""

    name = "rename"
    meaning = f"from 70 % of the time on, {OLD} is sent as {NEW}, which no list in [events] names"

    def __post_init__(self) -> None:
        """Fix the day."""
        self.begins = self.scene.instant(RENAMED_AT)
        self.did |= {"from": str(self.begins), "event": OLD, "sent_as": NEW}

    def events(self, rows: pa.Table) -> pa.Table:
        """Give it the new name."""
        after = instants(rows["event_time"]) >= midnight(self.begins)
        renamed = after & pc.equal(rows["event"], OLD).to_numpy()
        self.count("events", renamed.sum())
        return replaced(rows, "event", pc.if_else(pa.array(renamed), NEW, rows["event"]))


class Bots(Fault):
    """Monitoring that logs in as a user."""

    name = "bots"
    meaning = (
        "1 % of the accounts are visited by a bot for a month: 150 evenly spaced dashboard_viewed "
        "a day, day and night, as a user whom no list of users knows"
    )

    def __post_init__(self) -> None:
        """Draw where the bots go, and from which day on."""
        self.accounts = some(self.scene.accounts, BOTS, self.rng)
        days = self.rng.integers(
            self.scene.days // 2, self.scene.days - BOT_DAYS, len(self.accounts)
        )
        self.begins = self.scene.first_day + days.astype("timedelta64[D]")
        self.did |= {
            "accounts": self.accounts.to_pylist(),
            "from": self.begins.astype(str).tolist(),
        }

    def events(self, rows: pa.Table) -> pa.Table:
        """Add theirs of the same month."""
        month = pc.min(rows["event_time"]).as_py().date()
        found = _visits(self.begins, np.datetime64(month, "M"))
        self.count("events", len(found[0]))
        return pa.concat_tables([rows, _rows(*found, self.accounts, self.scene, rows.schema)])


def _visits(begins: np.ndarray, month: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """Which bot, and when (microseconds since 1970), for the visits that lie in the month."""
    start, end = (midnight(m.astype("datetime64[D]")) for m in (month, month + 1))
    first = np.array([midnight(day) for day in begins])
    step = DAY_US // A_DAY
    time = (first[:, None] + np.arange(BOT_DAYS * A_DAY) * step).ravel()
    bot = np.repeat(np.arange(len(begins)), BOT_DAYS * A_DAY)
    inside = (time >= start) & (time < end)
    return bot[inside], time[inside]


def _rows(
    bot: np.ndarray, time: np.ndarray, accounts: pa.Array, scene: Scene, schema: pa.Schema
) -> pa.Table:
    label = [f"{b}_{t // 1_000_000}" for b, t in zip(bot.tolist(), time.tolist(), strict=True)]
    nothing = {name: pa.nulls(len(bot), schema.field(name).type) for name in schema.names}
    return pa.table(
        nothing
        | {
            "message_id": pa.array([f"bot{name}" for name in label], pa.string()),
            "event_time": as_times(time),
            "known_at": as_times(time),
            "account_id": accounts.take(pa.array(bot)),
            "user_id": pa.array([f"usr_bot{b}" for b in bot.tolist()], pa.string()),
            "event": pa.array([DONE] * len(bot), pa.string()),
        },
        schema=schema,
    )
