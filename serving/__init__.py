"""The promoted models, the accounts and the people who ask."""
