"""The gate: what a model must show before it may be promoted, each condition with its figure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.dataset import Leak
from training.evaluate import Figure
from training.judging.backtested import CutOffFigures

FEWEST_TEST_POSITIVES = 30
# On data without any signal AUC's interval can end just above 0.5 by luck; skill then stays at 0.
LEAST_SKILL = 0.01
# Agreement of reasons under a refit on a bootstrap of accounts, weighed by their size. By names
# alone the sample company's models reach .47 to .72 at 500 to 2,400 positives: of 59 signals many
# tell the same and change places. By weight .69 to .87; under 500 positives .28 to .78, by luck.
LEAST_AGREEMENT = 0.5
ENOUGH_FOR_REASONS = 500  # positives learnt from; below, the card says that reasons are unsteady
CALIBRATED = (
    ("observed_expected", "observed over expected", (0.9, 1.1)),
    ("calibration_slope", "slope of the calibration", (0.8, 1.2)),
)


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
    cut_offs: Sequence[CutOffFigures] = (),
    agreement: float | None = None,
) -> Verdict:
    """Judge a model by its figures on the test period, its backtest and a refit.

    `differences`: baseline → metric → (ours less theirs). A model fails against a baseline when the
    paired 95 % interval of the difference lies wholly on the worse side. `agreement`: by
    weight, of `training.judging.stability`; None where there are too few positives to ask it.
    """
    auc, skill = figures["auc"], figures["log_loss_skill"]
    conditions = [
        Condition(f"at least {FEWEST_TEST_POSITIVES} positives in the test period",
                  positives >= FEWEST_TEST_POSITIVES, str(positives)),
        Condition("better than chance (lower end of AUC above 0.5)", auc.low > 0.5, str(auc)),
        Condition("log loss better than the training prevalence by a hundredth (skill from +0.01)",
                  skill.value >= LEAST_SKILL, f"{skill.value:+.3f}"),
        *_against(differences),
        *_calibrated(figures),
        *_backtested(cut_offs),
        *_steady(agreement),
        *_leaks(leaks),
    ]  # fmt: skip
    return Verdict(tuple(conditions))


def _calibrated(figures: Mapping[str, Figure]) -> list[Condition]:
    """Probabilities that mean what they say; an interval that reaches the band is no failure."""
    found = []
    for name, what, (low, high) in CALIBRATED:
        if (figure := figures.get(name)) is not None:
            inside = low <= figure.value <= high
            reaches = figure.low <= high and figure.high >= low
            text = f"{what} within {low} to {high}, or its interval reaches there"
            found.append(Condition(text, inside or reaches, str(figure)))
    return found


def _backtested(cut_offs: Sequence[CutOffFigures]) -> list[Condition]:
    """Better than chance at every cut-off that holds enough positives to tell."""
    told = [c for c in cut_offs if c.positives >= FEWEST_TEST_POSITIVES]
    if not told:
        return []
    worst = min(told, key=lambda c: c.figures["auc"].value)
    auc = worst.figures["auc"]
    return [Condition(f"better than chance at each of {len(told)} cut-offs of the backtest",
                      auc.value > 0.5, f"least, learnt until {worst.until}: {auc}")]  # fmt: skip


def _steady(agreement: float | None) -> list[Condition]:
    if agreement is None:
        return []
    return [Condition("a refit on other accounts shares most of the weight of each score's top "
                      f"three reasons (from {LEAST_AGREEMENT})",
                      agreement >= LEAST_AGREEMENT, f"{agreement:.2f}")]  # fmt: skip


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
