"""The HTTP surface: `/v1` and everything that is answered beside it."""
