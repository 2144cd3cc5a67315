"""Lists of common English words, most of them a single token."""


def listed(text: str) -> tuple[str, ...]:
    """Split a text into its words."""
    return tuple(text.split())
