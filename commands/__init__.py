"""The command line: its verbs, in the order of the data, and what they show."""
