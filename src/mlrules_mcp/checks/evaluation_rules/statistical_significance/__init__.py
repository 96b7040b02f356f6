"""Test statistical significance of model improvements."""
