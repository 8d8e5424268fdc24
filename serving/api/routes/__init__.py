"""The routes, a file for each area: each has `routes(backing)`, a router of its own."""
