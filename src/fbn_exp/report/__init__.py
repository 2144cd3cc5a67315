"""Everything that is drawn, worded or flattened into metrics."""
