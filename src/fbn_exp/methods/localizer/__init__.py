"""Localizers: networks of neurons that tell the conditions of an experiment apart."""
