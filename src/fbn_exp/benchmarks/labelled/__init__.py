"""What is read from a model about labelled texts beside answers: ranks of texts, states of last tokens."""
