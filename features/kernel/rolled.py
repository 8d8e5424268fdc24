"""The rollups of some days, as arrays: what `features.rollups.daily` says in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.kernel.events import LAST, Events, Flags, Names, known_events, working_week
from features.kernel.order import Floats, Ints, changes, summed
from features.kernel.rows import coded
from features.kernel.sessions import Spent, spent, uses_of
from features.rollups.daily import SPENT, USE_MEASURES, VALUES, measure_events
from features.settings import Settings

Columns = dict[str, NDArray[Any]]
"""A rollup: numbers of accounts, users or events, days, then what is counted; sorted by week."""
DATED = ("week", "account_id", "day", "visible_from")
USED = (*SPENT, "core", "active")


def rollups(
    rows: pa.Table, settings: Settings, span: tuple[datetime, datetime], first: int
) -> tuple[dict[str, Columns], Names]:
    """Each rollup's days from the first on; `rows` as `known_events` takes them, `span` has all."""
    events, names = known_events(rows)
    by_user = _user_day(events, names, settings, span)
    by_user = {c: part[by_user["day"] >= first] for c, part in by_user.items()}
    by_event = _account_event_day(events.those(events.day >= first))
    by_day = _account_day(by_event, by_user, names, settings)
    return {
        "account_day": _settled(by_day, ()),
        "account_event_day": _settled(by_event, ("event",)),
        "user_day": _settled(by_user, ("user_id",)),
    }, names


def _summed(keys: Mapping[str, Ints], numbers: Mapping[str, Floats]) -> Columns:
    """The rows with equal keys as one, sorted by week, then by account and day."""
    every = {"week": keys["day"] // 7, **{c: keys[c] for c in DATED[1:]}, **keys}
    found, sums = summed(list(every.values()), list(numbers.values()))
    return dict(zip(every, found, strict=True)) | dict(zip(numbers, sums, strict=True))


def _account_event_day(events: Events) -> Columns:
    """How often each event happened."""
    keys, sign, value = _changed(events, {"account_id": events.account, "event": events.event})
    return _summed(keys, {"n": sign, "value": value})


def _changed(events: Events, of: Mapping[str, Ints]) -> tuple[dict[str, Ints], Floats, Floats]:
    """What events add from the day on which they are seen, and take back when no longer.

    Returns keys, 1 or -1, and the value or what is less of it.
    """
    gone = events.until < LAST
    keys = {**of, "day": events.day}
    both = {c: np.concatenate([part, part[gone]]) for c, part in keys.items()}
    both["visible_from"] = np.concatenate([events.visible, events.until[gone]])
    sign = np.repeat([1.0, -1.0], [len(gone), gone.sum()])
    return both, sign, np.concatenate([events.value, -events.value[gone]])


def _user_day(
    events: Events, names: Names, settings: Settings, span: tuple[datetime, datetime]
) -> Columns:
    """What each user did: uses, sessions, minutes, completed core use cases."""
    packed = events.account * max(1, len(names.user)) + events.user
    pair, different = coded(pa.chunked_array([packed]))
    used = ~names.among([*settings.events.passive, *settings.events.notifications_shown])
    which = used[events.event]
    uses = events.those(which)
    week = working_week(uses.time, settings, span)
    parts = [_spent(part) for part in spent(uses_of(uses, pair[which], week))]
    for column, listed in (("core", settings.events.core_use_cases),
                           ("minutes", settings.events.minutes)):  # fmt: skip
        parts.append(_listed(events, pair, names.among(listed), column))
    keys = {c: np.concatenate([k[c] for k, _ in parts]) for c in ("pair", "day", "visible_from")}
    zeros = [np.zeros(len(k["pair"])) for k, _ in parts]
    numbers = {
        c: np.concatenate([n.get(c, z) for (_, n), z in zip(parts, zeros, strict=True)])
        for c in USED
    }
    whose = different.to_numpy()[keys.pop("pair")]
    keys["account_id"], keys["user_id"] = np.divmod(whose, max(1, len(names.user)))
    return _summed(keys, numbers)


def _spent(part: Spent) -> tuple[dict[str, Ints], dict[str, Floats]]:
    keys = {"pair": part.pair, "day": part.day, "visible_from": part.visible}
    names = (*SPENT, "active")
    return keys, {name: part.numbers[:, i] for i, name in enumerate(names)}


def _listed(
    events: Events, pair: Ints, listed: Flags, column: str
) -> tuple[dict[str, Ints], dict[str, Floats]]:
    """Listed events by user, whether they are uses or not: how often, or the sum of `minutes`."""
    which = listed[events.event]
    keys, sign, value = _changed(events.those(which), {"pair": pair[which]})
    return keys, {column: value if column == "minutes" else sign}


def _account_day(by_event: Columns, by_user: Columns, names: Names, settings: Settings) -> Columns:
    """The account's daily measures."""
    use, group = _grouped(by_user)
    used = {"events": "n", "user_days": "active"}
    for name in (c for c in USE_MEASURES if c != "active"):
        use[name] = np.bincount(group, by_user[used.get(name, name)], len(use["day"]))
    use["active"] = _first_shown(use)
    counts, group = _grouped(by_event)
    size, more = len(use["day"]), len(counts["day"])
    keys = {c: np.concatenate([use[c], counts[c]]) for c in DATED[1:]}
    numbers = {c: np.concatenate([use[c], np.zeros(more)]) for c in USE_MEASURES}
    for name, (number, listed) in _lists(names, settings).items():
        which = listed[by_event["event"]]
        sums = np.bincount(group[which], by_event[number][which], more)
        numbers[name] = np.concatenate([np.zeros(size), sums])
    return _summed(keys, numbers)


def _grouped(rows: Columns) -> tuple[Columns, Ints]:
    """The different accounts, days and mornings of a rollup, and for each row the number of its."""
    keys = [rows[c] for c in DATED]
    first = np.logical_or.reduce([changes(key) for key in keys])
    return {c: key[first] for c, key in zip(DATED, keys, strict=True)}, np.cumsum(first) - 1


def _first_shown(use: Columns) -> Floats:
    """1 on the row that first shows a use of its account and day, -1 on one that takes it back."""
    begins = np.flatnonzero(changes(use["account_id"]) | changes(use["day"]))
    total = np.cumsum(use["events"])
    before = np.repeat((total - use["events"])[begins], np.diff(np.append(begins, len(total))))
    so_far = total - before
    return (so_far > 0).astype(np.float64) - (so_far - use["events"] > 0)


def _lists(names: Names, settings: Settings) -> dict[str, tuple[str, Flags]]:
    """The settings' lists: measure → whether n or value of each event is summed, and of which."""
    counts = {c: ("n", names.among(events)) for c, events in measure_events(settings).items()}
    values = {
        c: ("value", names.among(events))
        for c, stem in VALUES.items()
        if (events := getattr(settings.events, stem))
    }
    return counts | values


def _settled(rows: Columns, key: Sequence[str]) -> Columns:
    """The rows with `settled`: seen the morning after, and nothing of that day taken back."""
    numbers = [c for c in rows if c not in (*DATED, *key)]
    taken = np.logical_or.reduce([rows[c] < 0 for c in numbers])
    settled = rows["visible_from"] == rows["day"] + 1
    if taken.any():
        packed = np.zeros(len(taken), dtype=np.int64)
        for part in (rows[c] for c in ("account_id", *key, "day")):
            packed = packed * int(part.max() - part.min() + 1) + (part - part.min())
        settled &= ~np.isin(packed, np.unique(packed[taken]))
    return rows | {"settled": settled}
