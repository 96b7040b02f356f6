"""Ensure data privacy and compliance with regulations."""
