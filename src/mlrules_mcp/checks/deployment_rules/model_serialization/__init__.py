"""Use proper model serialization for deployment."""
