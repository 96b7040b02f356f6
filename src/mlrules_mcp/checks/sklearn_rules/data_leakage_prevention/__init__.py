"""Prevent data leakage by fitting preprocessors only on training data."""
