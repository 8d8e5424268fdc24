"""What goes with buying, upgrading, renewing and leaving: association, told with its doubt."""

from training.insights.report import Insights, insights, write

__all__ = ["Insights", "insights", "write"]
