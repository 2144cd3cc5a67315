"""Texts from a corpus, a hub data set or local files, sampled and tokenised."""
