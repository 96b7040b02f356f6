"""Properly manage gradients and autograd context."""
