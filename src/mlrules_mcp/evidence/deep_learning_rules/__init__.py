"""Evidence for the rules on neural networks."""
