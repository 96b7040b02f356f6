"""Use appropriate weight initialization schemes."""
