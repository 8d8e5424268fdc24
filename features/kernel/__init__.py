"""The algebra compiled to numba: the same numbers as the SQL, account after account in memory."""
