"""Use Lightning's structured training/validation/test loops."""
