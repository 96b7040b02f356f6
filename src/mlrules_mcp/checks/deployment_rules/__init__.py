"""Checks of the block deployment_rules."""
