"""How well the model does on the test rows: calibration, lists, precision, scores, profit."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from training.dataset import Floats
from training.judging import worklist
from training.judging.calibrated import bins
from training.records.plots.style import (
    BLUE,
    GOLD,
    INK,
    MUTED,
    Drawn,
    canvas,
    legend,
    named,
    percent,
    styled,
)

STEADY = 0.02  # recall from which on precision is drawn; before it, it rests on a handful of rows


def calibration(drawn: Drawn) -> Figure:
    """Observed share against predicted probability in tenths of the rows, with 95 % intervals."""
    figure, ax = canvas(drawn, "predicted and observed", "Predicted probability", "Observed share")
    expected, observed, low, high, _ = bins(drawn.probability, drawn.y)
    top = 1.08 * max(float(high.max()), float(expected.max()))
    ax.plot([0, top], [0, top], color=MUTED, lw=1, ls=(0, (4, 3)), label="perfect")
    ax.vlines(expected, low, high, color=GOLD, lw=2, alpha=0.55)
    ax.plot(expected, observed, "o", color=GOLD, ms=6, label="a tenth of the test rows, 95 %")
    ax.set(xlim=(0, top), ylim=(0, top))
    percent(ax)
    legend(ax, "upper left")
    return figure


def gains(drawn: Drawn) -> Figure:
    """The share of positives found among the highest-scored share of rows."""
    figure, ax = canvas(drawn, "found by working the list from the top",
                         "Share of the list worked", "Share of outcomes found")  # fmt: skip
    for name, score, style in styled(drawn.scores):
        share, found = gained(score, drawn.y)
        ax.plot(
            share,
            found,
            label=named(name, f"{np.interp(0.1, share, found):.0%} in top tenth"),
            **style,
        )
    ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)), label="by chance  10% in top tenth")
    ax.set(xlim=(0, 1), ylim=(0, 1.01))
    percent(ax)
    legend(ax, "lower right")
    return figure


def precision_recall(drawn: Drawn) -> Figure:
    """Precision against recall, with the base rate."""
    figure, ax = canvas(drawn, "precision and recall", "Recall", "Precision")
    highest = 0.0
    for name, score, style in styled(drawn.scores):
        recall, precision = traced(score, drawn.y)
        steady = recall >= STEADY
        recall, precision = recall[steady], precision[steady]
        highest = max(highest, float(precision.max(initial=0)))
        ax.plot(recall, precision, label=named(name), **style)
    rate = float(drawn.y.mean())
    ax.axhline(rate, color=MUTED, lw=1, ls=(0, (4, 3)), label=f"base rate {rate:.1%}")
    ax.set(xlim=(0, 1), ylim=(0, min(1.02, 1.15 * max(highest, rate))))
    percent(ax)
    legend(ax, "upper right")
    return figure


def distribution(drawn: Drawn) -> Figure:
    """How scores are spread among the rows with the outcome and those without."""
    figure, ax = canvas(drawn, "how scores are spread", "Predicted probability", "Share of rows")
    p = np.clip(drawn.probability, 1e-4, 1 - 1e-4)
    edges = np.geomspace(p.min() * 0.98, p.max() * 1.02, 36)
    groups = (("without the outcome", p[drawn.y == 0], BLUE), ("with it", p[drawn.y == 1], GOLD))
    for name, scores, tint in groups:
        heights, _ = np.histogram(scores, edges)
        share = heights / max(len(scores), 1)
        ax.stairs(share, edges, color=tint, fill=True, alpha=0.32)
        middle = float(np.median(scores))
        text = f"{name}: {len(scores):,}, median {middle:.1%}"
        ax.stairs(share, edges, color=tint, lw=1.6, label=text)
        ax.vlines(middle, 0, share.max(), color=tint, lw=1.4, ls=(0, (4, 3)))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g}%"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g}%"))
    ax.set_ylim(0, 1.28 * ax.get_ylim()[1])
    ax.tick_params(which="minor", length=0)
    legend(ax, "upper right")
    return figure


def profit(drawn: Drawn) -> Figure | None:
    """What working the list is worth, by p × MRR, by p and by MRR alone; None without MRR."""
    if drawn.contact is None or not (drawn.test.mrr * drawn.y).any():
        return None
    contact = drawn.contact
    figure, ax = canvas(drawn, "what working the list is worth", "Share of the list worked",
                        f"Kept less contacts, {drawn.currency} a list")  # fmt: skip
    mrr = drawn.test.mrr
    lists = (("MRR alone", mrr, MUTED, 1.3), ("p", drawn.probability, BLUE, 1.3),
             ("p × MRR", drawn.probability * mrr, GOLD, 2.6))  # fmt: skip
    for name, score, tint, width in lists:
        share, money = worklist.profit(score, drawn.test, contact)
        best = int(np.argmax(money))
        label = f"{name}  most at {share[best]:.0%}"
        ax.plot(share, money, color=tint, lw=width, label=label)
    ax.plot(share[best], money[best], "o", color=GOLD, ms=6)
    ax.axhline(0, color=MUTED, lw=1)
    said = (f"Assumed: a contact costs {contact.cost:g}, and keeps {contact.works:.0%} of\n"
            f"those who would leave, for {contact.months} months.")  # fmt: skip
    ax.text(0.02, 0.03, said, transform=ax.transAxes, color=INK, fontsize=8.5, va="bottom")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.3g}%"))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    most = float(money.max())
    ax.set(xlim=(0, 1), ylim=(-1.2 * max(most, 1.0), 1.35 * max(most, 1.0)))
    legend(ax, "upper right")
    return figure


def gained(score: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Share of rows taken from the top, share of positives among them.

    >>> [v.tolist() for v in gained(np.array([2.0, 1.0]), np.array([1.0, 0.0]))]
    [[0.0, 0.5, 1.0], [0.0, 1.0, 1.0]]
    """
    ranked = y[np.argsort(-score, kind="stable")]
    share = np.arange(len(y) + 1) / len(y)
    return share, np.append(0.0, np.cumsum(ranked)) / y.sum()


def traced(score: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Recall and precision at each distinct score, from the top."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.nonzero(np.diff(score[order]))[0], len(y) - 1)
    hits = np.cumsum(y[order])[ends]
    return hits / y.sum(), hits / (ends + 1)
