"""Evidence for the rules on deployment."""
