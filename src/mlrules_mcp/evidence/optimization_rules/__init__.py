"""Evidence for the rules on speed."""
