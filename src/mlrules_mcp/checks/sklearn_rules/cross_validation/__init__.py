"""Use proper cross-validation for model evaluation."""
