"""Evidence for the rules on experiment tracking."""
