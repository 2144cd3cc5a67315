"""Record what neurons do over texts: a matrix of tokens by neurons."""
