"""Present a sweep: a table with a line per job, and harm per energy over its doses."""
