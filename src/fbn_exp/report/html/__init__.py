"""One self-contained page about the networks of one extraction."""
