"""Events and time: from raw files to the feature table. Knows no models."""
