"""Experiments that can be repeated: seeds, hyperparameters, artifacts."""
