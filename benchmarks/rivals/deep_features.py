"""featuretools and LightGBM with a random split: `… deep_features FOLDER OUT SECONDS THREADS`.

What a capable person does in an afternoon: every feature that featuretools makes of the events and
the subscriptions, over all of the past and over the last 28 days, and LightGBM stopped early on a
random fifth of the rows. FOLDER holds accounts, events, subscriptions and rows (account_id, as_of,
label, test) as Parquet. It is spared one mistake: each table is seen by when it was known.
"""

import argparse
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any

import featuretools as ft
import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from benchmarks.rivals.exchange import give

SEED = 7
WINDOW = "28 days"
COMMON_EVENTS = 20
MEASURES = ["count", "num_unique", "mode", "sum", "mean", "max", "std", "time_since_last",
            "time_since_first", "last"]  # fmt: skip
RARE = 20  # categories shown by fewer rows are taken for missing


def main() -> None:
    """Make the features, learn, score the test rows."""
    parser = argparse.ArgumentParser()
    for name, kind in (("folder", Path), ("out", Path), ("seconds", float), ("threads", int)):
        parser.add_argument(name, type=kind)
    said = parser.parse_args()
    warnings.simplefilter("ignore")
    started = perf_counter()
    rows = pd.read_parquet(said.folder / "rows.parquet")
    matrix = coded(features(said.folder, rows))
    p, told = learnt(matrix, rows, said.threads)
    give(said.out, p, {**told, "columns": matrix.shape[1], "seconds": perf_counter() - started})


def features(folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each of `rows`, in their order."""
    held = entities(folder)
    asked = rows[["account_id", "as_of"]].rename(columns={"as_of": "time"})
    ways: list[dict[str, Any]] = [{"where_primitives": ["count"]}, {"training_window": WINDOW}]
    made = []
    for way in ways:
        found, _ = ft.dfs(
            entityset=held, target_dataframe_name="accounts", cutoff_time=asked,
            agg_primitives=MEASURES, trans_primitives=[], max_depth=2,
            include_cutoff_time=False, cutoff_time_in_index=True, **way,
        )  # fmt: skip
        made.append(found)
    made[1].columns = [f"{name} ({WINDOW})" for name in made[1].columns]
    both = pd.concat(made, axis=1)
    return both.reindex(pd.MultiIndex.from_frame(asked)).reset_index(drop=True)


def entities(folder: Path) -> ft.EntitySet:
    """The three tables and how they hang together."""
    held = ft.EntitySet("company")
    accounts = pd.read_parquet(folder / "accounts.parquet")
    held.add_dataframe(accounts, "accounts", index="account_id", time_index="known_at")
    for name in ("events", "subscriptions"):
        table = pd.read_parquet(folder / f"{name}.parquet")
        held.add_dataframe(table, name, index="row", make_index=True, time_index="known_at")
        held.add_relationship("accounts", "account_id", name, "account_id")
    often = held["events"]["event"].value_counts().index[:COMMON_EVENTS]
    held.add_interesting_values(dataframe_name="events", values={"event": list(often)})
    return held


def coded(matrix: pd.DataFrame) -> pd.DataFrame:
    """Numbers only: times become days, words the place of their category."""
    found = {}
    for place in range(matrix.shape[1]):
        values = matrix.iloc[:, place]
        if pd.api.types.is_datetime64_any_dtype(values):
            values = values.astype("datetime64[s]").astype("int64") / 86_400
        elif not pd.api.types.is_numeric_dtype(values):
            words = values.astype("object")
            counts = words.value_counts()
            values = words.map({w: i for i, w in enumerate(counts[counts >= RARE].index)})
        found[f"c{place}"] = pd.to_numeric(values, errors="coerce").astype("float32")
    return pd.DataFrame(found)


def learnt(
    matrix: pd.DataFrame, rows: pd.DataFrame, threads: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """LightGBM, stopped early on a random fifth; what it then believes of itself."""
    known, test = matrix[~rows["test"]], matrix[rows["test"]]
    y = rows.loc[~rows["test"], "label"]
    X, held, wanted, true = train_test_split(known, y, test_size=0.2, random_state=SEED, stratify=y)
    model = lgb.LGBMClassifier(
        n_estimators=2000, learning_rate=0.05, n_jobs=threads, verbosity=-1, random_state=SEED
    )
    model.fit(
        X, wanted, eval_X=held, eval_y=true, callbacks=[lgb.early_stopping(50, verbose=False)]
    )
    believed = float(roc_auc_score(true, model.predict_proba(held)[:, 1]))
    note = (
        f"{len(known):,} rows, {model.best_iteration_} rounds; believes its AUC is {believed:.3f}"
    )
    return np.asarray(model.predict_proba(test)[:, 1]), {"note": note, "believed": believed}


if __name__ == "__main__":
    main()
