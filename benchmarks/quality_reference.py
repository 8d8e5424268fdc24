"""An honest reference for any set: a person's first evening, judged on the very rows of ours.

How often each event happened in the last 28 days and before, and how old the account is; a logistic
regression. It shares with ours only the rows, the labels and the split.
"""

import duckdb
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.quality_figures import drawn
from benchmarks.quality_worlds import World
from features import lake
from training.evaluate import Bootstrap, Figure, figure

MOST_EVENTS = 40
COLUMNS = ["account_id", "event", "event_time"]
OFTEN = "select event from events group by event order by count(*) desc, event limit ?"
COUNTED = """
    select place, event, sum(n) filter (day >= as_of - interval 28 day) as recent, sum(n) as ever
    from rows join (
        select account_id, event, event_time::timestamp::date as day, count(*) as n
        from events where event in (select unnest($often)) group by all
    ) using (account_id)
    where day < as_of group by all
"""


def reference(one: World, outcome: str) -> Figure:
    """The reference's AUC on the test rows of an outcome, with its interval."""
    task = one.task(outcome)
    X = counts(one, task.rows)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    fit, test = task.split.fit, task.data.take(task.split.test)
    margin = model.fit(X[fit], task.data.y[fit]).decision_function(X[task.split.test])
    sample = Bootstrap.of(test.account, one.settings.training.bootstrap, 7)
    return figure(drawn(margin, test, sample).auc)


def counts(one: World, rows: pd.DataFrame) -> np.ndarray:
    """For each row: log counts by event, of the last 28 days and of all before; log age in days."""
    placed = rows[["account_id", "as_of"]].assign(place=np.arange(len(rows)))
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'; set threads = 1")
        con.register("rows", placed)
        con.register("events", lake.read_table(one.workspace, "events", COLUMNS))
        often = con.execute(OFTEN, [MOST_EVENTS]).fetchdf()["event"].tolist()
        found = con.execute(COUNTED, {"often": often}).fetchdf()
    wide = found.pivot(index="place", columns="event", values=["recent", "ever"])
    numbers = wide.reindex(placed["place"]).fillna(0).to_numpy(dtype=np.float64)
    return np.column_stack([np.log1p(numbers), np.log1p(ages(one, rows))])


def ages(one: World, rows: pd.DataFrame) -> np.ndarray:
    """Days since each row's account was created."""
    born = one.history.accounts.set_index("account_id")["created_at"].dt.tz_localize(None)
    since = rows["as_of"].to_numpy() - born.loc[rows["account_id"]].to_numpy()
    return np.asarray(since / np.timedelta64(1, "D"))
