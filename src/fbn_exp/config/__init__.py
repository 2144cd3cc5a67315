"""Root schemas of the entry scripts, and the registration of all schemas."""
