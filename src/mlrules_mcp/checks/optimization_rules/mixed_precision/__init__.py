"""Use mixed precision training for faster training."""
