"""The algebra of features compiled to ibis: leaves over rollups, combinations, peers."""
