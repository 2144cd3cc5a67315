"""Measures of networks themselves: recurrence, connectivity, overlap, drivers. No model is scored."""
