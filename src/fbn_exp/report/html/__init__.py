"""Self-contained html report about the networks of an extraction."""
