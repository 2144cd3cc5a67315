"""The entry scripts' work: extract, evaluate, train, and the sweeps over them."""
