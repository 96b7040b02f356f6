"""Use Lightning's logging capabilities for metrics and artifacts."""
