"""Assess models for potential bias and fairness issues."""
