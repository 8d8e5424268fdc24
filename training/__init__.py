"""Outcomes and models: from the feature table to a promoted bundle. Knows no people."""

import os

# LightGBM's threads would else spin while they wait: on busy cores, 20 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
