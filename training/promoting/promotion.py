"""Which version serves: promoted through the gate, forced with a reason, or rolled back.

Bundle, log line, pointer, alias, in this order, and each may be repeated: a promotion that was
killed is put right by the next. The pointer alone decides what serves; it is moved whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import InputError, NotReadyError, RefusedError
from features.settings import Settings
from features.workspace import Workspace
from training.judging.gate import Condition, Verdict
from training.outcomes import chosen
from training.promoting import promotions
from training.promoting.promotions import Line
from training.records import bundle, registry
from training.records.registry import Candidate, candidate, model_name

Challenge = Callable[[Candidate, Candidate], Sequence[Condition]]


@dataclass(frozen=True)
class Promotion:
    """What is now current: serving reads `folder`. `forced`: the reason, where the gate refused."""

    outcome: str
    version: str
    former: str | None
    folder: Path
    conditions: tuple[Condition, ...]
    forced: str | None = None


def promote(
    workspace: Workspace,
    settings: Settings,
    outcome: str,
    version: str | None = None,
    *,
    challenge: Challenge | None = None,
    force: bool = False,
    reason: str | None = None,
) -> Promotion:
    """Make a version (None: the newest that was judged) the one that serving reads.

    `challenge` compares it with the champion (`compare.conditions`); it is asked only where there
    is another champion and the version stands by itself. `force` promotes in spite of the gate and
    needs a `reason`: both are recorded on the version, in its card and in the log.
    Raises NotReadyError when nothing was trained, InputError for an unknown version or a force
    without a reason, RefusedError with the reasons when the gate refuses.
    """
    chosen(settings, [outcome])
    if force and not (reason or "").strip():
        raise InputError("--force without a reason", expected="--reason with why the gate is wrong",
                         do="Say it: it is recorded.")  # fmt: skip
    found = candidate(workspace, outcome, version)
    conditions = list(found.verdict.conditions)
    former = bundle.current(workspace, outcome)
    if challenge and former and former != found.version and found.verdict.passed:
        conditions += challenge(candidate(workspace, outcome, former), found)
    judged = Verdict(tuple(conditions))
    if not judged.passed and not force:
        raise _refused(found, judged)
    forced = str(reason).strip() if force and not judged.passed else None
    folder = bundle.export(workspace, found, _card(found, judged, forced))
    if forced:
        registry.mark(workspace, outcome, found.version, forced=forced)
    move(workspace, "forced" if forced else "promote", outcome, found.version, reason, judged)
    return Promotion(outcome, found.version, former, folder, judged.conditions, forced)


def rollback(
    workspace: Workspace, settings: Settings, outcome: str, reason: str | None = None
) -> Promotion:
    """Go back to the champion before this one; once more goes one further back.

    A rollback that was killed before the alias moved is finished first, and goes no further.
    Raises NotReadyError when there is none before it, or its bundle is damaged.
    """
    chosen(settings, [outcome])
    now = bundle.current(workspace, outcome)
    if now is None:
        raise NotReadyError(f"nothing promoted for outcome '{outcome}'",
                            do="Run `goldpan promote` first.")  # fmt: skip
    champion = registry.champion(workspace, outcome)
    last = promotions.last(workspace, outcome, now)
    if last and last.what == "rollback" and champion != now:
        registry.crown(workspace, outcome, now)
        return Promotion(outcome, now, champion, workspace.bundles / outcome / now, ())
    if not last or not last.behind:
        raise NotReadyError(
            f"no champion of outcome '{outcome}' before version {now}",
            do="Name a version: `goldpan promote OUTCOME --version N`.",
        )
    back = last.behind[-1]
    folder = workspace.bundles / outcome / back
    if not bundle.whole(folder):
        raise NotReadyError(
            f"version {back} of outcome '{outcome}' without its whole bundle",
            do=f"Run `goldpan promote {outcome} --version {back}`: it is written again.",
        )
    move(workspace, "rollback", outcome, back, reason, None)
    return Promotion(outcome, back, now, folder, ())


def contenders(
    workspace: Workspace, settings: Settings, outcome: str, versions: Sequence[str]
) -> tuple[Candidate, Candidate]:
    """The two versions to compare: those named, or the champion and the newest.

    One name alone is held against the champion. Raises InputError for more than two, for twice the
    same, and NotReadyError without a champion to compare with.
    """
    chosen(settings, [outcome])
    if len(versions) > 2:
        raise InputError(f"{len(versions)} versions", expected="two", do="Name two.")
    named = list(versions)
    if len(named) < 2:
        now = bundle.current(workspace, outcome)
        if now is None:
            raise NotReadyError(f"nothing promoted for outcome '{outcome}' to compare with",
                                do="Name two versions, or run `goldpan promote`.")  # fmt: skip
        named.insert(0, now)
    one = candidate(workspace, outcome, named[0])
    other = candidate(workspace, outcome, named[1] if named[1:] else None)
    if one.version == other.version:
        raise InputError(f"version {one.version} twice", expected="two different versions",
                         do="Train another, or name two.")  # fmt: skip
    return one, other


def move(
    workspace: Workspace,
    what: str,
    outcome: str,
    version: str,
    reason: str | None,
    judged: Verdict | None,
) -> None:
    """Write the log line, then move the pointer, then the alias."""
    now = bundle.current(workspace, outcome)
    if now != version:
        last = promotions.last(workspace, outcome, now)
        behind = last.behind if last else ()
        stack = behind[:-1] if what == "rollback" else (*behind, *([now] if now else []))
        failed = judged.reasons if judged else ()
        promotions.append(workspace, Line(what, outcome, now, version, stack, reason, failed))
    bundle.point(workspace, outcome, version)
    registry.crown(workspace, outcome, version)


def _card(found: Candidate, judged: Verdict, forced: str | None) -> dict[str, Any]:
    """The card with what the gate said at promotion."""
    told: dict[str, Any] = {"verdict": judged.as_dict()}
    if forced:
        told["forced"] = {"reason": forced, "conditions": list(judged.reasons)}
    return {**found.files["card.json"], **told}


def _refused(found: Candidate, verdict: Verdict) -> RefusedError:
    reasons = "".join(f"\n  {reason}" for reason in verdict.reasons)
    return RefusedError(
        f"{len(verdict.reasons)} condition(s) that version {found.version} of "
        f"{model_name(found.outcome)} does not meet:{reasons}\n",
        do="It stays registered; what is being served was not changed.",
    )
