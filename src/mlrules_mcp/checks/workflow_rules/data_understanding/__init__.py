"""Perform thorough exploratory data analysis before modeling."""
