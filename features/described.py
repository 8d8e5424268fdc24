"""The catalogue as a page for people: `python -m features.described > docs/features.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from features.catalog import GROUPS, catalogue
from features.declare import Catalogue, Feature
from features.read_settings import load_settings
from features.settings import Settings

RISE = {1: "good news", 0: "neither", -1: "bad news"}
HEAD = """\
# The features

Generated from the declarations in [`features/signals/`](../features/signals) by `make docs`, for
the settings of the sample company ([`goldpan.toml`](../goldpan.toml)): {number} features of
{signals} signals. Which features there are depends on the settings; with other lists of events,
limits, milestones and journeys there are others.

**What a feature may see.** Each is a number (or a word) for an account at an `as_of`, the midnight
UTC that begins a day: it sees what happened before that midnight and was known by then, and nothing
else. The plan, the seats, the limits and the members are those known then. A window of 28 days is
the 28 whole days before `as_of`. What is learnt later, late events included, changes no cell.

**A rise** says what a higher number means for the account's health: a hint to readers, held by
training only where a feature is declared monotone (†).

**Missing** stands where a ratio would divide by nothing, or where nothing is known. It is not zero.

**Add one.** Declare it in one of the files of [`features/signals/`](../features/signals), in the
algebra of [`features/algebra.py`](../features/algebra.py). SQL, this page, the wording of reasons
and the models' contract follow from the declaration.

## The Customer Behavior Index

The index and its five parts (frequency, time, use cases, breadth, notifications) come from
"Mastering Product Experience in SaaS". Each part is the mean of the standings of its measures among
the account's peers of the day, and the index is the mean of its parts, all from 0 to 100:

    standing = 100 x (peers below + half of the peers equal, itself included) / peers

This is the mid-rank percentile: half of the peers stand below 50, ties share a place, and no
account's outlier moves another's number by more than one place. Peers are all accounts that are
known on that day and of the same population (prospects, customers, former customers). Numbers are
compared at six decimals, and a missing one counts as 0. A part that the settings cannot fill
(without notifications there is no click rate) is left out of the mean.

| part | the standings of (28 days each) |
|---|---|
{parts}

The *value gap* is expected less delivered use. Expected is the median over the day's accounts of
the same population, plan and size band (users: 0-1, 2-4, 5-9, 10-24, 25-99, 100 and more).
"""
PARTS = {
    "frequency": "active days, users active per day, logins",
    "time": "minutes, minutes per session",
    "use cases": "core use cases completed, different ones",
    "breadth": "different features used, how evenly use spreads over them",
    "notifications": "messages clicked, clicked of shown",
}


def page(settings: Settings) -> str:
    """The catalogue of these settings in Markdown."""
    declared = catalogue(settings)
    parts = "\n".join(f"| {part} | {words} |" for part, words in PARTS.items())
    head = HEAD.format(number=len(declared.features), signals=len(declared.signals), parts=parts)
    return "\n".join([head, *_groups(declared)])


def _groups(declared: Catalogue) -> Iterator[str]:
    for group, title in GROUPS.items():
        mine = [f for f in declared.features if f.group == group]
        if not mine:
            continue
        yield f"## {title}\n"
        yield "| feature | meaning | unit | window, days | a rise | signal |"
        yield "|---|---|---|---|---|---|"
        yield from (_row(f, declared) for f in mine)
        yield ""


def _row(f: Feature, declared: Catalogue) -> str:
    held = " †" if f.monotone else ""
    window = "" if f.window is None else str(f.window)
    label = declared.signals[f.signal].label
    return (
        f"| `{f.name}` | {f.meaning} | {f.unit} | {window} | {RISE[f.direction]}{held} | {label} |"
    )


if __name__ == "__main__":
    sys.stdout.write(page(load_settings(Path("goldpan.toml"))))
