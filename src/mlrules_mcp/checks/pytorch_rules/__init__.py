"""Checks of the block pytorch_rules."""
