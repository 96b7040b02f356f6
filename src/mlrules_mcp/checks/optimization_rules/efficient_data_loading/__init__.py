"""Optimize data loading with appropriate num_workers."""
