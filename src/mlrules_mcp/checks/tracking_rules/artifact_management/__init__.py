"""Save models, metrics, and important artifacts."""
