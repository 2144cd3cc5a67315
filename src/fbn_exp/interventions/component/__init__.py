"""Interventions on the component itself: the directions of a network, not its loudest neurons."""
