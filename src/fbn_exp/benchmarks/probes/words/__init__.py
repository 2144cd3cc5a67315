"""Word lists: English words that are common, and that a tokenizer mostly keeps whole."""


def listed(text: str) -> tuple[str, ...]:
    """Words of a text, in its order."""
    return tuple(text.split())
