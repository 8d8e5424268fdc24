"""The seven states of an account, how many get from one to the next, and how fast."""
