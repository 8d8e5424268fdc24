"""How fast and how small: scripts that generate data, check values, measure and print ratios."""
