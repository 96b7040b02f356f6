"""Apply appropriate regularization techniques."""
