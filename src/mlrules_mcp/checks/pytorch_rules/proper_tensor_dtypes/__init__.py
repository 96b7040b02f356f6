"""Use appropriate tensor dtypes for memory efficiency."""
