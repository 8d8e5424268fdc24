"""Whose an event is: ids, aliases, memberships and merges, as known then."""
