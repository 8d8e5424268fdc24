"""The console: pages for the people who work with the scores."""
