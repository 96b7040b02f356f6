"""ALWAYS use pipelines for preprocessing and modeling."""
