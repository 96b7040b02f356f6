"""Evidence for the rules on data handling."""
