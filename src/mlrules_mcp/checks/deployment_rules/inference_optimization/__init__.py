"""Optimize models for inference performance."""
