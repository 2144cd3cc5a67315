"""Results of a sweep: its jobs as they are read, and what is made of all of them."""
