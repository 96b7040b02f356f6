"""Checks: one file a rule, in one folder for each block of the manifest."""
