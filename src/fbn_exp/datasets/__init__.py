"""Text from a corpus, a hub data set or files, sampled and turned into token ids."""
