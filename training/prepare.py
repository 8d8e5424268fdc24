"""From the feature table and the accounts' history to one outcome's rows, labels, split, matrix."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.declare import Catalogue
from features.errors import NotReadyError, RefusedError
from features.settings import Outcome as Timing
from features.settings import Settings
from features.table import read_features
from features.workspace import Workspace
from training.dataset import Dataset, assemble
from training.fitting import few
from training.fitting.hazard import Watch
from training.labels import label, over, waits
from training.observations import PAIR, History, schedule
from training.outcomes import OUTCOMES, Outcome, eligible, in_words
from training.split import Split, split


@dataclass(frozen=True)
class Parted:
    """Labelled rows as a matrix, and what each is for."""

    data: Dataset
    split: Split


@dataclass(frozen=True)
class Task:
    """One outcome, ready to be learnt.

    `data`: the labelled rows, that `split` cuts; `rows`: whose and of which day (account_id, as_of)
    they are; `watch`: these rows and those with an outcome in the lead, with the days they waited;
    `history`: what all of it was made of.
    """

    outcome: Outcome
    timing: Timing
    data: Dataset
    split: Split
    rows: pd.DataFrame
    watch: Watch
    history: History

    @property
    def window(self) -> tuple[int, int]:
        """The days after an observation in which its outcome is looked for: (from, to]."""
        lead = self.timing.lead_days
        return lead, lead + self.timing.horizon_days


def prepare(
    settings: Settings,
    features: Catalogue,
    name: str,
    timing: Timing,
    table: pd.DataFrame,
    history: History,
) -> Task:
    """Observations, labels, split and matrix of one outcome.

    Raises NotReadyError when the table lacks rows or columns, RefusedError when there is nothing to
    learn.
    """
    every = watched(settings, name, timing, table, history)
    found = _labelled(every, name, timing, history)
    parts = _parts(found, name, timing)
    learn = (every["as_of"] <= found["as_of"][parts.learn].max()).to_numpy()
    # The matrix is made once; a label that is no number marks an outcome within the lead.
    labels = found["label"].reindex(every.index)
    whole = assemble(every.copy().assign(label=labels), features.features, name, learn)
    known = labels.notna().to_numpy()
    data = whole if known.all() else whole.take(known)
    few.check(data, parts, name)
    seen = (np.datetime64(history.until) - whole.as_of).astype(np.float64)
    return Task(
        outcome=OUTCOMES[name],
        timing=timing,
        data=data,
        split=parts,
        rows=found[PAIR],
        watch=Watch(whole, waits(every, history.changes, OUTCOMES[name]), seen),
        history=history,
    )


def watched(
    settings: Settings, name: str, timing: Timing, table: pd.DataFrame, history: History
) -> pd.DataFrame:
    """All observations of one outcome, by as_of; those with an outcome within the lead too."""
    rows = observed(table, schedule(history, timing, name), name)
    rows = rows[eligible(OUTCOMES[name], rows, settings, timing)]
    rows = rows[~over(rows, history.changes, OUTCOMES[name])]
    if rows.empty:
        raise RefusedError(
            f"no observations for outcome '{name}' among {len(table)} rows of the feature table",
            expected=f"{in_words(OUTCOMES[name], timing)}, on the days that outcomes.{name} asks "
            "for",
            do="Check the mapping of the subscriptions and [plans] in the settings.",
        )
    return rows.sort_values(["as_of", "account_id"], ignore_index=True)


def labelled(
    settings: Settings, name: str, timing: Timing, table: pd.DataFrame, history: History
) -> pd.DataFrame:
    """The rows that one outcome learns from and is judged on, with their label, by as_of."""
    return _labelled(watched(settings, name, timing, table, history), name, timing, history)


def task_of(
    settings: Settings, features: Catalogue, name: str, timing: Timing, rows: pd.DataFrame
) -> Parted:
    """Matrix and split of labelled rows."""
    parts = _parts(rows, name, timing)
    return Parted(assemble(rows, features.features, name, parts.learn), parts)


def observed(table: pd.DataFrame, asked: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of the feature table for the observations of an outcome, none of them lacking."""
    rows = table.merge(asked, on=PAIR)
    if lacking := len(asked) - len(rows):
        raise NotReadyError(
            f"a feature table without {lacking:,} of the {len(asked):,} observations of outcome "
            f"'{name}'",
            expected=f"all that outcomes.{name} asks for now",
            do="Run `goldpan build` again.",
        )
    return rows


def feature_table(workspace: Workspace) -> pd.DataFrame:
    """The feature table of the training observations; as_of becomes datetime64, midnight UTC."""
    table = read_features(workspace).to_pandas(date_as_object=False)
    return table.assign(as_of=table["as_of"].astype("datetime64[us]"))


def _labelled(every: pd.DataFrame, name: str, timing: Timing, history: History) -> pd.DataFrame:
    found = label(every, history.changes, OUTCOMES[name], timing, history.until)
    if found.empty:
        raise RefusedError(
            f"no observations for outcome '{name}' whose outcome is known, among {len(every)}",
            expected=f"{in_words(OUTCOMES[name], timing)}, followed for "
            f"{timing.lead_days + timing.horizon_days} days",
            do="Bring more history.",
        )
    return found


def _parts(rows: pd.DataFrame, name: str, timing: Timing) -> Split:
    y = rows["label"].to_numpy(dtype=np.float64)
    gap = timing.lead_days + timing.horizon_days
    return split(rows["as_of"].to_numpy(dtype="datetime64[D]"), y, gap, name)
