"""Load causal language models, and locate, read and change their neurons."""
