"""Trains the embedded generator; not part of the package."""
