"""Main functions of the entry scripts, installed as commands."""
