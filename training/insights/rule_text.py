"""A rule that was found, as text for `goldpan.toml`: pasted at its end it is a PQL rule."""

import tomllib
from collections.abc import Sequence
from typing import Any

from features.lifecycle.rules import check_rules
from features.read_settings import parse_settings
from features.settings import Milestone, Settings
from training.insights.rules import Pattern


def toml(pattern: Pattern, steps: Sequence[Milestone], settings: Settings, simulated: bool) -> str:
    """The rule as TOML, with the milestones that the settings do not have yet.

    `steps`: the steps that rules are made of, by name. Checked by the reader of the settings
    before it is given out: what it returns can be pasted.
    """
    known = {m.name for m in settings.milestones}
    wanted = {m.name: m for m in steps if m.name in pattern.steps}
    parts = [_milestone(wanted[name]) for name in pattern.order if name not in known]
    text = "\n\n".join([*parts, _rule(pattern, simulated)]) + "\n"
    check(text, settings)
    return text


def check(text: str, settings: Settings) -> Settings:
    """The settings with the text added at their end, as the reader of the settings takes it.

    Raises SettingsError where it does not.
    """
    added = tomllib.loads(text)
    values: dict[str, Any] = settings.model_dump(exclude_unset=True)
    values["milestones"] = [*values.get("milestones", ()), *added.get("milestones", ())]
    lifecycle = dict(values.get("lifecycle", {}))
    lifecycle["pql"] = [*lifecycle.get("pql", ()), *added["lifecycle"]["pql"]]
    whole = parse_settings(values | {"lifecycle": lifecycle}, "the settings with the rule")
    check_rules(whole)
    return whole


def _milestone(step: Milestone) -> str:
    lines = ["[[milestones]]", f"name = {_quoted(step.name)}", f"event = {_quoted(step.event)}"]
    return "\n".join([*lines, *([f"count = {step.count}"] if step.count > 1 else [])])


def _rule(pattern: Pattern, simulated: bool) -> str:
    later = pattern.later
    source = "simulated data; " if simulated else ""
    said = (
        f"# Found by goldpan insights ({source}association, not cause). On later sign-ups:\n"
        f"# {later.met:,} of {later.accounts:,} accounts met it, {later.precision:.0%} of them "
        f"bought (all: {later.base:.0%}): lift {later.lift.value:.2f}, "
        f"{later.lift.low:.2f} to {later.lift.high:.2f}."
    )
    names = ", ".join(_quoted(n) for n in pattern.order)
    days = ", ".join(f'days_to_{n} = "<= {pattern.within_days}"' for n in pattern.order)
    return f"{said}\n[[lifecycle.pql]]\nmilestones = [{names}]\nfeatures = {{ {days} }}"


def _quoted(text: str) -> str:
    r"""A TOML basic string.

    >>> _quoted('a "b"')
    '"a \\"b\\""'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
