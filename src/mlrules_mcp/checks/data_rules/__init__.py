"""Checks of the data handling rules."""
