"""Evidence for the rules on scikit-learn."""
