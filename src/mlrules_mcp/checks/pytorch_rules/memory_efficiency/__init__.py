"""Use gradient accumulation and mixed precision for large models."""
