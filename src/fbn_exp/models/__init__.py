"""Load causal language models, and reach the neurons in them."""
