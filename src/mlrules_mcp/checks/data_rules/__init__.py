"""Rules for data."""
