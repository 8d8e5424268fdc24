"""Accounts and models to scores with reasons, for the night and for a request alike."""
