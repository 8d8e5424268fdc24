"""When a feature cannot be computed: which one, and for which account."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.declare import Feature
from features.errors import GoldpanError, InputError, from_outside

Trial = Callable[[Feature, pd.DataFrame], object]


@contextmanager
def located(features: Sequence[Feature], points: pd.DataFrame, trial: Trial) -> Iterator[None]:
    """Let an error of the engine name the feature and the account that it comes from.

    `trial` computes one feature for some points. What cannot be put down to one feature is raised
    as it came.
    """
    try:
        yield
    except GoldpanError:
        raise
    except Exception as error:
        if from_outside(error) is not None:
            raise
        for feature in features:
            if (cause := _fails(trial, feature, points)) is not None:
                account = _account(trial, feature, points)
                raise _refused(feature, account, _first_line(cause)) from error
        raise


def check_finite(rows: pa.Table, features: Sequence[Feature]) -> pa.Table:
    """The rows, unless a number in them is infinite; raises InputError that names it."""
    for feature in features:
        if feature.categorical:
            continue
        infinite = pc.is_inf(rows[feature.name])
        if pc.any(infinite).as_py():
            row = rows.filter(infinite).slice(0, 1).to_pylist()[0]
            account = f"account '{row['account_id']}' on {row['as_of']}"
            raise _refused(feature, account, "a number without bound")
    return rows


def _refused(feature: Feature, account: str, why: str) -> InputError:
    return InputError(
        f"feature '{feature.name}' that cannot be computed for {account}: {why}",
        expected=f"a number or a word: {feature.meaning}",
        do="Look at that account's rows in the lake, and at the feature's declaration in "
        "features/signals/. No table was changed.",
    )


def _fails(trial: Trial, feature: Feature, points: pd.DataFrame) -> Exception | None:
    try:
        trial(feature, points)
    except Exception as error:
        return error
    return None


def _account(trial: Trial, feature: Feature, points: pd.DataFrame) -> str:
    """The first account of the points on which a feature fails, by halving."""
    accounts = points["account_id"].drop_duplicates().tolist()
    while len(accounts) > 1:
        half = accounts[: len(accounts) // 2]
        mine = points[points["account_id"].isin(half)]
        accounts = half if _fails(trial, feature, mine) else accounts[len(half) :]
    return f"account '{accounts[0]}'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
