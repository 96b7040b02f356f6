"""Checks: one file a check, in a folder for each rule, in a folder for each block of the manifest."""
