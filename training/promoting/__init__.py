"""From a trained version to the one that serves, and back: comparison, challenge, promotion."""
