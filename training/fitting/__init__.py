"""Boosters and baselines: fitted, tuned, calibrated, refitted at cut-offs; and when."""
