"""Whether networks are enough for a task, and whether a share of random neurons harms as much."""
