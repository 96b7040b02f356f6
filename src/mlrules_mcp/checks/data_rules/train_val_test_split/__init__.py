"""ALWAYS use proper train/validation/test splits."""
