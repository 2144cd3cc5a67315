"""Recording of neuron activations over texts: a matrix of tokens by neurons."""
