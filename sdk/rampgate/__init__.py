"""Rampgate."""
