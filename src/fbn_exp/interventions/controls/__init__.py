"""Controls: the same intervention elsewhere in the model, matched on what could explain its effect."""
