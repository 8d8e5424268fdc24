"""What the backtest says: each cut-off's figures beside its baselines', seen and never-seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.settings import Training
from training import evaluate, slices
from training.evaluate import Bootstrap, Figure
from training.fitting.backtest import CutOff
from training.judging import worklist


@dataclass(frozen=True)
class CutOffFigures:
    """One cut-off: what was learnt until when, what it was judged on, and how well it did.

    `baselines`: name → figure → value. `seen`: AUC among accounts that were learnt from, `unseen`
    among the others; None where a slice is too small to be told.
    """

    until: str
    first: str
    last: str
    learnt_positives: int
    rows: int
    positives: int
    figures: Mapping[str, Figure]
    baselines: Mapping[str, Mapping[str, Figure]]
    seen: Figure | None
    unseen: Figure | None


def backtested(cut_offs: Sequence[CutOff], training: Training) -> tuple[CutOffFigures, ...]:
    """The figures of each cut-off, oldest first."""
    return tuple(_judged(cut, training) for cut in cut_offs)


def _judged(cut: CutOff, training: Training) -> CutOffFigures:
    test = cut.test
    sample = Bootstrap.of(test.account, training.bootstrap, training.seed)

    def drawn(margin: Any) -> evaluate.Draws:
        return evaluate.draws(
            margin, test, sample, prevalence=cut.prevalence, capacity=training.capacity
        )

    ours = cut.margins["model"]
    groups = {"seen": cut.seen, "unseen": ~cut.seen}
    auc = slices.sliced(ours, test, sample, groups)
    return CutOffFigures(
        until=str(cut.until),
        first=str(test.as_of.min()),
        last=str(test.as_of.max()),
        learnt_positives=cut.positives,
        rows=len(test.y),
        positives=int(test.y.sum()),
        figures=drawn(ours).figures()
        | worklist.figures(worklist.worked(ours, test, sample, training.capacity)),
        baselines={n: drawn(m).figures() for n, m in cut.margins.items() if n != "model"},
        seen=auc.get("seen"),
        unseen=auc.get("unseen"),
    )
