"""Implement learning rate scheduling for training stability."""
