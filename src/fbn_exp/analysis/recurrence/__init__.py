"""Recurrence of group networks in single texts: matches, chance levels, and their comparison."""
