"""Is it ICA? Selectivity for tasks of its networks as directions, beside other directions."""
