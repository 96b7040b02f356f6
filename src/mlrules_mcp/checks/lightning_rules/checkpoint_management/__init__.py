"""Implement proper checkpointing and model saving."""
