"""Avoid `.item()` calls in training loops for performance."""
