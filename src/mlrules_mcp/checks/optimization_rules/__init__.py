"""Checks of the block optimization_rules."""
