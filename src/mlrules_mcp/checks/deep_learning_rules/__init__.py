"""Checks of the block deep_learning_rules."""
