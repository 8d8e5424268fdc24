"""A synthetic SaaS company whose true hazards are known: what `goldpan simulate` writes."""
