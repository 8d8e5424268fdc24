"""The state of all accounts in memory, so that one account's row is made again at once."""
