"""Other people's learners, each run in an environment of its own; nothing here imports Goldpan."""
