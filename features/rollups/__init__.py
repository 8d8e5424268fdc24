"""Events summed by day: the bitemporal rollups, and their files, one a week."""
