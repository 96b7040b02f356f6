"""Checks of the block ethics_rules."""
