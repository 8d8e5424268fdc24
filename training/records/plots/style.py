"""How every picture of ours looks: its paper, its colours, its note, and what it is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from features.settings import Contact
from training.dataset import Dataset, Floats
from training.judging.backtested import CutOffFigures

INK, MUTED, RULE, PAPER = "#22252b", "#6d7480", "#e4e6ea", "#ffffff"
GOLD, BLUE = "#b8860b", "#2f6690"
LOW_TO_HIGH = LinearSegmentedColormap.from_list("goldpan", ["#2f6690", "#b9c4cc", "#c98a00"])
OTHERS = {"cbi": "#2f6690", "recency": "#7aa095", "logistic": "#a05c7b", "mrr": "#8d8d8d"}
NAMES = {"cbi": "CBI rule", "mrr": "MRR alone"}


@dataclass(frozen=True)
class Drawn:
    """What the pictures are made of: the test rows and a sample of them with contributions.

    `scores`: "model" and the baselines, any increasing scale. `contributions` and `values`: sampled
    rows × columns, on the log-odds; `labels`: each column in words; `signals`: its signal's label.
    `contact`: what a contact costs and brings, None where no profit can be told.
    """

    title: str
    note: str
    test: Dataset
    probability: Floats
    scores: Mapping[str, Floats]
    contributions: Floats
    values: "NDArray[Any]"
    labels: Sequence[str]
    signals: Sequence[str]
    backtest: Sequence[CutOffFigures] = ()
    contact: Contact | None = None
    currency: str = "USD"

    @property
    def y(self) -> Floats:
        """What happened to the test rows."""
        return self.test.y


def canvas(
    drawn: Drawn, what: str, x: str, y: str, size: tuple[float, float] = (6.8, 5.2)
) -> tuple[Figure, Axes]:
    """A figure with a title, two labelled axes and, where data are made up, a note of it."""
    figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    figure.text(0.99, 0.015, drawn.note, ha="right", color=MUTED, fontsize=8, style="italic")
    ax = figure.add_subplot(facecolor=PAPER)
    figure.suptitle(f"{drawn.title}: {what}", x=0.012, ha="left", color=INK, fontsize=13,
                    fontweight="bold")  # fmt: skip
    ax.set_xlabel(x, color=MUTED, labelpad=8)
    ax.set_ylabel(y, color=MUTED, labelpad=8)
    ax.tick_params(length=0, labelcolor=INK, labelsize=9)
    ax.grid(visible=True, color=RULE, lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    return figure, ax


def styled(scores: Mapping[str, Floats]) -> list[tuple[str, Floats, dict[str, Any]]]:
    """Baselines first and thin, the model last, in gold, on top."""
    others = [n for n in scores if n != "model"]
    styled: list[tuple[str, Floats, dict[str, Any]]] = [
        (n, scores[n], {"color": colour(n), "lw": 1.3}) for n in others
    ]
    return [*styled, ("model", scores["model"], {"color": GOLD, "lw": 2.6})]


def colour(name: str) -> str:
    """The colour of a baseline, the same in every picture."""
    return OTHERS.get(name, "#8d8d8d")


def named(name: str, figure: str = "") -> str:
    """A model's name as a person reads it, with its figure."""
    return f"{NAMES.get(name, name)}  {figure}".rstrip()


def percent(ax: Axes) -> None:
    """Both axes in per cent, with no more decimals than needed."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    ax.tick_params(pad=6)


def legend(ax: Axes, where: str) -> None:
    """The key, without a frame."""
    ax.legend(loc=where, frameon=False, fontsize=9, labelcolor=INK)
