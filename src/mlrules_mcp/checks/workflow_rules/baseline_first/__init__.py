"""ALWAYS establish a simple baseline before complex models."""
