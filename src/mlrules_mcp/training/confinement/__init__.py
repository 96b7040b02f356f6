"""Keeps the user's code, which the training check runs, within limits: `confine` is the way in. Knows no torch."""

from mlrules_mcp.training.confinement.confine import Limits, confine, default_memory

__all__ = ["Limits", "confine", "default_memory"]
