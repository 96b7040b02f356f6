"""Evidence for the rules on model evaluation."""
