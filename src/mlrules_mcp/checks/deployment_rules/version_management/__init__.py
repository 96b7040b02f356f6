"""Implement proper model versioning and rollback strategies."""
