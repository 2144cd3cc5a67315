"""Measures of networks: consistency, connectivity, overlap, drivers. No model is scored."""
