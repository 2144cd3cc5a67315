"""Several data sets as the conditions of an experiment."""
