"""The backtest over time: the AUC of each cut-off, accounts seen and never seen, and baselines."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.evaluate import Figure as Value
from training.judging.backtested import CutOffFigures
from training.records.plots.style import BLUE, GOLD, INK, MUTED, Drawn, canvas, colour, named

SHIFTS = {"all": 0.0, "seen": -0.09, "unseen": 0.09}


def backtest(drawn: Drawn) -> Figure | None:
    """AUC with its 95 % interval at each cut-off; None without a cut-off."""
    cuts = drawn.backtest
    if not cuts:
        return None
    figure, ax = canvas(drawn, "refitted at each cut-off, judged on the days after it", "",
                        "AUC on the days after the gap", (8.6, 5.2))  # fmt: skip
    x = np.arange(len(cuts))
    for name in cuts[0].baselines:
        values = [cut.baselines[name]["auc"].value if name in cut.baselines else np.nan
                  for cut in cuts]  # fmt: skip
        ax.plot(x, values, "o-", color=colour(name), lw=1.2, ms=3.5, label=named(name))
    whole = [cut.figures["auc"] for cut in cuts]
    ax.plot(x, [f.value for f in whole], color=GOLD, lw=2.6)
    _marks(ax, "all", whole, GOLD, "o", "model, 95 %")
    _marks(ax, "seen", [c.seen for c in cuts], INK, "s", "model: accounts learnt from")
    _marks(ax, "unseen", [c.unseen for c in cuts], BLUE, "D", "model: accounts never seen")
    ax.axhline(0.5, color=MUTED, lw=1, ls=(0, (4, 3)))
    ax.text(-0.38, 0.5, "chance", color=MUTED, fontsize=8.5, va="bottom")
    ax.set_xticks(x, [_told(cut) for cut in cuts])
    ax.set_xlim(-0.4, len(cuts) - 0.6)
    ax.set_ylim(*_limits(cuts))
    ax.grid(visible=False, axis="x")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4,
                  frameon=False, fontsize=9, labelcolor=INK)  # fmt: skip
    return figure


def _marks(
    ax: Axes, which: str, values: Sequence[Value | None], tint: str, mark: str, label: str
) -> None:
    known = [(i, v) for i, v in enumerate(values) if v is not None and np.isfinite(v.value)]
    if not known:
        return
    x = np.array([i for i, _ in known]) + SHIFTS[which]
    ax.vlines(x, [v.low for _, v in known], [v.high for _, v in known], color=tint, lw=2, alpha=0.5)
    ax.plot(x, [v.value for _, v in known], mark, color=tint, ms=6, label=label)


def _told(cut: CutOffFigures) -> str:
    return f"{cut.first}\nto {cut.last}\n{cut.positives:,} of {cut.rows:,}"


def _limits(cuts: Sequence[CutOffFigures]) -> tuple[float, float]:
    lows = [c.figures["auc"].low for c in cuts] + [0.5]
    lows += [f["auc"].value for c in cuts for f in c.baselines.values()]
    lows += [f.low for c in cuts for f in (c.seen, c.unseen) if f]
    return max(0.0, float(np.nanmin(lows)) - 0.03), 1.0
