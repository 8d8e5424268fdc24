"""Pictures of a model, for people: how well it does, how it does over time, what it looks at."""

from matplotlib.figure import Figure

from training.records.plots.judged import calibration, distribution, gains, precision_recall, profit
from training.records.plots.over_time import backtest
from training.records.plots.reasons import beeswarm, signals
from training.records.plots.style import Drawn

__all__ = ["Drawn", "pictures"]


def pictures(drawn: Drawn) -> dict[str, Figure]:
    """File name (without .png) → picture; those that cannot be drawn are left out."""
    found = {
        "calibration": calibration(drawn),
        "gains": gains(drawn),
        "precision_recall": precision_recall(drawn),
        "scores": distribution(drawn),
        "profit": profit(drawn),
        "backtest": backtest(drawn),
        "contributions": beeswarm(drawn),
        "signals": signals(drawn),
    }
    return {name: picture for name, picture in found.items() if picture is not None}
