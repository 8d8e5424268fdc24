"""CRM systems that ask us: how their requests are known to be theirs, and what they are told."""
