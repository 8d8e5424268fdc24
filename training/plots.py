"""Pictures of a model: calibration, gains, precision and recall, what it looks at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from scipy.stats import beta, rankdata

from training.dataset import Floats

INK, MUTED, RULE, PAPER = "#22252b", "#6d7480", "#e4e6ea", "#ffffff"
GOLD, BLUE = "#b8860b", "#2f6690"
OTHERS = ("#2f6690", "#7aa095", "#a05c7b", "#8d8d8d")
LOW_TO_HIGH = LinearSegmentedColormap.from_list("goldpan", ["#2f6690", "#b9c4cc", "#c98a00"])
BINS = 10
SHOWN = 12
STEADY = 0.02  # recall from which on precision is drawn; before it, it rests on a handful of rows


@dataclass(frozen=True)
class Drawn:
    """What the pictures are made of: the test rows and a sample of them with contributions.

    `scores`: "model" and the baselines, any increasing scale. `contributions` and `values`: sampled
    rows × columns, on the log-odds; `labels`: each column's name; `signals`: its signal's label.
    """

    title: str
    note: str
    y: Floats
    probability: Floats
    scores: Mapping[str, Floats]
    contributions: Floats
    values: NDArray[np.float32]
    labels: Sequence[str]
    signals: Sequence[str]


def pictures(drawn: Drawn) -> dict[str, Figure]:
    """File name (without .png) → picture."""
    return {
        "calibration": calibration(drawn),
        "gains": gains(drawn),
        "precision_recall": precision_recall(drawn),
        "contributions": beeswarm(drawn),
        "signals": signals(drawn),
    }


def calibration(drawn: Drawn) -> Figure:
    """Observed share against predicted probability in tenths of the rows, with 95 % intervals."""
    figure, ax = _canvas(drawn, "predicted and observed", "Predicted probability", "Observed share")
    expected, observed, low, high = binned(drawn.probability, drawn.y)
    top = 1.08 * max(float(high.max()), float(expected.max()))
    ax.plot([0, top], [0, top], color=MUTED, lw=1, ls=(0, (4, 3)), label="perfect")
    ax.vlines(expected, low, high, color=GOLD, lw=2, alpha=0.55)
    ax.plot(expected, observed, "o", color=GOLD, ms=6, label="a tenth of the test rows, 95 %")
    ax.set(xlim=(0, top), ylim=(0, top))
    _percent(ax)
    _legend(ax, "upper left")
    return figure


def gains(drawn: Drawn) -> Figure:
    """The share of positives found among the highest-scored share of rows."""
    figure, ax = _canvas(drawn, "found by working the list from the top",
                         "Share of the list worked", "Share of outcomes found")  # fmt: skip
    for name, score, style in _styled(drawn.scores):
        share, found = gained(score, drawn.y)
        ax.plot(
            share,
            found,
            label=_named(name, f"{np.interp(0.1, share, found):.0%} in top tenth"),
            **style,
        )
    ax.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)), label="by chance  10% in top tenth")
    ax.set(xlim=(0, 1), ylim=(0, 1.01))
    _percent(ax)
    _legend(ax, "lower right")
    return figure


def precision_recall(drawn: Drawn) -> Figure:
    """Precision against recall, with the base rate."""
    figure, ax = _canvas(drawn, "precision and recall", "Recall", "Precision")
    highest = 0.0
    for name, score, style in _styled(drawn.scores):
        recall, precision = traced(score, drawn.y)
        steady = recall >= STEADY
        recall, precision = recall[steady], precision[steady]
        highest = max(highest, float(precision.max(initial=0)))
        ax.plot(recall, precision, label=name, **style)
    rate = float(drawn.y.mean())
    ax.axhline(rate, color=MUTED, lw=1, ls=(0, (4, 3)), label=f"base rate {rate:.1%}")
    ax.set(xlim=(0, 1), ylim=(0, min(1.02, 1.15 * max(highest, rate))))
    _percent(ax)
    _legend(ax, "upper right")
    return figure


def beeswarm(drawn: Drawn) -> Figure:
    """Each sampled row's contribution of the strongest features, coloured by the value."""
    figure, ax = _canvas(drawn, "what moves the score", "Contribution to the log-odds", "",
                         size=(8.6, 5.6))  # fmt: skip
    strongest = np.argsort(-np.abs(drawn.contributions).mean(axis=0))[:SHOWN][::-1]
    for place, column in enumerate(strongest):
        x = drawn.contributions[:, column]
        shade = ranks(drawn.values[:, column])
        known = ~np.isnan(shade)
        y = place + spread(x)
        ax.scatter(x[~known], y[~known], s=7, c="#c9ccd1", lw=0, rasterized=True)
        ax.scatter(x[known], y[known], s=7, c=shade[known], cmap=LOW_TO_HIGH, vmin=0, vmax=1, lw=0,
                   rasterized=True)  # fmt: skip
    ax.axvline(0, color=MUTED, lw=1)
    ax.set_yticks(range(len(strongest)), [drawn.labels[c] for c in strongest])
    ax.set_ylim(-0.6, len(strongest) - 0.4)
    ax.grid(visible=False, axis="x")
    ax.grid(visible=True, axis="y", color=RULE, lw=0.8)
    _scale(figure, ax)
    return figure


def signals(drawn: Drawn) -> Figure:
    """Mean absolute contribution of each signal, its windows and changes summed first."""
    figure, ax = _canvas(drawn, "which signals count",
                         "Mean absolute contribution to the log-odds", "", (8.6, 5.2))  # fmt: skip
    sizes = weighed(drawn.contributions, drawn.signals)
    least = 0.005 * max(sizes.values(), default=0.0)
    counting = [item for item in sizes.items() if item[1] > least]
    shown = sorted(counting, key=lambda item: item[1])[-SHOWN:]
    bars = ax.barh([n for n, _ in shown], [v for _, v in shown], color=GOLD, height=0.62)
    ax.bar_label(bars, fmt="%.2f", padding=4, color=MUTED, fontsize=9)
    ax.set_xlim(0, 1.12 * max([v for _, v in shown] + [1e-9]))
    ax.grid(visible=False, axis="y")
    return figure


def binned(p: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean prediction, observed share and its 95 % interval (Jeffreys) in tenths by prediction."""
    parts = [part for part in np.array_split(np.argsort(p, kind="stable"), BINS) if len(part)]
    expected = np.array([p[part].mean() for part in parts])
    ones, sizes = np.array([y[part].sum() for part in parts]), np.array([len(q) for q in parts])
    low, high = beta.ppf([[0.025], [0.975]], ones + 0.5, sizes - ones + 0.5)
    return expected, ones / sizes, np.where(ones > 0, low, 0.0), high


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


def weighed(contributions: Floats, names: Sequence[str]) -> dict[str, float]:
    """Signal → mean absolute contribution of all its columns together.

    >>> weighed(np.array([[1.0, -1.0, 0.5]]), ["use", "use", "seats"])
    {'use': 0.0, 'seats': 0.5}
    """
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
    return {n: float(np.abs(contributions[:, c].sum(axis=1)).mean()) for n, c in groups.items()}


def ranks(values: NDArray[np.float32]) -> Floats:
    """Values as ranks from 0 to 1; missing stays NaN."""
    found = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        found[known] = (rankdata(values[known]) - 0.5) / known.sum()
    return found


def spread(x: Floats) -> Floats:
    """Vertical offsets that keep points of one row of the swarm apart, densest widest."""
    width = float(np.ptp(x)) or 1.0
    _, place, sizes = np.unique(np.round(x / width * 90), return_inverse=True, return_counts=True)
    offsets = np.zeros(len(x))
    for cell in range(len(sizes)):
        rows = np.nonzero(place == cell)[0]
        offsets[rows] = (np.arange(len(rows)) - (len(rows) - 1) / 2) / max(sizes.max(), 12)
    return 0.8 * offsets


def _canvas(
    drawn: Drawn, what: str, x: str, y: str, size: tuple[float, float] = (6.8, 5.2)
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    figure.text(0.99, 0.015, drawn.note, ha="right", color=MUTED, fontsize=8, style="italic")
    ax = figure.add_subplot(facecolor=PAPER)
    ax.set_title(
        f"{drawn.title}: {what}", loc="left", color=INK, fontsize=13, fontweight="bold", pad=12
    )
    ax.set_xlabel(x, color=MUTED, labelpad=8)
    ax.set_ylabel(y, color=MUTED, labelpad=8)
    ax.tick_params(length=0, labelcolor=INK, labelsize=9)
    ax.grid(visible=True, color=RULE, lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    return figure, ax


def _styled(scores: Mapping[str, Floats]) -> list[tuple[str, Floats, dict[str, Any]]]:
    """Baselines first and thin, the model last, in gold, on top."""
    others = [n for n in scores if n != "model"]
    styled: list[tuple[str, Floats, dict[str, Any]]] = [
        (n, scores[n], {"color": OTHERS[i % len(OTHERS)], "lw": 1.3}) for i, n in enumerate(others)
    ]
    return [*styled, ("model", scores["model"], {"color": GOLD, "lw": 2.6})]


def _named(name: str, figure: str) -> str:
    return f"{name}  {figure}"


def _percent(ax: Axes) -> None:
    """Both axes in per cent, with no more decimals than needed."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    ax.tick_params(pad=6)


def _legend(ax: Axes, where: str) -> None:
    ax.legend(loc=where, frameon=False, fontsize=9, labelcolor=INK)


def _scale(figure: Figure, ax: Axes) -> None:
    """A small key: low and high values of the feature, and missing."""
    bar = figure.colorbar(
        ScalarMappable(cmap=LOW_TO_HIGH), ax=ax, fraction=0.025, pad=0.02, aspect=40
    )
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.set_label("the feature's value (grey: missing)", color=MUTED, fontsize=9, labelpad=-12)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9, labelcolor=INK)
