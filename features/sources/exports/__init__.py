"""How each vendor's export becomes rows of the contract: one file a vendor."""
