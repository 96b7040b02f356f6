"""Evidence for the rules on the model development workflow."""
