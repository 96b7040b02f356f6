"""Checks of the block lightning_rules."""
