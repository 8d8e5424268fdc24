"""The promoted models: their files, verified and loaded."""
