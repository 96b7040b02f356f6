"""ALWAYS make experiments reproducible with proper seeding."""
