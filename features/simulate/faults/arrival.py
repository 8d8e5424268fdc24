"""Events that arrive, but late, twice, or with a wrong clock."""

import numpy as np
import pyarrow as pa

from features.simulate.faults.fault import Fault, as_times, instants, is_one_of, replaced, some
from features.simulate.offer import DAY_US, HOUR_US

LATE, TWICE, OFF = 0.15, 0.03, 0.04
MOST_HOURS = 12


class Late(Fault):
    """Batches held back on phones and in queues."""

    name = "late"
    meaning = "15 % of all events, not 1 %, reach us one to three days after they happened"

    def events(self, rows: pa.Table) -> pa.Table:
        """Put off the arrival of some."""
        late = self.rng.random(len(rows)) < LATE
        self.count("events", late.sum())
        delay = (self.rng.uniform(1, 3, len(rows)) * DAY_US).astype(np.int64)
        known = np.where(late, instants(rows["event_time"]) + delay, instants(rows["known_at"]))
        return replaced(rows, "known_at", as_times(known))


class Duplicates(Fault):
    """A client that sends again what was acknowledged too slowly."""

    name = "duplicates"
    meaning = "3 % of all events are delivered twice, with the same message_id, within hours"

    def events(self, rows: pa.Table) -> pa.Table:
        """Deliver some once more, later."""
        again = rows.filter(pa.array(self.rng.random(len(rows)) < TWICE))
        self.count("events", len(again))
        wait = (self.rng.uniform(0.01, 6, len(again)) * HOUR_US).astype(np.int64)
        later = replaced(again, "known_at", as_times(instants(again["known_at"]) + wait))
        return pa.concat_tables([rows, later])


class Skew(Fault):
    """Clients whose clocks nobody has set."""

    name = "skew"
    meaning = "4 % of the users have clocks up to 12 hours fast or slow: event_time is wrong"

    def __post_init__(self) -> None:
        """Draw whose clocks are off, and by how much."""
        self.users = some(self.scene.users, OFF, self.rng)
        self.by = (self.rng.uniform(-MOST_HOURS, MOST_HOURS, len(self.users)) * HOUR_US).astype(
            np.int64
        )
        self.did["users"] = len(self.users)

    def events(self, rows: pa.Table) -> pa.Table:
        """Shift the times of theirs."""
        place = pa.compute.index_in(rows["user_id"], value_set=self.users).fill_null(-1).to_numpy()
        off = is_one_of(rows, "user_id", self.users)
        self.count("events", off.sum())
        shift = np.where(off, self.by[place], 0)
        return replaced(rows, "event_time", as_times(instants(rows["event_time"]) + shift))
