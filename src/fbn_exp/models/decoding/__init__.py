"""What models put out: text, and predictions of the next token."""
