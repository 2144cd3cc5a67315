"""Main functions of the entry scripts, which an installed package has as commands."""
