"""From events in the journals to rows that the service answers from, within seconds.

One process does it for a workspace: it moves the journals into the lake, computes the rows of the
accounts that were touched, as of the next midnight UTC, and publishes them as the overlay.
"""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from features import lake
from features.errors import NotReadyError
from features.events import CONTRACT
from features.instants import day_number
from features.provenance import in_words, meaning, other_parts
from features.resident.resident import Resident
from features.settings import Settings
from features.workspace import Workspace, publish_json
from serving.intake import overlay
from serving.intake.collect import collected
from serving.intake.touched import touched, versions
from serving.intake.waiting import waiting
from serving.scoring.accounts import current_snapshot

log = logging.getLogger("goldpan.intake")


@dataclass
class Refresher:
    """Does one round after another; to be closed. `behind`: the last was cut short."""

    workspace: Workspace
    settings: Settings
    resident: Resident = field(init=False)
    known: str = ""
    behind: bool = True
    _looked_at: tuple[str, str | None] = ("", None)

    def __post_init__(self) -> None:
        self.resident = Resident(self.workspace, self.settings)

    def warm_up(self) -> None:
        """Compute some account's row for nobody, so that the first real one does not wait."""
        accounts = lake.read_table(self.workspace, "accounts", ["account_id"])
        self.known = self._states()
        self.resident.rows(accounts["account_id"].slice(0, 1).to_pylist(), next_midnight())

    def round(self) -> int:
        """Collect and publish; how many accounts have a newer row than before.

        Raises GoldpanError when another process works on the lake or the rollups.
        """
        self.behind = True  # until the end is reached
        if self._states() != self.known:  # somebody else ingested
            self.resident.forget_peers()
        collected(self.workspace, self.settings)
        if why := self._why_not():
            log.warning("scores are not made fresh: %s", why)
            self.behind = False
            return 0
        now = versions(self.workspace)
        accounts = touched(self.workspace, self.settings, self._since())
        day = next_midnight()
        self.known = self._states()
        states = {name: lake.table_state(self.workspace, name) for name in overlay.TABLES}
        made_of = overlay.made_of(states)
        rows = self.resident.rows(accounts, day) if accounts else None
        if rows is not None and rows.num_rows:
            stamped = rows.append_column(overlay.MADE_OF, pa.array([made_of] * rows.num_rows))
            overlay.publish(self.workspace, self._with_former(stamped))
        publish_json(_note(self.workspace), now)
        self.behind = False
        return 0 if rows is None else rows.num_rows

    def due(self) -> bool:
        """Whether a round has anything to do: events wait, or the last round was cut short."""
        return self.behind or waiting(self.workspace)

    def is_of_yesterday(self) -> bool:
        """Whether a midnight has passed since the rows that are held were of the next."""
        state = self.resident.state
        return state is not None and state.day != day_number(next_midnight())

    def move_on(self) -> None:
        """Hold the rows of the next midnight, so that nobody who asks waits for them.

        Raises GoldpanError when another process works on the rollups.
        """
        self.resident.rows([], next_midnight())

    def rows_now(self, accounts: Collection[str]) -> pa.Table:
        """The rows of accounts as of the next midnight, of all that was acknowledged until now.

        Raises GoldpanError when they cannot be made: other settings, or others at work.
        """
        if self.due() or self._states() != self.known:
            self.round()
        if why := self._why_not():
            raise NotReadyError(why, do="Run `goldpan score`.")
        day = next_midnight()
        if not self.resident.holds(day):  # midnight has passed, or somebody else ingested just now
            self.resident.forget_peers()
            self.resident.rows([], day)
        return self.resident.held(accounts)

    def _with_former(self, rows: pa.Table) -> pa.Table:
        """These rows and the former ones of other accounts that no snapshot has overtaken."""
        former = overlay.read(self.workspace)
        if former is None or former.schema.names != rows.schema.names:
            return rows
        left = overlay.ahead(former, overlay.version_of(current_snapshot(self.workspace)))
        again = pc.is_in(left["account_id"], rows["account_id"].combine_chunks())
        return pa.concat_tables([left.filter(pc.invert(again)).cast(rows.schema), rows])

    def _since(self) -> dict[str, int]:
        """The state of the lake that the service's rows were made of."""
        try:
            return dict(json.loads(_note(self.workspace).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return of_snapshot(self.workspace)

    def _why_not(self) -> str | None:
        """`why_not`, asked once for each snapshot, which never changes."""
        snapshot = current_snapshot(self.workspace).name
        if self._looked_at[0] != snapshot:
            self._looked_at = snapshot, why_not(self.workspace, self.settings)
        return self._looked_at[1]

    def _states(self) -> str:
        return repr([lake.table_state(self.workspace, name) for name in CONTRACT])

    def close(self) -> None:
        """Give back what is held."""
        self.resident.close()


def next_midnight(now: datetime | None = None) -> date:
    """The day whose midnight UTC is the first that sees all that has happened.

    >>> next_midnight(datetime(2026, 3, 1, 0, 0, tzinfo=UTC)).isoformat()
    '2026-03-02'
    """
    return ((now or datetime.now(UTC)) + timedelta(days=1)).date()


def of_snapshot(workspace: Workspace) -> dict[str, int]:
    """The versions of the lake's tables that the night's snapshot was made of."""
    states = overlay.stamp_of(current_snapshot(workspace)).get("lake", {})
    told = {name: states.get(name, "").partition("@")[2] for name in overlay.TABLES}
    return {name: int(version or -1) for name, version in told.items()}


def why_not(workspace: Workspace, settings: Settings) -> str | None:
    """Why rows cannot be made beside the night's; None when they can."""
    learnt = overlay.stamp_of(current_snapshot(workspace)).get("meaning", {})
    if parts := other_parts(learnt, meaning(settings)):
        return f"the accounts were scored under {in_words(parts)}"
    return None


def _note(workspace: Workspace) -> Path:
    return overlay.folder_of(workspace) / "made_of.json"
