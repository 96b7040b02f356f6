"""Evidence for the rules on ethics and bias."""
