"""The gate: what a model must show before it may be promoted, each condition with its figure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.dataset import Leak
from training.evaluate import Figure

FEWEST_TEST_POSITIVES = 30
# On data without any signal AUC's interval can end just above 0.5 by luck; skill then stays at 0.
LEAST_SKILL = 0.01


@dataclass(frozen=True)
class Condition:
    """One thing asked of a model, whether it holds, and the figure that says so."""

    what: str
    passed: bool
    figure: str

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}: {self.what}: {self.figure}"


@dataclass(frozen=True)
class Verdict:
    """All conditions of one model."""

    conditions: tuple[Condition, ...]

    @property
    def passed(self) -> bool:
        """Whether the model may be promoted."""
        return all(c.passed for c in self.conditions)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it may not."""
        return tuple(f"{c.what}: {c.figure}" for c in self.conditions if not c.passed)

    def as_dict(self) -> dict[str, Any]:
        """For `verdict.json`."""
        return {"passed": self.passed, "conditions": [asdict(c) for c in self.conditions]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Verdict":
        """Back from `verdict.json`."""
        return cls(tuple(Condition(**c) for c in values["conditions"]))


def judge(
    figures: Mapping[str, Figure],
    differences: Mapping[str, Mapping[str, Figure]],
    leaks: Sequence[Leak],
    positives: int,
) -> Verdict:
    """Judge a model by its figures on the test period.

    `differences`: baseline → metric → (ours less theirs). A model fails against a baseline when the
    paired 95 % interval of the difference lies wholly on the worse side.
    """
    auc, skill = figures["auc"], figures["log_loss_skill"]
    conditions = [
        Condition(f"at least {FEWEST_TEST_POSITIVES} positives in the test period",
                  positives >= FEWEST_TEST_POSITIVES, str(positives)),
        Condition("better than chance (lower end of AUC above 0.5)", auc.low > 0.5, str(auc)),
        Condition("log loss better than the training prevalence by a hundredth (skill from +0.01)",
                  skill.value >= LEAST_SKILL, f"{skill.value:+.3f}"),
        *_against(differences),
        *_leaks(leaks),
    ]  # fmt: skip
    return Verdict(tuple(conditions))


def _against(differences: Mapping[str, Mapping[str, Figure]]) -> list[Condition]:
    """Not worse than any baseline in AUC, nor than the logistic in log loss."""
    found = []
    for name, metrics in differences.items():
        auc = metrics["auc"]
        found.append(Condition(f"AUC not worse than {name}", auc.high >= 0, f"difference {auc}"))
    if loss := differences.get("logistic", {}).get("log_loss"):
        figure = f"difference {loss.value:+.5f} ({loss.low:+.5f} to {loss.high:+.5f})"
        found.append(Condition("log loss not worse than logistic", loss.low <= 0, figure))
    return found


def _leaks(leaks: Sequence[Leak]) -> list[Condition]:
    alarms = [leak for leak in leaks if leak.alarm]
    if not alarms:
        return [Condition("no feature knows the outcome", True, "no alarm")]
    return [
        Condition(f"feature '{leak.feature}' does not know the outcome", False, leak.evidence)
        for leak in alarms
    ]
