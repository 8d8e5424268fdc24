"""The growth of what features cost, drawn: CPU seconds over events, both on logarithmic scales."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import report
from benchmarks.report import Run

PLOT = Path(__file__).with_name("features.png")
LINES = (report.SCAN, "rollups", report.WHOLE, report.BY_SQL, report.TUNED, report.PLAIN)


def growth(runs: Sequence[Run], path: Path = PLOT) -> None:
    """Draw the lines that were measured at every size."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in LINES:
        if all(name in run.steps for run in runs):
            seconds = [run.steps[name].cpu for run in runs]
            axes.loglog([run.events for run in runs], seconds, marker="o", label=name)
    axes.set(xlabel="events", ylabel="CPU seconds", title="From events to the feature table")
    axes.grid(which="major", alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)
