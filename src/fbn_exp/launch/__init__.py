"""Start jobs in one process, in several, or on a cluster."""
