"""The root schemas of the entry scripts, and the register of all schemas."""
