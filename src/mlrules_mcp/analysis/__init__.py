"""Runs checks over sources: findings in order, suppressions and fixes."""
