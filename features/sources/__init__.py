"""Raw files into the lake: reading, mapping to the contract, checking, keeping what is new."""
