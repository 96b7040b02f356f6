"""Use multiple evaluation metrics appropriate for the task."""
