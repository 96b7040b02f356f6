"""Use cross-validation for robust performance estimates."""
