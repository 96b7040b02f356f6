"""Define evaluation strategy before training."""
