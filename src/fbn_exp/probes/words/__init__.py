"""Word lists: English words that are common, and that a tokenizer mostly keeps whole."""
