"""Rules for the workflow of developing models."""
