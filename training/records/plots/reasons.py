"""What the model looks at: each feature's contributions, and each signal's together."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from training.dataset import Floats
from training.records.plots.style import GOLD, INK, LOW_TO_HIGH, MUTED, RULE, Drawn, canvas

SHOWN = 12
MISSING = "#33373d"


def beeswarm(drawn: Drawn) -> Figure:
    """Each sampled row's contribution of the strongest features, coloured by the value."""
    figure, ax = canvas(drawn, "what moves the score", "Contribution to the log-odds", "",
                         size=(8.6, 5.6))  # fmt: skip
    strongest = np.argsort(-np.abs(drawn.contributions).mean(axis=0))[:SHOWN][::-1]
    for place, column in enumerate(strongest):
        x = drawn.contributions[:, column]
        shade = ranks(drawn.values[:, column])
        known = ~np.isnan(shade)
        y = place + spread(x)
        ax.scatter(x[~known], y[~known], s=7, c=MISSING, lw=0, rasterized=True)
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
    figure, ax = canvas(drawn, "which signals count",
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


def _scale(figure: Figure, ax: Axes) -> None:
    """A small key: low and high values of the feature, and missing."""
    bar = figure.colorbar(
        ScalarMappable(cmap=LOW_TO_HIGH), ax=ax, fraction=0.025, pad=0.02, aspect=40
    )
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.set_label("the feature's value (black: missing)", color=MUTED, fontsize=9, labelpad=-12)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9, labelcolor=INK)
